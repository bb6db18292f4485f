//! Bounds of several draws, and estimators of their gradients, on the linear-Gaussian model.

#![allow(clippy::unwrap_used)] // A test may panic.

mod linear_gaussian;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use dvae_corruption::{Clean, Corruption, Gaussian};
use dvae_distributions::{Likelihood, Prior};
use dvae_losses::{Emphasis, ImportanceWeights, KlTerm, LossContext, Objective, Schedule};
use dvae_models::Vae;
use dvae_random::Key;
use dvae_train::{BatchNoise, CorruptedBatch, denoising_elbo};
use linear_gaussian::*;

const SIGMA: f64 = 0.7;

const ONE: Schedule = Schedule::Constant(1.0);

fn with_kl(kl: KlTerm, corruptions: usize, latents: usize) -> Objective {
    Objective::Dvae { corruptions, latents, kl, emphasis: Emphasis::default() }
}

fn with_weights(weights: ImportanceWeights, corruptions: usize, latents: usize) -> Objective {
    Objective::Diwae { corruptions, latents, weights }
}

fn corruption(sigma: f64) -> Gaussian {
    Gaussian::new(sigma).unwrap()
}

/// The bound of `n` rows that are all `X`, each with its own draws.
fn bound(objective: &Objective, process: &dyn Corruption<2>, n: usize) -> Tensor<1> {
    objective.check().unwrap();
    let ids: Vec<u64> = (0..n as u64).collect();
    let clean = matrix([X]).expand([n, 3]);
    let mut streams = BatchNoise::training(Key::new(8), 0, &ids);
    let model = LinearGaussian::new();
    let draws =
        CorruptedBatch::new(clean, None, process, objective.corruptions(), &mut streams.corruption)
            .score(&model, objective, &mut streams.latent);
    objective.bound_of(&draws)
}

/// Mean, and its standard error.
fn mean(draws: Tensor<1>) -> (f64, f64) {
    let draws: Vec<f64> = draws.into_data().iter::<f64>().collect();
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / n).sqrt())
}

fn dvae(sigma: f64) -> f64 {
    let (log_likelihood, kl) = closed_form(sigma);
    log_likelihood - kl
}

#[test]
fn the_mean_over_draws_is_the_dvae_bound_however_many_there_are() {
    for (corruptions, latents) in [(1, 1), (3, 1), (1, 4), (3, 4)] {
        let of = Objective::dvae(corruptions, latents);
        assert_mean("bound", bound(&of, &corruption(SIGMA), 50_000), dvae(SIGMA));
    }
}

// L_dvae = DIWAE(1, 1) ≤ … ≤ log p(x), tighter with each more draw, of either kind.
#[test]
fn importance_weights_tighten_the_bound_up_to_the_evidence() {
    let evidence = log_evidence();
    let of = |corruptions, latents| {
        let of = Objective::diwae(corruptions, latents);
        mean(bound(&of, &corruption(SIGMA), 60_000))
    };
    let (first, error) = of(1, 1);
    assert!((first - dvae(SIGMA)).abs() < 6.0 * error, "{first} ± {error}");
    for chain in [[(1, 1), (1, 4), (1, 16), (1, 64)], [(1, 1), (4, 1), (4, 4), (16, 4)]] {
        let values = chain.map(|(m, k)| of(m, k));
        for pair in values.windows(2) {
            let ((a, ea), (b, eb)) = (pair[0], pair[1]);
            assert!(b - a > 6.0 * ea.hypot(eb), "{chain:?}: {values:?}");
        }
        let (last, error) = values[3];
        assert!(last < evidence + 6.0 * error, "{last} ± {error}, not below {evidence}");
    }
    // Draws of x̃ make up for its noise where draws of z alone cannot, but both end at the evidence.
    let (many, error) = of(64, 4);
    assert!((many - evidence).abs() < 6.0 * error + 0.02, "{many} ± {error}, {evidence}");
}

