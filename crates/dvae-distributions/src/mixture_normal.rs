//! Mixtures of diagonal normals, as priors.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use dvae_kernels::log_sum_exp;
use dvae_random::RowStreams;

use crate::sampling::choose;
use crate::stable::HALF_LN_TAU;

/// A prior `p(z) = Σₖ πₖ N(z; μₖ, diag σₖ²)`.
///
/// With free parameters it is the learned mixture. With the posteriors of pseudo-inputs as components it is
/// the VampPrior: Tomczak & Welling (2018), "VAE with a VampPrior", equation 9.
#[derive(Clone, Debug)]
pub struct MixtureNormal {
    log_weights: Tensor<2>,
    mean: Tensor<2>,
    log_variance: Tensor<2>,
}

impl MixtureNormal {
    /// From the weights' logits `[1, components]`, and `μ` and `ln σ²` `[components, latent]`. Other shapes
    /// panic when the mixture is used.
    pub fn new(logits: Tensor<2>, mean: Tensor<2>, log_variance: Tensor<2>) -> Self {
        Self { log_weights: log_softmax(logits, 1), mean, log_variance }
    }

    /// A mixture with equal weights.
    pub fn uniform(mean: Tensor<2>, log_variance: Tensor<2>) -> Self {
        let logits = Tensor::zeros([1, mean.dims()[0]], &mean.device());
        Self::new(logits, mean, log_variance)
    }

    /// `log p(z)` of each row of `z` `[batch, latent]`: `[batch]`, nats.
    pub fn log_prob(&self, z: Tensor<2>) -> Tensor<1> {
        let gap = z.unsqueeze_dim::<3>(1) - self.mean.clone().unsqueeze_dim(0);
        let log_variance = self.log_variance.clone().unsqueeze_dim::<3>(0);
        let squared = (gap * (log_variance.clone() * -0.5).exp()).square();
        let each = (squared + log_variance) * -0.5 - HALF_LN_TAU;
        let components = each.sum_dim(2).squeeze_dim::<2>(2) + self.log_weights.clone();
        log_sum_exp(components, 1).squeeze_dim(1)
    }

    /// One draw for each row of `draws`: `[rows, latent]`.
    pub fn sample(&self, draws: &mut RowStreams) -> Tensor<2> {
        let rows = draws.ids().len();
        let [components, latent] = self.mean.dims();
        let weights = self.log_weights.clone().detach().exp();
        let weights = weights.reshape([1, components, 1]).expand([rows, components, 1]);
        let chosen = choose(weights, draws).reshape([rows]).int();
        let pick = |t: &Tensor<2>| t.clone().detach().select(0, chosen.clone());
        let noise = draws.normal::<2>([rows, latent], &self.mean.device());
        dvae_kernels::reparameterize(pick(&self.mean), pick(&self.log_variance), noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DiagonalNormal;
    use burn::tensor::Device;
    use dvae_random::Key;

    fn of() -> MixtureNormal {
        let device = Device::flex();
        MixtureNormal::new(
            Tensor::from_data([[3f32.ln(), 0.0]], &device),
            Tensor::from_data([[-1.0], [2.0]], &device),
            Tensor::from_data([[0.0], [-1.0]], &device),
        )
    }

    #[test]
    fn the_density_is_the_weighted_sum_of_the_components() {
        let device = Device::flex();
        for z in [-1.0f32, 0.3, 2.0, 40.0] {
            let point = Tensor::<2>::from_data([[z]], &device);
            let one = |mean: f32, log_variance: f32| {
                let tensor = |v: f32| Tensor::<2>::from_data([[v]], &device);
                let law = DiagonalNormal::new(tensor(mean), tensor(log_variance));
                law.log_prob(point.clone()).into_scalar::<f64>()
            };
            let (a, b) = (one(-1.0, 0.0) + 0.75f64.ln(), one(2.0, -1.0) + 0.25f64.ln());
            let expected = a.max(b) + (-(a - b).abs()).exp().ln_1p();
            let got = of().log_prob(point.clone()).into_scalar::<f64>();
            assert!((got - expected).abs() < 1e-5 * expected.abs().max(1.0), "{z}: {got}");
        }
    }

    // Mean ¾ (−1) + ¼ 2; variance ¾ · 1 + ¼ e⁻¹ plus that of the two means, ¾ ¼ 3².
    #[test]
    fn draws_have_its_mean_and_variance() {
        let n = 100_000;
        let ids: Vec<u64> = (0..n).collect();
        let z = of().sample(&mut Key::new(2).rows(&ids));
        let mean = z.clone().mean().into_scalar::<f64>();
        let variance = (z - mean).square().mean().into_scalar::<f64>();
        let expected = 0.75 + 0.25 * (-1f64).exp() + 0.1875 * 9.0;
        assert!((mean + 0.25).abs() < 6.0 * (expected / n as f64).sqrt(), "{mean}");
        // The fourth moment is below 3 variances squared: six standard errors of the variance.
        assert!(
            (variance - expected).abs() < 6.0 * (2.0 / n as f64).sqrt() * expected,
            "{variance}"
        );
    }
}
