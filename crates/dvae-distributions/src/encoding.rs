//! Encodings: a posterior together with its prior.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use dvae_random::RowStreams;

use crate::{
    Context, DiagonalNormal, FlowPosterior, FlowPrior, FullNormal, Inference, Kl, Latent,
    LatentShape, Latents, MixtureNormal, StandardNormal,
};

/// The result of encoding an input: the posterior `q(z | x̃)` and the prior `p(z)`.
///
/// In a model with several levels it is the encoding of the top level, and [`Encoding::below`] gives that of
/// the level below, given a latent of this one:
///
/// ```text
/// q(z | x̃) = q(z₁ | x̃) q(z₂ | z₁, x̃) …,   p(z) = p(z₁) p(z₂ | z₁) …
/// ```
#[derive(Clone, Debug)]
pub struct Encoding {
    /// `q(z₁ | x̃)`.
    pub posterior: Posterior,
    /// `p(z₁)`.
    pub prior: Prior,
    shape: LatentShape,
    below: Option<Arc<dyn LevelBelow>>,
    context: Option<Context>,
}

/// The encoding of a level, as a function of the latent above it.
pub trait LevelBelow: Debug {
    /// The level's posterior and prior, given the latent of the level above.
    fn given(&self, above: &Latent) -> Encoding;
}

/// A posterior of any family.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per step; tensor handles are large with wgpu.
pub enum Posterior {
    /// Diagonal normal.
    Diagonal(DiagonalNormal),
    /// Normal of full covariance.
    Full(FullNormal),
    /// A normal transformed by a flow.
    Flow(FlowPosterior),
}

/// A prior of any family.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per step; tensor handles are large with wgpu.
pub enum Prior {
    /// `N(0, I)`.
    Standard,
    /// A diagonal normal for each row: the prior of a level, given the levels above.
    Diagonal(DiagonalNormal),
    /// A mixture of diagonal normals.
    Mixture(MixtureNormal),
    /// `N(0, I)` transformed by a flow.
    Flow(FlowPrior),
}

impl Encoding {
    /// A single level, which is a vector.
    pub fn new(posterior: Posterior, prior: Prior) -> Self {
        let shape = LatentShape::Vector(posterior.len());
        Self { posterior, prior, shape, below: None, context: None }
    }

    /// The encoding with latents of another shape.
    ///
    /// # Panics
    ///
    /// If the shape has a different number of latents.
    pub fn shaped(self, shape: LatentShape) -> Self {
        assert_eq!(shape.len(), self.posterior.len(), "latents of the posterior, as {shape:?}");
        Self { shape, ..self }
    }

    /// The encoding with a level below it.
    pub fn above(self, below: Arc<dyn LevelBelow>) -> Self {
        Self { below: Some(below), ..self }
    }

    /// The encoding with what the model computed on the way down to this level.
    pub fn with_context(self, context: Context) -> Self {
        Self { context: Some(context), ..self }
    }

    /// The shape of this level's latents.
    pub fn shape(&self) -> LatentShape {
        self.shape
    }

    /// The encoding of the level below, given latents of this one `[batch, latent]`, if there is one.
    pub fn below(&self, latent: &Latent) -> Option<Self> {
        self.below.as_ref().map(|below| below.given(latent))
    }

    /// Whether there is only one level.
    pub fn is_flat(&self) -> bool {
        self.below.is_none()
    }

    /// Draws `z`, level by level, and computes the densities that a bound needs. The KL of a level has a
    /// closed form between normals ([`Encoding::closed_form_kl`]); otherwise it is estimated from the one
    /// draw.
    pub fn infer(&self, draws: &mut RowStreams) -> Inference {
        let mut inference = self.infer_level(draws);
        let mut last = self.clone();
        while let Some(below) = last.below(&inference.latents.levels()[inference.kl.len() - 1]) {
            inference = inference.above(below.infer_level(draws));
            last = below;
        }
        inference
    }

    fn infer_level(&self, draws: &mut RowStreams) -> Inference {
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
        let latents = vec![Latent::new(latent, self.shape)].into();
        let context = self.context.clone();
        Inference { latents, log_posterior, log_prior, kl: vec![kl], context }
    }

    /// The encodings of all levels, top first, each given the posterior means ([`Posterior::mean`]) of the
    /// levels above.
    pub fn at_means(&self) -> Vec<Self> {
        let mut levels = vec![self.clone()];
        while let Some(below) = levels.last().and_then(|last| last.below(&last.mean())) {
            levels.push(below);
        }
        levels
    }