// With the mixture of M posteriors below the fraction, from L_dvae at M = 1 up to L_cvae, where the posterior
// is averaged over the corruption: q̃ = N(m, V), and never above.
#[test]
fn the_mixture_goes_from_the_dvae_bound_to_that_of_the_averaged_posterior() {
    let of = |m| {
        let objective = with_kl(KlTerm::Mixture { beta: ONE }, m, 1);
        mean(bound(&objective, &corruption(SIGMA), 60_000))
    };
    let averaged = averaged_bound(SIGMA);
    assert!(dvae(SIGMA) < averaged && averaged < log_evidence());
    let values = [1, 2, 4, 16, 64].map(of);
    let (first, error) = values[0];
    assert!((first - dvae(SIGMA)).abs() < 6.0 * error, "{first} ± {error}");
    for pair in values.windows(2) {
        let ((a, ea), (b, eb)) = (pair[0], pair[1]);
        assert!(b - a > 4.0 * ea.hypot(eb), "{values:?}");
        assert!(b < averaged + 6.0 * eb, "{values:?}, not below {averaged}");
    }
    let gap = |i: usize| averaged - values[i].0;
    assert!(gap(4) < 0.1 * gap(0), "{values:?} toward {averaged}");
}

#[test]
fn with_the_mixture_the_weights_are_unbiased_for_the_evidence_too() {
    for (m, k) in [(1, 1), (4, 2)] {
        let objective = with_weights(ImportanceWeights::Mixture, m, k);
        let weight = bound(&objective, &corruption(0.3), 200_000).exp();
        assert_mean("evidence", weight, log_evidence().exp());
    }
}

fn bits(values: &Tensor<1>) -> Vec<u32> {
    values.to_data().iter::<f32>().map(f32::to_bits).collect()
}

#[test]
fn one_draw_of_each_is_the_dvae_bound_with_the_kl_of_the_draw_bit_for_bit() {
    let ids: Vec<u64> = (0..1000).collect();
    let clean = matrix([X]).expand([1000, 3]);
    let mut streams = BatchNoise::training(Key::new(8), 0, &ids);
    let elbo = denoising_elbo(&LinearGaussian::new(), clean, &corruption(SIGMA), &mut streams);
    for weights in [ImportanceWeights::Own, ImportanceWeights::Mixture] {
        let one = with_weights(weights, 1, 1);
        assert_eq!(bits(&bound(&one, &corruption(SIGMA), 1000)), bits(&elbo.log_weight()));
    }
    let plain = Objective::dvae(1, 1);
    assert_eq!(bits(&bound(&plain, &corruption(SIGMA), 1000)), bits(&elbo.bound()));
}

// The IWAE bound, written once more in double precision: K draws from q(z | x) of the clean row.
#[test]
fn without_corruption_it_is_the_iwae_bound() {
    let (n, k) = (500, 7);
    let of = Objective::diwae(1, k);
    let got = bound(&of, &corruption(0.0), n);
    assert_eq!(bits(&got), bits(&bound(&of, &Clean, n)));
    let ids: Vec<u64> = (0..n as u64).collect();
    let mut latent = BatchNoise::training(Key::new(8), 0, &ids).latent;
    let model = LinearGaussian::new();
    let clean = matrix([X]).expand([n, 3]);
    let encoding = model.encode(clean.clone(), &Prior::Standard);
    let mut sums = vec![0.0; n];
    for _ in 0..k {
        let draw = encoding.infer(&mut latent);
        let log_likelihood = model.decode(draw.latents).log_likelihood(clean.clone());
        let terms = [log_likelihood, draw.log_prior, draw.log_posterior]
            .map(|term| term.into_data().iter::<f64>().collect::<Vec<f64>>());
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += (terms[0][i] + terms[1][i] - terms[2][i]).exp() / k as f64;
        }
    }
    for (got, sum) in got.into_data().iter::<f64>().zip(sums) {
        assert!((got - sum.ln()).abs() < 1e-4, "{got}, not {}", sum.ln());
    }
}

