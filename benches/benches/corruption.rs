//! Corrupting 128 images of 1×28×28 and of 3×64×64.
//!
//! `cargo bench --workspace --bench corruption`; `benches/peers/corruption_peer.py` times the same in NumPy,
//! PyTorch and imagecorruptions.

#![allow(missing_docs)]

use divan::Bencher;
use dvae::prelude::*;
use dvae::random::RowStreams;
use dvae_benches::{BATCH, backends, device};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

/// The peers' settings: σ = 0.3, a fifth, a half, σ = 1, 12 photons, a disc of 3 pixels with its rim, …
const PROCESSES: [&str; 13] = [
    "gaussian:0.3",
    "salt-and-pepper:0.2",
    "masking:0.5",
    "gaussian-blur:1",
    "shot:0.083",
    "impulse:0.09",
    "salt-and-pepper:0.09",
    "motion-blur:20",
    "defocus:2.5",
    "jpeg:2",
    "pixelate:4",
    "haze",
    "mixed",
];

/// The random streams of a training step.
fn draws(epoch: u64) -> RowStreams {
    let ids: Vec<u64> = (0..BATCH as u64).collect();
    Key::new(1).purpose(Purpose::Corruption).epoch(epoch).rows(&ids)
}

fn corrupt(bencher: Bencher, name: &str, [channels, height, width]: [usize; 3]) {
    let device = device(backends()[0]);
    let shape = [BATCH, channels, height, width];
    let clean: Tensor<4> = draws(0).uniform(shape, &device);
    let config: CorruptionConfig = name.parse().expect("a process");
    let process = config.build::<4>(Domain::Unit).expect("right parameters");
    let mut epoch = 0;
    bencher.bench_local(|| {
        epoch += 1;
        let corrupted = process.corrupt(clean.clone(), &mut draws(epoch));
        device.sync().expect("a device that works");
        corrupted
    });
}

#[divan::bench(args = PROCESSES)]
fn of_1x28x28(bencher: Bencher, name: &str) {
    corrupt(bencher, name, [1, 28, 28]);
}

#[divan::bench(args = PROCESSES)]
fn of_3x64x64(bencher: Bencher, name: &str) {
    corrupt(bencher, name, [3, 64, 64]);
}
