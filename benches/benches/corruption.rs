//! Damaging 128 images of 1×28×28.
//!
//! `cargo bench --workspace --bench corruption`

#![allow(missing_docs)]

use divan::Bencher;
use dvae::prelude::*;
use dvae::train::Streams;
use dvae_benches::{BATCH, backends, device, images};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

const PROCESSES: [&str; 4] = ["gaussian", "masking", "salt-and-pepper", "mixed"];

#[divan::bench(args = PROCESSES)]
fn corrupt(bencher: Bencher, name: &str) {
    let device = device(backends()[0]);
    let (clean, ids) = images(BATCH, &device);
    let config: CorruptionConfig = name.parse().expect("a process");
    let process = config.build::<4>().expect("right parameters");
    let mut epoch = 0;
    bencher.bench_local(|| {
        epoch += 1;
        let mut streams = Streams::training(Key::new(1), epoch, &ids);
        let corrupted = process.corrupt(clean.clone(), &mut streams.corruption);
        device.sync().expect("a device that works");
        corrupted
    });
}
