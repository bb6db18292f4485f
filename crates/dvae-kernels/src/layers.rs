//! Layers: linear maps and convolutions with bias and activation.

use burn::tensor::activation::relu;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

use crate::{Formula, Parameters, Scalar};

#[cfg(feature = "flex")]
use crate::covered;
#[cfg(feature = "flex")]
use crate::flex::{FusedLayers, Geometry};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// The activation function of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(0, x)`; NaN stays NaN.
    Relu,
    /// `x σ(x)`: Elfwing et al. (2018), "Sigmoid-Weighted Linear Units".
    Silu,
}

#[derive(Clone, Copy, Debug)]
struct Silu;

impl Formula<1, 0> for Silu {
    #[inline(always)]
    fn at<S: Scalar>(&self, [x]: [S; 1], []: [S::Constant; 0]) -> S {
        x.clone() * x.sigmoid()
    }
}

impl Activation {
    /// Applies the function by itself.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => x,
            Self::Relu => relu(x),
            Self::Silu => Silu.each(&Parameters::Apart([x]), []),
        }
    }

    /// The part that a layer computes in its own pass, and the rest.
    #[cfg(feature = "flex")]
    fn split(self) -> (bool, Self) {
        match self {
            Self::Relu => (true, Self::Identity),
            other => (false, other),
        }
    }
}

/// `act(x W + b)`: `x` `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`.
///
/// # Panics
///
/// If the shapes do not match.
pub fn linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if covered!(x, weight, bias) && product_fits(x.dims(), weight.dims(), bias.dims()) {
        let (relu, rest) = activation.split();
        return rest.apply(Tensor::from_dispatch(Dispatch::fused_linear(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            relu,
        )));
    }
    activation.apply(module::linear(x, weight, Some(bias)))
}

/// `act(conv(x) + b)`: `x` `[rows, in, height, width]`, `weight` `[out, in / groups, kh, kw]`, `bias`
/// `[out]`; any stride, padding, dilation and groups.
///
/// # Panics
///
/// If the shapes do not match.
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
        let (relu, rest) = activation.split();
        return rest.apply(Tensor::from_dispatch(Dispatch::fused_conv(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            geometry,
            false,
            relu,
        )));
    }
    activation.apply(module::conv2d(x, weight, Some(bias), options))
}

/// `act(convᵀ(x) + b)`: `x` `[rows, in, height, width]`, `weight` `[in, out / groups, kh, kw]`, `bias`
/// `[out]`; any stride, padding, dilation and groups.
///
/// # Panics
///
/// If the shapes do not match.
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
        let (relu, rest) = activation.split();
        return rest.apply(Tensor::from_dispatch(Dispatch::fused_conv(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            geometry,
            true,
            relu,
        )));
    }
    activation.apply(module::conv_transpose2d(x, weight, Some(bias), options))
}

/// Whether the fused product covers these operands: matching shapes, nothing empty. Mismatched shapes take
/// the ordinary path, like everything not covered, and fail Burn's own checks there.
#[cfg(feature = "flex")]
fn product_fits([rows, inputs]: [usize; 2], weight: [usize; 2], [bias]: [usize; 1]) -> bool {
    weight == [inputs, bias] && ![rows, inputs, bias].contains(&0)
}

/// With fewer images than this, too many lanes of a vector are empty.
#[cfg(feature = "flex")]
const FEW: usize = 4;

/// The geometry of a covered convolution: matching shapes, one group, nothing empty.
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
    let empty = [c, h, w, o].contains(&0) || options.stride.contains(&0);
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
    let empty = c == 0 || image.contains(&0) || options.stride.contains(&0);
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
