//! Corruption processes p(x̃ | x): how clean data is damaged before encoding.
//!
//! | Process           | Law                                                      | Keeps `[0, 1]`?  |
//! |-------------------|----------------------------------------------------------|------------------|
//! | [`Clean`]         | `x̃ = x`                                                  | yes              |
//! | [`Gaussian`]      | `x̃ᵢ = xᵢ + σ εᵢ`, `ε ~ N(0, I)`, then clipped if asked    | if clipped       |
//! | [`Masking`]       | `x̃ᵢ = 0` with probability `ν`                             | yes              |
//! | [`SaltAndPepper`] | `x̃ᵢ` is 0 or 1 with probability `ν`                       | yes              |
//! | [`OneOf`]         | each row is damaged by one process of several            | if each one does |
//!
//! A process is a plain value behind one trait, [`Corruption`]. It takes the clean rows by value,
//! draws its noise from the rows' own streams ([`dvae_random::Draws`]) and returns the damaged rows
//! with the mask of what it touched. [`CorruptionConfig`] names a process in a file or on a
//! command line.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_corruption::{Corruption, Masking};
//! use dvae_random::{Key, Purpose};
//!
//! let clean: Tensor<2> = Tensor::ones([2, 8], &Device::flex());
//! let mut draws = Key::new(1).purpose(Purpose::Corruption).epoch(0).rows(&[0, 1]);
//! let damaged = Masking::new(0.5)?.corrupt(clean, &mut draws);
//! assert_eq!(damaged.input.dims(), damaged.changed.dims());
//! # Ok::<(), dvae_corruption::CorruptionError>(())
//! ```
//!
//! # What this gives up
//!
//! - A process sees one batch of tensors, not the data set: no damage that needs other rows.
//! - Noise has the same law for every entry; which entries matter is the process's own business.

mod clean;
mod config;
mod error;
mod gaussian;
mod masking;
mod one_of;
mod process;
mod salt_and_pepper;

pub use clean::Clean;
pub use config::CorruptionConfig;
pub use error::CorruptionError;
pub use gaussian::Gaussian;
pub use masking::Masking;
pub use one_of::OneOf;
pub use process::{Corrupted, Corruption};
pub use salt_and_pepper::{SaltAndPepper, SaltLaw};
