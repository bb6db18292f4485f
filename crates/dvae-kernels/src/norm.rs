//! Euclidean norms of all gradients or weights of a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use dvae_checks::{RangeError, positive};

/// Whether parameter and gradient are on the plain device, where the fused step runs.
#[cfg(feature = "flex")]
pub(crate) fn is_fused<const D: usize>(parameter: &Tensor<D>, gradient: &Tensor<D>) -> bool {
    let plain = |tensor: &Tensor<D>| !tensor.device().is_autodiff();
    crate::covered!(parameter, gradient) && plain(parameter) && plain(gradient)
}

/// Clips all gradients of a model together, by their Euclidean norm (Pascanu, Mikolov & Bengio 2013, "On the
/// difficulty of training Recurrent Neural Networks", algorithm 1).
///
/// Pass a clone to the optimizer and call [`measure`](Self::measure) before each step: the optimizer's own
/// pass multiplies the gradients by `max_norm / norm` if the norm is larger.
///
/// ```
/// use dvae_kernels::{Adam, GlobalNormClip};
///
/// let clip = GlobalNormClip::new(1.0)?;
/// let optimizer = Adam { clip: Some(clip.clone()), ..Adam::default() }.init();
/// // In the loop: clip.measure(&model, &gradients); model = optimizer.step(rate, model, gradients);
/// # _ = optimizer;
/// # Ok::<(), dvae_checks::RangeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GlobalNormClip {
    max_norm: f64,
    /// Bits of the factor, shared with the optimizer.
    factor: Arc<AtomicU32>,
}

impl GlobalNormClip {
    /// Clips norms to `max_norm`, which must be finite and above 0.
    pub fn new(max_norm: f64) -> Result<Self, RangeError> {
        let max_norm = positive("max_norm", max_norm)?;
        Ok(Self { max_norm, factor: Arc::new(AtomicU32::new(1f32.to_bits())) })
    }

    /// Measures the norm of the gradients of a model, by which the next step is clipped. Waits for the
    /// device.
    pub fn measure<M: Module>(&self, model: &M, gradients: &GradientsParams) -> f64 {
        let norm = Squares::of(model, Some(gradients)).root();
        let factor = if norm > self.max_norm { self.max_norm / norm } else { 1.0 };
        self.factor.store((factor as f32).to_bits(), Ordering::Relaxed);
        norm
    }

    pub(crate) fn factor(&self) -> f32 {
        f32::from_bits(self.factor.load(Ordering::Relaxed))
    }
}

/// The gradient as the optimizer uses it, after clipping.
pub(crate) fn clipped<const D: usize>(
    gradient: Tensor<D>,
    clip: &Option<GlobalNormClip>,
) -> Tensor<D> {
    match clip {
        Some(clip) => gradient * clip.factor(),
        None => gradient,
    }
}

#[cfg(feature = "flex")]
pub(crate) fn factor(clip: &Option<GlobalNormClip>) -> f32 {
    clip.as_ref().map_or(1.0, GlobalNormClip::factor)
}

/// The norm of the gradients of a model, `[1]`, on its device: only reading it waits.
pub fn gradient_norm<M: Module>(
    model: &M,
    gradients: &GradientsParams,
    device: &Device,
) -> Tensor<1> {
    Squares::of(model, Some(gradients)).root_on(device)
}

/// The norm of the weights of a model, `[1]`, on its device.
pub fn weight_norm<M: Module>(model: &M, device: &Device) -> Tensor<1> {
    Squares::of(model, None).root_on(device)
}

/// Sums the squares of all gradients, or of all weights if there are none.
struct Squares<'a> {
    gradients: Option<&'a GradientsParams>,
    fused: f64,
    /// The sum for tensors that are not on the host, so that there is only one wait.
    others: Option<Tensor<1>>,
}

impl<'a> Squares<'a> {
    fn of<M: Module>(model: &M, gradients: Option<&'a GradientsParams>) -> Self {
        let mut squares = Self { gradients, fused: 0.0, others: None };
        model.visit(&mut squares);
        squares
    }

    fn root(self) -> f64 {
        let others = self.others.map_or(0.0, |sum| sum.into_scalar::<f64>());
        (self.fused + others).sqrt()
    }

    fn root_on(self, device: &Device) -> Tensor<1> {
        match self.others {
            Some(others) => (others + self.fused).sqrt(),
            None => Tensor::from_floats([self.fused.sqrt() as f32], device),
        }
    }

    fn entries<const D: usize>(&self, id: ParamId, weight: &Tensor<D>) -> Option<Tensor<D>> {
        match self.gradients {
            Some(gradients) => gradients.get::<D>(id),
            None if weight.device().is_autodiff() => Some(weight.clone().inner()),
            None => Some(weight.clone()),
        }
    }
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let Some(entries) = self.entries(parameter.id, &parameter.val()) else { return };
        #[cfg(feature = "flex")]
        if is_fused(&entries, &entries) {
            self.fused += crate::flex::adam::sum_of_squares(entries);
            return;
        }
        let sum = entries.square().sum();
        self.others = Some(match self.others.take() {
            Some(others) => others + sum,
            None => sum,
        });
    }
}
