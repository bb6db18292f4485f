//! The standard normal prior.

use burn::tensor::{Device, Tensor};
use dvae_random::RowStreams;

use crate::LN_TAU;

/// The prior `p(z) = N(0, I)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandardNormal;

impl StandardNormal {
    /// `log p(z)` of each row of `latent` `[batch, latent]`, summed over latents: `[batch]`, nats.
    pub fn log_prob(&self, latent: Tensor<2>) -> Tensor<1> {
        let [rows, _] = latent.dims();
        let log_density = latent.square() * -0.5 - 0.5 * LN_TAU;
        log_density.sum_dim(1).reshape([rows])
    }

    /// One draw `z ~ p(z)` for each row of `draws`: `[rows, latent]`.
    pub fn sample(&self, latent: usize, draws: &mut RowStreams, device: &Device) -> Tensor<2> {
        draws.normal([draws.ids().len(), latent], device)
    }
}
