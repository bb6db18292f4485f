//! What can be wrong with data.

use std::path::PathBuf;

/// Why data could not be read or cut into batches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that does not start as IDX files of bytes do.
    #[error(
        "{} is no IDX file of unsigned bytes: it starts with {found:02x?}, not with [00, 00, 08, \
         number of axes]", path.display()
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// A file whose length contradicts its header.
    #[error("{} should have {expected} bytes after its {part} but has {found}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What announces the bytes: `first four`, or `header`.
        part: &'static str,
        /// Bytes that are announced.
        expected: u128,
        /// Bytes that follow.
        found: usize,
    },
    /// A file that is no PNG picture.
    #[error("{} is no PNG picture that can be read: {reason}", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder without the images that were looked for.
    #[error(
        "{} holds no {set} images: expected a file such as {file}-images-idx3-ubyte, plain or .gz",
        path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
        /// `training` or `test`.
        set: &'static str,
        /// How MNIST's files of the set begin.
        file: &'static str,
    },
    /// Images with a number of axes that is not one of images.
    #[error(
        "{} must have 3 axes (count, height, width) or 4 (count, channels, height, width), all \
         above 0, but has {shape:?}", path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its axes.
        shape: Vec<usize>,
    },
    /// As many labels as images were expected.
    #[error("{} holds {labels} labels for {images} images", path.display())]
    Labels {
        /// The file of the labels.
        path: PathBuf,
        /// How many images there are.
        images: usize,
        /// How many labels there are.
        labels: usize,
    },
    /// Training and test images of different sizes.
    #[error("training images are {train:?} but test images are {test:?}")]
    Mismatch {
        /// Shape of a training row.
        train: Vec<usize>,
        /// Shape of a test row.
        test: Vec<usize>,
    },
    /// Values that do not fill whole rows.
    #[error("{values} values do not make whole rows of shape {event:?}")]
    Rows {
        /// Number of values.
        values: usize,
        /// Shape of a row.
        event: Vec<usize>,
    },
    /// More rows to hold out than there are to spare.
    #[error("cannot hold out {held_out} rows of {rows}: at least one must be left to train on")]
    HeldOut {
        /// Rows to hold out.
        held_out: usize,
        /// Rows that there are.
        rows: usize,
    },
    /// A value that is infinite or NaN.
    #[error("row {row} holds {value}: values must be finite")]
    NonFinite {
        /// The row, from 0.
        row: usize,
        /// The value.
        value: f32,
    },
    /// A batch of no rows.
    #[error("`batch_size` must be at least 1, but is 0")]
    BatchSize,
}
