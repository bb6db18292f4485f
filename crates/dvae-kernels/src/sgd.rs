//! Stochastic gradient descent, clipped as [`Adam`](crate::Adam) is.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, SgdConfig, SgdState};
use burn::tensor::{Device, Tensor};

use crate::GlobalNormClip;
use crate::norm::clipped;

/// Stochastic gradient descent, `v ← μ v + g`, `θ ← θ − η v`: Sutskever et al. (2013), "On the importance of
/// initialization and momentum in deep learning", in PyTorch's form (no dampening). The default has no
/// momentum, no penalty and no clipping.
#[derive(Clone, Debug, Default)]
pub struct Sgd {
    /// `μ`.
    pub momentum: f64,
    /// Whether the step is Nesterov's, `η (g + μ v)`.
    pub nesterov: bool,
    /// `λ` of an L2 penalty: `λ θ` is added to the gradient.
    pub weight_decay: f32,
    /// Clipping of the gradients, measured before the step.
    pub clip: Option<GlobalNormClip>,
}

impl Sgd {
    /// An optimizer of whole models.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps from 1 with gradients 1, 2 and −1 and a rate of 0.1.
    fn steps(sgd: &Sgd) -> Vec<f32> {
        let device = Device::default();
        let mut parameter = Tensor::<1>::from_floats([1.0], &device);
        let mut state = None;
        let mut seen = vec![];
        for gradient in [1.0, 2.0, -1.0] {
            let gradient = Tensor::<1>::from_floats([gradient], &device);
            (parameter, state) = sgd.step(0.1, parameter, gradient, state);
            seen.push(parameter.clone().into_scalar::<f32>());
        }
        seen
    }

    // v: 1, 0.5 + 2 = 2.5, 1.25 − 1 = 0.25. Nesterov steps by g + v / 2: 1.5, 3.25, −0.875.
    // With a penalty of ½: g = 1.5, 2 + 0.425 = 2.425, −1 + 0.30375 = −0.69625.
    #[test]
    fn steps_are_hand_worked() {
        let momentum = Sgd { momentum: 0.5, ..Sgd::default() };
        let cases = [
            (Sgd::default(), [0.9, 0.7, 0.8]),
            (momentum.clone(), [0.9, 0.65, 0.625]),
            (Sgd { nesterov: true, ..momentum }, [0.85, 0.525, 0.6125]),
            (Sgd { weight_decay: 0.5, ..Sgd::default() }, [0.85, 0.6075, 0.677_125]),
        ];
        for (sgd, expected) in cases {
            let found = steps(&sgd);
            assert!(
                found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
                "{sgd:?} {found:?}"
            );
        }
    }
}
