//! Measures of a trained model: bounds, signal-to-noise ratios, pictures.
//!
//! | Piece          | What it is                                                                   |
//! |----------------|------------------------------------------------------------------------------|
//! | [`denoising`]  | how much cleaner a model makes damaged rows, and its bound on clean rows      |
//! | [`Comparison`] | several models under several corruptions: a table and a picture               |
//! | [`latent_activity`] | which latents a model uses, and [`active_units`] how many               |
//! | [`samples`]    | a picture of the prior                                                        |
//! | [`psnr`]       | peak signal-to-noise ratio of each row, in decibels                           |
//! | [`Robustness`] | one model per training level, each at every test level: a table and pictures  |
//! | [`Heatmap`]    | metrics in rows and columns, as one PNG picture                               |
//! | [`Grid`]       | rows of images with a label each, as one PNG picture                          |
//!
//! Clean and corrupted metrics are always apart, and the noise they are measured with is keyed: two
//! models measured with one key meet the same damage.
//!
//! # What this gives up
//!
//! - Denoised rows are means at the posterior's mean; samples have to be asked for elsewhere.
//! - The peak of a signal is 1: data on another scale wants another measure.

mod active_units;
mod canvas;
mod comparison;
mod denoising;
mod grid;
mod heatmap;
mod psnr;
mod robustness;

pub use active_units::{active_units, latent_activity};
pub use comparison::{Comparison, ComparisonTable, Entry, samples};
pub use denoising::{Denoising, denoising};
pub use grid::Grid;
pub use heatmap::Heatmap;
pub use psnr::psnr;
pub use robustness::{Robustness, Tested};
