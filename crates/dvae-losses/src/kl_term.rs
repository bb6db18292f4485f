//! The KL term of a loss.

use burn::tensor::Tensor;
use dvae_checks::{RangeError, non_negative, within, within_single};
use dvae_distributions::{Encoding, Kl, Prior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dip::{DipCovariance, dip};
use crate::mmd::{MmdKernel, mmd};
use crate::objective::{known_density, mean_over_draws};
use crate::total_correlation::KlDecomposition;
use crate::{BoundTerms, Elbo, LossContext, LossError, Schedule};

/// The term of the loss that stands for the KL from posterior to prior.
///
/// All variants are means over rows and draws: KL and its parts in nats, the penalties of MMD and DIP-VAE in
/// their own units. With `beta = 1` the first three make the loss a negative bound. Any other setting makes
/// it a different number, and logs show the bound beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum KlTerm {
    /// `β KL`: Higgins et al. (2017), "β-VAE", equation 4.
    Weighted {
        /// `β`, over training.
        #[serde(default = "full")]
        beta: Schedule,
    },
    /// `β (log q(z | x̃) − log p(z))` of the draws, with a gradient through the draw alone:
    /// [`Estimator::StickingTheLanding`](crate::Estimator).
    StickingTheLanding {
        /// `β`, over training.
        #[serde(default = "full")]
        beta: Schedule,
    },
    /// `β (log 1/M Σ q(z | x̃ₘ) − log p(z))` of the draws: the mixture of the posteriors of all `M`
    /// corruptions replaces the posterior averaged over the corruption, `q̃(z | x)`. As `M` grows, the bound
    /// rises from `L_dvae` to that of Im et al. (2017) with the averaged posterior, `L_cvae`: Yin & Zhou
    /// (2018), "Semi-Implicit Variational Inference", proposition 1 and theorem 1. It evaluates `M` densities
    /// for each draw.
    Mixture {
        /// `β`, over training.
        #[serde(default = "full")]
        beta: Schedule,
    },
    /// `Σ max(λ, KL of a group)`, where the KL is the mean over rows: Kingma et al. (2016), "Improved
    /// Variational Inference with Inverse Autoregressive Flow", equation 15. A group whose KL is below `λ` is
    /// not reduced further. Each level of latents has its own groups.
    FreeBits {
        /// `λ`, in nats per group.
        nats: f64,
        /// Latents in a group; 1 puts each latent in its own group. It must divide the number of latents of
        /// each level.
        #[serde(default = "one")]
        group: usize,
    },
    /// `β Σ ωˡ max(λ, KL of level l)`, where the KL is the mean over rows and the top level is 0: free bits with a
    /// level as a group, and weights. A level whose KL is below `λ` is not reduced further. With `ω > 1` at first a
    /// level costs more than the one above it, so that the levels come into use from the top.
    LevelFreeBits {
        /// `λ`, in nats per level.
        nats: f64,
        /// `β`, over training.
        #[serde(default = "full")]
        beta: Schedule,
        /// `ω`, over training, at most 10.
        #[serde(default = "full")]
        ratio: Schedule,
    },
    /// `γ |KL − C|` of the KL averaged over rows, with `C` over training: Burgess et al. (2018), "Understanding
    /// disentangling in β-VAE", equation 8.
    Capacity {
        /// `γ`.
        gamma: f64,
        /// `C`, in nats.
        nats: Schedule,
    },
    /// `α I(x; z) + β TC + γ Σ KL(q(zⱼ) ‖ p(zⱼ))`: Chen et al. (2018), "Isolating Sources of Disentanglement in
    /// VAEs", equation 4, estimated with minibatch-stratified weights (their appendix C.2).
    TotalCorrelation {
        /// The weight of the mutual information.
        #[serde(default = "unit")]
        alpha: f64,
        /// The weight of the total correlation.
        beta: f64,
        /// The weight of the KL of each latent on its own.
        #[serde(default = "unit")]
        gamma: f64,
    },
    /// `(1 − α) KL + (α + λ − 1) MMD²(q(z), p(z))`: Zhao, Song & Ermon (2019), "InfoVAE", equation 6, with
    /// the unbiased estimate of the maximum mean discrepancy. It gives no gradient to a learned prior.
    Mmd {
        /// `α`, at most 1.
        alpha: f64,
        /// `λ`.
        lambda: f64,
        /// The kernel.
        #[serde(default)]
        kernel: MmdKernel,
    },
    /// `KL + λ_od Σ_{i≠j} Cᵢⱼ² + λ_d Σ (Cᵢᵢ − 1)²` with a covariance `C` over rows: Kumar, Sattigeri &
    /// Balakrishnan (2018), "Variational Inference of Disentangled Latent Concepts from Unlabeled
    /// Observations", equations 6 and 7.
    Dip {
        /// The covariance to use.
        covariance: DipCovariance,
        /// `λ_od`.
        off_diagonal: f64,
        /// `λ_d`.
        diagonal: f64,
    },
}

fn one() -> usize {
    1
}

