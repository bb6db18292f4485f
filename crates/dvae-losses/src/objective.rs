//! Training objectives and their gradient estimators.

use burn::tensor::Tensor;
use dvae_checks::{non_negative, within};
use dvae_distributions::Encoding;
use dvae_kernels::log_sum_exp;
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kl_term::one_level;
use crate::{Elbo, KlTerm, LossError};

/// An objective: a bound, and the modifications of its terms. Each bound has the options that can be combined
/// with it.
///
/// ```toml
/// [train.objective]
/// bound = "dvae"
/// corruptions = 1                 # M, draws of x̃ for each row
/// latents = 1                     # K, draws of z for each x̃
/// kl = { type = "weighted", beta = 1.0 }
/// emphasis = { changed = 1.0, unchanged = 1.0 }
/// ```
///
/// ```toml
/// [train.objective]
/// bound = "diwae"
/// corruptions = 1
/// latents = 10
/// weights = "own"                 # or "doubly-reparameterized", "mixture"
/// ```
///
/// Every key of a bound may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "bound", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Objective {
    /// `1/MK Σ [log p(x | z) − KL(q(z | x̃) ‖ p(z))]`: Im et al. (2017), equation 7. Without corruption it is
    /// the evidence lower bound.
    Dvae {
        /// `M`: draws of `x̃` for each row, at least 1.
        #[serde(default = "one")]
        corruptions: usize,
        /// `K`: draws of `z` for each `x̃`, at least 1.
        #[serde(default = "one")]
        latents: usize,
        /// The KL term of the loss.
        #[serde(default)]
        kl: KlTerm,
        /// The weights of a row's entries in the reconstruction.
        #[serde(default)]
        emphasis: Emphasis,
    },
    /// `ln 1/MK Σ p(x, z) / q(z | x̃)`, importance-weighted through the corruption: more draws make it
    /// tighter. With `M` = 1 and no corruption, it is the bound of Burda, Grosse & Salakhutdinov (2016),
    /// "Importance Weighted Autoencoders" (IWAE), equation 8.
    Diwae {
        /// `M`: draws of `x̃` for each row, at least 1.
        #[serde(default = "one")]
        corruptions: usize,
        /// `K`: draws of `z` for each `x̃`, at least 1.
        #[serde(default = "one")]
        latents: usize,
        /// The importance weights, and how their gradient is estimated.
        #[serde(default)]
        weights: ImportanceWeights,
    },
}

/// The importance weights of [`Objective::Diwae`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImportanceWeights {
    /// `p(x, z) / q(z | x̃ₘ)`, divided by the posterior that `z` was drawn from.
    #[default]
    Own,
    /// The same weights, with the gradient of [`Estimator::DoublyReparameterized`].
    DoublyReparameterized,
    /// `p(x, z) / (1/M Σ q(z | x̃ₘ))`, divided by the mixture of all posteriors of the row. It evaluates `M`
    /// densities for each draw.
    Mixture,
}

/// How the gradient with respect to the encoder's weights is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Estimator {
    /// Through the reparameterized draw, and through the KL in closed form if there is one.
    Reparameterized,
    /// Through the draw alone, with the KL of the draw: Roeder, Wu & Duvenaud (2017), "Sticking the Landing",
    /// equation 8. Its variance goes to 0 where the posterior is exact. For importance weights it would be
    /// biased (Tucker et al. 2019).
    StickingTheLanding,
    /// Through the draw, weighted by the squares of the importance weights: Tucker et al. (2019), "Doubly
    /// Reparameterized Gradient Estimators for Monte Carlo Objectives", equation 8. Its signal does not
    /// vanish as the number of draws grows. It takes one more pass through the decoder.
    DoublyReparameterized,
}

/// The weights of entries in the reconstruction: Vincent et al. (2010), "Stacked Denoising Autoencoders",
/// section 3.4.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Emphasis {
    /// The weight α of entries that the corruption changed.
    pub changed: f64,
    /// The weight β of the others.
    pub unchanged: f64,
}

/// One draw of `x̃` for each row: its encoding, and the terms for `K` draws of `z`.
#[derive(Clone, Debug)]
pub struct BoundTerms {
    /// `q(z | x̃)`, and the prior.
    pub encoding: Encoding,
    /// One for each draw of `z`.
    pub draws: Vec<Elbo>,
}

