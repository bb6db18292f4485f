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
    /// A file that is no picture.
    #[error("{} is no picture that can be read: {reason}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A shape that pictures cannot be brought to.
    #[error(
        "pictures cannot have the shape {shape:?}: it must be [1 or 3, height, width] with sides of 1 to 65535, and 2²⁸ values at most"
    )]
    PictureShape {
        /// The shape.
        shape: [usize; 3],
    },
    /// A file that could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
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
    /// A value that cannot be binarized.
    #[error("row {row} holds {value}: only values in [0, 1] can be binarized")]
    NotAChance {
        /// The row's id.
        row: u64,
        /// The value.
        value: f32,
    },
    /// Rows with holes where they cannot be.
    #[error("rows with missing entries cannot be used for {what}")]
    Incomplete {
        /// What for.
        what: &'static str,
    },
    /// A scaler of other rows.
    #[error(
        "a scaler must have one finite offset and one scale above 0 for each of {places} places"
    )]
    Scaler {
        /// How many there are on the first axis of a row.
        places: usize,
    },
    /// A shape with another number of entries.
    #[error(
        "rows of shape {from:?} cannot become rows of shape {to:?}: they must have as many entries, and an axis"
    )]
    Reshape {
        /// The shape of a row.
        from: Vec<usize>,
        /// What it was to become.
        to: Vec<usize>,
    },
    /// A file whose contents cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A cell of a table that is no number.
    #[error(
        "{}, line {line}: column `{column}` holds `{cell}`, which is no number (an empty cell, NA, NaN or \
         null is a missing one)",
        path.display()
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column's name, or its number from 1.
        column: String,
        /// What it holds.
        cell: String,
    },
    /// A row of another shape than those before it.
    #[error("{} is of shape {found:?}, but the rows before it are of shape {expected:?}: {advice}", path.display())]
    Unlike {
        /// The file.
        path: PathBuf,
        /// Its shape.
        found: Vec<usize>,
        /// That of the others.
        expected: Vec<usize>,
        /// What can be done.
        advice: &'static str,
    },
    /// A file of a kind that is not read.
    #[error(
        "{} is of no kind that is known: a picture (.png, .jpg, .jpeg), an array (.npy, .npz) or a table (.csv), \
         or a folder of pictures",
        path.display()
    )]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A folder without what is looked for.
    #[error("the folder {} holds no picture (.png, .jpg, .jpeg)", path.display())]
    NoPicture {
        /// The folder.
        path: PathBuf,
    },
    /// A batch of no rows.
    #[error("`batch_size` must be at least 1, but is 0")]
    BatchSize,
}
