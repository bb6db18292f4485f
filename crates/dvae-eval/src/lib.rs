//! Measures of a trained model: bounds, signal-to-noise ratios, pictures.
//!
//! | Piece          | What it is                                                                   |
//! |----------------|------------------------------------------------------------------------------|
//! | [`denoising`]  | how much a model improves corrupted rows, and its bound on clean rows         |
//! | [`molecular_cross_validation`] | what a model of counts says of those that it was not shown    |
//! | [`Filter`]     | classical filters, which stand beside the models of a comparison             |
//! | [`Comparison`] | several models under several corruptions: a table and a picture               |
//! | [`latent_activity`] | how much each latent varies; [`active_units`] counts those in use        |
//! | [`samples`]    | a picture of samples from the prior                                           |
//! | [`psnr`]       | peak signal-to-noise ratio of each row, in decibels                           |
//! | [`Quality`]    | both ratios of a picture; [`classical_filters`] has those of what filters make of it |
//! | [`Calibration`] | intervals about results that hold the share of entries that they promise       |
//! | [`ssim`]       | structural similarity of an image to its original                             |
//! | [`NoiseEstimate`] | how noisy an image is, from the image alone                              |
//! | [`Robustness`] | one model per training level, each at every test level: a table and pictures  |
//! | [`Heatmap`]    | metrics in rows and columns, as one PNG picture                               |
//! | [`Scatter`]    | predictions against the truth, with intervals, as one PNG picture             |
//! | [`RepairMeasures`] | repairs of texts that are right, wrong and harmful; the baselines [`WordList`] and [`NoisyChannel`] |
//! | [`Grid`]       | rows of images with a label each, as one PNG picture                          |
//!
//! Clean and corrupted metrics are always reported separately. The noise of a measurement is keyed: two
//! models measured with one key see the same corruption.
//!
//! # What this gives up
//!
//! - Denoised rows are means of `p(x | z)` at the posterior's mean; samples must be drawn elsewhere.
//! - The peak of a signal is taken to be 1: data on another scale needs another metric.

mod active_units;
mod calibration;
mod canvas;
mod comparison;
mod denoising;
mod filters;
mod grid;
mod heatmap;
mod molecular;
mod noise;
mod plane;
mod psnr;
mod quality;
mod robustness;
mod scatter;
mod ssim;
mod text;

pub use active_units::{active_units, latent_activity};
pub use calibration::{COVERAGES, Calibration, FEWEST, HeldOutEntry};
pub use comparison::{Comparison, ComparisonTable, Entry, FilterEntry, samples};
pub use denoising::{Denoising, denoising};
pub use filters::Filter;
pub use grid::Grid;
pub use heatmap::Heatmap;
pub use molecular::{CountError, MolecularCrossValidation, molecular_cross_validation};
pub use noise::{NoiseEstimate, NoiseLine};
pub use psnr::psnr;
pub use quality::{Filtered, Quality, classical_filters};
pub use robustness::{Robustness, Tested};
pub use scatter::{Prediction, Scatter};
pub use ssim::ssim;
pub use text::{
    Corrector, EditGroup, ErrorRates, NoisyChannel, Proportion, Repair, RepairMeasures, WordByWord,
    WordList,
};
