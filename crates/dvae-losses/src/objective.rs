//! What training maximizes, and how.

use burn::tensor::Tensor;
use dvae_checks::{non_negative, within};
use dvae_distributions::Encoding;
use dvae_kernels::log_sum_exp;
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Elbo, KlTerm, LossError};

/// An objective: a bound, how its gradient is estimated, and what is done to its terms.
///
/// ```toml
/// [objective]
/// bound = "dvae"                  # or "diwae"
/// corruptions = 1                 # M, draws of x̃ for each row
/// latents = 1                     # K, draws of z for each x̃
/// denominator = "own"             # or "mixture"
/// estimator = "reparameterized"   # or "sticking-the-landing", "doubly-reparameterized"
/// kl = { rule = "weighted", beta = 1.0 }
/// emphasis = { changed = 1.0, unchanged = 1.0 }
/// ```
///
/// Every key may be left out. What cannot be combined is refused with the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Objective {
    /// The bound.
    pub bound: Bound,
    /// `M`: draws of `x̃` for each row, at least 1.
    pub corruptions: usize,
    /// `K`: draws of `z` for each `x̃`, at least 1.
    pub latents: usize,
    /// What `p(x, z)` is divided by.
    pub denominator: Denominator,
    /// How the gradient is estimated.
    pub estimator: Estimator,
    /// What becomes of the KL term.
    pub kl: KlTerm,
    /// How much the entries of a row count in the reconstruction.
    pub emphasis: Emphasis,
}

/// A lower bound on `log p(x)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// `1/MK Σ [log p(x | z) − KL(q(z | x̃) ‖ p(z))]`: Im et al. (2017), equation 7. Without corruption, the
    /// evidence lower bound.
    #[default]
    Dvae,
    /// `ln 1/MK Σ p(x, z) / q(z | x̃)`, importance weights through the corruption: tighter the more draws there
    /// are. With `M` = 1 and no corruption, the bound of Burda, Grosse & Salakhutdinov (2016), "Importance
    /// Weighted Autoencoders" (IWAE), equation 8.
    Diwae,
}

/// What `p(x, z)` is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Denominator {
    /// `q(z | x̃ₘ)`: the posterior that `z` was drawn from.
    #[default]
    Own,
    /// `1/M Σ q(z | x̃ₘ)`: the mixture of all of them, which takes the place of the posterior averaged over the
    /// corruption, `q̃(z | x)`. With `M` growing, [`Bound::Dvae`] goes up from `L_dvae` to the bound of Im et al.
    /// (2017) with that posterior, `L_cvae`: Yin & Zhou (2018), "Semi-Implicit Variational Inference",
    /// proposition 1 and theorem 1. It takes `M` densities for each draw.
    Mixture,
}

/// How the gradient in the encoder's weights is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Through the reparameterized draw, and through the KL in closed form if there is one.
    #[default]
    Reparameterized,
    /// Through the draw alone, with the KL of the draw: Roeder, Wu & Duvenaud (2017), "Sticking the Landing",
    /// equation 8. Its variance goes to 0 where the posterior is exact.
    StickingTheLanding,
    /// Through the draw, weighted by the squares of the importance weights: Tucker et al. (2019), "Doubly
    /// Reparameterized Gradient Estimators for Monte Carlo Objectives", equation 8. Its signal does not vanish
    /// with many draws. It takes one more pass through the decoder.
    DoublyReparameterized,
}

/// How much entries count in the reconstruction: Vincent et al. (2010), "Stacked Denoising Autoencoders",
/// section 3.4.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Emphasis {
    /// The weight α of entries that the corruption changed.
    pub changed: f64,
    /// The weight β of the others.
    pub unchanged: f64,
}

/// One draw of `x̃` for each row: its encoding, and what `K` draws of `z` say.
#[derive(Clone, Debug)]
pub struct BoundTerms {
    /// `q(z | x̃)`, and the prior.
    pub encoding: Encoding,
    /// One for each draw of `z`.
    pub draws: Vec<Elbo>,
}

/// What a loss depends on beside the draws.
#[derive(Debug)]
pub struct LossContext<'a> {
    /// How much of the training is done, in `[0, 1]`.
    pub progress: f64,
    /// Rows of the training set.
    pub rows: usize,
    /// Where further randomness comes from: draws from the prior.
    pub noise: &'a mut RowStreams,
}

impl Default for Objective {
    /// The DVAE bound with one draw of each.
    fn default() -> Self {
        Self {
            bound: Bound::default(),
            corruptions: 1,
            latents: 1,
            denominator: Denominator::default(),
            estimator: Estimator::default(),
            kl: KlTerm::default(),
            emphasis: Emphasis::default(),
        }
    }
}

impl Default for Emphasis {
    /// All the same.
    fn default() -> Self {
        Self { changed: 1.0, unchanged: 1.0 }
    }
}

impl Emphasis {
    /// Whether all entries count once.
    pub fn is_even(self) -> bool {
        self == Self::default()
    }
}

impl Objective {
    /// An error naming what is out of range, or what cannot be combined and why.
    pub fn check(&self) -> Result<(), LossError> {
        within("corruptions", self.corruptions, 1..=1 << 16)?;
        within("latents", self.latents, 1..=1 << 20)?;
        non_negative("emphasis.changed", self.emphasis.changed)?;
        non_negative("emphasis.unchanged", self.emphasis.unchanged)?;
        self.kl.check()?;
        match self.refusal() {
            Some((first, second, reason)) => Err(LossError::Combination { first, second, reason }),
            None => Ok(()),
        }
    }

