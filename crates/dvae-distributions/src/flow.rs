//! Normalizing flows: a simple distribution transformed by invertible maps.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::{DiagonalNormal, StandardNormal};

/// An invertible map of latents.
pub trait Flow: Debug {
    /// The image of each row of `z` `[batch, latent]`.
    fn forward(&self, z: Tensor<2>) -> FlowOutput;
}

/// A flow whose inverse can be computed.
pub trait Bijection: Flow {
    /// The preimage of each row of `z` `[batch, latent]`.
    fn inverse(&self, z: Tensor<2>) -> FlowOutput;
}

/// The output of a map.
#[derive(Clone, Debug)]
pub struct FlowOutput {
    /// The mapped points: `[batch, latent]`.
    pub point: Tensor<2>,
    /// `ln |det ∂point/∂z|` of each point: `[batch]`.
    pub log_determinant: Tensor<1>,
}

/// A posterior `z = f_T(… f_1(z₀))` with `z₀ ~ N(μ, diag σ²)`.
///
/// ```text
/// log q(z | x̃) = log N(z₀; μ, σ²) − Σₜ ln |det ∂fₜ/∂zₜ₋₁|
/// ```
///
/// Rezende & Mohamed (2015), "Variational Inference with Normalizing Flows", equations 6 and 7. The density
/// is known only at its own draws: the maps' inverses need not be computable.
#[derive(Clone, Debug)]
pub struct FlowPosterior {
    base: DiagonalNormal,
    flow: Arc<dyn Flow>,
}

impl FlowPosterior {
    /// From the distribution of `z₀` and the composed maps.
    pub fn new(base: DiagonalNormal, flow: Arc<dyn Flow>) -> Self {
        Self { base, flow }
    }

    /// Number of latents.
    #[allow(clippy::len_without_is_empty)] // Never empty.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// The image of the mean of `z₀`, `[batch, latent]`: a point of high density, not the mean of `z`.
    pub fn center(&self) -> Tensor<2> {
        self.flow.forward(self.base.mean()).point
    }

    /// A reparameterized draw `[batch, latent]`, and its `log q(z)` `[batch]`.
    pub fn draw(&self, draws: &mut RowStreams) -> (Tensor<2>, Tensor<1>) {
        let (first, log_density) = self.base.draw(draws);
        let FlowOutput { point, log_determinant } = self.flow.forward(first);
        (point, log_density - log_determinant)
    }
}

/// A prior `z = f(u)` with `u ~ N(0, I)`.
#[derive(Clone, Debug)]
pub struct FlowPrior {
    flow: Arc<dyn Bijection>,
}

impl FlowPrior {
    /// From the map of noise to latents.
    pub fn new(flow: Arc<dyn Bijection>) -> Self {
        Self { flow }
    }

    /// `log p(z) = log N(f⁻¹(z); 0, I) + ln |det ∂f⁻¹/∂z|` of each row of `z` `[batch, latent]`: `[batch]`,
    /// nats.
    pub fn log_prob(&self, z: Tensor<2>) -> Tensor<1> {
        let FlowOutput { point, log_determinant } = self.flow.inverse(z);
        StandardNormal.log_prob(point) + log_determinant
    }

    /// The images of rows of noise `[rows, latent]`.
    pub fn transform(&self, noise: Tensor<2>) -> Tensor<2> {
        self.flow.forward(noise).point
    }
}

/// A composition of maps.
#[derive(Debug)]
pub struct Chain<F>(pub Vec<F>);

impl<F: Flow> Flow for Chain<F> {
    fn forward(&self, z: Tensor<2>) -> FlowOutput {
        let start =
            FlowOutput { log_determinant: Tensor::zeros([z.dims()[0]], &z.device()), point: z };
        self.0.iter().fold(start, |before, map| {
            let FlowOutput { point, log_determinant } = map.forward(before.point);
            FlowOutput { point, log_determinant: before.log_determinant + log_determinant }
        })
    }
}
