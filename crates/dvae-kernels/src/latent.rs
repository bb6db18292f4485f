//! Functions of a diagonal normal posterior's parameters, and the sigmoid.

use burn::tensor::Tensor;

use crate::math;
use crate::{Formula, Parameters, Scalar};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reparameterize;

impl Formula<2, 1> for Reparameterize {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean, log_variance]: [S; 2], [noise]: [S::Constant; 1]) -> S {
        mean + (log_variance * 0.5).exp() * noise
    }

    // The derivative with respect to the mean is 1, even if the variance is infinite.
    #[inline(always)]
    fn with_slopes(&self, [mean, log_variance]: [f32; 2], [noise]: [f32; 1]) -> (f32, [f32; 2]) {
        let step = math::exp(0.5 * log_variance) * noise;
        (mean + step, [1.0, 0.5 * step])
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kl;

impl Formula<2, 0> for Kl {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean, log_variance]: [S; 2], []: [S::Constant; 0]) -> S {
        (mean.square() + log_variance.clone().exp() - 1.0 - log_variance) * 0.5
    }

    // The derivative with respect to the mean is the mean, even if the variance is infinite.
    #[inline(always)]
    fn with_slopes(&self, [mean, log_variance]: [f32; 2], []: [f32; 0]) -> (f32, [f32; 2]) {
        let variance = math::exp(log_variance);
        let value = 0.5 * (mean * mean + variance - 1.0 - log_variance);
        (value, [mean, 0.5 * (variance - 1.0)])
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sigmoid;

impl Formula<1, 0> for Sigmoid {
    #[inline(always)]
    fn at<S: Scalar>(&self, [x]: [S; 1], []: [S::Constant; 0]) -> S {
        x.sigmoid()
    }
}

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
    Reparameterize.each(&Parameters::Apart([mean, log_variance]), [noise])
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
    Kl.each(&Parameters::Apart([mean, log_variance]), [])
}

/// `σ(x) = 1 / (1 + e⁻ˣ)` of every entry: the mean of a Bernoulli distribution with logits `x`.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Sigmoid.each(&Parameters::Apart([x]), [])
}
