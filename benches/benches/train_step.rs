//! One training step: corrupt, infer, decode, score, differentiate, Adam.
//!
//! `cargo bench --workspace --features ndarray,wgpu --bench train_step`

#![allow(missing_docs)]

use divan::Bencher;
use dvae::burn::optim::GradientsParams;
use dvae::kernels::Adam;
use dvae::losses::KlWeight;
use dvae::prelude::*;
use dvae::train::{Streams, denoising_elbo};
use dvae_benches::{backends, device, images};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // As in training: the loop runs inside the pool.
    rayon::scope(|_| divan::main());
}

fn step<V: Vae<4>>(bencher: Bencher, model: V, device: &Device) {
    let (clean, ids) = images(device);
    let process = Gaussian::new(0.3).expect("a scale");
    let beta = KlWeight::new(1.0).expect("a weight");
    let mut adam = Adam::default().init();
    let mut model = Some(model.train());
    let mut epoch = 0;
    bencher.bench_local(|| {
        let current = model.take().expect("a model between steps");
        let mut streams = Streams::training(Key::new(1), epoch, &ids);
        epoch += 1;
        let elbo = denoising_elbo(&current, clean.clone(), &process, &mut streams);
        let gradients = GradientsParams::from_grads(elbo.loss(beta).backward(), &current);
        model = Some(adam.step(1e-3, current, gradients));
        device.sync().expect("a device that works");
    });
}

/// 784-400-20, batch 128.
#[divan::bench(args = backends())]
fn mlp(bencher: Bencher, backend: Backend) {
    let device = device(backend);
    let model = MlpVaeConfig::new(&[1, 28, 28], 20).init(Key::new(1), &device);
    step(bencher, model.expect("a right configuration"), &device);
}

/// 1-32-64 channels, 32 latents, batch 128.
#[divan::bench(args = backends(), sample_count = 30)]
fn conv(bencher: Bencher, backend: Backend) {
    let device = device(backend);
    let model = ConvVaeConfig::new(&[1, 28, 28], 32).init(Key::new(1), &device);
    step(bencher, model.expect("a right configuration"), &device);
}
