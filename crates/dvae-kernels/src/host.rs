//! Reading a tensor on the host.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::covered;

/// Whether the tensor's values are in the host's memory, where fused operations are worthwhile: on flex, with
/// kernels enabled.
pub fn on_host<const D: usize>(tensor: &Tensor<D>) -> bool {
    #[cfg(feature = "flex")]
    return covered!(tensor);
    #[cfg(not(feature = "flex"))]
    {
        let _ = tensor;
        false
    }
}

/// Calls `read` with the tensor's values, in row-major order, as `f32`.
///
/// On flex they are read in place if they are contiguous; from any other device they are copied, which waits
/// for it.
pub fn with_values<const D: usize, R>(tensor: &Tensor<D>, read: impl FnOnce(&[f32]) -> R) -> R {
    #[cfg(feature = "flex")]
    if on_host(tensor) {
        use burn::backend::Flex;
        let plain = tensor.clone().without_autodiff();
        if let Ok(primitive) = plain.try_into_primitive::<Flex>()
            && let Some(values) = primitive.as_slice::<f32>()
        {
            return read(values);
        }
    }
    let data = tensor.clone().into_data().convert::<f32>();
    read(data.as_slice().expect("converted to f32"))
}
