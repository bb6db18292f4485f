//! What an encoder's answer tells a bound.

use burn::tensor::Tensor;

use crate::sum_features;

/// One latent draw per row, with the densities that a bound is made of.
#[derive(Clone, Debug)]
pub struct Inference {
    /// `z ~ q(z | x̃)`, shape `[batch, latent]`.
    pub latent: Tensor<2>,
    /// `log q(z | x̃)`, shape `[batch]`, nats.
    pub log_posterior: Tensor<1>,
    /// `log p(z)`, shape `[batch]`, nats.
    pub log_prior: Tensor<1>,
    /// `KL(q(z | x̃) ‖ p(z))`, in closed form or of the one draw.
    pub kl: Kl,
}

impl Inference {
    /// `log q(z | x̃) − log p(z)` of the one draw: an unbiased estimate of the KL, `[batch]`, nats.
    pub fn sampled_kl(&self) -> Tensor<1> {
        self.log_posterior.clone() - self.log_prior.clone()
    }
}

/// `KL(q(z | x̃) ‖ p(z))` of each row, in nats, and how it was come by.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One lives for a step; a tensor's handle is large with wgpu.
pub enum Kl {
    /// In closed form, the share of each latent: `[batch, latent]`.
    ClosedForm(Tensor<2>),
    /// `log q(z | x̃) − log p(z)` of the one draw, which is unbiased and may be negative: `[batch]`.
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

    /// The share of each latent `[batch, latent]`, if there is a closed form.
    pub fn per_latent(&self) -> Option<Tensor<2>> {
        match self {
            Self::ClosedForm(per_latent) => Some(per_latent.clone()),
            Self::OneSample(_) => None,
        }
    }
}
