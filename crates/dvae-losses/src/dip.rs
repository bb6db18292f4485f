//! The penalties of DIP-VAE.

use burn::tensor::Tensor;
use dvae_distributions::DiagonalNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The covariance that is pulled toward the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DipCovariance {
    /// The covariance of the posteriors' means: DIP-VAE-I.
    Means,
    /// The covariance of the latents, which is that of the means plus the mean variance: DIP-VAE-II.
    Latents,
}

/// `λ_od Σ_{i≠j} Cᵢⱼ² + λ_d Σ (Cᵢᵢ − 1)²` with the covariance `C` over the rows of a batch: `[1]`. The
/// weights are given in that order.
///
/// Kumar, Sattigeri & Balakrishnan (2018), equations 6 (of means) and 7 (of latents).
pub fn dip(posterior: &DiagonalNormal, of: DipCovariance, [off, on]: [f64; 2]) -> Tensor<1> {
    let mean = posterior.mean();
    let [rows, latents] = mean.dims();
    let centered = mean.clone() - mean.mean_dim(0);
    let mut covariance = centered.clone().transpose().matmul(centered) / rows as f64;
    let diagonal = Tensor::<2>::eye(latents, &covariance.device());
    if of == DipCovariance::Latents {
        let variance = posterior.log_variance().exp().mean_dim(0);
        covariance = covariance + diagonal.clone() * variance;
    }
    let apart = (covariance - diagonal.clone()).square();
    let of_diagonal = (apart.clone() * diagonal).sum();
    (apart.sum() - of_diagonal.clone()) * off + of_diagonal * on
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    // Means (1, 2), (−1, −2): covariance [[1, 2], [2, 4]]. Of means: 2 · 2² off, 0 + 3² on. Of latents: with
    // variances e⁰ and e¹.
    #[test]
    fn hand_worked() {
        let device = Device::flex();
        let posterior = DiagonalNormal::new(
            Tensor::from_data([[1.0, 2.0], [-1.0, -2.0]], &device),
            Tensor::from_data([[0.0, 1.0], [0.0, 1.0]], &device),
        );
        let at = |of, weights| dip(&posterior, of, weights).into_scalar::<f64>();
        assert!((at(DipCovariance::Means, [1.0, 0.0]) - 8.0).abs() < 1e-5);
        assert!((at(DipCovariance::Means, [0.0, 1.0]) - 9.0).abs() < 1e-5);
        let second = 1.0 + (3.0 + std::f64::consts::E).powi(2);
        assert!((at(DipCovariance::Latents, [0.0, 1.0]) - second).abs() < 1e-4);
        assert!((at(DipCovariance::Latents, [0.5, 0.1]) - (4.0 + 0.1 * second)).abs() < 1e-4);
    }
}
