//! The laws of the draws, with bounds that hold for any seed.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Device, Tensor};
use dvae_random::{Key, Pieces, RowStreams};

const N: usize = 200_000;

/// The Kolmogorov–Smirnov distance that a right sample of size `N` exceeds once in 10⁹ times:
/// `√(ln(2 · 10⁹) / 2N)` (Massart 1990).
fn ks_bound() -> f64 {
    ((2e9f64).ln() / (2.0 * N as f64)).sqrt()
}

fn ks_distance(mut sample: Vec<f32>, cdf: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f32::total_cmp);
    let n = sample.len() as f64;
    let gap = |(i, &x): (usize, &f32)| {
        let f = cdf(f64::from(x));
        (f - i as f64 / n).abs().max(((i + 1) as f64 / n - f).abs())
    };
    sample.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// `Φ(x)` by Simpson's rule on the density.
fn normal_cdf(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
    let (steps, h) = (200, x / 200.0);
    let inner: f64 =
        (1..steps).map(|i| density(i as f64 * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + h / 3.0 * (density(0.0) + inner + density(x))
}

fn draws(seed: u64) -> RowStreams {
    let ids: Vec<u64> = (0..100).collect();
    Key::new(seed).rows(&ids)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn normals_follow_the_normal_law() {
    for seed in 0..5 {
        let sample = values(draws(seed).normal::<2>([100, N / 100], &Device::flex()));
        let distance = ks_distance(sample, normal_cdf);
        assert!(distance < ks_bound(), "seed {seed}: distance {distance}");
    }
}

#[test]
fn uniforms_follow_the_uniform_law() {
    for seed in 0..5 {
        let sample = values(draws(seed).uniform::<2>([100, N / 100], &Device::flex()));
        assert!(sample.iter().all(|u| (0.0..1.0).contains(u)));
        let distance = ks_distance(sample, |x| x);
        assert!(distance < ks_bound(), "seed {seed}: distance {distance}");
    }
}

#[test]
fn bernoulli_trials_are_true_with_probability_p() {
    for (seed, p) in [(0, 0.5), (1, 0.1), (2, 0.999), (3, 1e-4)] {
        let trials = draws(seed).bernoulli::<2>(p, [100, N / 100], &Device::flex());
        let rate = f64::from(trials.float().mean().into_scalar::<f32>());
        // Six standard deviations of a binomial mean.
        assert!((rate - p).abs() < 6.0 * (p * (1.0 - p) / N as f64).sqrt(), "p {p}: rate {rate}");
    }
}

#[test]
fn bernoulli_is_certain_at_zero_and_one() {
    let all = |p: f64| draws(0).bernoulli::<2>(p, [100, 50], &Device::flex());
    assert!(all(1.0).all().into_scalar::<bool>());
    assert!(!all(0.0).any().into_scalar::<bool>());
    assert!(!all(f64::NAN).any().into_scalar::<bool>());
}

#[test]
fn a_row_draws_the_same_in_any_batch_order_and_company() {
    let device = Device::flex();
    let key = Key::new(9);
    let mut together = key.rows(&[4, 5, 6]);
    let mut reversed = key.rows(&[6, 5, 4]);
    let mut alone = key.rows(&[4]);
    for _ in 0..3 {
        let a: Tensor<3> = together.normal([3, 7, 11], &device);
        let b: Tensor<3> = reversed.normal([3, 7, 11], &device);
        let c: Tensor<3> = alone.normal([1, 7, 11], &device);
        assert_eq!(a.clone().flip([0]).into_data(), b.into_data());
        assert_eq!(a.slice([0..1]).into_data(), c.into_data());
    }
}

// Correlations of n independent pairs have a standard deviation of 1/√n.
#[test]
fn rows_draws_keys_and_branches_are_uncorrelated() {
    let device = Device::flex();
    let row = |mut draws: RowStreams| -> Vec<f32> { values(draws.normal::<2>([1, N], &device)) };
    let base = row(Key::new(1).rows(&[0]));
    let second_draw = {
        let mut draws = Key::new(1).rows(&[0]);
        let _ = draws.normal::<2>([1, N], &device);
        row(draws)
    };
    let others = [
        row(Key::new(1).rows(&[1])),
        row(Key::new(1).rows(&[1 << 32])),
        row(Key::new(2).rows(&[0])),
        row(Key::new(1).epoch(0).rows(&[0])),
        row(Key::new(1).rows(&[0]).branch()),
        second_draw,
    ];
    for (i, other) in others.iter().enumerate() {
        let dot: f64 = base.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((dot / N as f64).abs() < 6.0 / (N as f64).sqrt(), "pair {i}: {dot}");
    }
}

#[test]
fn rows_and_pieces_hold_what_the_tensors_hold() {
    let ids = [7, 3, 1 << 40];
    let all = Key::new(5).rows(&ids);
    let len = 3 * Pieces::ALIGNMENT + 5;
    let (mut tensors, mut pieces) = (all.clone(), all.clone());
    let device = Device::flex();
    let uniforms = values(tensors.uniform::<2>([3, len], &device));
    let normals = values(tensors.normal::<2>([3, len], &device));
    let (uniform_pieces, normal_pieces) = (pieces.pieces(), pieces.pieces());
    for place in 0..3 {
        let expected = |all: &[f32]| all[place * len..(place + 1) * len].to_vec();
        let mut row = all.row(place);
        let (mut uniform, mut normal) = (vec![0.0; len], vec![0.0; len]);
        row.uniform(&mut uniform);
        row.normal(&mut normal);
        assert_eq!(uniform, expected(&uniforms));
        assert_eq!(normal, expected(&normals));
        let start = 2 * Pieces::ALIGNMENT;
        uniform_pieces.uniform(place, start, &mut uniform[start..]);
        normal_pieces.normal(place, start, &mut normal[start..]);
        assert_eq!(uniform, expected(&uniforms));
        assert_eq!(normal, expected(&normals));
        assert_eq!(all.row(place).uniforms::<2>(), uniform[..2]);
    }
}

#[test]
#[should_panic(expected = "a piece begins at a multiple of 64, not at 65")]
fn a_piece_that_begins_between_blocks_is_refused() {
    Key::new(5).rows(&[1]).pieces().normal(0, Pieces::ALIGNMENT + 1, &mut [0.0; 4]);
}

// What a generator yields are the words that uniforms are made of, and no two rows share them.
#[test]
fn a_generator_reads_the_words_of_the_uniforms() {
    use rand_core::Rng;
    let draws = Key::new(3).rows(&[5, 6]);
    let uniforms = draws.clone().uniform_host(100);
    let mut rng = draws.row(0).rng();
    for uniform in &uniforms[..100] {
        assert_eq!((rng.next_u32() >> 8) as f32 / 16_777_216.0, *uniform);
    }
    assert_ne!(draws.row(0).rng().next_u64(), draws.row(1).rng().next_u64());
}
