//! The evidence lower bound, with its terms kept separate.

use burn::tensor::Tensor;
use dvae_distributions::{Inference, sum_features};

/// The terms of the evidence lower bound of each row, in nats, for one draw of the latent.
///
/// For a DVAE the latent comes from the corrupted `x̃` and the log-density is that of the *clean*
/// `x`: Im et al. (2017), "Denoising Criterion for Variational Auto-Encoding Framework".
/// With one draw of `x̃` and `z` each, the mean over rows is an unbiased estimate of the bound.
#[derive(Clone, Debug)]
pub struct Elbo {
    log_likelihood: Tensor<1>,
    emphasized: Option<Tensor<1>>,
    inference: Inference,
}

impl Elbo {
    /// Builds the terms from the element-wise `log p(xᵢ | z)` `[batch, …]` and the inference that gave `z`.
    pub fn new<const D: usize>(log_density: Tensor<D>, inference: Inference) -> Self {
        Self::from_rows(sum_features(log_density), inference)
    }

    /// Builds the terms from `log p(x | z)` `[batch]`, summed over features, and the inference that gave `z`.
    pub fn from_rows(log_likelihood: Tensor<1>, inference: Inference) -> Self {
        Self { log_likelihood, emphasized: None, inference }
    }

    /// Adds a sum over features `[batch]` in which entries have weights. A loss uses it as the
    /// reconstruction; it is not a term of the bound.
    pub fn emphasizing(self, weighted: Tensor<1>) -> Self {
        Self { emphasized: Some(weighted), ..self }
    }

    /// `log p(x | z)` of each row, summed over features: `[batch]`.
    pub fn log_likelihood(&self) -> Tensor<1> {
        self.log_likelihood.clone()
    }

    /// The reconstruction that a loss uses: `[batch]`.
    pub(crate) fn reconstruction(&self) -> Tensor<1> {
        self.emphasized.clone().unwrap_or_else(|| self.log_likelihood())
    }

    /// The draw of `z` and its densities.
    pub fn inference(&self) -> &Inference {
        &self.inference
    }

    /// `KL(q ‖ p)` of each row, summed over levels and latents, in closed form if there is one: `[batch]`.
    pub fn kl(&self) -> Tensor<1> {
        self.inference.total_kl()
    }

    /// The bound of each row, `log p(x | z) − KL`: `[batch]`.
    pub fn bound(&self) -> Tensor<1> {
        self.log_likelihood() - self.kl()
    }

    /// The negative bound, a mean over rows: `[1]`. What [`Objective::default`](crate::Objective) minimizes.
    pub fn loss(&self) -> Tensor<1> {
        (self.kl() - self.log_likelihood()).mean()
    }

    /// `log p(x | z) + log p(z) − log q(z | x̃)` of each row: `[batch]`. It is the bound with the KL of the
    /// one draw, and the logarithm of an importance weight, which is an unbiased estimate of `p(x)`.
    pub fn log_weight(&self) -> Tensor<1> {
        self.log_likelihood() - self.inference.sampled_kl()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_distributions::Kl;

    fn elbo() -> Elbo {
        let device = Device::flex();
        let inference = Inference {
            latents: Tensor::zeros([2, 2], &device).into(),
            log_posterior: Tensor::from_data([1.0, 2.0], &device),
            log_prior: Tensor::from_data([-0.5, -2.0], &device),
            kl: vec![Kl::ClosedForm(Tensor::from_data([[0.5, 1.5], [0.0, 3.0]], &device))],
            context: None,
        };
        Elbo::new(Tensor::<3>::from_data([[[-1.0, -2.0]], [[-4.0, 0.0]]], &device), inference)
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    // Rows: −3 − 2 and −4 − 3; with the KL of the draw −3 − 1.5 and −4 − 4.
    #[test]
    fn sums_over_features_and_latents_and_keeps_rows_apart() {
        assert_eq!(values(elbo().log_likelihood()), [-3.0, -4.0]);
        assert_eq!(values(elbo().kl()), [2.0, 3.0]);
        assert_eq!(values(elbo().bound()), [-5.0, -7.0]);
        assert_eq!(values(elbo().loss()), [6.0]);
        assert_eq!(values(elbo().log_weight()), [-4.5, -8.0]);
    }
}
