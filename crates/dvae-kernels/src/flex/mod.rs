//! Fused operations of the flex back end.

mod along;
mod buffer;
mod conv;
mod dense;
mod fused;
mod gemm;
mod geometry;
mod gru;
mod gru_ops;
mod layout;
#[cfg(all(test, target_arch = "x86_64"))]
mod levels;
mod map_conv;
mod map_ops;
mod ops;
mod pass;
mod passes;
mod simd;
mod strips;
mod sums;

pub(crate) mod adam;

pub(crate) use fused::{Operands, fused};
pub(crate) use geometry::Geometry;
pub(crate) use gru_ops::FusedRecurrence;
pub(crate) use map_ops::FusedMaps;
pub(crate) use ops::FusedLayers;
pub(crate) use passes::{Classes, Components, Entrywise};
