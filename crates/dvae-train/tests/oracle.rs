//! The linear-Gaussian model, where every term of the denoising bound has a closed form.
//!
//! ```text
//! p(z) = N(0, I)     p(x|z) = N(W z + b, s² I)     x̃ = x + σ ε     q(z|x̃) = N(A x̃ + c, diag v)
//! ```
//!
//! Over corruption and latent noise together `z ~ N(m, V)` with `m = A x + c` and
//! `V = diag v + σ² A Aᵀ`, so
//!
//! ```text
//! E log p(x|z) = −(‖x − b − W m‖² + tr(W V Wᵀ)) / 2s² − n/2 ln 2πs²
//! E KL         = ½ Σⱼ (mⱼ² + σ² ‖Aⱼ‖² + vⱼ − 1 − ln vⱼ)
//! ```

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use dvae_corruption::{Clean, Corruption, Gaussian};
use dvae_distributions::{DiagonalNormal, Encoding, Normal, StandardNormal};
use dvae_losses::Elbo;
use dvae_models::Vae;
use dvae_random::{Draws, Key};
use dvae_train::{Streams, denoising_elbo};

const W: [[f64; 2]; 3] = [[1.0, -0.5], [0.3, 0.8], [-0.7, 0.2]];
const B: [f64; 3] = [0.1, -0.2, 0.3];
const A: [[f64; 3]; 2] = [[0.5, 0.2, -0.3], [-0.2, 0.6, 0.1]];
const C: [f64; 2] = [0.05, -0.1];
const V: [f64; 2] = [0.3, 0.5];
const S: f64 = 0.6;
const X: [f64; 3] = [0.9, -0.4, 0.2];

#[derive(Module, Debug)]
struct LinearGaussian {
    encoder: Param<Tensor<2>>,
    decoder: Param<Tensor<2>>,
}

fn matrix<const R: usize, const N: usize>(rows: [[f64; N]; R]) -> Tensor<2> {
    Tensor::from_data(rows.map(|row| row.map(|v| v as f32)), &Device::flex())
}

impl LinearGaussian {
    fn new() -> Self {
        let param = |tensor: Tensor<2>| Param::from_tensor(tensor.transpose());
        Self { encoder: param(matrix(A)), decoder: param(matrix(W)) }
    }

    fn posterior(&self, input: Tensor<2>) -> DiagonalNormal {
        let mean = input.matmul(self.encoder.val()) + matrix([C]);
        let log_variance = matrix([V.map(f64::ln)]).expand(mean.dims());
        DiagonalNormal::new(mean, log_variance)
    }
}

impl Vae<2> for LinearGaussian {
    type Likelihood = Normal<2>;

    fn encode(&self, input: Tensor<2>) -> Encoding {
        self.posterior(input).into()
    }

    fn decode(&self, latent: Tensor<2>) -> Normal<2> {
        Normal::new(latent.matmul(self.decoder.val()) + matrix([B]), S).unwrap()
    }

    fn prior_sample(&self, draws: &mut Draws) -> Tensor<2> {
        StandardNormal.sample(2, draws, &Device::flex())
    }
}

/// `E log p(x|z)` and `E KL` in closed form, under Gaussian corruption of scale `sigma`.
fn closed_form(sigma: f64) -> (f64, f64) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let m: [f64; 2] = std::array::from_fn(|j| dot(&A[j], &X) + C[j]);
    let cov =
        |i: usize, j: usize| sigma * sigma * dot(&A[i], &A[j]) + if i == j { V[i] } else { 0.0 };
    let mut expected_square = 0.0;
    for d in 0..3 {
        expected_square += (X[d] - B[d] - dot(&W[d], &m)).powi(2);
        let spread = |i| (0..2).map(|j| W[d][i] * cov(i, j) * W[d][j]).sum::<f64>();
        expected_square += spread(0) + spread(1);
    }
    let normaliser = 1.5 * (std::f64::consts::TAU * S * S).ln();
    let kl = |j: usize| 0.5 * (m[j].powi(2) + cov(j, j) - 1.0 - V[j].ln());
    (-expected_square / (2.0 * S * S) - normaliser, kl(0) + kl(1))
}

