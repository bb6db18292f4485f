//! Stochastic gradient descent, clipped as [`Adam`](crate::Adam) is.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, SgdConfig, SgdState};
use burn::tensor::{Device, Tensor};

use crate::GlobalNormClip;
use crate::norm::clipped;

/// Stochastic gradient descent, `v ← μ v + g`, `θ ← θ − η v`: Sutskever et al. (2013), "On the importance of
/// initialization and momentum in deep learning", in PyTorch's form (no dampening). The default is the plain
/// one: no momentum, no penalty, no clipping.
#[derive(Clone, Debug, Default)]
pub struct Sgd {
    /// `μ`.
    pub momentum: f64,
    /// Whether the step is `η (g + μ v)`, Nesterov's.
    pub nesterov: bool,
    /// `λ` of an L2 penalty: `λ θ` is added to the gradient.
    pub weight_decay: f32,
    /// Clipping of the gradients, measured before the step.
    pub clip: Option<GlobalNormClip>,
}

impl Sgd {
    /// An optimiser of whole models.
    pub fn init(self) -> ModuleOptimizer {
        ModuleOptimizer::from(self)
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let momentum = MomentumConfig::new().with_momentum(self.momentum).with_dampening(0.0);
        let momentum = momentum.with_nesterov(self.nesterov);
        let decay = WeightDecayConfig::new(self.weight_decay);
        SgdConfig::new()
            .with_momentum((self.momentum != 0.0).then_some(momentum))
            .with_weight_decay((self.weight_decay != 0.0).then_some(decay))
            .build()
            .step(rate, parameter, clipped(gradient, &self.clip), state)
    }

    fn to_device<const D: usize>(mut state: SgdState<D>, device: &Device) -> SgdState<D> {
        state.momentum = state.momentum.map(|momentum| momentum.to_device(device));
        state
    }
}
