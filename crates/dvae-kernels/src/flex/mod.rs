//! Fused operations of the flex back end.

mod buffer;
mod classes;
mod conv;
mod dense;
mod density;
mod dual;
mod entries;
mod gemm;
mod geometry;
mod laws;
mod layout;
#[cfg(all(test, target_arch = "x86_64"))]
mod levels;
mod ops;
mod simd;
mod sums;

pub(crate) mod adam;

pub(crate) use classes::FusedClasses;
pub(crate) use density::FixedNormal;
pub(crate) use entries::{Function, FusedEntries, Inputs};
pub(crate) use geometry::Geometry;
pub(crate) use ops::FusedLayers;
