//! Functions of entries, each written once.

use std::fmt::Debug;

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::flex;
use crate::{Dual, Number, Scalar, log_sum_exp};

/// A function of one entry: of `P` parameters, at least 1, with respect to which it is differentiated, and of `C`
/// constants.
///
/// It is written once, in [`Formula::at`]. On flex it runs in one vectorized pass that makes values and
/// derivatives, weighs them and sums them by row. Elsewhere, and where a constant is tracked, shapes differ or there
/// are more than five tensors or four of parameters, it runs as Burn's operations.
///
/// ```
/// use burn::tensor::Tensor;
/// use dvae_kernels::{Formula, Parameters, Scalar};
///
/// /// The log-density of a Cauchy distribution of unit scale, by its location.
/// #[derive(Clone, Copy, Debug)]
/// struct Cauchy;
///
/// impl Formula<1, 1> for Cauchy {
///     #[inline(always)]
///     fn at<S: Scalar>(&self, [location]: [S; 1], [x]: [S::Constant; 1]) -> S {
///         -(location - x).square().log1p() - std::f64::consts::PI.ln()
///     }
/// }
///
/// # #[cfg(feature = "flex")] {
/// # let device = burn::tensor::Device::flex();
/// let locations = Parameters::Apart([Tensor::<2>::zeros([1, 3], &device)]);
/// let nats = Cauchy.rows(&locations, [Tensor::ones([1, 3], &device)], None);
/// assert!((nats.into_scalar::<f32>() + 3.0 * std::f32::consts::TAU.ln()).abs() < 1e-6);
/// # }
/// ```
pub trait Formula<const P: usize, const C: usize>: Copy + Debug + Send + Sync + 'static {
    /// The value. Mark the implementation `#[inline(always)]`: what is not inlined is not vectorized.
    fn at<S: Scalar>(&self, parameters: [S; P], constants: [S::Constant; C]) -> S;

    /// The value and its derivative with respect to each parameter. An implementation of its own is for a formula
    /// whose derivatives cost less, or round better, than those of [`Dual`] numbers.
    #[inline(always)]
    fn with_slopes(&self, parameters: [f32; P], constants: [f32; C]) -> (f32, [f32; P]) {
        let (mut duals, mut numbers) = ([Dual::constant(Number(0.0)); P], [Number(0.0); C]);
        for i in 0..P {
            duals[i] = Dual::parameter(parameters[i], i);
        }
        for i in 0..C {
            numbers[i] = Number(constants[i]);
        }
        let Dual { value, slopes } = self.at(duals, numbers);
        (value, slopes)
    }

    /// The value of every entry, in the entries' shape.
    ///
    /// # Panics
    ///
    /// If the shapes differ (where one is 1, Burn's operations broadcast it).
    fn each<const D: usize>(
        &self,
        parameters: &Parameters<D, P>,
        constants: [Tensor<D>; C],
    ) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if let Some(values) = flex::fused(
            || flex::Entrywise::<Self, P, C>(*self),
            flex::Operands::of(parameters, &constants, None),
            false,
        ) {
            return values;
        }
        self.at(parameters.all(), constants)
    }

    /// The values, multiplied by weights, if any, and summed over all features of a row: `[batch]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ (where one is 1, Burn's operations broadcast it).
    fn rows<const D: usize>(
        &self,
        parameters: &Parameters<D, P>,
        constants: [Tensor<D>; C],
        weights: Option<Tensor<D>>,
    ) -> Tensor<1> {
        #[cfg(feature = "flex")]
        if let Some(sums) = flex::fused(
            || flex::Entrywise::<Self, P, C>(*self),
            flex::Operands::of(parameters, &constants, weights.as_ref()),
            true,
        ) {
            return sums;
        }
        sum_rows(self.at(parameters.all(), constants), weights)
    }
}

/// The parameters of entries `[batch, …]`.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per step; tensor handles are large with wgpu.
pub enum Parameters<const D: usize, const P: usize> {
    /// Side by side on axis 1 of a network's outputs: the first parameter of all entries, then the second, and
    /// so on. A fused pass reads them where they are.
    Beside(Tensor<D>),
    /// Each in a tensor of the entries' shape.
    Apart([Tensor<D>; P]),
}

impl<const D: usize, const P: usize> Parameters<D, P> {
    /// The parameter at this place, in the entries' shape.
    ///
    /// # Panics
    ///
    /// If `place` is not below `P`, or axis 1 of the outputs is not a multiple of `P`.
    pub fn get(&self, place: usize) -> Tensor<D> {
        match self {
            Self::Beside(outputs) if P == 1 => outputs.clone(),
            Self::Beside(outputs) => {
                let width = self.shape()[1];
                outputs.clone().narrow(1, place * width, width)
            }
            Self::Apart(parameters) => parameters[place].clone(),
        }
    }

    /// All parameters, each in the entries' shape.
    pub fn all(&self) -> [Tensor<D>; P] {
        std::array::from_fn(|place| self.get(place))
    }

    /// The shape of the entries.
    ///
    /// # Panics
    ///
    /// If axis 1 of the outputs is not a multiple of `P`.
    pub fn shape(&self) -> [usize; D] {
        match self {
            Self::Beside(outputs) if P == 1 => outputs.dims(),
            Self::Beside(outputs) => {
                let mut shape = outputs.dims();
                assert!(
                    D > 1 && shape[1].is_multiple_of(P),
                    "axis 1 of outputs {shape:?} for {P} parameters of each entry"
                );
                shape[1] /= P;
                shape
            }
            Self::Apart(parameters) => parameters[0].dims(),
        }
    }

