//! The denoising bound of the linear-Gaussian model against its closed form.

#![allow(clippy::unwrap_used)] // A test may panic.

mod linear_gaussian;

use dvae_corruption::{Clean, Corruption, Gaussian};
use dvae_models::Vae;
use dvae_random::Key;
use dvae_train::BatchNoise;
use linear_gaussian::*;

#[test]
fn the_monte_carlo_bound_equals_the_closed_form() {
    for sigma in [0.0, 0.2, 0.7, 1.5] {
        let elbo = simulate(&Gaussian::new(sigma).unwrap(), 200_000);
        let (log_likelihood, kl) = closed_form(sigma);
        assert_mean("log-likelihood", elbo.log_likelihood(), log_likelihood);
        assert_mean("KL", elbo.kl(), kl);
        assert_mean("bound", elbo.bound(), log_likelihood - kl);
    }
}

/// Mean and covariance of `p(z | x)`: precision `I + Wᵀ W / s²`.
fn exact_posterior() -> ([f64; 2], [[f64; 2]; 2]) {
    let entry = |i: usize, j: usize| (0..3).map(|d| W[d][i] * W[d][j]).sum::<f64>() / (S * S);
    let (a, b, d) = (1.0 + entry(0, 0), entry(0, 1), 1.0 + entry(1, 1));
    let determinant = a * d - b * b;
    let covariance = [[d / determinant, -b / determinant], [-b / determinant, a / determinant]];
    let pull: [f64; 2] =
        std::array::from_fn(|j| (0..3).map(|d| W[d][j] * (X[d] - B[d])).sum::<f64>() / (S * S));
    let mean = std::array::from_fn(|i| covariance[i][0] * pull[0] + covariance[i][1] * pull[1]);
    (mean, covariance)
}

/// `E KL(q(z | x̃) ‖ p(z | x))` over the corruption: the gap of the bound.
fn expected_gap(sigma: f64) -> f64 {
    let (mean, covariance) = exact_posterior();
    let determinant = covariance[0][0] * covariance[1][1] - covariance[0][1].powi(2);
    let precision = [
        [covariance[1][1] / determinant, -covariance[0][1] / determinant],
        [-covariance[0][1] / determinant, covariance[0][0] / determinant],
    ];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let m: [f64; 2] = std::array::from_fn(|j| dot(&A[j], &X) + C[j] - mean[j]);
    let mut sum = 0.0;
    for i in 0..2 {
        for j in 0..2 {
            let own = if i == j { V[i] } else { 0.0 };
            let spread = own + sigma * sigma * dot(&A[i], &A[j]) + m[i] * m[j];
            sum += precision[i][j] * spread;
        }
    }
    0.5 * (sum - 2.0 + determinant.ln() - (V[0] * V[1]).ln())
}

// log p(x) = L_dvae + E KL( q(z | x̃) ‖ p(z | x) ), for the simulated bound.
#[test]
fn the_bound_and_its_gap_add_up_to_the_evidence() {
    for sigma in [0.0, 0.3, 1.0] {
        let bound = simulate(&Gaussian::new(sigma).unwrap(), 200_000).bound();
        assert_mean("bound", bound, log_evidence() - expected_gap(sigma));
    }
    assert_mean(
        "plain bound",
        simulate(&Clean, 200_000).bound(),
        log_evidence() - expected_gap(0.0),
    );
}

// With the posterior averaged over the corruption, q̃ = N(m, V), the bound L_cvae keeps the same
// log-likelihood and has a smaller KL, since KL is convex: log p(x) ≥ L_cvae ≥ L_dvae.
#[test]
fn averaging_the_posterior_over_the_corruption_tightens_the_bound() {
    for sigma in [0.2, 0.7, 1.5] {
        let marginalized = averaged_bound(sigma);
        assert!(marginalized < log_evidence());
        // The simulated bound lies below it, by more than its standard error.
        let bound = simulate(&Gaussian::new(sigma).unwrap(), 200_000).bound();
        let bound = bound.mean().into_scalar::<f64>();
        assert!(bound < marginalized - 0.01, "{bound} against {marginalized}");
    }
}

// Each importance weight p(x, z)/q(z | x̃) is unbiased for p(x), whatever x̃ was.
#[test]
fn importance_weights_through_the_corruption_average_to_the_evidence() {
    let n = 400_000;
    let ids: Vec<u64> = (0..n).collect();
    let clean = matrix([X]).expand([n as usize, 3]);
    let mut streams = BatchNoise::training(Key::new(9), 0, &ids);
    let process = Gaussian::new(0.3).unwrap();
    let model = LinearGaussian::new();
    let input = process.corrupt(clean.clone(), &mut streams.corruption).input;
    let inference = model.infer(input, &mut streams.latent);
    let log_likelihood = dvae_distributions::sum_features(
        dvae_distributions::Likelihood::log_prob(&model.decode(inference.latents), clean),
    );
    let weight = (log_likelihood + inference.log_prior - inference.log_posterior).exp();
    assert_mean("evidence", weight, log_evidence().exp());
}
