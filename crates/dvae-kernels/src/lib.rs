//! Fused, vectorised operations under Burn's CPU back end; ordinary Burn operations elsewhere.
//!
//! A function here is called like any tensor function and differentiates like one. It asks whether
//! a fused operation covers the device, the element type and the shape; if not, the same is composed
//! of Burn's own operations, with the same result to rounding.
//!
//! | Function                     | Fused with                              | Covered                       |
//! |------------------------------|-----------------------------------------|-------------------------------|
//! | [`linear`]                   | bias, activation                        | flex, `f32`                   |
//! | [`conv2d`]                   | bias, activation                        | flex, `f32`, one group        |
//! | [`conv_transpose2d`]         | bias, activation                        | flex, `f32`, one group        |
//! | [`bernoulli_log_prob`]       | its derivative                          | flex, `f32`                   |
//! | [`bernoulli_log_likelihood`] | its derivative, the sum over a row      | flex, `f32`                   |
//! | [`Adam`]                     | both moments and the step, in place     | flex, `f32`                   |
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_kernels::{Activation, linear};
//!
//! let device = Device::flex();
//! let (x, weight) = (Tensor::ones([1, 2], &device), Tensor::ones([2, 3], &device));
//! let out = linear(x, weight, Tensor::from_data([-3.0, 0.0, 1.0], &device), Activation::Relu);
//! assert_eq!(out.into_data().try_to_vec::<f32>().unwrap(), [0.0, 2.0, 3.0]);
//! ```
//!
//! Results are the same bits on any number of threads. Element-wise code gives the same bits on every
//! instruction set; matrix products do not, because their kernels use fused multiply-adds where the
//! machine has them.
//!
//! # What this gives up
//!
//! - Second derivatives, and derivatives in the data of a density (then the ordinary path runs).
//! - An infinite or NaN pixel may spread to more entries of a weight's gradient than it would in a
//!   convolution written out: both are non-finite.

#[cfg(feature = "flex")]
mod flex;

mod adam;
mod switch;

pub use adam::Adam;
pub use switch::{enabled, set_enabled};

use burn::tensor::activation::{log_sigmoid, relu};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

#[cfg(feature = "flex")]
use burn::backend::Dispatch;
#[cfg(feature = "flex")]
use burn::tensor::{DType, Device};
#[cfg(feature = "flex")]
use flex::{FusedOps, Geometry};

/// What a layer applies to its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(0, x)`; NaN stays NaN.
    Relu,
}

impl Activation {
    fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => x,
            Self::Relu => relu(x),
        }
    }
}

/// Whether fused operations may be used on operands of these devices and element types.
#[cfg(feature = "flex")]
pub(crate) fn covers(operands: &[(Device, DType)]) -> bool {
    let flex = Device::flex();
    enabled() && operands.iter().all(|(device, dtype)| *device == flex && *dtype == DType::F32)
}

#[cfg(feature = "flex")]
macro_rules! covered {
    ($($tensor:ident),+) => {
        covers(&[$(($tensor.device(), $tensor.dtype())),+])
    };
}

/// `act(x W + b)`: `x` `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if covered!(x, weight, bias) && product_fits(x.dims(), weight.dims(), bias.dims()) {
        return Tensor::from_dispatch(Dispatch::fused_linear(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            activation == Activation::Relu,
        ));
    }
    activation.apply(module::linear(x, weight, Some(bias)))
}

/// `act(conv(x) + b)`: `x` `[rows, in, height, width]`, `weight` `[out, in / groups, kh, kw]`, `bias`
/// `[out]`; any stride, padding, dilation and groups.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    options: ConvOptions<2>,
    activation: Activation,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (true, Some(geometry)) =
        (covered!(x, weight, bias), convolution(x.dims(), weight.dims(), bias.dims(), &options))
    {
        return Tensor::from_dispatch(Dispatch::fused_conv(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            geometry,
            false,
            activation == Activation::Relu,
        ));
    }
    activation.apply(module::conv2d(x, weight, Some(bias), options))
}

/// `act(convᵀ(x) + b)`: `x` `[rows, in, height, width]`, `weight` `[in, out / groups, kh, kw]`, `bias`
/// `[out]`; any stride, padding, dilation and groups.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    options: ConvTransposeOptions<2>,
    activation: Activation,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (true, Some(geometry)) = (
        covered!(x, weight, bias),
        transposed_convolution(x.dims(), weight.dims(), bias.dims(), &options),
    ) {
        return Tensor::from_dispatch(Dispatch::fused_conv(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            geometry,
            true,
            activation == Activation::Relu,
        ));
    }
    activation.apply(module::conv_transpose2d(x, weight, Some(bias), options))
}

