//! What an encoder's answer tells a bound.

use burn::tensor::Tensor;

/// One latent draw per row, with the densities that a bound is made of.
#[derive(Clone, Debug)]
pub struct Inference {
    /// `z ~ q(z | x̃)`, shape `[batch, latent]`.
    pub latent: Tensor<2>,
    /// `log q(z | x̃)`, shape `[batch]`, nats.
    pub log_posterior: Tensor<1>,
    /// `log p(z)`, shape `[batch]`, nats.
    pub log_prior: Tensor<1>,
    /// `KL(q(z | x̃) ‖ p(z))` per latent, in closed form, shape `[batch, latent]`, nats.
    pub kl: Tensor<2>,
}
