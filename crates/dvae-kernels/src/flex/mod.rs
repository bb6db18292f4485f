//! What is fused under the flex back end.

mod buffer;
mod conv;
mod dense;
mod density;
mod gemm;
mod geometry;
mod layout;
#[cfg(all(test, target_arch = "x86_64"))]
mod levels;
mod ops;
mod simd;
mod sums;

pub(crate) mod adam;

pub(crate) use geometry::Geometry;
pub(crate) use ops::{FusedOps, Law};
