//! The diagonal normal posterior.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar, math};
use dvae_random::RowStreams;

use crate::LN_TAU;

/// A normal posterior `q(z | x̃) = N(μ, diag σ²)`, given by its mean and log-variance.
///
/// The parameters are the outputs of an encoder's two linear heads, after Kingma & Welling (2014),
/// "Auto-Encoding Variational Bayes", section 3 and appendix B.
#[derive(Clone, Debug)]
pub struct DiagonalNormal {
    mean: Tensor<2>,
    log_variance: Tensor<2>,
}

impl DiagonalNormal {
    /// From `μ` and `ln σ²`, both `[batch, latent]`.
    pub fn new(mean: Tensor<2>, log_variance: Tensor<2>) -> Self {
        Self { mean, log_variance }
    }

    /// Number of latents.
    #[allow(clippy::len_without_is_empty)] // Never empty.
    pub fn len(&self) -> usize {
        self.mean.dims()[1]
    }

    /// `μ`, shape `[batch, latent]`.
    pub fn mean(&self) -> Tensor<2> {
        self.mean.clone()
    }

    /// `ln σ²`, shape `[batch, latent]`.
    pub fn log_variance(&self) -> Tensor<2> {
        self.log_variance.clone()
    }

    /// A reparameterized draw `z = μ + σ ε`, shape `[batch, latent]`; gradients flow to `μ` and `σ`.
    pub fn sample(&self, draws: &mut RowStreams) -> Tensor<2> {
        self.at(self.noise(draws))
    }

    fn noise(&self, draws: &mut RowStreams) -> Tensor<2> {
        draws.normal(self.mean.shape(), &self.mean.device())
    }

    /// `μ + σ ε`.
    fn at(&self, noise: Tensor<2>) -> Tensor<2> {
        dvae_kernels::reparameterize(self.mean(), self.log_variance(), noise)
    }

    /// `log q(z)` of each row of `latent` `[batch, latent]`, summed over latents: `[batch]`, nats.
    pub fn log_prob(&self, latent: Tensor<2>) -> Tensor<1> {
        let parameters = [latent, self.mean(), self.log_variance()];
        LogDensity.rows(&Parameters::Apart(parameters), [], None)
    }

    /// `KL(q ‖ N(0, 1))` of each latent in closed form: `[batch, latent]`, nats, at least 0.
    ///
    /// ```text
    /// KL = ½ (μ² + σ² − 1 − ln σ²)
    /// ```
    pub fn kl_to_standard_normal(&self) -> Tensor<2> {
        dvae_kernels::kl_to_standard_normal(self.mean(), self.log_variance())
    }

    /// `KL(q ‖ p)` to another diagonal normal, of each latent in closed form: `[batch, latent]`, nats.
    ///
    /// ```text
    /// KL = ½ ((μ − m)² / s² + σ² / s² − 1 − ln σ² / s²)
    /// ```
    pub fn kl_to(&self, prior: &Self) -> Tensor<2> {
        let [mean, log_variance] = [self.mean(), self.log_variance()];
        let parameters = [mean, log_variance, prior.mean(), prior.log_variance()];
        KlToNormal.each(&Parameters::Apart(parameters), [])
    }

    /// The same distribution with detached parameters.
    pub fn detach(&self) -> Self {
        Self::new(self.mean().detach(), self.log_variance().detach())
    }

    /// A reparameterized draw `[batch, latent]`, and `log q(z)` `[batch]`.
    ///
    /// `log q(z)` is computed from the noise, `−½ Σ (ε² + ln σ² + ln 2π)`: exact for any variance, unlike
    /// [`DiagonalNormal::log_prob`] of the rounded `z`.
    pub fn draw(&self, draws: &mut RowStreams) -> (Tensor<2>, Tensor<1>) {
        let noise = self.noise(draws);
        let log_variance = Parameters::Apart([self.log_variance()]);
        let log_density = LogDensityOfNoise.rows(&log_variance, [noise.clone()], None);
        (self.at(noise), log_density)
    }
}

/// The KL of a normal to another, by their means and log-variances.
#[derive(Clone, Copy, Debug)]
struct KlToNormal;

impl Formula<4, 0> for KlToNormal {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean, log_variance, m, log_s]: [S; 4], []: [S::Constant; 0]) -> S {
        let gap = (mean - m) * (log_s.clone() * -0.5).exp();
        let log_ratio = log_variance - log_s;
        (gap.square() + log_ratio.clone().exp() - 1.0 - log_ratio) * 0.5
    }

    // The derivatives with respect to the means are finite, even if a variance is infinite.
    #[inline(always)]
    fn with_slopes(
        &self,
        [mean, log_variance, m, log_s]: [f32; 4],
        []: [f32; 0],
    ) -> (f32, [f32; 4]) {
        let scale = math::exp(-0.5 * log_s);
        let (gap, log_ratio) = ((mean - m) * scale, log_variance - log_s);
        let excess = math::exp(log_ratio) - 1.0;
        let value = 0.5 * (gap * gap + excess - log_ratio);
        (value, [gap * scale, 0.5 * excess, -gap * scale, -0.5 * (gap * gap + excess)])
    }
}

