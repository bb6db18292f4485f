//! The evidence lower bound, its terms apart.

use burn::tensor::Tensor;
use dvae_distributions::{Inference, sum_features};

/// Why a loss could not be configured.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A weight that is negative, infinite, or NaN.
    #[error("`{name}` is a weight and must be finite and at least 0, but is {value}")]
    Weight {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
}

/// The weight β of the KL term (Higgins et al. 2017, "β-VAE", equation 4); 1 gives the bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlWeight(f64);

impl KlWeight {
    /// A finite weight of at least 0.
    pub fn new(beta: f64) -> Result<Self, LossError> {
        if !(beta >= 0.0 && beta.is_finite()) {
            return Err(LossError::Weight { name: "beta", value: beta });
        }
        Ok(Self(beta))
    }
}

/// The terms of the evidence lower bound of each row, in nats.
///
/// For a DVAE the latent comes from the corrupted `x̃` and the log-density is that of the *clean*
/// `x`: Im et al. (2017), "Denoising Criterion for Variational Auto-Encoding Framework".
/// With one draw of `x̃` and `z` each, the mean over rows is an unbiased estimate of the bound.
#[derive(Clone, Debug)]
pub struct Elbo {
    log_likelihood: Tensor<1>,
    kl: Tensor<2>,
}

impl Elbo {
    /// From the element-wise `log p(xᵢ | z)` `[batch, …]` and the inference that gave `z`.
    pub fn new<const D: usize>(log_density: Tensor<D>, inference: &Inference) -> Self {
        Self::from_rows(sum_features(log_density), inference)
    }

    /// From `log p(x | z)` `[batch]`, summed over features, and the inference that gave `z`.
    pub fn from_rows(log_likelihood: Tensor<1>, inference: &Inference) -> Self {
        Self { log_likelihood, kl: inference.kl.clone() }
    }

    /// `log p(x | z)` of each row, summed over features: `[batch]`.
    pub fn log_likelihood(&self) -> Tensor<1> {
        self.log_likelihood.clone()
    }

    /// `KL(q ‖ p)` of each row and latent: `[batch, latent]`.
    pub fn kl_per_latent(&self) -> Tensor<2> {
        self.kl.clone()
    }

    /// `KL(q ‖ p)` of each row, summed over latents: `[batch]`.
    pub fn kl(&self) -> Tensor<1> {
        sum_features(self.kl.clone())
    }

    /// The bound of each row, `log p(x | z) − KL`: `[batch]`.
    pub fn bound(&self) -> Tensor<1> {
        self.log_likelihood() - self.kl()
    }

    /// What training minimises, `mean(β KL − log p(x | z))` over rows: `[1]`.
    pub fn loss(&self, beta: KlWeight) -> Tensor<1> {
        (self.kl() * beta.0 - self.log_likelihood()).mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn elbo() -> Elbo {
        let device = Device::flex();
        let row = Tensor::<1>::zeros([2], &device);
        let inference = Inference {
            latent: Tensor::zeros([2, 2], &device),
            log_posterior: row.clone(),
            log_prior: row,
            kl: Tensor::from_data([[0.5, 1.5], [0.0, 3.0]], &device),
        };
        Elbo::new(Tensor::<3>::from_data([[[-1.0, -2.0]], [[-4.0, 0.0]]], &device), &inference)
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    // Rows: −3 − 2 and −4 − 3.
    #[test]
    fn sums_over_features_and_latents_and_keeps_rows_apart() {
        assert_eq!(values(elbo().log_likelihood()), [-3.0, -4.0]);
        assert_eq!(values(elbo().kl()), [2.0, 3.0]);
        assert_eq!(values(elbo().bound()), [-5.0, -7.0]);
    }

    // β = 1: the mean of 5 and 7; β = 0: of 3 and 4; β = 4: of 8 + 3 and 12 + 4.
    #[test]
    fn the_loss_is_a_mean_over_rows_weighted_in_the_kl_alone() {
        for (beta, expected) in [(1.0, 6.0), (0.0, 3.5), (4.0, 13.5)] {
            assert_eq!(values(elbo().loss(KlWeight::new(beta).unwrap())), [expected]);
        }
    }

    #[test]
    fn refuses_what_is_no_weight() {
        for beta in [-1.0, f64::NAN, f64::INFINITY] {
            let error = KlWeight::new(beta).unwrap_err().to_string();
            assert!(error.contains("`beta`") && error.contains(&beta.to_string()), "{error}");
        }
    }
}
