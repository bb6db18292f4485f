//! Adam, fused where it can be.

use burn::optim::{AdamConfig, AdamState, LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

/// Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1).
///
/// On flex one pass updates parameter and moments in place; elsewhere Burn's own Adam runs. The
/// state is Burn's, so records of either can be loaded by the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// What keeps the division from 0.
    pub epsilon: f32,
}

impl Default for Adam {
    /// The paper's: 0.9, 0.999, 10⁻⁸.
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

impl Adam {
    /// An optimiser of whole models.
    pub fn init(self) -> ModuleOptimizer {
        ModuleOptimizer::from(self)
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        #[cfg(feature = "flex")]
        if crate::covers(&[
            (parameter.device(), parameter.dtype()),
            (gradient.device(), gradient.dtype()),
        ]) {
            let (parameter, state) =
                crate::flex::adam::step(self, rate, parameter, gradient, state);
            return (parameter, Some(state));
        }
        AdamConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.epsilon)
            .build()
            .step(rate, parameter, gradient, state)
    }

    fn to_device<const D: usize>(mut state: AdamState<D>, device: &Device) -> AdamState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
