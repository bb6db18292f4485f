//! Fused, vectorized operations under Burn's CPU back end; ordinary Burn operations elsewhere.
//!
//! A function here is called like any tensor function and differentiates like one. It asks whether
//! a fused operation covers the device, the element type and the shape; if not, the same is composed
//! of Burn's own operations, with the same result to rounding.
//!
//! | Function                        | Fused with                           | Covered                             |
//! |---------------------------------|--------------------------------------|-------------------------------------|
//! | [`linear`]                      | bias, activation                     | flex, `f32`                         |
//! | [`conv2d`]                      | bias, activation                     | flex, `f32`, one group, 4 rows or more |
//! | [`conv_transpose2d`]            | bias, activation                     | flex, `f32`, one group, 4 rows or more |
//! | [`Density`]                     | its derivatives, weights, sum by row | flex, `f32`                         |
//! | [`Law`]                         | links, derivatives, weights, sum     | flex, `f32`                         |
//! | [`log_sum_exp`]                 | its derivative                       | flex, `f32`, along axis 1           |
//! | [`sigmoid`]                     | its derivative                       | flex, `f32`                         |
//! | [`ln_gamma`], [`digamma`]       | their derivatives                    | flex, `f32`                         |
//! | [`reparameterize`]              | its derivatives                      | flex, `f32`                         |
//! | [`kl_to_standard_normal`]       | its derivatives                      | flex, `f32`                         |
//! | [`Adam`], [`AdamW`]             | moments, step, decay, clipping       | flex, `f32`                         |
//! | [`streams`]                     | Philox, law                          | wgpu, CUDA, ROCm (see below)        |
//!
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
//! Results are the same bits on any number of threads. Element-wise code has no fused multiply-add and
//! gives the same bits on every instruction set. Sums of products (layers) have one wherever the machine
//! has: AVX2 and AVX-512 give the same convolutions, the baseline of x86-64 others in the last bits;
//! matrix products may differ between any two, because their kernels cut the sums differently.
//!
//! # What this gives up
//!
//! - Second derivatives, and derivatives in what is a constant of a density: `x`, weights, noise (then
//!   the ordinary path runs).
//! - A convolution lays sixteen images side by side: fewer than four take the ordinary path, and the
//!   last few of a batch cost as much as sixteen. A thread needs room for sixteen images and their
//!   features.
//! - A weight that is infinite or NaN does not reach an output through padding, where there is nothing
//!   to multiply it with.
//! - The level of the matrix products is the `gemm` crate's own choice.
//! - [`streams`] is compiled for CUDA and ROCm by the same code, but was run on wgpu only.

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;

mod adam;
mod classes;
mod density;
mod host;
mod latent;
mod laws;
mod layers;
pub mod math;
mod norm;
mod sgd;
mod special;
pub mod streams;
mod switch;

pub use adam::{Adam, AdamW};
pub use classes::log_sum_exp;
pub use density::{Density, sigmoid};
pub use host::{on_host, with_values};
pub use latent::{kl_to_standard_normal, reparameterize};
pub use laws::Law;
pub use layers::{Activation, conv_transpose2d, conv2d, linear};
pub use norm::{GlobalNormClip, gradient_norm, weight_norm};
pub use sgd::Sgd;
pub use special::{digamma, ln_gamma};
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