    fn refusal(&self) -> Option<(&'static str, &'static str, &'static str)> {
        const DVAE: &str = "`bound = \"dvae\"`";
        const DIWAE: &str = "`bound = \"diwae\"`";
        const MIXTURE: &str = "`denominator = \"mixture\"`";
        const STL: &str = "`estimator = \"sticking-the-landing\"`";
        const DREG: &str = "`estimator = \"doubly-reparameterized\"`";
        let importance = self.bound == Bound::Diwae;
        let mixture = self.denominator == Denominator::Mixture;
        let refusal = match self.estimator {
            _ if importance && self.kl != KlTerm::default() => {
                (DIWAE, "a `kl` other than weighted by 1", "its weights hold no KL term apart")
            }
            _ if importance && !self.emphasis.is_even() => {
                (DIWAE, "`emphasis`", "importance weights need a likelihood that is one")
            }
            _ if mixture && !matches!(self.kl, KlTerm::Weighted { .. }) => {
                (MIXTURE, "a `kl` other than weighted", "the KL to it is that of the draws")
            }
            Estimator::StickingTheLanding if mixture => {
                (STL, MIXTURE, "it is derived for a draw divided by its own density")
            }
            Estimator::StickingTheLanding if importance => (
                STL,
                DIWAE,
                "its gradient is biased there (Tucker et al. 2019): take \"doubly-reparameterized\"",
            ),
            Estimator::StickingTheLanding if !matches!(self.kl, KlTerm::Weighted { .. }) => {
                (STL, "a `kl` other than weighted", "it estimates the KL from the draw")
            }
            Estimator::DoublyReparameterized if !importance => {
                (DREG, DVAE, "there are no importance weights: take \"sticking-the-landing\"")
            }
            Estimator::DoublyReparameterized if mixture => {
                (DREG, MIXTURE, "it is derived for a draw divided by its own density")
            }
            _ => return None,
        };
        Some(refusal)
    }

    /// An error naming what the objective needs of a model's posterior and prior and does not find.
    pub fn check_encoding(&self, encoding: &Encoding) -> Result<(), LossError> {
        let needs_density = match (self.estimator, self.denominator) {
            (Estimator::StickingTheLanding, _) => Some("the estimator \"sticking-the-landing\""),
            (Estimator::DoublyReparameterized, _) => {
                Some("the estimator \"doubly-reparameterized\"")
            }
            (_, Denominator::Mixture) => Some("the denominator \"mixture\""),
            _ => None,
        };
        match needs_density {
            Some(objective) if !encoding.posterior.has_density() => Err(LossError::Model {
                objective,
                needed: "a posterior whose density is known at every point".into(),
                found: encoding.posterior.name().into(),
            }),
            _ => self.kl.check_encoding(encoding),
        }
    }

    /// The bound of each row, unweighted: `[batch]`, nats.
    ///
    /// # Panics
    ///
    /// If there is no draw.
    pub fn bound_of(&self, sampled: &[BoundTerms]) -> Tensor<1> {
        match self.bound {
            Bound::Dvae if self.samples_kl() => mean_over_draws(sampled, Elbo::log_weight),
            Bound::Dvae => mean_over_draws(sampled, Elbo::bound),
            Bound::Diwae => log_mean_weight(&log_weights(sampled)),
        }
    }

    /// Whether the KL is that of the draws even where it has a closed form.
    fn samples_kl(&self) -> bool {
        self.estimator == Estimator::StickingTheLanding || self.denominator == Denominator::Mixture
    }

    /// What training minimizes, a mean over rows, in nats: `[1]`.
    ///
    /// Of an importance-weighted bound the value is the negative bound, whichever estimator its gradient comes
    /// from.
    ///
    /// # Panics
    ///
    /// If there is no draw, or if the encodings are not what [`Objective::check_encoding`] asks for.
    pub fn loss(&self, sampled: &[BoundTerms], context: &mut LossContext) -> Tensor<1> {
        match self.bound {
            Bound::Dvae => {
                let reconstruction = mean_over_draws(sampled, Elbo::reconstruction).mean();
                self.kl.loss(sampled, self.samples_kl(), context) - reconstruction
            }
            Bound::Diwae => {
                let log_weights = log_weights(sampled);
                let bound = log_mean_weight(&log_weights).mean();
                if self.estimator == Estimator::Reparameterized {
                    return bound.neg();
                }
                let shares = importance_shares(log_weights.clone().detach());
                let surrogate = (log_weights * shares).sum_dim(0).mean();
                // The value of the bound with the gradient of the surrogate.
                (surrogate.clone().detach() - surrogate) - bound.detach()
            }
        }
    }
}

/// The mean over all draws of a term `[batch]`, such as [`Elbo::bound`]: `[batch]`.
///
/// # Panics
///
/// If there is no draw.
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

/// Importance weights over their sum, `[M · K, batch]`, from their logarithms.
pub fn importance_shares(log_weights: Tensor<2>) -> Tensor<2> {
    burn::tensor::activation::softmax(log_weights, 0)
}
