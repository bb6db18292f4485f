//! Random streams drawn on the device, if a kernel for it is compiled in.
//!
//! The streams are those of `dvae-random`, which documents their layout and makes them on the host whenever a
//! function here returns `None`. Integers, uniforms and trials have the same bits as on the host; normals are
//! within 10⁻⁶, because shader compilers fuse multiplications and additions.

use burn::tensor::{Bool, Device, Shape, Tensor};

/// One draw of some rows.
#[derive(Clone, Copy, Debug)]
pub struct KeyedDraw<'a> {
    /// The rows, in the order of axis 0.
    pub ids: &'a [u64],
    /// The key of Philox 4×32-10.
    pub key: [u32; 2],
    /// The number of the draw: the last word of each counter.
    pub draw: u32,
}

/// # Panics
///
/// Every function panics if the first axis of `shape` is not the number of rows.
impl KeyedDraw<'_> {
    /// Uniforms on `[0, 1)`, shape `[rows, …]`, if the device can make them.
    pub fn uniform<const D: usize>(&self, shape: &Shape, device: &Device) -> Option<Tensor<D>> {
        #[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
        return crate::cube::floats(crate::cube::Variate::Uniform, self, shape, device);
        #[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
        return nothing(shape, device);
    }

    /// Standard normals, shape `[rows, …]`, if the device can make them.
    pub fn normal<const D: usize>(&self, shape: &Shape, device: &Device) -> Option<Tensor<D>> {
        #[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
        return crate::cube::floats(crate::cube::Variate::Normal, self, shape, device);
        #[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
        return nothing(shape, device);
    }

    /// Trials that are true where a word is below `threshold`, shape `[rows, …]`, if the device can make
    /// them.
    pub fn bernoulli<const D: usize>(
        &self,
        threshold: u64,
        shape: &Shape,
        device: &Device,
    ) -> Option<Tensor<D, Bool>> {
        #[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
        return crate::cube::bernoulli(threshold, self, shape, device);
        #[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
        return nothing((threshold, shape), device);
    }
}

/// The implementation without a kernel.
#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
fn nothing<S, T>(_shape: S, _device: &Device) -> Option<T> {
    None
}
