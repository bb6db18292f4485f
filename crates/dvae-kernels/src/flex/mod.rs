//! What is fused under the flex back end.

mod buffer;
mod conv;
mod dense;
mod density;
mod gemm;
mod geometry;
mod layout;
mod math;
mod ops;
mod simd;
mod sums;

pub(crate) mod adam;

pub(crate) use geometry::Geometry;
pub(crate) use ops::FusedOps;
