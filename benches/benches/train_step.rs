//! One training step: corrupt, infer, decode, score, differentiate, Adam.
//!
//! `cargo bench --workspace --features ndarray,wgpu --bench train_step`

#![allow(missing_docs)]

use divan::Bencher;
use dvae::prelude::*;
use dvae_benches::{BATCH, Steps, backends, device};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // The loop runs inside the pool, as in training.
    rayon::scope(|_| divan::main());
}

/// 784-400-20, batch 128.
#[divan::bench(args = backends())]
fn mlp(bencher: Bencher, backend: Backend) {
    let device = device(backend);
    let mut steps = Steps::new(dvae_benches::mlp(28, &device), BATCH, 28, &device);
    bencher.bench_local(|| steps.step());
}

/// 1-32-64 channels, 32 latents, batch 128.
#[divan::bench(args = backends(), sample_count = 30)]
fn conv(bencher: Bencher, backend: Backend) {
    let device = device(backend);
    let mut steps = Steps::new(dvae_benches::conv(28, &device), BATCH, 28, &device);
    bencher.bench_local(|| steps.step());
}

/// 16, 32 and 32 channels, 4 latents at each place, batch 64.
#[divan::bench(args = backends(), sample_count = 10)]
fn ladder(bencher: Bencher, backend: Backend) {
    let device = device(backend);
    let mut steps = Steps::new(dvae_benches::ladder(28, &device), 64, 28, &device);
    bencher.bench_local(|| steps.step());
}
