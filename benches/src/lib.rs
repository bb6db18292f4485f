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
    backend.device().expect("a back end with a device")
}

/// Random values, tracked for gradients if the device has autodiff.
pub fn tensor<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let ids = Vec::from_iter(0..shape[0] as u64);
    let values = Key::new(1).rows(&ids).normal(shape, device);
    if device.is_autodiff() { values.require_grad() } else { values }
}

/// Square images of noise in `[0, 1)`, and their ids.
pub fn images(rows: usize, side: usize, device: &Device) -> (Tensor<4>, Vec<u64>) {
    let ids = Vec::from_iter(0..rows as u64);
    (Key::new(1).rows(&ids).uniform([rows, 1, side, side], device), ids)
}

fn model(config: AutoencoderConfig, device: &Device) -> dvae::models::Autoencoder<AnyNetwork> {
    config.init(Key::new(1), device).expect("a right configuration")
}

/// One hidden layer of 400 units, 20 latents.
pub fn mlp(side: usize, device: &Device) -> dvae::models::Autoencoder<AnyNetwork> {
    model(AutoencoderConfig::mlp(&[1, side, side], 20), device)
}

/// 1-32-64 channels, 32 latents.
pub fn conv(side: usize, device: &Device) -> dvae::models::Autoencoder<AnyNetwork> {
    model(AutoencoderConfig::conv(&[1, side, side], 32), device)
}

/// Three levels of 16, 32 and 32 channels, 4 latents at each place.
pub fn ladder(side: usize, device: &Device) -> dvae::models::Autoencoder<AnyNetwork> {
    model(AutoencoderConfig::ladder(&[1, side, side], 4), device)
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
    pub fn new(model: V, rows: usize, side: usize, device: &Device) -> Self {
        let (clean, ids) = images(rows, side, device);
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
