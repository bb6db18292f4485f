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
//! | [`SaltAndPepper`] | `x̃ᵢ` is 0 or 1, or one of two other values, with probability `ν` | if the values do |
//! | [`Impulse`]       | `x̃ᵢ` is a random value in a range with probability `ν`     | if the range does |
//! | [`BinomialThinning`] | `x̃ᵢ ~ Binomial(xᵢ, 1 − p)`, for counts                 | –                |
//! | [`Shot`]          | `x̃ᵢ = g nᵢ`, `nᵢ ~ Poisson(xᵢ / g)`                        | if clipped       |
//! | [`Quantization`]  | `x̃ᵢ` is the nearest multiple of `δ`                        | if clipped       |
//! | [`Clipping`]      | values too high or too low are cut off                    | yes              |
//! | [`Brightness`]    | `x̃ᵢ = xᵢ + b`                                              | if clipped       |
//! | [`Gamma`]         | `x̃ᵢ = xᵢ^γ`                                                | yes              |
//!
//! Images `[batch, channels, height, width]`. In `[0, 1]` all of these processes keep that range:
//!
//! | Kind      | Processes                                                                      |
//! |-----------|--------------------------------------------------------------------------------|
//! | blur      | [`GaussianBlur`], [`Defocus`], [`MotionBlur`], [`Pixelate`], [`Jpeg`]          |
//! | light     | [`Contrast`], [`Saturation`], [`Haze`]                                         |
//! | occlusion | [`Occlusion`], [`Zigzag`], [`Spatter`]                                         |
//! | sensor    | [`DeadPixels`], [`DeadLines`], [`Banding`]                                     |
//! | geometry  | [`Rotation`], [`Shear`], [`Zoom`], [`Translation`]: for evaluation only        |
//!
//! What the values of the data are is their [`Domain`], and a process that a [`CorruptionConfig`] names asks it:
//! noise on numbers in `[0, 1]` is clipped to that range, and noise on real numbers is not. Blur without JPEG,
//! geometry and [`Occlusion`] are for any domain; [`Gamma`] and the other image processes are for `[0, 1]`
//! only, and are refused elsewhere.
//!
//! Tables `[batch, columns]`, by the law of each column: [`Swap`] with other training rows, [`MaskingByValue`] and
//! [`MaskingByColumn`] (missing not at random, and at random given another column), [`CategoryFlip`], [`Jitter`], [`Outliers`],
//! [`Rounding`] and [`UnitSlip`].
//!
//! Text: [`Typos`] of several kinds. They work on strings, whose lengths they change: [`TextCorruption`]. On rows of tokens they are a
//! [`TokenProcess`].
//!
//! Combinations: [`Sequence`], [`OneOf`], [`Sometimes`], [`Part`] of an image, and [`ShowMask`] for the
//! encoder.
//!
//! A process is a plain value behind one trait, [`Corruption`]. It takes the clean rows by value, draws its
//! noise from the rows' own streams ([`dvae_random::RowStreams`]) and returns the corrupted rows with a mask
//! of the touched entries. Its strength is a [`Level`]: fixed, drawn for each row, or scheduled over
//! training. Its [`Scale`] defines the level's meaning, and [`Corruption::at_level`] gives the same process
//! at another level. [`CorruptionConfig`] names a process in a file or on a command line.
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
//! - A process sees one batch of tensors, not the data set; those of tables are built with the training rows.
//! - For image processes and [`Shot`], rows on a GPU are read, corrupted on the host and sent back. The
//!   result has the same bits everywhere, but the GPU's queue must wait. Other processes of single entries
//!   stay on the device.
//! - No gradient flows through a process.

mod banding;
mod binomial_thinning;
mod brightness;
mod cells;
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
mod masking_by;
mod motion_blur;
mod names;
mod occlusion;
mod one_of;
mod part;
mod pixelate;
mod process;
mod quantization;
mod reach;
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
mod swap;
mod table;
mod table_process;
mod table_rows;
mod translation;
mod typos;
mod uniform;
mod zigzag;
mod zoom;

pub use clean::Clean;
pub use clip::ClipRange;
pub use config::*;
pub use dvae_checks::{Domain, Vocabulary};
pub use error::CorruptionError;
pub use level::{Level, Scale, Strength};
pub use masking::Fill;
pub use occlusion::Shape;
pub use process::{CorruptedInput, Corruption};
pub use table_process::TableProcess;
pub use table_rows::{CorruptionContext, TableColumnRows, TableRows, TextContext, Units};
pub use typos::{CorruptedText, Keyboard, TextCorruption, TokenProcess, TypoKind, TypoModel};
