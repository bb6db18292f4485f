//! Shared code of the benchmarks: models, rows and steps of the measured sizes.

use dvae::burn::optim::{GradientsParams, ModuleOptimizer};
use dvae::burn::tensor::Device;
use dvae::kernels::Adam;
use dvae::prelude::*;
use dvae::train::{BatchNoise, denoising_elbo};

/// The default number of rows in a step.
pub const BATCH: usize = 128;

/// The CPU back ends that are compiled in.
pub fn backends() -> Vec<Backend> {
    [Backend::Flex, Backend::NdArray].into_iter().filter(|backend| backend.is_compiled()).collect()
}

/// The device of a back end that is compiled in.
pub fn device(backend: Backend) -> Device {
    backend.device().expect("a CPU back end has a device")
}

/// Random values, tracked for gradients if the device has autodiff.
pub fn tensor<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let ids = Vec::from_iter(0..shape[0] as u64);
    let values = Key::new(1).rows(&ids).normal(shape, device);
    if device.is_autodiff() { values.require_grad() } else { values }
}

/// A batch of images and their ids.
pub fn images(rows: usize, device: &Device) -> (Tensor<4>, Vec<u64>) {
    let rows = fashion_mnist().train.take(rows);
    (rows.gather(rows.ids(), device), rows.ids().into())
}

/// 784-400-20, fully connected.
pub fn mlp(device: &Device) -> dvae::models::Autoencoder<AnyNetwork> {
    let model = AutoencoderConfig::mlp(&[1, 28, 28], 20).init(Key::new(1), device);
    model.expect("a right configuration")
}

/// 1-32-64 channels, 32 latents.
pub fn conv(device: &Device) -> dvae::models::Autoencoder<AnyNetwork> {
    let model = AutoencoderConfig::conv(&[1, 28, 28], 32).init(Key::new(1), device);
    model.expect("a right configuration")
}

/// Training steps on the same rows, each with its own noise.
#[allow(missing_debug_implementations)] // Burn's optimizer has none.
pub struct Steps<V> {
    /// Taken out during a step, so that weights change in place.
    model: Option<V>,
    optimizer: ModuleOptimizer,
    clean: Tensor<4>,
    ids: Vec<u64>,
    taken: usize,
    device: Device,
}

impl<V: Vae<4>> Steps<V> {
    /// Steps of a model on `rows` images.
    pub fn new(model: V, rows: usize, device: &Device) -> Self {
        let (clean, ids) = images(rows, device);
        let (model, optimizer) = (Some(model.train()), Adam::default().init());
        Self { model, optimizer, clean, ids, taken: 0, device: device.clone() }
    }

    /// Corrupts, infers, decodes, scores, differentiates and steps; waits for the device.
    pub fn step(&mut self) {
        let process = Gaussian::new(0.3).expect("a scale");
        let model = self.model.take().expect("a model between steps");
        let mut streams = BatchNoise::training(Key::new(1), self.taken, &self.ids);
        self.taken += 1;
        let elbo = denoising_elbo(&model, self.clean.clone(), &process, &mut streams);
        let gradients = GradientsParams::from_grads(elbo.loss().backward(), &model);
        self.model = Some(self.optimizer.step(1e-3, model, gradients));
        self.device.sync().expect("a device that works");
    }
}
