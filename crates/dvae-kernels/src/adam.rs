//! Adam and AdamW, fused where they can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    AdamConfig, AdamState, AdamWConfig, AdamWState, GradientsParams, LearningRate, ModuleOptimizer,
    Optimizer,
};
use burn::tensor::{Device, Tensor};

/// Adam (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1).
///
/// On flex one pass updates parameter and moments in place; elsewhere Burn's own Adam runs. The
/// state is Burn's, so records of either can be loaded by the other.
#[derive(Clone, Debug)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// What keeps the division from 0.
    pub epsilon: f32,
    /// `λ` of an L2 penalty: `λ θ` is added to the gradient.
    pub weight_decay: f32,
    /// Clipping of the gradients, measured before the step.
    pub clip: Option<GlobalNormClip>,
}

impl Default for Adam {
    /// The paper's: 0.9, 0.999, 10⁻⁸; no penalty, no clipping.
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip: None }
    }
}

/// AdamW (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2): the decay
/// `−η λ θ` is a step of its own and not part of the gradient.
///
/// Fused and recorded as [`Adam`] is.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// What keeps the division from 0.
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
    /// An optimiser of whole models.
    pub fn init(self) -> ModuleOptimizer {
        ModuleOptimizer::from(self)
    }
}

impl AdamW {
    /// An optimiser of whole models.
    pub fn init(self) -> ModuleOptimizer {
        ModuleOptimizer::from(self)
    }
}

/// Whether parameter and gradient are where the fused step runs: on the plain device.
#[cfg(feature = "flex")]
fn is_fused<const D: usize>(parameter: &Tensor<D>, gradient: &Tensor<D>) -> bool {
    let plain = |tensor: &Tensor<D>| !tensor.device().is_autodiff();
    crate::covered!(parameter, gradient) && plain(parameter) && plain(gradient)
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

fn clipped<const D: usize>(gradient: Tensor<D>, clip: &Option<GlobalNormClip>) -> Tensor<D> {
    match clip {
        Some(clip) => gradient * clip.factor(),
        None => gradient,
    }
}

/// Clipping of all gradients of a model together, by their Euclidean norm (Pascanu, Mikolov & Bengio
/// 2013, "On the difficulty of training Recurrent Neural Networks", algorithm 1).
///
/// Give one to the optimiser and [`measure`](Self::measure) before each step: the optimiser's own pass
/// multiplies the gradients by `max_norm / norm` if the norm is larger.
///
/// ```
/// use dvae_kernels::{Adam, GlobalNormClip};
///
/// let clip = GlobalNormClip::new(1.0)?;
/// let optimiser = Adam { clip: Some(clip.clone()), ..Adam::default() }.init();
/// // In the loop: clip.measure(&model, &gradients); model = optimiser.step(rate, model, gradients);
/// # _ = optimiser;
/// # Ok::<(), dvae_kernels::ClipError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GlobalNormClip {
    max_norm: f64,
    /// Bits of the factor, shared with the optimiser.
    factor: Arc<AtomicU32>,
}

impl GlobalNormClip {
    /// Lets no norm above `max_norm` through, which must be finite and above 0.
    pub fn new(max_norm: f64) -> Result<Self, ClipError> {
        if !(max_norm > 0.0 && max_norm.is_finite()) {
            return Err(ClipError { max_norm });
        }
        Ok(Self { max_norm, factor: Arc::new(AtomicU32::new(1f32.to_bits())) })
    }

    /// The norm of the gradients of a model, which the next step is clipped by.
    pub fn measure<M: Module>(&self, model: &M, gradients: &GradientsParams) -> f64 {
        let mut squares = Squares { gradients, fused: 0.0, others: None };
        model.visit(&mut squares);
        let others = squares.others.map_or(0.0, |sum| sum.into_scalar::<f64>());
        let norm = (squares.fused + others).sqrt();
        let factor = if norm > self.max_norm { self.max_norm / norm } else { 1.0 };
        self.factor.store((factor as f32).to_bits(), Ordering::Relaxed);
        norm
    }

    fn factor(&self) -> f32 {
        f32::from_bits(self.factor.load(Ordering::Relaxed))
    }
}

/// A norm that gradients cannot be clipped to.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("`max_norm` must be finite and above 0, but is {max_norm}")]
pub struct ClipError {
    max_norm: f64,
}

#[cfg(feature = "flex")]
pub(crate) fn factor(clip: &Option<GlobalNormClip>) -> f32 {
    clip.as_ref().map_or(1.0, GlobalNormClip::factor)
}

/// Adds up the squares of all gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    fused: f64,
    /// Those that are not on the host, so that they are waited for once.
    others: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(parameter.id) else { return };
        #[cfg(feature = "flex")]
        if is_fused(&gradient, &gradient) {
            self.fused += crate::flex::adam::sum_of_squares(gradient);
            return;
        }
        let sum = gradient.square().sum();
        self.others = Some(match self.others.take() {
            Some(others) => others + sum,
            None => sum,
        });
    }
}