/// What a loss depends on besides the draws.
#[derive(Debug)]
pub struct LossContext<'a> {
    /// The training progress, in `[0, 1]`.
    pub progress: f64,
    /// Rows of the training set.
    pub rows: usize,
    /// The source of further randomness, such as draws from the prior.
    pub noise: &'a mut RowStreams,
}

fn one() -> usize {
    1
}

impl Default for Objective {
    /// The DVAE bound with one draw of each.
    fn default() -> Self {
        Self::dvae(1, 1)
    }
}

impl From<KlTerm> for Objective {
    /// The DVAE bound with one draw of each and this KL term.
    fn from(kl: KlTerm) -> Self {
        Self::Dvae { corruptions: 1, latents: 1, kl, emphasis: Emphasis::default() }
    }
}

impl Default for Emphasis {
    /// Equal weights of 1.
    fn default() -> Self {
        Self { changed: 1.0, unchanged: 1.0 }
    }
}

impl Emphasis {
    /// Whether all weights are 1.
    pub fn is_even(self) -> bool {
        self == Self::default()
    }
}

impl Objective {
    /// The DVAE bound with `M` draws of `x̃` for each row and `K` draws of `z` for each `x̃`.
    pub fn dvae(corruptions: usize, latents: usize) -> Self {
        let (kl, emphasis) = (KlTerm::default(), Emphasis::default());
        Self::Dvae { corruptions, latents, kl, emphasis }
    }

    /// The importance-weighted bound with `M` draws of `x̃` for each row and `K` draws of `z` for each `x̃`.
    pub fn diwae(corruptions: usize, latents: usize) -> Self {
        Self::Diwae { corruptions, latents, weights: ImportanceWeights::default() }
    }

    /// `M`: draws of `x̃` for each row.
    pub fn corruptions(&self) -> usize {
        match self {
            Self::Dvae { corruptions, .. } | Self::Diwae { corruptions, .. } => *corruptions,
        }
    }

    /// `K`: draws of `z` for each `x̃`.
    pub fn latents(&self) -> usize {
        match self {
            Self::Dvae { latents, .. } | Self::Diwae { latents, .. } => *latents,
        }
    }

    /// The weights of a row's entries in the reconstruction.
    pub fn emphasis(&self) -> Emphasis {
        match self {
            Self::Dvae { emphasis, .. } => *emphasis,
            Self::Diwae { .. } => Emphasis::default(),
        }
    }

    /// Whether `log q` is the density of the mixture `1/M Σ q(z | x̃ₘ)`, not of the posterior that `z` was
    /// drawn from.
    pub fn mixture_denominator(&self) -> bool {
        matches!(
            self,
            Self::Dvae { kl: KlTerm::Mixture { .. }, .. }
                | Self::Diwae { weights: ImportanceWeights::Mixture, .. }
        )
    }

    /// How the gradient with respect to the encoder's weights is estimated.
    pub fn estimator(&self) -> Estimator {
        match self {
            Self::Dvae { kl: KlTerm::StickingTheLanding { .. }, .. } => {
                Estimator::StickingTheLanding
            }
            Self::Diwae { weights: ImportanceWeights::DoublyReparameterized, .. } => {
                Estimator::DoublyReparameterized
            }
            _ => Estimator::Reparameterized,
        }
    }

    /// The weight of the KL at a training progress from 0 to 1, if it has a single weight.
    pub fn beta(&self, progress: f64) -> Option<f64> {
        match self {
            Self::Dvae { kl, .. } => kl.beta(progress),
            Self::Diwae { .. } => Some(1.0),
        }
    }

    /// The share of the training after which the weight of the KL is constant.
    pub fn warm_up_end(&self) -> f64 {
        match self {
            Self::Dvae { kl, .. } => kl.warm_up_end(),
            Self::Diwae { .. } => 0.0,
        }
    }

    /// Checks the settings; an error names what is out of range.
    pub fn check(&self) -> Result<(), LossError> {
        within("corruptions", self.corruptions(), 1..=1 << 16)?;
        within("latents", self.latents(), 1..=1 << 20)?;
        match self {
            Self::Dvae { kl, emphasis, .. } => {
                non_negative("emphasis.changed", emphasis.changed)?;
                non_negative("emphasis.unchanged", emphasis.unchanged)?;
                Ok(kl.check()?)
            }
            Self::Diwae { .. } => Ok(()),
        }
    }

