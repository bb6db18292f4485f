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

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;

mod adam;
mod density;
mod latent;
mod layers;
pub mod math;
pub mod streams;
mod switch;

pub use adam::{Adam, AdamW, GlobalNormClip};
pub use density::{Density, sigmoid};
pub use latent::{kl_to_standard_normal, reparameterise};
pub use layers::{Activation, conv_transpose2d, conv2d, linear};
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
