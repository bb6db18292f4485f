//! Fused, vectorized operations under Burn's CPU back end; ordinary Burn operations elsewhere.
//!
//! A function here is called like any tensor function and differentiates like one. If a fused operation
//! covers the device, the element type and the shape, it runs; if not, the same result, up to rounding, is
//! computed with Burn's own operations.
//!
//! | Function                        | Fused with                           | Covered                             |
//! |---------------------------------|--------------------------------------|-------------------------------------|
//! | [`linear`]                      | bias, activation                     | flex, `f32`                         |
//! | [`conv2d`]                      | bias, activation                     | flex, `f32`, one group, 4 rows or more |
//! | [`conv_transpose2d`]            | bias, activation                     | flex, `f32`, one group, 4 rows or more |
//! | [`MapConv`]                     | activation and resizing before it, bias, residual | flex, `f32`, kernel 3, or 1 unless sides are halved |
//! | [`gru`]                         | product, gates, all steps            | flex, `f32`                         |
//! | [`Formula`]                     | its derivatives, weights, sum by row | flex, `f32`                         |
//! | [`Mixture`] of formulas         | the same, logits, sum of components  | flex, `f32`                         |
//! | [`LogSoftmax`], [`log_sum_exp`] | its derivatives, choice of the class | flex, `f32`, along axis 1           |
//! | [`sigmoid`]                     | its derivative                       | flex, `f32`                         |
//! | [`reparameterize`]              | its derivatives                      | flex, `f32`                         |
//! | [`kl_to_standard_normal`]       | its derivatives                      | flex, `f32`                         |
//! | [`Adam`], [`AdamW`]             | moments, step, decay, clipping       | flex, `f32`                         |
//! | [`streams`]                     | Philox, law                          | wgpu, CUDA, ROCm (see below)        |
//!
//! A [`Formula`] is any function of entries, written once over [`Scalar`]: this crate knows no distribution.
//! [`math`] holds the elementary functions, each with an error bound over every `f32`.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Tensor};
//! use dvae_kernels::{Activation, linear};
//!
//! let device = Device::flex();
//! let (x, weight) = (Tensor::ones([1, 2], &device), Tensor::ones([2, 3], &device));
//! let out = linear(x, weight, Tensor::from_data([-3.0, 0.0, 1.0], &device), Activation::Relu);
//! assert_eq!(out.into_data().try_to_vec::<f32>().unwrap(), [0.0, 2.0, 3.0]);
//! # }
//! ```
//!
//! # Bits
//!
//! Results have the same bits on any number of threads. Element-wise code has no fused multiply-add and gives
//! the same bits on every instruction set. Sums of products (layers) use it if the machine has it: AVX2 and
//! AVX-512 give the same convolutions, and the baseline of x86-64 differs in the last bits. Matrix products
//! may differ between any two instruction sets, because their kernels split the sums differently.
//!
//! # What this gives up
//!
//! - Second derivatives, and derivatives with respect to a constant of a formula (`x`, weights, noise), take
//!   the ordinary path. So does a formula of more than five tensors, or of more
//!   than four tensors of parameters.
//! - A convolution interleaves sixteen images: fewer than four take the ordinary path, and the last few of a
//!   batch cost as much as sixteen. A thread needs memory for sixteen images and their features.
//! - An infinite or NaN weight does not reach an output through padding, because padding is not multiplied. In a
//!   [`MapConv`] it is.
//! - Gradients of the weights of a [`MapConv`] have other last bits on another instruction set: lanes are summed at the end.
//! - The instruction set of the matrix products is the `gemm` crate's own choice.
//! - [`streams`] is compiled for CUDA and ROCm from the same code, but was run only on wgpu.

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;

mod adam;
mod dual;
mod formula;
mod gru;
mod host;
mod latent;
mod layers;
mod log_sum_exp;
mod map_conv;
pub mod math;
mod norm;
mod scalar;
mod sgd;
mod special;
pub mod streams;
mod switch;

pub use adam::{Adam, AdamW};
pub use dual::Dual;
pub use formula::{Formula, LogSoftmax, Mixture, Parameters, sum_features};
pub use gru::{Direction, gru};
pub use host::{on_host, with_values};
pub use latent::{kl_to_standard_normal, reparameterize, sigmoid};
pub use layers::{Activation, conv_transpose2d, conv2d, linear};
pub use log_sum_exp::log_sum_exp;
pub use map_conv::{MapConv, Resize};
pub use norm::{GlobalNormClip, gradient_norm, weight_norm};
pub use scalar::{Number, Scalar};
pub use sgd::Sgd;
pub use switch::{enabled, set_enabled};

#[cfg(feature = "flex")]
use burn::tensor::{DType, Device};

/// Whether fused operations may be used on operands of these devices and element types.
#[cfg(feature = "flex")]
pub(crate) fn covers(operands: &[(Device, DType)]) -> bool {
    let flex = Device::flex();
    enabled() && operands.iter().all(|(device, dtype)| *device == flex && *dtype == DType::F32)
}

#[cfg(feature = "flex")]
macro_rules! covered {
    ($($tensor:ident),+) => {
        $crate::covers(&[$(($tensor.device(), $tensor.dtype())),+])
    };
}
#[cfg(feature = "flex")]
pub(crate) use covered;