fn unit() -> f64 {
    1.0
}

fn full() -> Schedule {
    Schedule::Constant(1.0)
}

impl Default for KlTerm {
    /// The KL with weight 1.
    fn default() -> Self {
        Self::Weighted { beta: full() }
    }
}

impl KlTerm {
    /// `β` at a training progress, if the KL has one; with a ratio it is the weight of the top level.
    pub(crate) fn beta(&self, progress: f64) -> Option<f64> {
        match self {
            Self::Weighted { beta }
            | Self::StickingTheLanding { beta }
            | Self::LevelFreeBits { beta, .. }
            | Self::Mixture { beta } => Some(beta.at(progress)),
            _ => None,
        }
    }

    /// The share of the training after which the weight is constant.
    pub(crate) fn warm_up_end(&self) -> f64 {
        match self {
            Self::Weighted { beta: schedule }
            | Self::StickingTheLanding { beta: schedule }
            | Self::Mixture { beta: schedule }
            | Self::Capacity { nats: schedule, .. } => schedule.end(),
            Self::LevelFreeBits { beta, ratio, .. } => beta.end().max(ratio.end()),
            _ => 0.0,
        }
    }

    /// Whether the KL is estimated from the draws even if it has a closed form.
    pub(crate) fn is_sampled(&self) -> bool {
        matches!(self, Self::StickingTheLanding { .. } | Self::Mixture { .. })
    }

    pub(crate) fn check(&self) -> Result<(), RangeError> {
        let weights = |weights: &[(&'static str, f64)]| {
            weights.iter().try_for_each(|&(name, value)| non_negative(name, value).map(|_| ()))
        };
        match self {
            Self::Weighted { beta }
            | Self::StickingTheLanding { beta }
            | Self::Mixture { beta } => beta.check("kl.beta"),
            Self::FreeBits { nats, group } => {
                within_single("kl.nats", *nats, 0.0..)?;
                within("kl.group", *group, 1..=1 << 24).map(|_| ())
            }
            Self::LevelFreeBits { nats, beta, ratio } => {
                within_single("kl.nats", *nats, 0.0..)?;
                ratio.check("kl.ratio")?;
                within("kl.ratio", ratio.most(), ..=10.0)?;
                beta.check("kl.beta")
            }
            Self::Capacity { gamma, nats } => {
                non_negative("kl.gamma", *gamma)?;
                nats.check("kl.nats")
            }
            Self::TotalCorrelation { alpha, beta, gamma } => {
                weights(&[("kl.alpha", *alpha), ("kl.beta", *beta), ("kl.gamma", *gamma)])
            }
            Self::Mmd { alpha, lambda, .. } => {
                // 1 − α and α + λ − 1 are the weights.
                weights(&[("1 - kl.alpha", 1.0 - alpha), ("kl.lambda", *lambda)])?;
                non_negative("kl.alpha + kl.lambda - 1", alpha + lambda - 1.0).map(|_| ())
            }
            Self::Dip { off_diagonal, diagonal, .. } => {
                weights(&[("kl.off_diagonal", *off_diagonal), ("kl.diagonal", *diagonal)])
            }
        }
    }

    /// Checks that the levels of a model have what the term needs; an error names what is missing.
    pub(crate) fn check_levels(&self, levels: &[Encoding]) -> Result<(), LossError> {
        match self {
            Self::Weighted { .. } | Self::LevelFreeBits { .. } | Self::Capacity { .. } => Ok(()),
            Self::StickingTheLanding { .. } => {
                let objective = "`kl.type = \"sticking-the-landing\"`";
                one_level(objective, levels)?;
                known_density(objective, levels)
            }
            Self::Mixture { .. } => known_density("`kl.type = \"mixture\"`", levels),
            Self::FreeBits { group, .. } => {
                levels.iter().try_for_each(|level| check_groups(*group, level))
            }
            Self::TotalCorrelation { .. } => {
                let top = one_level("total correlation", levels)?;
                diagonal("total correlation", top)?;
                standard("total correlation", top)
            }
            Self::Mmd { alpha, .. } => {
                let top = one_level("MMD", levels)?;
                // Otherwise nothing would train the prior: its draws carry no gradient.
                match *alpha == 1.0 {
                    true => standard("MMD without a KL (`alpha = 1`)", top),
                    false => Ok(()),
                }
            }
            Self::Dip { .. } => diagonal("a DIP-VAE", one_level("a DIP-VAE", levels)?),
        }
    }

    /// The term, a mean over rows: `[1]`.
    pub(crate) fn loss(&self, sampled: &[BoundTerms], context: &mut LossContext) -> Tensor<1> {
        let kl = || mean_over_draws(sampled, Elbo::kl).mean();
        match self {
            Self::Weighted { beta } => kl() * beta.at(context.progress),
            Self::StickingTheLanding { beta } | Self::Mixture { beta } => {
                let kl = mean_over_draws(sampled, |elbo| elbo.inference().sampled_kl()).mean();
                kl * beta.at(context.progress)
            }
            Self::FreeBits { nats, group } => free_bits(sampled, *nats, *group, 1.0),
            Self::LevelFreeBits { nats, beta, ratio } => {
                let [beta, ratio] = [beta, ratio].map(|schedule| schedule.at(context.progress));
                free_bits(sampled, *nats, usize::MAX, ratio) * beta
            }
            Self::Capacity { gamma, nats } => (kl() - nats.at(context.progress)).abs() * *gamma,
            Self::TotalCorrelation { alpha, beta, gamma } => {
                let weigh = |parts: KlDecomposition| {
                    parts.mutual_information * *alpha
                        + parts.total_correlation * *beta
                        + parts.per_latent * *gamma
                };
                over_draws(sampled, |encoding, latent| {
                    let posterior = encoding.posterior.diagonal().expect("checked");
                    weigh(KlDecomposition::new(posterior, latent, context.rows))
                })
            }
            Self::Mmd { alpha, lambda, kernel } => {
                let discrepancy = over_draws(sampled, |encoding, latent| {
                    let device = latent.device();
                    let prior = encoding.prior.sample(latent.dims()[1], context.noise, &device);
                    mmd(latent, prior.detach(), *kernel)
                });
                kl() * (1.0 - alpha) + discrepancy * (alpha + lambda - 1.0)
            }
            Self::Dip { covariance, off_diagonal, diagonal } => {
                let penalties = sampled.iter().map(|sampled| {
                    let posterior = sampled.encoding.posterior.diagonal().expect("checked");
                    dip(posterior, *covariance, [*off_diagonal, *diagonal])
                });
                kl() + mean(penalties)
            }
        }
    }
}

fn refused(objective: &'static str, needed: &str, found: &str) -> LossError {
    LossError::Model { objective, needed: needed.into(), found: found.into() }
}

/// The one level of latents; an error if there are several.
pub(crate) fn one_level<'a>(
    objective: &'static str,
    levels: &'a [Encoding],
) -> Result<&'a Encoding, LossError> {
    match levels {
        [one] => Ok(one),
        _ => Err(refused(objective, "one level of latents", &format!("{} of them", levels.len()))),
    }
}