/// The log-density at a latent, by mean and log-variance.
#[derive(Clone, Copy, Debug)]
struct LogDensity;

impl Formula<3, 0> for LogDensity {
    #[inline(always)]
    fn at<S: Scalar>(&self, [z, mean, log_variance]: [S; 3], []: [S::Constant; 0]) -> S {
        let standard = (z - mean) * (log_variance.clone() * -0.5).exp();
        (standard.square() + log_variance + LN_TAU) * -0.5
    }
}

/// The log-density at the mean and so many deviations, by the log-variance.
#[derive(Clone, Copy, Debug)]
struct LogDensityOfNoise;

impl Formula<1, 1> for LogDensityOfNoise {
    #[inline(always)]
    fn at<S: Scalar>(&self, [log_variance]: [S; 1], [noise]: [S::Constant; 1]) -> S {
        (log_variance + noise.square() + LN_TAU) * -0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoding;
    use burn::tensor::Device;
    use dvae_random::Key;

    fn posterior(mean: f32, log_variance: f32, rows: usize) -> DiagonalNormal {
        let device = Device::flex();
        DiagonalNormal::new(
            Tensor::full([rows, 1], mean, &device),
            Tensor::full([rows, 1], log_variance, &device),
        )
    }

    // KL(N(1, 1) ‖ N(0, 1)) = ½; KL(N(0, e) ‖ N(0, 1)) = ½ (e − 2); 0 against itself.
    #[test]
    fn kl_is_hand_worked() {
        for (mean, log_variance, expected) in
            [(1.0, 0.0, 0.5), (0.0, 1.0, 0.5 * (std::f32::consts::E - 2.0)), (0.0, 0.0, 0.0)]
        {
            let kl = posterior(mean, log_variance, 1).kl_to_standard_normal();
            assert!((kl.into_scalar::<f32>() - expected).abs() < 1e-6);
        }
    }

    // KL(N(1, e) ‖ N(3, e²)) = ½ (4/e² + 1/e − 1 + 1); against the standard normal it equals the other form.
    #[test]
    fn kl_to_another_normal_is_hand_worked() {
        let e = std::f32::consts::E;
        let kl = posterior(1.0, 1.0, 1).kl_to(&posterior(3.0, 2.0, 1)).into_scalar::<f32>();
        assert!((kl - 0.5 * (4.0 / (e * e) + 1.0 / e)).abs() < 1e-6, "{kl}");
        let q = posterior(0.3, -1.2, 1);
        let gap = q.kl_to(&posterior(0.0, 0.0, 1)) - q.kl_to_standard_normal();
        assert!(gap.into_scalar::<f32>().abs() < 1e-6);
    }

    // A collapsed posterior and a distant one: only −½ ln σ² and ½ μ² remain.
    #[test]
    fn kl_stays_finite_at_the_extremes() {
        let collapsed = posterior(0.0, -1e4, 1).kl_to_standard_normal().into_scalar::<f32>();
        assert_eq!(collapsed, 4999.5);
        let far = posterior(1e4, 0.0, 1).kl_to_standard_normal().into_scalar::<f32>();
        assert_eq!(far, 5e7);
    }

    // −½ (ε² + ln σ² + ln 2π), whatever μ + σ ε rounds to.
    #[test]
    fn the_density_of_a_draw_is_right_at_any_variance() {
        for log_variance in [-1e4, -100.0, -40.0, 0.0, 100.0] {
            let draws = || Key::new(6).rows(&[1]);
            let (_, log_q) = posterior(1.0, log_variance, 1).draw(&mut draws());
            let noise = draws().normal::<2>([1, 1], &Device::flex()).into_scalar::<f64>();
            let expected = -0.5 * (noise * noise + f64::from(log_variance) + LN_TAU);
            let got = log_q.into_scalar::<f64>();
            assert!(
                (got - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                "{log_variance}: {got}"
            );
        }
    }

    // At z = μ the density is 1/√(2πσ²) with σ² = e: −½ (1 + ln 2π).
    #[test]
    fn log_prob_at_the_mean_is_the_normalizer() {
        let q = posterior(2.0, 1.0, 1);
        let peak = q.log_prob(q.mean()).into_scalar::<f32>();
        assert!((f64::from(peak) + 0.5 * (1.0 + LN_TAU)).abs() < 1e-6, "{peak}");
    }

    // E_q[log q − log p] is the KL, and the sample mean of log q − log p agrees with it within six of its own
    // standard errors.
    #[test]
    fn kl_equals_its_monte_carlo_estimate() {
        let rows = 100_000;
        let q = posterior(0.7, -0.8, rows);
        let ids: Vec<u64> = (0..rows as u64).collect();
        let inference = Encoding::from(q).infer(&mut Key::new(4).rows(&ids));
        let gap = inference.sampled_kl();
        let mean = gap.clone().mean().into_scalar::<f32>();
        let variance = (gap - mean).square().mean().into_scalar::<f32>();
        let kl = inference.total_kl().mean().into_scalar::<f32>();
        assert!((mean - kl).abs() < 6.0 * (variance / rows as f32).sqrt(), "{mean} against {kl}");
    }
}
