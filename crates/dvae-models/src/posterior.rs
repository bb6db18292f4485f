//! The posterior of a level: its family, and the layers from features to its parameters.

#[cfg(feature = "onnx")]
mod onnx;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae_distributions::{
    Chain, DiagonalNormal, FlowPosterior, FullNormal, LatentShape, Planar, Posterior, Prior,
};
use dvae_kernels::{Formula, Parameters, Scalar};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{depth, sizes, weights};
use crate::flows::InverseAutoregressive;
use crate::layers::Linear;
use crate::network::HeadInput;
use crate::{Activation, Initializer, Level, ModelError};

/// The family of `q(z | x̃)`.
///
/// In a file: `posterior = { type = "inverse-autoregressive", flows = 4, hidden = 64 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum PosteriorConfig {
    /// Normal with independent latents.
    DiagonalNormal {},
    /// Normal with full covariance, by its Cholesky factor.
    FullNormal {},
    /// A diagonal normal transformed by planar maps, whose parameters come from the encoder.
    Planar {
        /// The number of maps, at least 1.
        flows: usize,
    },
    /// A diagonal normal transformed by an inverse autoregressive flow.
    InverseAutoregressive {
        /// The number of steps, at least 1.
        flows: usize,
        /// Hidden units of each step's network, at least 1.
        hidden: usize,
    },
}

impl Default for PosteriorConfig {
    /// Diagonal normal.
    fn default() -> Self {
        Self::DiagonalNormal {}
    }
}

impl PosteriorConfig {
    /// Checks the posterior for a level; an error names what is out of range.
    pub(crate) fn check(self, level: &Level) -> Result<(), ModelError> {
        let latent = level.latents.channels();
        let features = level.features + level.context;
        sizes("latent", &[latent])?;
        weights(&[features, latent])?;
        if self != (Self::DiagonalNormal {}) && matches!(level.latents, LatentShape::Map { .. }) {
            return Err(ModelError::Map);
        }
        match self {
            Self::Planar { flows } => {
                depth("posterior.flows", flows)?;
                weights(&[features, flows.saturating_mul(2 * latent + 1)])
            }
            Self::InverseAutoregressive { flows, hidden } => {
                depth("posterior.flows", flows)?;
                sizes("posterior.hidden", &[hidden])?;
                weights(&[features.max(latent), hidden.saturating_mul(flows)])
            }
            Self::FullNormal {} => weights(&[features, latent.saturating_mul(latent)]),
            Self::DiagonalNormal {} => Ok(()),
        }
    }
}

/// The layers of a posterior.
#[derive(Module, Debug)]
pub(crate) enum PosteriorHead {
    DiagonalNormal(NormalHead),
    FullNormal(FullNormalHead),
    Planar(PlanarHead),
    InverseAutoregressive(AutoregressiveHead),
}

/// From features to a diagonal normal.
#[derive(Module, Debug)]
pub(crate) struct NormalHead {
    mean: Linear,
    log_variance: Linear,
}

/// From features to a normal of full covariance.
#[derive(Module, Debug)]
pub(crate) struct FullNormalHead {
    mean: Linear,
    log_variance: Linear,
    /// The entries below the diagonal of the Cholesky factor; `None` for a single latent.
    below: Option<Linear>,
}

/// From features to a normal transformed by planar maps.
#[derive(Module, Debug)]
pub(crate) struct PlanarHead {
    base: NormalHead,
    /// `u`, `w` and `b` of every map.
    maps: Linear,
}

/// From features to a normal transformed by an inverse autoregressive flow.
#[derive(Module, Debug)]
pub(crate) struct AutoregressiveHead {
    base: NormalHead,
    flow: InverseAutoregressive,
}

impl NormalHead {
    pub(crate) fn new(features: usize, latent: usize, init: &mut Initializer) -> Self {
        let mut layer = || init.linear(features, latent, Activation::Identity);
        Self { mean: layer(), log_variance: layer() }
    }

    /// The same with small weights: near the standard normal at first.
    pub(crate) fn small(features: usize, latent: usize, init: &mut Initializer) -> Self {
        Self {
            mean: init.small_linear(features, latent),
            log_variance: init.small_linear(features, latent),
        }
    }

    /// The same with standard deviations of e⁻² at first, for [`Self::beside`]. A level whose draws are mostly noise at
    /// first is ignored by the decoder, and then collapses.
    pub(crate) fn narrow(features: usize, latent: usize, init: &mut Initializer) -> Self {
        let mean = init.linear(features, latent, Activation::Identity);
        let weight = init.small_weight([features, latent]);
        let bias = init.filled(latent, -4.0);
        Self { mean, log_variance: Linear { weight, bias, activation: Activation::Identity } }
    }

    pub(crate) fn forward(&self, input: &HeadInput) -> DiagonalNormal {
        DiagonalNormal::new(input.linear(&self.mean), input.linear(&self.log_variance))
    }

    /// The normal with a log-variance between ±8.
    pub(crate) fn bounded(&self, input: &HeadInput) -> DiagonalNormal {
        let log_variance = Parameters::Apart([input.linear(&self.log_variance)]);
        DiagonalNormal::new(input.linear(&self.mean), SoftBound.each(&log_variance, []))
    }

    /// The residual of a prior: its mean plus a mean, and its log-variance plus one between ±8. Vahdat & Kautz (2020),
    /// "NVAE", section 3.2, with the distance in units of the prior's deviation.
    pub(crate) fn beside(&self, prior: &DiagonalNormal, input: &HeadInput) -> DiagonalNormal {
        let mean = [input.linear(&self.mean), prior.mean(), prior.log_variance()];
        let log_variance = [input.linear(&self.log_variance), prior.log_variance()];
        DiagonalNormal::new(
            ResidualMean.each(&Parameters::Apart(mean), []),
            ResidualLogVariance.each(&Parameters::Apart(log_variance), []),
        )
    }

