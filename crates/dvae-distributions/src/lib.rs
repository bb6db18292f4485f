//! Densities of q(z | ·), p(x | z) and p(z): log-densities, samples, divergences.
//!
//! | Type                  | Role              | Law                                              |
//! |-----------------------|-------------------|--------------------------------------------------|
//! | [`DiagonalNormal`]    | posterior         | `N(μ, diag σ²)`, from mean and log-variance       |
//! | [`StandardNormal`]    | prior             | `N(0, I)`                                        |
//! | [`Bernoulli`]         | likelihood        | `Bernoulli(sigmoid(logits))`                     |
//! | [`Normal`]            | likelihood        | `N(mean, σ²)`, one fixed σ                        |
//! | [`LearnedNormal`]     | likelihood        | `N(mean, σᵢ²)`, `σᵢ` from the network with a floor |
//! | [`AnyLikelihood`]     | likelihood        | one of these, chosen by [`LikelihoodConfig`]     |
//!
//! Likelihoods take their parameters as the network gives them and return the *element-wise*
//! log-density in nats, so that weights and masks have one place to enter. [`Inference`] is what a
//! bound needs to know of an encoder's answer.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_distributions::{Bernoulli, Likelihood};
//!
//! let device = Device::flex();
//! let coins = Bernoulli::new(Tensor::<2>::zeros([1, 3], &device)); // logit 0: fair
//! let nats = coins.log_likelihood(Tensor::ones([1, 3], &device)).into_scalar::<f32>();
//! assert!((nats - 3.0 * 0.5f32.ln()).abs() < 1e-6);
//! ```
//!
//! # What this gives up
//!
//! - Every normaliser is kept: a log-density is a density's, never "up to a constant".
//! - Distributions hold tensors and are not serialised; their configuration is.

mod any_likelihood;
mod bernoulli;
mod diagonal_normal;
mod error;
mod inference;
mod learned_normal;
mod likelihood;
mod normal;
mod standard_normal;

pub use any_likelihood::{AnyLikelihood, LikelihoodConfig};
pub use bernoulli::Bernoulli;
pub use diagonal_normal::DiagonalNormal;
pub use error::DistributionError;
pub use inference::Inference;
pub use learned_normal::LearnedNormal;
pub use likelihood::{Likelihood, sum_features};
pub use normal::Normal;
pub use standard_normal::StandardNormal;

/// `ln 2π`, twice the normaliser of a unit normal.
pub(crate) const LN_TAU: f64 = 1.837_877_066_409_345_3;