    /// The posterior's mean of each level, given the means of the levels above: [`Encoding::at_means`].
    pub fn means(&self) -> Latents {
        self.at_means().iter().map(Self::mean).collect::<Vec<_>>().into()
    }

    /// The posterior's mean.
    pub fn mean(&self) -> Latent {
        Latent::new(self.posterior.mean(), self.shape)
    }

    /// `log q(z | x̃)` of all levels at given latents: `[batch]`, nats. `None` if a level is a flow, whose
    /// density is known only at its own draws.
    pub fn log_posterior(&self, latents: &Latents) -> Option<Tensor<1>> {
        let mut sum = self.posterior.log_prob(latents.levels()[0].values())?;
        let mut last = self.clone();
        for (above, latent) in latents.levels().iter().zip(&latents.levels()[1..]) {
            last = last.below(above)?;
            sum = sum + last.posterior.log_prob(latent.values())?;
        }
        Some(sum)
    }

    /// `KL(q ‖ p)` of each latent, if it has a closed form: `[batch, latent]`, nats.
    pub fn closed_form_kl(&self) -> Option<Tensor<2>> {
        match (&self.posterior, &self.prior) {
            (Posterior::Diagonal(q), Prior::Standard) => Some(q.kl_to_standard_normal()),
            (Posterior::Full(q), Prior::Standard) => Some(q.kl_to_standard_normal()),
            (Posterior::Diagonal(q), Prior::Diagonal(p)) => Some(q.kl_to(p)),
            _ => None,
        }
    }
}

impl From<DiagonalNormal> for Encoding {
    /// The encoding with the standard normal prior.
    fn from(posterior: DiagonalNormal) -> Self {
        Self::new(Posterior::Diagonal(posterior), Prior::Standard)
    }
}

impl Posterior {
    /// The family's name in error messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Diagonal(_) => "a diagonal normal posterior",
            Self::Full(_) => "a normal posterior of full covariance",
            Self::Flow(_) => "a posterior by a flow",
        }
    }

    /// The number of latents.
    #[allow(clippy::len_without_is_empty)] // A model without latents is rejected when it is built.
    pub fn len(&self) -> usize {
        match self {
            Self::Diagonal(normal) => normal.len(),
            Self::Full(normal) => normal.len(),
            Self::Flow(flow) => flow.len(),
        }
    }

    /// Whether the density is known at every point, not only at its own draws.
    pub fn has_density(&self) -> bool {
        !matches!(self, Self::Flow(_))
    }

    /// The mean, or for a flow the image of its base's mean: `[batch, latent]`.
    pub fn mean(&self) -> Tensor<2> {
        match self {
            Self::Diagonal(normal) => normal.mean(),
            Self::Full(normal) => normal.mean(),
            Self::Flow(flow) => flow.center(),
        }
    }

    /// `log q(z | x̃)` of each row of `z` `[batch, latent]`: `[batch]`, nats. `None` for a flow, whose
    /// density is known only at its own draws.
    pub fn log_prob(&self, z: Tensor<2>) -> Option<Tensor<1>> {
        match self {
            Self::Diagonal(normal) => Some(normal.log_prob(z)),
            Self::Full(normal) => Some(normal.log_prob(z)),
            Self::Flow(_) => None,
        }
    }

    /// The posterior with detached parameters; `None` for a flow.
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
    /// The family's name in error messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standard => "a standard normal prior",
            Self::Diagonal(_) => "a normal prior given the level above",
            Self::Mixture(_) => "a prior that is a mixture",
            Self::Flow(_) => "a prior by a flow",
        }
    }

    /// `log p(z)` of each row of `z` `[batch, latent]`: `[batch]`, nats.
    pub fn log_prob(&self, z: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Standard => StandardNormal.log_prob(z),
            Self::Diagonal(normal) => normal.log_prob(z),
            Self::Mixture(mixture) => mixture.log_prob(z),
            Self::Flow(flow) => flow.log_prob(z),
        }
    }

    /// One draw for each row of `draws`: `[rows, latent]`.
    pub fn sample(&self, latent: usize, draws: &mut RowStreams, device: &Device) -> Tensor<2> {
        match self {
            Self::Standard => StandardNormal.sample(latent, draws, device),
            Self::Diagonal(normal) => normal.sample(draws),
            Self::Mixture(mixture) => mixture.sample(draws),
            Self::Flow(flow) => flow.transform(StandardNormal.sample(latent, draws, device)),
        }
    }
}