    /// Checks that a model's levels, posteriors and priors have what the objective needs; an error names what
    /// is missing.
    pub fn check_encoding(&self, encoding: &Encoding) -> Result<(), LossError> {
        let levels = &encoding.at_means();
        match self {
            Self::Dvae { kl, .. } => kl.check_levels(levels),
            Self::Diwae { weights, .. } => match weights {
                ImportanceWeights::Own => Ok(()),
                ImportanceWeights::DoublyReparameterized => {
                    let objective = "`weights = \"doubly-reparameterized\"`";
                    one_level(objective, levels)?;
                    known_density(objective, levels)
                }
                ImportanceWeights::Mixture => known_density("`weights = \"mixture\"`", levels),
            },
        }
    }

    /// The bound of each row, unweighted: `[batch]`, nats.
    ///
    /// # Panics
    ///
    /// If there are no draws.
    pub fn bound_of(&self, sampled: &[BoundTerms]) -> Tensor<1> {
        match self {
            Self::Dvae { kl, .. } if kl.is_sampled() => mean_over_draws(sampled, Elbo::log_weight),
            Self::Dvae { .. } => mean_over_draws(sampled, Elbo::bound),
            Self::Diwae { .. } => log_mean_weight(&log_weights(sampled)),
        }
    }

    /// The training loss, a mean over rows, in nats: `[1]`.
    ///
    /// For an importance-weighted bound the value is the negative bound, whichever estimator gives its
    /// gradient.
    ///
    /// # Panics
    ///
    /// If there are no draws, or if the encodings do not satisfy [`Objective::check_encoding`].
    pub fn loss(&self, sampled: &[BoundTerms], context: &mut LossContext) -> Tensor<1> {
        match self {
            Self::Dvae { kl, .. } => {
                let reconstruction = mean_over_draws(sampled, Elbo::reconstruction).mean();
                kl.loss(sampled, context) - reconstruction
            }
            Self::Diwae { weights, .. } => {
                let log_weights = log_weights(sampled);
                let bound = log_mean_weight(&log_weights).mean();
                if *weights != ImportanceWeights::DoublyReparameterized {
                    return bound.neg();
                }
                let shares = importance_shares(log_weights.clone().detach());
                let surrogate = (log_weights * shares).sum_dim(0).mean();
                // The value is the bound's, the gradient is the surrogate's.
                (surrogate.clone().detach() - surrogate) - bound.detach()
            }
        }
    }
}

/// An error if the density of a level's posterior is known only at its own draws.
pub(crate) fn known_density(objective: &'static str, levels: &[Encoding]) -> Result<(), LossError> {
    match levels.iter().find(|level| !level.posterior.has_density()) {
        None => Ok(()),
        Some(level) => Err(LossError::Model {
            objective,
            needed: "a posterior whose density is known at every point".into(),
            found: level.posterior.name().into(),
        }),
    }
}

/// The mean over all draws of a term `[batch]`, such as [`Elbo::bound`]: `[batch]`.
///
/// # Panics
///
/// If there are no draws.
pub fn mean_over_draws(sampled: &[BoundTerms], term: impl Fn(&Elbo) -> Tensor<1>) -> Tensor<1> {
    let all: Vec<&Elbo> = sampled.iter().flat_map(|sampled| &sampled.draws).collect();
    let sum = all.iter().map(|elbo| term(elbo)).reduce(|sum, term| sum + term);
    let sum = sum.expect("at least one draw");
    if all.len() == 1 { sum } else { sum / all.len() as f64 }
}

/// The logarithms of all importance weights: `[M · K, batch]`.
fn log_weights(sampled: &[BoundTerms]) -> Tensor<2> {
    let draws = sampled.iter().flat_map(|sampled| &sampled.draws);
    Tensor::stack(draws.map(Elbo::log_weight).collect(), 0)
}

/// `ln 1/MK Σ w` of each row: `[batch]`.
fn log_mean_weight(log_weights: &Tensor<2>) -> Tensor<1> {
    let draws = log_weights.dims()[0] as f64;
    log_sum_exp(log_weights.clone(), 0).squeeze_dim::<1>(0) - draws.ln()
}

/// Normalized importance weights, `[M · K, batch]`, from their logarithms.
pub fn importance_shares(log_weights: Tensor<2>) -> Tensor<2> {
    burn::tensor::activation::softmax(log_weights, 0)
}
