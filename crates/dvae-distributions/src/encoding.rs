//! A posterior and the prior that it is held against.

use burn::tensor::{Device, Tensor};
use dvae_random::RowStreams;

use crate::{
    DiagonalNormal, FlowPosterior, FlowPrior, FullNormal, Inference, Kl, MixtureNormal,
    StandardNormal,
};

/// What an encoder makes of its input: `q(z | x̃)`, and `p(z)`.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// `q(z | x̃)`.
    pub posterior: Posterior,
    /// `p(z)`.
    pub prior: Prior,
}

/// A posterior of one of the families.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One lives for a step; a tensor's handle is large with wgpu.
pub enum Posterior {
    /// Diagonal normal.
    Diagonal(DiagonalNormal),
    /// Normal of full covariance.
    Full(FullNormal),
    /// A normal carried through a flow.
    Flow(FlowPosterior),
}

/// A prior of one of the families.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One lives for a step; a tensor's handle is large with wgpu.
pub enum Prior {
    /// `N(0, I)`.
    Standard,
    /// A mixture of diagonal normals.
    Mixture(MixtureNormal),
    /// `N(0, I)` carried through a flow.
    Flow(FlowPrior),
}

impl Encoding {
    /// Draws `z` and gathers what a bound needs. The KL is in closed form for a normal posterior and the
    /// standard normal prior, else that of the one draw.
    pub fn infer(&self, draws: &mut RowStreams) -> Inference {
        let (latent, log_posterior) = match &self.posterior {
            Posterior::Diagonal(normal) => normal.draw(draws),
            Posterior::Full(normal) => normal.draw(draws),
            Posterior::Flow(flow) => flow.draw(draws),
        };
        let log_prior = self.prior.log_prob(latent.clone());
        let kl = match self.closed_form_kl() {
            Some(per_latent) => Kl::ClosedForm(per_latent),
            None => Kl::OneSample(log_posterior.clone() - log_prior.clone()),
        };
        Inference { latent, log_posterior, log_prior, kl }
    }

    /// `KL(q ‖ p)`, the share of each latent, if it has a closed form: `[batch, latent]`, nats.
    pub fn closed_form_kl(&self) -> Option<Tensor<2>> {
        match (&self.posterior, &self.prior) {
            (Posterior::Diagonal(q), Prior::Standard) => Some(q.kl_to_standard_normal()),
            (Posterior::Full(q), Prior::Standard) => Some(q.kl_to_standard_normal()),
            _ => None,
        }
    }
}

impl From<DiagonalNormal> for Encoding {
    /// Under the standard normal prior.
    fn from(posterior: DiagonalNormal) -> Self {
        Self { posterior: Posterior::Diagonal(posterior), prior: Prior::Standard }
    }
}

impl Posterior {
    /// What it is, as errors name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Diagonal(_) => "a diagonal normal posterior",
            Self::Full(_) => "a normal posterior of full covariance",
            Self::Flow(_) => "a posterior by a flow",
        }
    }

    /// Whether its density is known at every point, not at its own draws only.
    pub fn has_density(&self) -> bool {
        !matches!(self, Self::Flow(_))
    }

    /// Its mean, or of a flow where the base's mean goes: `[batch, latent]`.
    pub fn mean(&self) -> Tensor<2> {
        match self {
            Self::Diagonal(normal) => normal.mean(),
            Self::Full(normal) => normal.mean(),
            Self::Flow(flow) => flow.center(),
        }
    }

    /// `log q(z | x̃)` of each row of `z` `[batch, latent]`: `[batch]`, nats. Nothing for a flow, whose
    /// density is known at its own draws only.
    pub fn log_prob(&self, z: Tensor<2>) -> Option<Tensor<1>> {
        match self {
            Self::Diagonal(normal) => Some(normal.log_prob(z)),
            Self::Full(normal) => Some(normal.log_prob(z)),
            Self::Flow(_) => None,
        }
    }

    /// The posterior with parameters that no gradient reaches; nothing for a flow.
    pub fn detach(&self) -> Option<Self> {
        match self {
            Self::Diagonal(normal) => Some(Self::Diagonal(normal.detach())),
            Self::Full(normal) => Some(Self::Full(normal.detach())),
            Self::Flow(_) => None,
        }
    }

    /// The diagonal normal, if it is one.
    pub fn diagonal(&self) -> Option<&DiagonalNormal> {
        match self {
            Self::Diagonal(normal) => Some(normal),
            _ => None,
        }
    }
}

impl Prior {
    /// What it is, as errors name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standard => "a standard normal prior",
            Self::Mixture(_) => "a prior that is a mixture",
            Self::Flow(_) => "a prior by a flow",
        }
    }

    /// `log p(z)` of each row of `z` `[batch, latent]`: `[batch]`, nats.
    pub fn log_prob(&self, z: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Standard => StandardNormal.log_prob(z),
            Self::Mixture(mixture) => mixture.log_prob(z),
            Self::Flow(flow) => flow.log_prob(z),
        }
    }

    /// One draw for each row of `draws`: `[rows, latent]`.
    pub fn sample(&self, latent: usize, draws: &mut RowStreams, device: &Device) -> Tensor<2> {
        match self {
            Self::Standard => StandardNormal.sample(latent, draws, device),
            Self::Mixture(mixture) => mixture.sample(draws),
            Self::Flow(flow) => flow.carry(StandardNormal.sample(latent, draws, device)),
        }
    }
}
