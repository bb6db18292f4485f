//! The prior of the top level: its family, and its weights.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use dvae_distributions::{DiagonalNormal, FlowPrior, LatentShape, MixtureNormal, Prior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{depth, sizes, weights};
use crate::flows::RealNvp;
use crate::posterior::NormalHead;
use crate::{Features, Initializer, Level, ModelError, PosteriorConfig};

/// The family of `p(z)`.
///
/// In a file: `prior = { type = "vamp", components = 50 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum PriorConfig {
    /// `N(0, I)`.
    StandardNormal {},
    /// A learned mixture of diagonal normals.
    Mixture {
        /// The number of components, at least 1.
        components: usize,
    },
    /// The equally weighted mixture of the posteriors of learned pseudo-inputs: Tomczak & Welling (2018),
    /// "VAE with a VampPrior". The posterior must be a diagonal normal. Pseudo-inputs are unconstrained
    /// numbers, initially uniform on `[0, 1]`.
    Vamp {
        /// The number of pseudo-inputs, at least 1.
        components: usize,
    },
    /// A RealNVP flow from `N(0, I)`, for at least two latents.
    RealNvp {
        /// The number of coupling layers, at least 1.
        couplings: usize,
        /// Hidden units of each layer's network, at least 1.
        hidden: usize,
    },
}

impl Default for PriorConfig {
    /// Standard normal.
    fn default() -> Self {
        Self::StandardNormal {}
    }
}

impl PriorConfig {
    /// Checks the prior for the top level of a model whose encoder sees `inputs` numbers of each row. An
    /// error names what is out of range, or which settings contradict each other.
    pub(crate) fn check(
        self,
        level: &Level,
        posterior: PosteriorConfig,
        inputs: usize,
    ) -> Result<(), ModelError> {
        if self != (Self::StandardNormal {}) && matches!(level.latents, LatentShape::Map { .. }) {
            return Err(ModelError::Map);
        }
        let latent = level.latents.len();
        match self {
            Self::StandardNormal {} => Ok(()),
            Self::Mixture { components } => {
                sizes("prior.components", &[components])?;
                weights(&[components, latent])
            }
            Self::Vamp { components } => {
                sizes("prior.components", &[components])?;
                weights(&[components, inputs])?;
                match posterior {
                    PosteriorConfig::DiagonalNormal {} => Ok(()),
                    _ => Err(ModelError::Vamp),
                }
            }
            Self::RealNvp { couplings, hidden } => {
                depth("prior.couplings", couplings)?;
                sizes("prior.hidden", &[hidden])?;
                weights(&[latent, hidden.saturating_mul(couplings)])?;
                if latent < 2 { Err(ModelError::Couplings) } else { Ok(()) }
            }
        }
    }
}

/// The weights of a prior.
#[derive(Module, Debug)]
pub(crate) enum PriorHead {
    StandardNormal(NoWeights),
    Mixture(Components),
    Vamp(PseudoInputs),
    RealNvp(RealNvp),
    /// The prior of a level below the top: a normal, given the levels above.
    Conditional(NormalHead),
}

/// Stands for the weights of a prior that has none.
#[derive(Module, Debug)]
pub(crate) struct NoWeights {}

/// The weights of a learned mixture.
#[derive(Module, Debug)]
pub(crate) struct Components {
    logits: Param<Tensor<2>>,
    mean: Param<Tensor<2>>,
    log_variance: Param<Tensor<2>>,
}

/// The pseudo-inputs of a VampPrior: `[components, inputs]`.
#[derive(Module, Debug)]
pub(crate) struct PseudoInputs {
    rows: Param<Tensor<2>>,
}

impl PriorHead {
    /// Builds the prior for the top level of a model whose encoder sees `inputs` numbers of each row; the
    /// configuration was checked.
    pub(crate) fn new(
        config: PriorConfig,
        latent: usize,
        inputs: usize,
        init: &mut Initializer,
    ) -> Self {
        match config {
            PriorConfig::StandardNormal {} => Self::StandardNormal(NoWeights {}),
            PriorConfig::Mixture { components: n } => {
                let spread = 3f32.sqrt(); // uniform with variance 1
                Self::Mixture(Components {
                    logits: init.uniform([1, n], [0.0, 0.0]),
                    mean: init.uniform([n, latent], [-spread, spread]),
                    log_variance: init.uniform([n, latent], [0.0, 0.0]),
                })
            }
            PriorConfig::Vamp { components } => {
                Self::Vamp(PseudoInputs { rows: init.uniform([components, inputs], [0.0, 1.0]) })
            }
            PriorConfig::RealNvp { couplings, hidden } => {
                Self::RealNvp(RealNvp::new(latent, couplings, hidden, init))
            }
        }
    }

    /// Builds the prior of a level below the top.
    pub(crate) fn below(level: &Level, init: &mut Initializer) -> Self {
        Self::Conditional(NormalHead::small(level.context, level.latents.channels(), init))
    }

    /// `p(z)` of the top level; `infer` gives the posteriors of rows of the encoder's input, flattened.
    pub(crate) fn top(&self, infer: impl FnOnce(Tensor<2>) -> DiagonalNormal) -> Prior {
        match self {
            Self::StandardNormal(_) | Self::Conditional(_) => Prior::Standard,
            Self::Mixture(Components { logits, mean, log_variance }) => {
                Prior::Mixture(MixtureNormal::new(logits.val(), mean.val(), log_variance.val()))
            }
            Self::Vamp(PseudoInputs { rows }) => {
                let components = infer(rows.val());
                let (mean, log_variance) = (components.mean(), components.log_variance());
                Prior::Mixture(MixtureNormal::uniform(mean, log_variance))
            }
            Self::RealNvp(flow) => Prior::Flow(FlowPrior::new(flow.map())),
        }
    }

    /// `p(z)` of a level, given the context from the levels above.
    pub(crate) fn given(&self, context: &Features) -> Prior {
        match self {
            Self::Conditional(head) => Prior::Diagonal(head.bounded(&context.clone().into())),
            _ => Prior::Standard,
        }
    }
}

#[cfg(feature = "onnx")]
impl PriorHead {
    /// The mean and log-variance of a level below the top, given the context from the levels above.
    pub(crate) fn given_in(
        &self,
        graph: &mut crate::ModelGraph,
        context: &dvae_onnx::Value,
        is_map: bool,
    ) -> Option<[dvae_onnx::Value; 2]> {
        match self {
            Self::Conditional(head) => Some(head.bounded_in(graph, context, is_map)),
            _ => None,
        }
    }
}
