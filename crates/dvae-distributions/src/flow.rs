//! Normalizing flows: a simple law, carried through invertible maps.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::{DiagonalNormal, StandardNormal};

/// An invertible map of latents.
pub trait Flow: Debug {
    /// Where each row of `z` `[batch, latent]` goes.
    fn forward(&self, z: Tensor<2>) -> FlowOutput;
}

/// A flow whose inverse can be computed.
pub trait Bijection: Flow {
    /// Where each row of `z` `[batch, latent]` came from.
    fn inverse(&self, z: Tensor<2>) -> FlowOutput;
}

/// Points that a map carried somewhere.
#[derive(Clone, Debug)]
pub struct FlowOutput {
    /// Where they are now: `[batch, latent]`.
    pub point: Tensor<2>,
    /// `ln |det ∂point/∂z|` of each: `[batch]`.
    pub log_determinant: Tensor<1>,
}

/// A posterior `z = f_T(… f_1(z₀))` with `z₀ ~ N(μ, diag σ²)`.
///
/// ```text
/// log q(z | x̃) = log N(z₀; μ, σ²) − Σₜ ln |det ∂fₜ/∂zₜ₋₁|
/// ```
///
/// Rezende & Mohamed (2015), "Variational Inference with Normalizing Flows", equations 6 and 7. The density is
/// known at its own draws only: its maps need not be invertible in practice.
#[derive(Clone, Debug)]
pub struct FlowPosterior {
    base: DiagonalNormal,
    flow: Arc<dyn Flow>,
}

impl FlowPosterior {
    /// From the law of `z₀` and the maps, as one.
    pub fn new(base: DiagonalNormal, flow: Arc<dyn Flow>) -> Self {
        Self { base, flow }
    }

    /// Number of latents.
    #[allow(clippy::len_without_is_empty)] // None has no latents.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Where the mean of `z₀` goes, `[batch, latent]`: a point of high density, not the mean of `z`.
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

    /// Where rows of noise `[rows, latent]` go.
    pub fn transform(&self, noise: Tensor<2>) -> Tensor<2> {
        self.flow.forward(noise).point
    }
}

/// Maps one after another.
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
