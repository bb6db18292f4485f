//! Densities of q(z | ·), p(x | z) and p(z): log-densities, samples, divergences.
//!
//! | Likelihood                       | Law of an entry                                                |
//! |----------------------------------|----------------------------------------------------------------|
//! | [`Bernoulli`]                    | `Bernoulli(sigmoid(logits))`                                   |
//! | [`ContinuousBernoulli`]          | its normalized form on `[0, 1]`                                |
//! | [`Normal`]                       | `N(mean, σ²)`, one fixed σ                                     |
//! | [`LearnedNormal`]                | `N(mean, σᵢ²)`, σ from the network (or shared), bounded below  |
//! | [`OptimalNormal`]                | `N(mean, σ*²)`, the best σ for the batch                       |
//! | [`PoissonGaussian`]              | `N(mean, gain · mean + offset)`: counted light and electronics |
//! | [`Laplace`]                      | `Laplace(location, scale)`, one fixed scale                    |
//! | [`LearnedLaplace`]               | the same, the scale from the network, bounded below            |
//! | [`StudentT`]                     | Student's t, with learned scale and degrees of freedom         |
//! | [`DiscretizedLogistic`]          | a mixture of logistics, discretized to equally spaced levels   |
//! | [`Categorical`]                  | one of several classes                                         |
//! | [`Poisson`]                      | counts                                                         |
//! | [`NegativeBinomial`]             | overdispersed counts                                           |
//! | [`ZeroInflatedNegativeBinomial`] | the same with more zeros                                       |
//! | [`Proportions`]                  | one of these three, with shares of the row's total as means    |
//! | [`SelfMasking`]                  | entries whose own values decide whether they are missing       |
//! | [`Columns`]                      | one of these for each group of columns                         |
//!
//! [`LikelihoodConfig`] selects one in a file. Most are [`Entries`] of one [`EntryDistribution`], whose log-density is
//! a [`Formula`]: written once, it runs fused on flex, with its gradient, and as Burn's operations elsewhere. So does
//! the formula of a distribution of your own.
//!
//! | Posterior or prior   | Law                                                      | KL to `N(0, I)`  |
//! |----------------------|----------------------------------------------------------|------------------|
//! | [`DiagonalNormal`]   | `N(μ, diag σ²)`, from mean and log-variance              | closed form      |
//! | [`FullNormal`]       | `N(μ, L Lᵀ)`, from mean and Cholesky factor              | closed form      |
//! | [`FlowPosterior`]    | a diagonal normal through a [`Flow`]: [`Planar`], a [`Chain`] | from the draw |
//! | [`StandardNormal`]   | `N(0, I)`                                                | –                |
//! | [`MixtureNormal`]    | `Σ πₖ N(μₖ, diag σₖ²)`: learned mixture, VampPrior        | –                |
//! | [`FlowPrior`]        | `N(0, I)` transformed by a [`Bijection`]                 | –                |
//!
//! Likelihoods take their parameters as the network's outputs and return the *element-wise* log-density in
//! nats, so that weights and masks are applied in one place. An [`Encoding`] is a posterior with its prior,
//! for one level of [`Latents`] or for several. An [`Inference`] is one draw from it with the densities that
//! a bound needs.
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
//! - Every normalizer is kept: log-densities are exact, never "up to a constant".
//! - Distributions hold tensors and are not serialized; their configuration is.
//! - Values outside a distribution's [`Support`] are not rejected here: the trainer checks its data once.
//! - The density of a flow posterior is known only at its own draws.

mod bernoulli;
mod categorical;
mod columns;
mod continuous_bernoulli;
mod diagonal_normal;
mod discretized_logistic;
mod encoding;
mod entries;
mod error;
mod flow;
mod full_normal;
mod inference;
mod laplace;
mod latents;
mod learned_normal;
mod likelihood;
mod likelihood_config;
mod mixture_normal;
mod negative_binomial;
mod normal;
mod normal_cdf;
#[cfg(feature = "onnx")]
mod onnx;
mod optimal_normal;
mod ordinal;
mod planar;
mod poisson;
mod poisson_gaussian;
mod proportions;
mod sampling;
mod self_masking;
mod self_masking_classes;
mod self_masking_normal;
mod stable;
mod standard_normal;
mod student_t;
mod support;
mod tokens;

pub use dvae_kernels::{Formula, LogSoftmax, Mixture, Parameters, Scalar, sum_features};

pub use bernoulli::{Bernoulli, BernoulliEntry};
pub use categorical::Categorical;
pub use columns::Columns;
pub use continuous_bernoulli::{ContinuousBernoulli, ContinuousBernoulliEntry};
pub use diagonal_normal::DiagonalNormal;
pub use discretized_logistic::DiscretizedLogistic;
pub use encoding::{Encoding, LevelBelow, Posterior, Prior};
pub use entries::{Entries, EntryDistribution};
pub use error::DistributionError;
pub use flow::{Bijection, Chain, Flow, FlowOutput, FlowPosterior, FlowPrior};
pub use full_normal::FullNormal;
pub use inference::{Context, Inference, Kl};
pub use laplace::{Laplace, LaplaceEntry, LearnedLaplace, LearnedLaplaceEntry};
pub use latents::{Latent, LatentShape, Latents};
pub use learned_normal::{LearnedNormal, LearnedNormalEntry};
pub use likelihood::Likelihood;
pub use likelihood_config::{ColumnGroup, LikelihoodConfig};
pub use mixture_normal::MixtureNormal;
pub use negative_binomial::{
    NegativeBinomial, NegativeBinomialEntry, ZeroInflatedEntry, ZeroInflatedNegativeBinomial,
};
pub use normal::{Normal, NormalEntry};
#[cfg(feature = "onnx")]
pub use onnx::GraphOutputs;
pub use optimal_normal::OptimalNormal;
pub use planar::Planar;
pub use poisson::{Poisson, PoissonEntry};
pub use poisson_gaussian::{PoissonGaussian, PoissonGaussianEntry};
pub use proportions::Proportions;
pub use self_masking::{MissingSide, SelfMasking};
pub use standard_normal::StandardNormal;
pub use student_t::{StudentT, StudentTEntry};
pub use support::Support;

/// `ln 2π`, twice the normalizer of a unit normal.
pub(crate) const LN_TAU: f64 = 1.837_877_066_409_345_3;
