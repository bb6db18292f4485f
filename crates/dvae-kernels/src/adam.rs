//! Adam and AdamW, fused where possible.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    AdamConfig, AdamState, AdamWConfig, AdamWState, LearningRate, ModuleOptimizer, Optimizer,
};
use burn::tensor::{Device, Tensor};

use crate::GlobalNormClip;
use crate::norm::clipped;
#[cfg(feature = "flex")]
use crate::norm::is_fused;

/// Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1).
///
/// On flex one pass updates parameter and moments in place; elsewhere Burn's own Adam runs. The state is
/// Burn's, so either can load the other's records.
#[derive(Clone, Debug)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// A small number that keeps the denominator from being 0.
    pub epsilon: f32,
    /// `λ` of an L2 penalty: `λ θ` is added to the gradient.
    pub weight_decay: f32,
    /// Clipping of the gradients, measured before the step.
    pub clip: Option<GlobalNormClip>,
}

impl Default for Adam {
    /// The paper's values: 0.9, 0.999, 10⁻⁸; no penalty, no clipping.
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: None }
    }
}

/// AdamW (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2): the decay `−η λ θ`
/// is a separate step, not part of the gradient.
///
/// Fused and recorded like [`Adam`].
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// A small number that keeps the denominator from being 0.
    pub epsilon: f32,
    /// `λ`.
    pub weight_decay: f32,
    /// Clipping of the gradients, measured before the step.
    pub clip: Option<GlobalNormClip>,
}

impl Default for AdamW {
    /// 0.9, 0.999, 10⁻⁸ and the 10⁻² of PyTorch; no clipping.
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-2, clip: None }
    }
}

impl Adam {
    /// An optimizer of whole models.
    pub fn init(self) -> ModuleOptimizer {
        ModuleOptimizer::from(self)
    }
}

impl AdamW {
    /// An optimizer of whole models.
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
        if is_fused(&parameter, &gradient) {
            let decay = crate::flex::adam::Decay { gradient: self.weight_decay, step: 0.0 };
            let betas = [self.beta_1, self.beta_2];
            let settings = crate::flex::adam::Settings::new(betas, self.epsilon, decay, &self.clip);
            let momentum = state.map(|state| state.momentum);
            let (parameter, momentum) = settings.step(rate, parameter, gradient, momentum);
            return (parameter, Some(AdamState::new(momentum)));
        }
        let decay = (self.weight_decay != 0.0).then(|| WeightDecayConfig::new(self.weight_decay));
        AdamConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.epsilon)
            .with_weight_decay(decay)
            .build()
            .step(rate, parameter, clipped(gradient, &self.clip), state)
    }

    fn to_device<const D: usize>(mut state: AdamState<D>, device: &Device) -> AdamState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        #[cfg(feature = "flex")]
        if is_fused(&parameter, &gradient) {
            let step = (rate * f64::from(self.weight_decay)) as f32;
            let decay = crate::flex::adam::Decay { gradient: 0.0, step };
            let betas = [self.beta_1, self.beta_2];
            let settings = crate::flex::adam::Settings::new(betas, self.epsilon, decay, &self.clip);
            let momentum = state.map(|state| state.momentum);
            let (parameter, momentum) = settings.step(rate, parameter, gradient, momentum);
            return (parameter, Some(AdamWState::new(momentum)));
        }
        AdamWConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.epsilon)
            .with_weight_decay(self.weight_decay)
            .build()
            .step(rate, parameter, clipped(gradient, &self.clip), state)
    }

    fn to_device<const D: usize>(mut state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
