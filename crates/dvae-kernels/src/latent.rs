//! Functions of a diagonal normal posterior's parameters.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::covered;
#[cfg(feature = "flex")]
use crate::flex::{Function, FusedEntries, Inputs};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// `μ + σ ε` from mean, log-variance `ln σ²` and noise, in their common shape.
///
/// # Panics
///
/// If the shapes differ (where one is 1, Burn's operations broadcast it).
pub fn reparameterize<const D: usize>(
    mean: Tensor<D>,
    log_variance: Tensor<D>,
    noise: Tensor<D>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if covered!(mean, log_variance, noise)
        && mean.dims() == log_variance.dims()
        && mean.dims() == noise.dims()
        && !noise.is_tracked()
    {
        let (mean, log_variance) = (mean.into_dispatch(), log_variance.into_dispatch());
        let inputs = Inputs::Three(mean, log_variance, noise.into_dispatch());
        let latent = Dispatch::fused_entries(inputs, Function::Reparameterize, false);
        return Tensor::from_dispatch(latent);
    }
    mean + (log_variance * 0.5).exp() * noise
}

/// `KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − ln σ²)` from mean and log-variance, in their common shape,
/// nats.
///
/// # Panics
///
/// If the shapes differ (where one is 1, Burn's operations broadcast it).
pub fn kl_to_standard_normal<const D: usize>(
    mean: Tensor<D>,
    log_variance: Tensor<D>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if covered!(mean, log_variance) && mean.dims() == log_variance.dims() {
        let inputs = Inputs::Two(mean.into_dispatch(), log_variance.into_dispatch());
        return Tensor::from_dispatch(Dispatch::fused_entries(inputs, Function::Kl, false));
    }
    (mean.square() + log_variance.clone().exp() - 1.0 - log_variance) * 0.5
}