/// `log p(x)` for `p(x) = N(b, W Wᵀ + s² I)`.
fn log_evidence() -> f64 {
    let k: [[f64; 3]; 3] = std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            W[i][0] * W[j][0] + W[i][1] * W[j][1] + if i == j { S * S } else { 0.0 }
        })
    });
    let cofactor = |i: usize, j: usize| {
        let (r, s) = ((i + 1) % 3, (i + 2) % 3);
        let (t, u) = ((j + 1) % 3, (j + 2) % 3);
        k[r][t] * k[s][u] - k[r][u] * k[s][t]
    };
    let determinant: f64 = (0..3).map(|j| k[0][j] * cofactor(0, j)).sum();
    let d: [f64; 3] = std::array::from_fn(|i| X[i] - B[i]);
    let mut square = 0.0;
    for i in 0..3 {
        square += (0..3).map(|j| d[i] * cofactor(i, j) / determinant * d[j]).sum::<f64>();
    }
    -0.5 * (square + determinant.ln() + 3.0 * std::f64::consts::TAU.ln())
}

/// The terms of `n` independent draws of corruption and latent for the one row `X`.
fn simulate(corruption: &dyn Corruption<2>, n: u64) -> Elbo {
    let ids: Vec<u64> = (0..n).collect();
    let clean = matrix([X]).expand([n as usize, 3]);
    let mut streams = Streams::training(Key::new(8), 0, &ids);
    denoising_elbo(&LinearGaussian::new(), clean, corruption, &mut streams)
}

/// The mean of the draws is `expected` within six of its own standard errors.
fn assert_mean(what: &str, draws: Tensor<1>, expected: f64) {
    let draws: Vec<f64> = draws.into_data().iter::<f64>().collect();
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let error = (variance / n).sqrt();
    // Terms that do not vary are right to the rounding of f32.
    let bound = 6.0 * error + 1e-5;
    assert!((mean - expected).abs() < bound, "{what}: {mean} ± {error}, not {expected}");
}

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
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let m: [f64; 2] = std::array::from_fn(|j| dot(&A[j], &X) + C[j]);
        let cov = |i: usize, j: usize| {
            sigma * sigma * dot(&A[i], &A[j]) + if i == j { V[i] } else { 0.0 }
        };
        let determinant = cov(0, 0) * cov(1, 1) - cov(0, 1).powi(2);
        let kl = 0.5 * (cov(0, 0) + cov(1, 1) + dot(&m, &m) - 2.0 - determinant.ln());
        let marginalised = closed_form(sigma).0 - kl;
        assert!(marginalised < log_evidence());
        // The simulated bound lies below it, by more than its standard error.
        let bound = simulate(&Gaussian::new(sigma).unwrap(), 200_000).bound();
        let bound = bound.mean().into_scalar::<f64>();
        assert!(bound < marginalised - 0.01, "{bound} against {marginalised}");
    }
}

// Each importance weight p(x, z)/q(z | x̃) is unbiased for p(x), whatever x̃ was.
#[test]
fn importance_weights_through_the_corruption_average_to_the_evidence() {
    let n = 400_000;
    let ids: Vec<u64> = (0..n).collect();
    let clean = matrix([X]).expand([n as usize, 3]);
    let mut streams = Streams::training(Key::new(9), 0, &ids);
    let process = Gaussian::new(0.3).unwrap();
    let model = LinearGaussian::new();
    let input = process.corrupt(clean.clone(), &mut streams.corruption).input;
    let inference = model.infer(input, &mut streams.latent);
    let log_likelihood = dvae_distributions::sum_features(
        dvae_distributions::Likelihood::log_prob(&model.decode(inference.latent), clean),
    );
    let weight = (log_likelihood + inference.log_prior - inference.log_posterior).exp();
    assert_mean("evidence", weight, log_evidence().exp());
}
