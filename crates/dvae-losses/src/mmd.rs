//! Maximum mean discrepancy.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kernel `k(x, y)` of latents, scaled by their number `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MmdKernel {
    /// `exp(−‖x − y‖² / 2d)`.
    Gaussian,
    /// `2d / (2d + ‖x − y‖²)`, which decays more slowly: Tolstikhin et al. (2018), "Wasserstein
    /// Auto-Encoders", section 4.
    #[default]
    InverseMultiquadratic,
}

impl MmdKernel {
    fn of(self, squared_distance: Tensor<2>, latents: usize) -> Tensor<2> {
        let twice = 2.0 * latents as f64;
        match self {
            Self::Gaussian => (squared_distance / -twice).exp(),
            Self::InverseMultiquadratic => (squared_distance / twice + 1.0).recip(),
        }
    }
}

/// The unbiased estimate of `MMD²` between the distributions that two sets of points `[n, latent]` were drawn
/// from: `[1]`. It may be negative; with fewer than two points it is 0.
///
/// ```text
/// 1/n(n − 1) Σ_{i≠j} [k(xᵢ, xⱼ) + k(yᵢ, yⱼ)] − 2/n² Σᵢⱼ k(xᵢ, yⱼ)
/// ```
///
/// # Panics
///
/// If the two sets differ in their number of points.
///
/// Gretton et al. (2012), "A Kernel Two-Sample Test", equation 3 (lemma 6).
pub fn mmd(x: Tensor<2>, y: Tensor<2>, kernel: MmdKernel) -> Tensor<1> {
    let [n, latents] = x.dims();
    assert_eq!(x.dims(), y.dims(), "as many points in both");
    if n < 2 {
        return Tensor::zeros([1], &x.device());
    }
    let between = |a: &Tensor<2>, b: &Tensor<2>| {
        let square = |t: &Tensor<2>| t.clone().square().sum_dim(1);
        let product = a.clone().matmul(b.clone().transpose());
        let distance = square(a) + square(b).transpose() - product * 2.0;
        kernel.of(distance.clamp_min(0.0), latents).sum()
    };
    let n = n as f64;
    // The kernel of a point with itself is 1.
    let within = between(&x, &x) + between(&y, &y) - 2.0 * n;
    within / (n * (n - 1.0)) - between(&x, &y) * (2.0 / (n * n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_random::Key;

    // Points 0 and 1 against 2 and 2, d = 1: within e^−½ and 1, between (e^−2 + e^−½)/2 twice over.
    #[test]
    fn hand_worked() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[0.0], [1.0]], &device);
        let y = Tensor::<2>::from_data([[2.0], [2.0]], &device);
        let got = mmd(x.clone(), y.clone(), MmdKernel::Gaussian).into_scalar::<f64>();
        let e = |d: f64| (-d * d / 2.0).exp();
        assert!((got - (e(1.0) + 1.0 - e(2.0) - e(1.0))).abs() < 1e-6, "{got}");
        let got = mmd(x, y, MmdKernel::InverseMultiquadratic).into_scalar::<f64>();
        let k = |d: f64| 2.0 / (2.0 + d * d);
        assert!((got - (k(1.0) + 1.0 - k(2.0) - k(1.0))).abs() < 1e-6, "{got}");
    }

    /// `E k(x, y)` of the Gaussian kernel in one dimension for `x − y ~ N(m, v)`.
    fn expected(m: f64, v: f64) -> f64 {
        (-m * m / (2.0 * (1.0 + v))).exp() / (1.0 + v).sqrt()
    }

    // N(1, 1) against N(0, 1): x − x′ has variance 2, x − y mean 1 and variance 2. Unbiased: the mean of many
    // small estimates is the closed form, which is 0 for equal distributions.
    #[test]
    fn the_estimate_is_unbiased_for_normals() {
        let device = Device::flex();
        for shift in [0.0, 1.0] {
            let draws: Vec<f64> = (0..4000)
                .map(|seed| {
                    let points = |branch| {
                        let ids: Vec<u64> = (0..8).collect();
                        Key::new(seed).branch(branch).rows(&ids).normal::<2>([8, 1], &device)
                    };
                    mmd(points(1) + shift, points(2), MmdKernel::Gaussian).into_scalar::<f64>()
                })
                .collect();
            let n = draws.len() as f64;
            let mean = draws.iter().sum::<f64>() / n;
            let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
            let exact = 2.0 * expected(0.0, 2.0) - 2.0 * expected(shift, 2.0);
            // Six standard errors.
            assert!(
                (mean - exact).abs() < 6.0 * (variance / n).sqrt(),
                "{shift}: {mean}, not {exact}"
            );
        }
    }
}