    fn latent(&self) -> usize {
        self.mean.weight.lazy_shape()[1]
    }
}

/// `8 tanh(x / 8) = 16 σ(x / 4) − 8`: the same near 0, and bounded.
#[inline(always)]
fn soft_bound<S: Scalar>(x: S) -> S {
    (x * 0.25).sigmoid() * 16.0 - 8.0
}

#[derive(Clone, Copy, Debug)]
struct SoftBound;

impl Formula<1, 0> for SoftBound {
    #[inline(always)]
    fn at<S: Scalar>(&self, [x]: [S; 1], []: [S::Constant; 0]) -> S {
        soft_bound(x)
    }
}

/// A mean at a distance from the prior's, in units of its deviation.
#[derive(Clone, Copy, Debug)]
struct ResidualMean;

impl Formula<3, 0> for ResidualMean {
    #[inline(always)]
    fn at<S: Scalar>(&self, [distance, mean, log_variance]: [S; 3], []: [S::Constant; 0]) -> S {
        mean + distance * (log_variance * 0.5).exp()
    }
}

/// The prior's log-variance plus one between ±8.
#[derive(Clone, Copy, Debug)]
struct ResidualLogVariance;

impl Formula<2, 0> for ResidualLogVariance {
    #[inline(always)]
    fn at<S: Scalar>(&self, [log_ratio, log_variance]: [S; 2], []: [S::Constant; 0]) -> S {
        log_variance + soft_bound(log_ratio)
    }
}

impl PosteriorHead {
    /// Builds the layers for a level below the top, whose posterior is a residual on the prior if both are diagonal
    /// normals.
    pub(crate) fn below(config: PosteriorConfig, level: &Level, init: &mut Initializer) -> Self {
        match config {
            PosteriorConfig::DiagonalNormal {} => {
                let features = level.features + level.context;
                Self::DiagonalNormal(NormalHead::narrow(features, level.latents.channels(), init))
            }
            config => Self::new(config, level, init),
        }
    }

    /// The posterior of a level below the top, whose prior is this one.
    pub(crate) fn given(&self, prior: &Prior, input: &HeadInput) -> Posterior {
        match (self, prior) {
            (Self::DiagonalNormal(head), Prior::Diagonal(prior)) => {
                Posterior::Diagonal(head.beside(prior, input))
            }
            _ => self.forward(input),
        }
    }

    /// Builds the layers for a level that was checked.
    pub(crate) fn new(config: PosteriorConfig, level: &Level, init: &mut Initializer) -> Self {
        let (features, latent) = (level.features + level.context, level.latents.channels());
        let base = NormalHead::new(features, latent, init);
        match config {
            PosteriorConfig::DiagonalNormal {} => Self::DiagonalNormal(base),
            PosteriorConfig::FullNormal {} => {
                let NormalHead { mean, log_variance } = base;
                let pairs = latent * (latent - 1) / 2;
                let below = (pairs > 0).then(|| init.small_linear(features, pairs));
                Self::FullNormal(FullNormalHead { mean, log_variance, below })
            }
            PosteriorConfig::Planar { flows } => {
                let maps = init.small_linear(features, flows * (2 * latent + 1));
                Self::Planar(PlanarHead { base, maps })
            }
            PosteriorConfig::InverseAutoregressive { flows, hidden } => {
                let flow = InverseAutoregressive::new([features, latent, hidden], flows, init);
                Self::InverseAutoregressive(AutoregressiveHead { base, flow })
            }
        }
    }

    pub(crate) fn forward(&self, input: &HeadInput) -> Posterior {
        let flow = |base: &NormalHead, flow| {
            Posterior::Flow(FlowPosterior::new(base.forward(input), flow))
        };
        match self {
            Self::DiagonalNormal(head) => Posterior::Diagonal(head.forward(input)),
            Self::FullNormal(FullNormalHead { mean, log_variance, below }) => {
                let (mean, log_variance) = (input.linear(mean), input.linear(log_variance));
                let below = below.as_ref().map(|below| input.linear(below));
                Posterior::Full(FullNormal::new(mean, log_variance, below))
            }
            Self::Planar(PlanarHead { base, maps }) => {
                let maps = planar_maps(input.linear(maps), base.latent());
                flow(base, Arc::new(Chain(maps)))
            }
            Self::InverseAutoregressive(head) => {
                let steps = head.flow.of(&input.vector());
                flow(&head.base, Arc::new(Chain(steps)))
            }
        }
    }

    /// The layers of the diagonal normal, if it is one.
    pub(crate) fn diagonal(&self) -> Option<&NormalHead> {
        match self {
            Self::DiagonalNormal(head) => Some(head),
            _ => None,
        }
    }

    pub(crate) fn device(&self) -> Device {
        let mean = match self {
            Self::DiagonalNormal(head) => &head.mean,
            Self::FullNormal(head) => &head.mean,
            Self::Planar(head) => &head.base.mean,
            Self::InverseAutoregressive(head) => &head.base.mean,
        };
        mean.weight.lazy_device()
    }
}

/// Splits `[batch, flows · (2 latent + 1)]` into the parameters of planar maps.
fn planar_maps(parameters: Tensor<2>, latent: usize) -> Vec<Planar> {
    let width = 2 * latent + 1;
    let flows = parameters.dims()[1] / width;
    let part = |start, len| parameters.clone().narrow(1, start, len);
    (0..flows)
        .map(|flow| flow * width)
        .map(|at| {
            Planar::new(part(at, latent), part(at + latent, latent), part(at + 2 * latent, 1))
        })
        .collect()
}