/// Whether a product is covered: shapes that fit, nothing empty. What does not fit goes the ordinary
/// way, as all that is not covered does, and meets Burn's own checks there.
#[cfg(feature = "flex")]
fn product_fits([rows, inputs]: [usize; 2], weight: [usize; 2], [bias]: [usize; 1]) -> bool {
    weight == [inputs, bias] && ![rows, inputs, bias].contains(&0)
}

/// Fewer images than this leave too much of a vector empty.
#[cfg(feature = "flex")]
const FEW: usize = 4;

/// The geometry of a convolution that is covered: shapes that fit, one group, nothing empty.
#[cfg(feature = "flex")]
fn convolution(
    x: [usize; 4],
    weight: [usize; 4],
    [bias]: [usize; 1],
    options: &ConvOptions<2>,
) -> Option<Geometry> {
    let ([rows, c, h, w], [o, weight_c, kh, kw]) = (x, weight);
    let side = |size: usize, kernel: usize, i: usize| {
        let padded = size + options.padding[i].0 + options.padding[i].1;
        let reach = options.dilation[i] * (kernel.checked_sub(1)?) + 1;
        Some(padded.checked_sub(reach)? / options.stride[i] + 1)
    };
    let features = [o, side(h, kh, 0)?, side(w, kw, 1)?];
    let empty = [c, h, w, o].contains(&0);
    let fits = options.groups == 1 && weight_c == c && bias == o && !empty && rows >= FEW;
    fits.then_some(Geometry {
        image: [c, h, w],
        features,
        kernel: [kh, kw],
        stride: options.stride,
        padding: options.padding.map(|(before, _)| before),
        dilation: options.dilation,
    })
}

/// The geometry of the convolution that a transposed one reverses, if it is covered.
#[cfg(feature = "flex")]
fn transposed_convolution(
    x: [usize; 4],
    weight: [usize; 4],
    [bias]: [usize; 1],
    options: &ConvTransposeOptions<2>,
) -> Option<Geometry> {
    let ([rows, c, h, w], [weight_c, o, kh, kw]) = (x, weight);
    let side = |size: usize, kernel: usize, i: usize| {
        let reach = options.dilation[i] * (kernel.checked_sub(1)?) + options.padding_out[i] + 1;
        (size.checked_sub(1)? * options.stride[i] + reach).checked_sub(2 * options.padding[i])
    };
    let image = [o, side(h, kh, 0)?, side(w, kw, 1)?];
    let empty = c == 0 || image.contains(&0);
    let fits = options.groups == 1 && weight_c == c && bias == o && !empty && rows >= FEW;
    fits.then_some(Geometry {
        image,
        features: [c, h, w],
        kernel: [kh, kw],
        stride: options.stride,
        padding: options.padding,
        dilation: options.dilation,
    })
}

/// `log p(x | logits)` of Bernoulli entries, `log σ(l) − (1 − x) l`: shape of both, in nats.
///
/// # Panics
///
/// If the shapes differ.
pub fn bernoulli_log_prob<const D: usize>(logits: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if covered!(logits, x) && logits.dims() == x.dims() && !x.is_tracked() {
        let (logits, x) = (logits.into_dispatch(), x.into_dispatch());
        return Tensor::from_dispatch(Dispatch::fused_bernoulli(logits, x, false));
    }
    log_sigmoid(logits.clone()) - (1.0 - x) * logits
}

/// [`bernoulli_log_prob`] summed over all features of a row: `[batch]`, in nats.
///
/// # Panics
///
/// If the shapes differ.
pub fn bernoulli_log_likelihood<const D: usize>(logits: Tensor<D>, x: Tensor<D>) -> Tensor<1> {
    let rows = logits.dims()[0];
    let features = logits.dims()[1..].iter().product::<usize>();
    #[cfg(feature = "flex")]
    if covered!(logits, x) && logits.dims() == x.dims() && !x.is_tracked() {
        let flat = |tensor: Tensor<D>| tensor.reshape([rows, features]).into_dispatch();
        return Tensor::from_dispatch(Dispatch::fused_bernoulli(flat(logits), flat(x), true));
    }
    bernoulli_log_prob(logits, x).reshape([rows, features]).sum_dim(1).reshape([rows])
}