    /// The tensors that hold the parameters.
    #[cfg(feature = "flex")]
    pub(crate) fn tensors(&self) -> &[Tensor<D>] {
        match self {
            Self::Beside(outputs) => std::slice::from_ref(outputs),
            Self::Apart(parameters) => parameters,
        }
    }
}

/// `ln Σₖ πₖ e^{fₖ}` of every entry: a mixture whose components have the log-density `f`, each with its own
/// parameters.
///
/// The outputs have on axis 1 the logits of the weights `π` of all components, then their first parameters, then
/// the second ones, and so on. On flex weights, components and sums are one pass.
#[derive(Clone, Copy, Debug)]
pub struct Mixture<F> {
    /// The log-density of a component.
    pub component: F,
    /// The number of components, at least 1.
    pub components: usize,
}

impl<F> Mixture<F> {
    /// The value at every entry of `x` `[batch, c, …]`, from outputs `[batch, (1 + P) · components · c, …]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ from these, or there are no components.
    pub fn each<const D: usize, const P: usize>(
        &self,
        outputs: &Tensor<D>,
        x: Tensor<D>,
    ) -> Tensor<D>
    where
        F: Formula<P, 1>,
    {
        #[cfg(feature = "flex")]
        if let Some(values) =
            flex::fused(|| self.pass::<P>(), flex::Operands::at(outputs, &x, None), false)
        {
            return values;
        }
        self.plain(outputs, x)
    }

    /// The values, multiplied by weights, if any, and summed over all features of a row: `[batch]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ from those of [`Mixture::each`].
    pub fn rows<const D: usize, const P: usize>(
        &self,
        outputs: &Tensor<D>,
        x: Tensor<D>,
        weights: Option<Tensor<D>>,
    ) -> Tensor<1>
    where
        F: Formula<P, 1>,
    {
        #[cfg(feature = "flex")]
        if let Some(sums) = flex::fused(
            || self.pass::<P>(),
            flex::Operands::at(outputs, &x, weights.as_ref()),
            true,
        ) {
            return sums;
        }
        sum_rows(self.plain(outputs, x), weights)
    }

    #[cfg(feature = "flex")]
    fn pass<const P: usize>(&self) -> flex::Components<F, P>
    where
        F: Formula<P, 1>,
    {
        flex::Components { component: self.component, components: self.components }
    }

    fn plain<const D: usize, const P: usize>(&self, outputs: &Tensor<D>, x: Tensor<D>) -> Tensor<D>
    where
        F: Formula<P, 1>,
    {
        let (shape, k) = (x.dims(), self.components);
        let features = shape[1..].iter().product();
        let outputs: Tensor<3> = outputs.clone().reshape([shape[0], (1 + P) * k, features]);
        let x: Tensor<3> = x.reshape([shape[0], 1, features]).expand([shape[0], k, features]);
        let part = |i: usize| outputs.clone().narrow(1, i * k, k);
        let of_components = self.component.at(std::array::from_fn(|p| part(1 + p)), [x]);
        // Weights first: logits may be far larger than densities.
        let log_weights = part(0) - log_sum_exp(part(0), 1);
        log_sum_exp(log_weights + of_components, 1).reshape(shape)
    }
}

/// `lₓ − ln Σₖ e^{lₖ}` of every entry: the log-probability of its class `x`, from a logit for each class.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    /// The number of classes, at least 1.
    pub classes: usize,
}

impl LogSoftmax {
    /// The value at every entry of `x` `[batch, c, …]`, whole numbers from 0 as floats, from logits
    /// `[batch, classes · c, …]`. Entries that are not a class count as the nearest one below, or as the first.
    ///
    /// # Panics
    ///
    /// If the shapes differ from these.
    pub fn each<const D: usize>(self, logits: &Tensor<D>, x: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if let Some(values) =
            flex::fused(|| self.pass(), flex::Operands::at(logits, &x, None), false)
        {
            return values;
        }
        self.plain(logits, x)
    }

    /// The values, multiplied by weights, if any, and summed over all features of a row: `[batch]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ from those of [`LogSoftmax::each`].
    pub fn rows<const D: usize>(
        self,
        logits: &Tensor<D>,
        x: Tensor<D>,
        weights: Option<Tensor<D>>,
    ) -> Tensor<1> {
        #[cfg(feature = "flex")]
        if let Some(sums) =
            flex::fused(|| self.pass(), flex::Operands::at(logits, &x, weights.as_ref()), true)
        {
            return sums;
        }
        sum_rows(self.plain(logits, x), weights)
    }

    #[cfg(feature = "flex")]
    fn pass(self) -> flex::Classes {
        flex::Classes { classes: self.classes, given: true }
    }

    fn plain<const D: usize>(self, logits: &Tensor<D>, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        let features = shape[1..].iter().product();
        let logits: Tensor<3> = logits.clone().reshape([shape[0], self.classes, features]);
        let last = (self.classes - 1) as f64;
        let class = x.reshape([shape[0], 1, features]).clamp(0.0, last).int();
        (logits.clone().gather(1, class) - log_sum_exp(logits, 1)).reshape(shape)
    }
}

/// Sums entries `[batch, …]` over all features of a row: `[batch]`.
pub fn sum_features<const D: usize>(each: Tensor<D>) -> Tensor<1> {
    let rows = each.dims()[0];
    let features = each.dims()[1..].iter().product::<usize>();
    each.reshape([rows, features]).sum_dim(1).reshape([rows])
}

/// Entries, multiplied by weights, if any, and summed over all features of a row: `[batch]`.
fn sum_rows<const D: usize>(each: Tensor<D>, weights: Option<Tensor<D>>) -> Tensor<1> {
    let each = match weights {
        Some(weights) => each * weights,
        None => each,
    };
    sum_features(each)
}
