//! Inferences: a draw of the latents with the densities that a bound needs.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{Latents, sum_features};

/// One draw of the latents of each row, with the densities that make up a bound.
#[derive(Clone, Debug)]
pub struct Inference {
    /// `z ~ q(z | x̃)`, level by level.
    pub latents: Latents,
    /// `log q(z | x̃)` of all levels, shape `[batch]`, nats.
    pub log_posterior: Tensor<1>,
    /// `log p(z)` of all levels, shape `[batch]`, nats.
    pub log_prior: Tensor<1>,
    /// `KL(q ‖ p)` of each level, top first, given the draw of the levels above: in closed form or from the
    /// one draw.
    pub kl: Vec<Kl>,
    /// What the model computed on the way to the last level, for its decoder. If you change the latents, set it to `None`.
    pub context: Option<Context>,
}

/// What a model computed on the way down to a level of latents: its own affair.
#[derive(Clone)]
pub struct Context(Arc<dyn Any + Send + Sync>);

impl Context {
    /// From what the model needs further down.
    pub fn new(context: impl Any + Send + Sync) -> Self {
        Self(Arc::new(context))
    }

    /// What it was made from, if it has this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

impl Inference {
    /// The draw together with that of the levels below.
    pub(crate) fn above(mut self, below: Self) -> Self {
        self.kl.extend(below.kl);
        let levels = [self.latents.levels(), below.latents.levels()].concat();
        Self {
            latents: levels.into(),
            log_posterior: self.log_posterior + below.log_posterior,
            log_prior: self.log_prior + below.log_prior,
            kl: self.kl,
            context: below.context,
        }
    }

    /// `log q(z | x̃) − log p(z)` of the one draw: an unbiased estimate of the KL, `[batch]`, nats.
    pub fn sampled_kl(&self) -> Tensor<1> {
        self.log_posterior.clone() - self.log_prior.clone()
    }

    /// `KL(q(z | x̃) ‖ p(z))` of each row, summed over levels and latents: `[batch]`, nats.
    pub fn total_kl(&self) -> Tensor<1> {
        let sum = self.kl.iter().map(Kl::total).reduce(|sum, kl| sum + kl);
        sum.expect("a level at least")
    }
}

/// `KL(q ‖ p)` of one level of latents, for each row, in nats: in closed form or as an estimate.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per step; tensor handles are large with wgpu.
pub enum Kl {
    /// In closed form, split by latent: `[batch, latent]`.
    ClosedForm(Tensor<2>),
    /// Estimated as `log q(z | x̃) − log p(z)` of the one draw, which is unbiased and may be negative:
    /// `[batch]`.
    OneSample(Tensor<1>),
}

impl Kl {
    /// Summed over latents: `[batch]`.
    pub fn total(&self) -> Tensor<1> {
        match self {
            Self::ClosedForm(per_latent) => sum_features(per_latent.clone()),
            Self::OneSample(total) => total.clone(),
        }
    }

    /// The KL of each latent `[batch, latent]`, if there is a closed form.
    pub fn per_latent(&self) -> Option<Tensor<2>> {
        match self {
            Self::ClosedForm(per_latent) => Some(per_latent.clone()),
            Self::OneSample(_) => None,
        }
    }
}
