//! Filling tensors from keyed streams: values per second.
//!
//! `cargo bench --workspace --bench streams`

#![allow(missing_docs)]

use divan::Bencher;
use divan::counter::ItemsCount;
use dvae::prelude::*;
use dvae_benches::{backends, device};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

const ROWS: usize = 128;
/// Values per row: an image of 1×28×28, and one of 3×64×64.
const WIDTHS: [usize; 2] = [784, 12_288];

fn fill(
    bencher: Bencher,
    width: usize,
    draw: impl Fn(&mut dvae::random::RowStreams, [usize; 2], &Device),
) {
    let device = device(backends()[0]);
    let ids: Vec<u64> = (0..ROWS as u64).collect();
    bencher.counter(ItemsCount::new(ROWS * width)).bench_local(|| {
        draw(&mut Key::new(1).rows(&ids), [ROWS, width], &device);
    });
}

#[divan::bench(args = WIDTHS)]
fn normal(bencher: Bencher, width: usize) {
    fill(bencher, width, |draws, shape, device| {
        divan::black_box(draws.normal::<2>(shape, device));
    });
}

#[divan::bench(args = WIDTHS)]
fn uniform(bencher: Bencher, width: usize) {
    fill(bencher, width, |draws, shape, device| {
        divan::black_box(draws.uniform::<2>(shape, device));
    });
}

#[divan::bench(args = WIDTHS)]
fn bernoulli(bencher: Bencher, width: usize) {
    fill(bencher, width, |draws, shape, device| {
        divan::black_box(draws.bernoulli::<2>(0.5, shape, device));
    });
}