fn diagonal(objective: &'static str, level: &Encoding) -> Result<(), LossError> {
    match level.posterior.diagonal() {
        Some(_) => Ok(()),
        None => Err(refused(objective, "a diagonal normal posterior", level.posterior.name())),
    }
}

fn standard(objective: &'static str, level: &Encoding) -> Result<(), LossError> {
    match level.prior {
        Prior::Standard => Ok(()),
        _ => Err(refused(objective, "a standard normal prior", level.prior.name())),
    }
}

/// An error if the KL of a level's groups is not known, or if the group size does not divide the number of
/// latents.
fn check_groups(group: usize, level: &Encoding) -> Result<(), LossError> {
    let latents = level.posterior.len();
    if group != latents && level.closed_form_kl().is_none() {
        let needed = "a KL of each latent: a normal posterior and a standard normal prior";
        let found = format!("{} and {}", level.posterior.name(), level.prior.name());
        return Err(refused("free bits for part of the latents", needed, &found));
    }
    if !latents.is_multiple_of(group) {
        let needed = format!("a number of latents that is a multiple of {group}");
        return Err(refused("free bits", &needed, &format!("{latents} latents")));
    }
    Ok(())
}

/// `Σ ωˡ max(λ, mean KL of a group)`, over the groups of each level `l`; the ratio is `ω`.
fn free_bits(sampled: &[BoundTerms], nats: f64, group: usize, ratio: f64) -> Tensor<1> {
    let levels = sampled[0].draws[0].inference().kl.len();
    let of_level = |level: usize| {
        let draws = sampled.iter().flat_map(|terms| &terms.draws);
        let kl = mean(draws.map(|elbo| match &elbo.inference().kl[level] {
            Kl::ClosedForm(each) => each.clone().mean_dim(0),
            Kl::OneSample(all) => all.clone().mean().reshape([1, 1]),
        }));
        let latents = kl.dims()[1];
        let group = group.min(latents);
        let groups = kl.reshape([latents / group, group]).sum_dim(1);
        groups.clamp_min(nats).sum() * ratio.powi(level as i32)
    };
    (0..levels).map(of_level).reduce(|sum, level| sum + level).expect("a level at least")
}

/// The mean over all draws of a term of the batch.
fn over_draws(
    sampled: &[BoundTerms],
    mut term: impl FnMut(&Encoding, Tensor<2>) -> Tensor<1>,
) -> Tensor<1> {
    let mut terms = Vec::new();
    for BoundTerms { encoding, draws } in sampled {
        for elbo in draws {
            terms.push(term(encoding, elbo.inference().latents.flat()));
        }
    }
    mean(terms.into_iter())
}

fn mean<const D: usize>(terms: impl Iterator<Item = Tensor<D>>) -> Tensor<D> {
    let all: Vec<Tensor<D>> = terms.collect();
    let n = all.len() as f64;
    all.into_iter().reduce(|sum, term| sum + term).expect("at least one draw") / n
}
