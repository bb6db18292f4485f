//! Corruption processes p(x̃ | x): how clean data is damaged before encoding.
//!
//! Any rank:
//!
//! | Process           | Law                                                       | Keeps `[0, 1]`?  |
//! |-------------------|-----------------------------------------------------------|------------------|
//! | [`Clean`]         | `x̃ = x`                                                   | yes              |
//! | [`Gaussian`]      | `x̃ᵢ = xᵢ + σ εᵢ`, `ε ~ N(0, I)`                            | if clipped       |
//! | [`Uniform`]       | `x̃ᵢ = xᵢ + a (2uᵢ − 1)`                                    | if clipped       |
//! | [`Laplace`]       | `x̃ᵢ = xᵢ + s eᵢ`, `p(e) = ½ exp(−\|e\|)`                    | if clipped       |
//! | [`Speckle`]       | `x̃ᵢ = xᵢ (1 + σ εᵢ)`                                       | if clipped       |
//! | [`Masking`]       | `x̃ᵢ = 0`, a value or a mean, with probability `ν`          | if the value does |
//! | [`Dropout`]       | `x̃ᵢ = 0` with probability `ν`, else `xᵢ / (1 − ν)`         | no               |
//! | [`SaltAndPepper`] | `x̃ᵢ` is 0 or 1 with probability `ν`                        | yes              |
//! | [`Impulse`]       | `x̃ᵢ` is anything in a range with probability `ν`           | if the range does |
//! | [`Shot`]          | `x̃ᵢ = g nᵢ`, `nᵢ ~ Poisson(xᵢ / g)`                        | yes              |
//! | [`Quantization`]  | `x̃ᵢ` is the nearest multiple of `δ`                        | if clipped       |
//! | [`Clipping`]      | what is too high or too low is cut off                    | yes              |
//! | [`Brightness`]    | `x̃ᵢ = xᵢ + b`                                              | yes              |
//! | [`Gamma`]         | `x̃ᵢ = xᵢ^γ`                                                | yes              |
//!
//! Images `[batch, channels, height, width]` in `[0, 1]`, which all of these keep:
//!
//! | Kind      | Processes                                                                      |
//! |-----------|--------------------------------------------------------------------------------|
//! | blur      | [`GaussianBlur`], [`Defocus`], [`MotionBlur`], [`Pixelate`], [`Jpeg`]          |
//! | light     | [`Contrast`], [`Saturation`], [`Haze`]                                         |
//! | hidden    | [`Occlusion`], [`Zigzag`], [`Spatter`]                                         |
//! | sensor    | [`DeadPixels`], [`DeadLines`], [`Banding`]                                     |
//! | geometry  | [`Rotation`], [`Shear`], [`Zoom`], [`Translation`]: to measure, not to denoise |
//!
//! Combinations: [`Sequence`], [`OneOf`], [`Sometimes`], [`Part`] of an image, [`ShowMask`] to the
//! encoder.
//!
//! A process is a plain value behind one trait, [`Corruption`]. It takes the clean rows by value,
//! draws its noise from the rows' own streams ([`dvae_random::RowStreams`]) and returns the damaged rows
//! with the mask of what it touched. Its strength is a [`Level`]: fixed, drawn for each row, or
//! scheduled over training; its [`Scale`] says what that means, and [`Corruption::at_level`] makes the
//! same process at another. [`CorruptionConfig`] names a process in a file or on a command line.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_corruption::{Corruption, Level, Masking};
//! use dvae_random::{Key, Purpose};
//!
//! let clean: Tensor<2> = Tensor::ones([2, 8], &Device::flex());
//! let mut draws = Key::new(1).purpose(Purpose::Corruption).epoch(0).rows(&[0, 1]);
//! let damaged = Masking::new(0.5)?.corrupt(clean, &mut draws);
//! assert_eq!(damaged.input.dims(), damaged.changed.dims());
//!
//! let varied = Masking::new(Level::Uniform([0.1, 0.9]))?; // every row at a rate of its own
//! let gone: Box<dyn Corruption<2>> = varied.at_level(Level::Fixed(1.0))?;
//! # Ok::<(), dvae_corruption::CorruptionError>(())
//! ```
//!
//! # What this gives up
//!
//! - A process sees one batch of tensors, not the data set: no damage that needs other rows.
//! - Rows on a GPU that meet an image process ([`Shot`] too) are read, damaged on the host and sent back:
//!   the same bits everywhere, and the queue waits for them. Processes of single entries stay on the
//!   device.
//! - No gradient flows through a process.

mod banding;
mod brightness;
mod clean;
mod clip;
mod clipping;
mod config;
mod contrast;
mod convolution;
mod dead_lines;
mod dead_pixels;
mod defocus;
mod dropout;
mod entries;
mod error;
mod gamma;
mod gaussian;
mod gaussian_blur;
mod haze;
mod impulse;
mod jpeg;
mod laplace;
mod level;
mod level_text;
mod masking;
mod motion_blur;
mod names;
mod occlusion;
mod one_of;
mod part;
mod pixelate;
mod process;
mod quantization;
mod rotation;
mod rows;
mod salt_and_pepper;
mod saturation;
mod sensor;
mod sequence;
mod shear;
mod shot;
mod show_mask;
mod sometimes;
mod spatter;
mod speckle;
mod table;
mod translation;
mod uniform;
mod zigzag;
mod zoom;

pub use clean::Clean;
pub use config::*;
pub use error::CorruptionError;
pub use level::{Level, Scale, Strength};
pub use masking::Fill;
pub use occlusion::Shape;
pub use process::{CorruptedInput, Corruption};
