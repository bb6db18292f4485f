//! Readers and in-memory sets that become clean batches.
//!
//! | Piece               | What it is                                                            |
//! |---------------------|-----------------------------------------------------------------------|
//! | [`Dataset`]         | rows side by side in memory, bytes kept as bytes, views without copies |
//! | [`Dataset::batches`]| clean tensors with the ids of their rows, in stored or shuffled order  |
//! | [`read_idx_folder`] | training and test images of a folder of IDX files, plain or gzip       |
//! | [`Dataset::read`]   | an image or a folder of images (PNG, JPEG), an array (NPY, NPZ), a table (CSV) |
//! | [`read_rows`]       | the same, row by row, for data that does not fit in memory            |
//! | [`Scaler`]          | scaling fitted on the training rows                                   |
//! | [`Binarization`]    | gray values as zeros and ones: by a threshold, drawn once, or in each epoch |
//! | [`fashion_mnist`]   | an embedded real set: 5,000 + 1,000 images of Fashion-MNIST            |
//!
//! ```
//! use burn::tensor::Device;
//! use dvae_data::Order;
//!
//! let sets = dvae_data::fashion_mnist();
//! let first = sets.test.batches::<4>(64, Order::Stored, &Device::flex())?.next().unwrap();
//! assert_eq!(first.clean.dims(), [64, 1, 28, 28]); // gray values in [0, 1]
//! # Ok::<(), dvae_data::DataError>(())
//! ```
//!
//! # What this gives up
//!
//! - The whole set is in memory (one byte per pixel): 60,000 images of 28×28 take 47 MB.
//! - Unobserved entries ([`Dataset::from_incomplete`]) are 0 in a batch, and `observed` marks them; they are
//!   not imputed.
//! - Batches hold clean rows only; `dvae-corruption` corrupts them.

mod batch;
mod beside;
mod binarize;
mod dataset;
mod error;
mod fashion;
mod idx;
mod npy;
mod npy_writer;
mod picture;
mod rows;
mod scaling;
mod table;

pub use batch::{Batch, Order};
pub use beside::write_file;
pub use binarize::Binarization;
pub use dataset::{Dataset, Sets};
pub use error::DataError;
pub use fashion::fashion_mnist;
pub use idx::{Idx, read_idx, read_idx_folder};
pub use npy::read_npy_rows;
pub use npy_writer::NpyWriter;
pub use picture::{picture_row, picture_rows, picture_rows_in, read_picture, write_picture};
pub use rows::{FileKind, ReadOptions, Rows, pictures_in, read_rows};
pub use scaling::{Scaler, Scaling};
pub use table::{TableWriter, read_table_rows};
