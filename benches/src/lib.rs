//! What the benchmarks share: models, rows and noise of the sizes that are compared.

use dvae::burn::tensor::Device;
use dvae::prelude::*;

/// Rows a step.
pub const BATCH: usize = 128;

/// The CPU back ends that are compiled in, by name.
pub fn backends() -> Vec<Backend> {
    [Backend::Flex, Backend::NdArray].into_iter().filter(|backend| backend.is_compiled()).collect()
}

/// The device of a back end that is compiled in.
pub fn device(backend: Backend) -> Device {
    backend.device().expect("a CPU back end has a device")
}

/// A batch of images and their ids.
pub fn images(device: &Device) -> (Tensor<4>, Vec<u64>) {
    let rows = fashion_mnist().train.take(BATCH);
    (rows.gather(rows.ids(), device), rows.ids().into())
}