/// The gradients of the loss of one objective in every weight, for some rows, from streams of this seed, with draws
/// made for another one.
fn gradients(
    model: &LinearGaussian,
    [objective, drawn]: [&Objective; 2],
    n: usize,
    seed: u64,
) -> [Vec<f64>; 2] {
    let ids: Vec<u64> = (0..n as u64).collect();
    let clean = matrix([X]).expand([n, 3]);
    let model = model.clone().train();
    let mut streams = BatchNoise::training(Key::new(seed), 0, &ids);
    let process = corruption(SIGMA);
    let draws =
        CorruptedBatch::new(clean, None, &process, drawn.corruptions(), &mut streams.corruption)
            .score(&model, drawn, &mut streams.latent);
    let noise = &mut streams.latent;
    let loss = objective.loss(&draws, &mut LossContext { progress: 1.0, rows: n, noise });
    let value = loss.clone().into_scalar::<f64>();
    if matches!(objective, Objective::Diwae { .. }) {
        let bound = objective.bound_of(&draws).mean().into_scalar::<f64>();
        assert!((value + bound).abs() < 1e-5 * bound.abs(), "{value} is not the bound {bound}");
    }
    let gradients = loss.backward();
    let of = |param: &Param<Tensor<2>>| -> Vec<f64> {
        param.val().grad(&gradients).unwrap().into_data().iter::<f64>().collect()
    };
    let encoder = [of(&model.encoder), of(&model.shift), of(&model.log_variance)].concat();
    [encoder, of(&model.decoder)]
}

/// Mean and variance of each gradient over independent repetitions.
fn moments(model: &LinearGaussian, objectives: [&Objective; 2]) -> [Vec<(f64, f64)>; 2] {
    const REPEATS: u64 = 400;
    let all: Vec<_> = (0..REPEATS).map(|seed| gradients(model, objectives, 20, seed)).collect();
    [0, 1].map(|part| {
        (0..all[0][part].len())
            .map(|i| {
                let values = all.iter().map(|gradients| gradients[part][i]);
                let mean = values.clone().sum::<f64>() / REPEATS as f64;
                let variance = values.map(|v| (v - mean).powi(2)).sum::<f64>() / REPEATS as f64;
                (mean, variance)
            })
            .collect()
    })
}

/// The largest gap between the means of two estimators, in standard errors, over all weights; and the ratio of
/// their total variances in the encoder's.
fn compare(model: &LinearGaussian, one: [&Objective; 2], other: &Objective) -> (f64, f64) {
    let (one, other) = (moments(model, one), moments(model, [other; 2]));
    let gap = |(one, other): (&(f64, f64), &(f64, f64))| {
        let error = ((one.1 + other.1) / 400.0).sqrt();
        (one.0 - other.0).abs() / (error + 1e-6)
    };
    let largest = one.iter().flatten().zip(other.iter().flatten()).map(gap).fold(0.0, f64::max);
    let total = |all: &[Vec<(f64, f64)>; 2]| all[0].iter().map(|(_, v)| v).sum::<f64>();
    (largest, total(&one) / total(&other))
}

#[test]
fn estimators_have_the_same_mean_and_the_better_ones_less_variance() {
    let model = LinearGaussian::new();
    for (m, k) in [(1, 1), (2, 3)] {
        let landing = with_kl(KlTerm::StickingTheLanding { beta: ONE }, m, k);
        landing.check().unwrap();
        let (gap, _) = compare(&model, [&landing; 2], &Objective::dvae(m, k));
        assert!(gap < 6.0, "{m} × {k}: {gap}");
    }
    for (m, k) in [(1, 1), (1, 16), (4, 8)] {
        let twice = with_weights(ImportanceWeights::DoublyReparameterized, m, k);
        twice.check().unwrap();
        let (gap, ratio) = compare(&model, [&twice; 2], &Objective::diwae(m, k));
        assert!(gap < 6.0 && ratio < 0.8, "{m} × {k}: {gap}, {ratio}");
    }
    // Importance weights cannot stick the landing, because that would be biased.
    let landing = with_kl(KlTerm::StickingTheLanding { beta: ONE }, 1, 16);
    let diwae = Objective::diwae(1, 16);
    let (gap, _) = compare(&model, [&diwae, &landing], &diwae);
    assert!(gap > 6.0, "{gap}");
}

