//! From an encoder's features to a posterior, and the prior that it is held against.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use dvae_distributions::{
    Chain, DiagonalNormal, FlowPosterior, FlowPrior, FullNormal, MixtureNormal, Planar, Posterior,
    Prior,
};
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{sizes, weights};
use crate::flows::{InverseAutoregressive, RealNvp};
use crate::layers::{Dense, Layers};
use crate::{Activation, ModelError};

/// The family of `q(z | x̃)`.
///
/// In a file: `posterior = { type = "inverse-autoregressive", flows = 4, hidden = 64 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PosteriorConfig {
    /// Normal, its latents independent.
    DiagonalNormal {},
    /// Normal of full covariance, by its Cholesky factor.
    FullNormal {},
    /// A diagonal normal through planar maps, whose parameters the encoder gives.
    Planar {
        /// Maps, at least 1.
        flows: usize,
    },
    /// A diagonal normal through an inverse autoregressive flow.
    InverseAutoregressive {
        /// Steps, at least 1.
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

/// The family of `p(z)`.
///
/// In a file: `prior = { type = "vamp", components = 50 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PriorConfig {
    /// `N(0, I)`.
    StandardNormal {},
    /// A learned mixture of diagonal normals.
    Mixture {
        /// Components, at least 1.
        components: usize,
    },
    /// The mixture of the posteriors of learned pseudo-inputs, equally weighted: Tomczak & Welling (2018),
    /// "VAE with a VampPrior". The posterior must be a diagonal normal. Pseudo-inputs are free numbers that
    /// begin uniform on `[0, 1]`.
    Vamp {
        /// Pseudo-inputs, at least 1.
        components: usize,
    },
    /// A RealNVP flow from `N(0, I)`, for at least two latents.
    RealNvp {
        /// Coupling layers, at least 1.
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

/// Both families of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LatentConfig {
    pub(crate) latent: usize,
    pub(crate) posterior: PosteriorConfig,
    pub(crate) prior: PriorConfig,
}

impl LatentConfig {
    /// An error naming what is out of range, or does not go together, for so many features of an encoder
    /// that sees so many numbers of each row.
    pub(crate) fn check(self, [features, inputs]: [usize; 2]) -> Result<(), ModelError> {
        sizes("latent", &[self.latent])?;
        weights(&[features, self.latent])?;
        match self.posterior {
            PosteriorConfig::Planar { flows } => {
                sizes("posterior.flows", &[flows])?;
                weights(&[features, flows.saturating_mul(2 * self.latent + 1)])?;
            }
            PosteriorConfig::InverseAutoregressive { flows, hidden } => {
                sizes("posterior.flows", &[flows])?;
                sizes("posterior.hidden", &[hidden])?;
                weights(&[features.max(self.latent), hidden.saturating_mul(flows)])?;
            }
            PosteriorConfig::FullNormal {} => {
                weights(&[features, self.latent.saturating_mul(self.latent)])?;
            }
            PosteriorConfig::DiagonalNormal {} => {}
        }
        match self.prior {
            PriorConfig::StandardNormal {} => {}
            PriorConfig::Mixture { components } => {
                sizes("prior.components", &[components])?;
                weights(&[components, self.latent])?;
            }
            PriorConfig::Vamp { components } => {
                sizes("prior.components", &[components])?;
                weights(&[components, inputs])?;
                if self.posterior != (PosteriorConfig::DiagonalNormal {}) {
                    return Err(ModelError::Vamp);
                }
            }
            PriorConfig::RealNvp { couplings, hidden } => {
                sizes("prior.couplings", &[couplings])?;
                sizes("prior.hidden", &[hidden])?;
                weights(&[self.latent, hidden.saturating_mul(couplings)])?;
                if self.latent < 2 {
                    return Err(ModelError::Couplings);
                }
            }
        }
        Ok(())
    }
}

/// The layers between an encoder's features and the latents, and the weights of the prior.
#[derive(Module, Debug)]
pub(crate) struct LatentSpace {
    mean: Dense,
    log_variance: Dense,
    /// What is below the diagonal of a Cholesky factor.
    below: Option<Dense>,
    /// `u`, `w` and `b` of every planar map.
    planar: Option<Dense>,
    autoregressive: Option<InverseAutoregressive>,
    components: Option<Components>,
    pseudo_inputs: Option<Param<Tensor<2>>>,
    real_nvp: Option<RealNvp>,
    #[module(skip)]
    posterior: PosteriorConfig,
}

/// The weights of a learned mixture.
#[derive(Module, Debug)]
struct Components {
    logits: Param<Tensor<2>>,
    mean: Param<Tensor<2>>,
    log_variance: Param<Tensor<2>>,
}

impl LatentSpace {
    /// For so many features of an encoder that sees so many numbers of each row.
    pub(crate) fn new(
        [features, inputs]: [usize; 2],
        config: LatentConfig,
        layers: &mut Layers,
    ) -> Self {
        let LatentConfig { latent, posterior, prior } = config;
        let mut head = |outputs| layers.dense(features, outputs, Activation::Identity);
        let (mean, log_variance) = (head(latent), head(latent));
        let (mut below, mut planar, mut autoregressive) = (None, None, None);
        match posterior {
            PosteriorConfig::FullNormal {} if latent > 1 => {
                below = Some(layers.gentle(features, latent * (latent - 1) / 2));
            }
            PosteriorConfig::DiagonalNormal {} | PosteriorConfig::FullNormal {} => {}
            PosteriorConfig::Planar { flows } => {
                planar = Some(layers.gentle(features, flows * (2 * latent + 1)));
            }
            PosteriorConfig::InverseAutoregressive { flows, hidden } => {
                let sizes = [features, latent, hidden];
                autoregressive = Some(InverseAutoregressive::new(sizes, flows, layers));
            }
        }
        let (mut components, mut pseudo_inputs, mut real_nvp) = (None, None, None);
        match prior {
            PriorConfig::StandardNormal {} => {}
            PriorConfig::Mixture { components: n } => {
                let spread = 3f32.sqrt(); // uniform of variance 1
                components = Some(Components {
                    logits: layers.uniform([1, n], [0.0, 0.0]),
                    mean: layers.uniform([n, latent], [-spread, spread]),
                    log_variance: layers.uniform([n, latent], [0.0, 0.0]),
                });
            }
            PriorConfig::Vamp { components } => {
                pseudo_inputs = Some(layers.uniform([components, inputs], [0.0, 1.0]));
            }
            PriorConfig::RealNvp { couplings, hidden } => {
                real_nvp = Some(RealNvp::new(latent, couplings, hidden, layers));
            }
        }
        Self {
            mean,
            log_variance,
            below,
            planar,
            autoregressive,
            components,
            pseudo_inputs,
            real_nvp,
            posterior,
        }
    }

    /// `q(z | x̃)` from features `[batch, features]`.
    pub(crate) fn posterior(&self, features: Tensor<2>) -> Posterior {
        let base = || self.normal(features.clone());
        match (&self.posterior, &self.planar, &self.autoregressive) {
            (PosteriorConfig::FullNormal {}, ..) => Posterior::Full(FullNormal::new(
                self.mean.forward(features.clone()),
                self.log_variance.forward(features.clone()),
                self.below.as_ref().map(|below| below.forward(features)),
            )),
            (_, Some(planar), _) => {
                let maps = planar_maps(planar.forward(features.clone()), self.latent());
                Posterior::Flow(FlowPosterior::new(base(), Arc::new(Chain(maps))))
            }
            (_, _, Some(flow)) => {
                let steps = Chain(flow.of(&features));
                Posterior::Flow(FlowPosterior::new(base(), Arc::new(steps)))
            }
            _ => Posterior::Diagonal(base()),
        }
    }

    fn normal(&self, features: Tensor<2>) -> DiagonalNormal {
        let mean = self.mean.forward(features.clone());
        DiagonalNormal::new(mean, self.log_variance.forward(features))
    }

    /// The posterior's mean alone (of a flow: where it goes), `[batch, latent]`.
    pub(crate) fn mean(&self, features: Tensor<2>) -> Tensor<2> {
        match self.posterior {
            PosteriorConfig::DiagonalNormal {} | PosteriorConfig::FullNormal {} => {
                self.mean.forward(features)
            }
            _ => self.posterior(features).mean(),
        }
    }

    /// `p(z)`; `encode` gives the features of rows of what the encoder sees, flattened.
    pub(crate) fn prior(&self, encode: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Prior {
        if let Some(Components { logits, mean, log_variance }) = &self.components {
            return Prior::Mixture(MixtureNormal::new(
                logits.val(),
                mean.val(),
                log_variance.val(),
            ));
        }
        if let Some(pseudo_inputs) = &self.pseudo_inputs {
            let components = self.normal(encode(pseudo_inputs.val()));
            let mixture = MixtureNormal::uniform(components.mean(), components.log_variance());
            return Prior::Mixture(mixture);
        }
        match &self.real_nvp {
            Some(flow) => Prior::Flow(FlowPrior::new(flow.map())),
            None => Prior::Standard,
        }
    }

    /// A latent from the prior for each row of `draws`.
    pub(crate) fn prior_sample(
        &self,
        draws: &mut RowStreams,
        encode: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        self.prior(encode).sample(self.latent(), draws, &self.device())
    }

    fn latent(&self) -> usize {
        self.mean.weight.lazy_shape()[1]
    }

    fn device(&self) -> Device {
        self.mean.weight.lazy_device()
    }
}

/// Cuts `[batch, flows · (2 latent + 1)]` into the parameters of planar maps.
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
