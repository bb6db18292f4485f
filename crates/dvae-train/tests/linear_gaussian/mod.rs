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

#![allow(dead_code)] // Each test takes what it needs.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use dvae_corruption::Corruption;
use dvae_distributions::{
    DiagonalNormal, Encoding, Latent, LatentShape, Latents, Normal, Posterior, Prior,
    StandardNormal,
};
use dvae_losses::Elbo;
use dvae_models::Vae;
use dvae_random::{Key, RowStreams};
use dvae_train::{BatchNoise, denoising_elbo};

pub(crate) const W: [[f64; 2]; 3] = [[1.0, -0.5], [0.3, 0.8], [-0.7, 0.2]];
pub(crate) const B: [f64; 3] = [0.1, -0.2, 0.3];
pub(crate) const A: [[f64; 3]; 2] = [[0.5, 0.2, -0.3], [-0.2, 0.6, 0.1]];
pub(crate) const C: [f64; 2] = [0.05, -0.1];
pub(crate) const V: [f64; 2] = [0.3, 0.5];
pub(crate) const S: f64 = 0.6;
pub(crate) const X: [f64; 3] = [0.9, -0.4, 0.2];

#[derive(Module, Debug)]
pub(crate) struct LinearGaussian {
    pub(crate) encoder: Param<Tensor<2>>,
    pub(crate) shift: Param<Tensor<2>>,
    pub(crate) log_variance: Param<Tensor<2>>,
    pub(crate) decoder: Param<Tensor<2>>,
}

pub(crate) fn matrix<const R: usize, const N: usize>(rows: [[f64; N]; R]) -> Tensor<2> {
    Tensor::from_data(rows.map(|row| row.map(|v| v as f32)), &Device::flex())
}

impl LinearGaussian {
    pub(crate) fn new() -> Self {
        let transposed = |tensor: Tensor<2>| Param::from_tensor(tensor.transpose());
        Self {
            encoder: transposed(matrix(A)),
            shift: Param::from_tensor(matrix([C])),
            log_variance: Param::from_tensor(matrix([V.map(f64::ln)])),
            decoder: transposed(matrix(W)),
        }
    }

    pub(crate) fn posterior(&self, input: Tensor<2>) -> DiagonalNormal {
        let mean = input.matmul(self.encoder.val()) + self.shift.val();
        let log_variance = self.log_variance.val().expand(mean.dims());
        DiagonalNormal::new(mean, log_variance)
    }
}

impl Vae<2> for LinearGaussian {
    type Likelihood = Normal<2>;

    fn latent_shapes(&self) -> Vec<LatentShape> {
        vec![LatentShape::Vector(2)]
    }

    fn prior(&self) -> Prior {
        Prior::Standard
    }

    fn encode(&self, input: Tensor<2>, prior: &Prior) -> Encoding {
        Encoding::new(Posterior::Diagonal(self.posterior(input)), prior.clone())
    }

    fn decode(&self, latents: impl Into<Latents>) -> Normal<2> {
        Normal::new(latents.into().flat().matmul(self.decoder.val()) + matrix([B]), S).unwrap()
    }

    fn sample_below(&self, _above: &[Latent], draws: &mut RowStreams) -> Latents {
        StandardNormal.sample(2, draws, &Device::flex()).into()
    }
}

/// `E log p(x|z)` and `E KL` in closed form, under Gaussian corruption of scale `sigma`.
pub(crate) fn closed_form(sigma: f64) -> (f64, f64) {
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
    let normalizer = 1.5 * (std::f64::consts::TAU * S * S).ln();
    let kl = |j: usize| 0.5 * (m[j].powi(2) + cov(j, j) - 1.0 - V[j].ln());
    (-expected_square / (2.0 * S * S) - normalizer, kl(0) + kl(1))
}

/// `log p(x)` for `p(x) = N(b, W Wᵀ + s² I)`.
pub(crate) fn log_evidence() -> f64 {
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
pub(crate) fn simulate(corruption: &dyn Corruption<2>, n: u64) -> Elbo {
    let ids: Vec<u64> = (0..n).collect();
    let clean = matrix([X]).expand([n as usize, 3]);
    let mut streams = BatchNoise::training(Key::new(8), 0, &ids);
    denoising_elbo(&LinearGaussian::new(), clean, corruption, &mut streams)
}

/// The mean of the draws is `expected` within six of its own standard errors.
pub(crate) fn assert_mean(what: &str, draws: Tensor<1>, expected: f64) {
    let draws: Vec<f64> = draws.into_data().iter::<f64>().collect();
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let error = (variance / n).sqrt();
    // Terms that do not vary are right to the rounding of f32.
    let bound = 6.0 * error + 1e-5;
    assert!((mean - expected).abs() < bound, "{what}: {mean} ± {error}, not {expected}");
}

/// `L_cvae`: the bound with the posterior averaged over the corruption, `q̃ = N(m, V)`.
pub(crate) fn averaged_bound(sigma: f64) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let m: [f64; 2] = std::array::from_fn(|j| dot(&A[j], &X) + C[j]);
    let cov =
        |i: usize, j: usize| sigma * sigma * dot(&A[i], &A[j]) + if i == j { V[i] } else { 0.0 };
    let determinant = cov(0, 0) * cov(1, 1) - cov(0, 1).powi(2);
    let kl = 0.5 * (cov(0, 0) + cov(1, 1) + dot(&m, &m) - 2.0 - determinant.ln());
    closed_form(sigma).0 - kl
}
