//! Readers and sets of rows that become clean batches.
//!
//! | Piece               | What it is                                                            |
//! |---------------------|-----------------------------------------------------------------------|
//! | [`Dataset`]         | rows side by side, bytes kept as bytes, views without copies           |
//! | [`Dataset::batches`]| clean tensors with the ids of their rows, in stored or shuffled order  |
//! | [`read_idx_folder`] | training and test images of a folder of IDX files, plain or gzip       |
//! | [`Dataset::read`]   | images (PNG, JPEG, TIFF, WebP, PNM), an array (NPY, NPZ, safetensors), a table (CSV, |
//! |                     | Parquet), a sparse matrix (Matrix Market, SciPy's NPZ), which stays sparse |
//! | [`read_rows`]       | the same, row by row, for data that does not fit in memory            |
//! | [`RowWriter`]       | rows back to a file: what did not change is written as it was read    |
//! | [`table_columns`]   | what the columns of a table hold: kinds, holes, ranges                 |
//! | [`read_texts`]      | the lines of a text file, or a column of a table; [`TokenRows`] makes rows of tokens of them |
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
//! - A set is in memory (one byte per pixel of 8 bits): 60,000 images of 28×28 take 47 MB. Only arrays that are not compressed may stay in
//!   their files ([`ReadOptions::memory`]), and pictures that crops are cut from in a temporary one.
//! - An array in Fortran's order is read whole, because its rows lie scattered.
//! - JPEG files of four inks become RGB; EXIF data other than the orientation are not written.
//! - Unobserved entries ([`Dataset::from_incomplete`]) are 0 in a batch, and `observed` marks them; they are
//!   not imputed.
//! - Batches hold clean rows only; `dvae-corruption` corrupts them.

mod batch;
mod beside;
mod binarize;
mod budget;
mod cells;
mod columns;
mod dataset;
mod dates;
mod error;
mod fashion;
mod format;
mod ids;
mod idx;
mod kind;
mod kinds;
mod matrix_market;
mod npy;
mod npy_header;
mod npy_writer;
mod numbers;
#[cfg(feature = "parquet")]
mod parquet;
mod parts;
mod picture;
mod place_scaling;
mod ranks;
mod reading;
mod rows;
mod safetensors;
mod scaling;
mod scipy;
mod sparse;
mod statistics;
mod stored_numbers;
mod stored_rows;
mod table;
mod table_text;
mod table_writer;
mod texts;
mod token_rows;
mod values;
mod writer;

pub use batch::{Batch, Order};
pub use beside::{remove_unfinished_files, sync_folder, write_file};
pub use binarize::Binarization;
pub use columns::{Column, ColumnKind, table_columns};
pub use dataset::{Crops, Dataset, Pairs, Sets};
pub use dates::DateFormat;
pub use dvae_checks::{Domain, Vocabulary};
pub use error::{DataError, is_full_disk};
pub use fashion::fashion_mnist;
pub use format::{Channels, Decimal, Format, FurtherColumn};
pub use idx::{Idx, read_idx, read_idx_folder, read_idx_folder_of};
pub use kind::{FileKind, Omission, Pictures, files_of, pictures_in};
pub use kinds::{Dated, KindConfig, Ordered, TableColumn, columns_by_kind};
pub use npy::array_names;
pub use numbers::{Element, Numbers};
pub use picture::{picture_row, read_picture, write_picture};
pub use ranks::Ranks;
pub use reading::{Fit, ReadOptions, broken_pictures, read_rows};
pub use rows::{Row, Rows};
pub use scaling::{Scaler, Scaling, ValueRange};
pub use texts::{TextRow, TextRows, TextWriter, read_texts};
pub use token_rows::{TextUnit, TokenOptions, TokenRows, composed};
pub use writer::RowWriter;

use npy::read_npy_rows;
use table::read_table_rows;