/// A model whose posterior is exact for the clean row `X`: the decoder's columns are orthogonal, so that the
/// true posterior is diagonal.
fn exact() -> LinearGaussian {
    let columns = [[0.9, -0.4], [0.3, 1.2], [0.3, -0.0]];
    let columns = [columns[0], columns[1], [(0.9 * 0.4 - 0.3 * 1.2) / 0.3, 0.0]];
    let dot = |j: usize| columns.iter().map(|row| row[j] * row[j]).sum::<f64>();
    let variance = [0, 1].map(|j| 1.0 / (1.0 + dot(j) / (S * S)));
    let weight = [0, 1].map(|j| [0, 1, 2].map(|d| variance[j] * columns[d][j] / (S * S)));
    let shift = [0, 1].map(|j| -(0..3).map(|d| weight[j][d] * B[d]).sum::<f64>());
    let param = Param::from_tensor;
    LinearGaussian {
        encoder: param(matrix(weight).transpose()),
        shift: param(matrix([shift])),
        log_variance: param(matrix([variance.map(f64::ln)])),
        decoder: param(matrix(columns).transpose()),
    }
}

// Where q(z | x) is p(z | x), every log-weight is log p(x): nothing is left of the gradient that flows through
// z, while the one with the score or the closed-form KL still varies.
#[test]
fn at_an_exact_posterior_sticking_the_landing_has_no_variance() {
    let model = exact();
    let n = 64;
    let ids: Vec<u64> = (0..n as u64).collect();
    let encoder = |objective: Objective| {
        let model = model.clone().train();
        let mut streams = BatchNoise::training(Key::new(5), 0, &ids);
        let clean = matrix([X]).expand([n, 3]);
        let draws = CorruptedBatch::new(
            clean,
            None,
            &Clean,
            objective.corruptions(),
            &mut streams.corruption,
        )
        .score(&model, &objective, &mut streams.latent);
        let mut noise = Key::new(1).rows(&ids);
        let context = &mut LossContext { progress: 1.0, rows: n, noise: &mut noise };
        let gradients = objective.loss(&draws, context).backward();
        let of = |param: &Param<Tensor<2>>| {
            param.val().grad(&gradients).unwrap().abs().max().into_scalar::<f64>()
        };
        of(&model.encoder).max(of(&model.shift)).max(of(&model.log_variance))
    };
    let weights = {
        let mut streams = BatchNoise::training(Key::new(5), 0, &ids);
        let clean = matrix([X]).expand([n, 3]);
        denoising_elbo(&model, clean, &Clean, &mut streams).log_weight()
    };
    let spread = (weights.clone().max() - weights.min()).into_scalar::<f64>();
    assert!(spread < 1e-4, "the posterior is not exact: {spread}");
    let stuck = encoder(KlTerm::StickingTheLanding { beta: ONE }.into());
    let plain = encoder(Objective::default());
    assert!(stuck < 1e-5 && plain > 1e-2, "{stuck} and {plain}");
}

#[test]
fn only_the_plain_device_is_needed_to_measure() {
    let of = with_weights(ImportanceWeights::DoublyReparameterized, 2, 3);
    assert!(!matrix([X]).device().is_autodiff());
    let plain = Objective::diwae(2, 3);
    let process = corruption(SIGMA);
    assert_eq!(bits(&bound(&of, &process, 100)), bits(&bound(&plain, &process, 100)));
}
