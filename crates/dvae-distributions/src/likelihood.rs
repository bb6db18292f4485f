//! The one trait of all likelihoods.

use burn::tensor::kind::Basic;
use burn::tensor::{Float, Tensor};
use dvae_random::Draws;

/// A distribution `p(x | z)` over entries of a tensor, independent given `z`; axis 0 is the row.
pub trait Likelihood<const D: usize, K: Basic = Float> {
    /// `log p(xᵢ | z)` of every entry, shape of `x`, in nats (per unit of `x` if continuous).
    ///
    /// # Panics
    ///
    /// If `x` has another shape than the distribution's parameters.
    fn log_prob(&self, x: Tensor<D, K>) -> Tensor<D>;

    /// `log p(x | z)` of every row, summed over its features: `[batch]`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has another shape than the distribution's parameters.
    fn log_likelihood(&self, x: Tensor<D, K>) -> Tensor<1> {
        sum_features(self.log_prob(x))
    }

    /// `Σᵢ wᵢ log p(xᵢ | z)` of every row, with a weight for each entry: `[batch]`, in nats.
    ///
    /// Weights above 1 emphasise entries (Vincent et al. 2010, "Stacked Denoising Autoencoders",
    /// section 4.3, weighs changed entries by α and the others by β); weights of 0 leave out what was
    /// not observed.
    ///
    /// # Panics
    ///
    /// If `x` or the weights have another shape than the distribution's parameters.
    fn weighted_log_likelihood(&self, x: Tensor<D, K>, weights: Tensor<D>) -> Tensor<1> {
        sum_features(self.log_prob(x) * weights)
    }

    /// `E[xᵢ | z]` of every entry.
    fn mean(&self) -> Tensor<D>;

    /// One draw of every entry, each row from its own stream. No gradient flows through it.
    fn sample(&self, draws: &mut Draws) -> Tensor<D, K>;
}

/// Sums element-wise log-densities `[batch, …]` over all features of a row: `[batch]`, in nats.
pub fn sum_features<const D: usize>(log_density: Tensor<D>) -> Tensor<1> {
    let rows = log_density.dims()[0];
    let features = log_density.dims()[1..].iter().product::<usize>();
    log_density.reshape([rows, features]).sum_dim(1).reshape([rows])
}
