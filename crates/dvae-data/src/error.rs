//! Errors of data.

use std::path::PathBuf;

use dvae_checks::{shown, shown_path};

use crate::Domain;

/// Why data could not be read or batched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that could not be read.
    #[error("cannot read {}: {source}", shown_path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file that does not start like an IDX file of bytes.
    #[error(
        "{} is no IDX file of unsigned bytes: it starts with {found:02x?}, not with [00, 00, 08, \
         number of axes]",
        shown_path(path)
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// A file whose length contradicts its header.
    #[error("{} should have {expected} bytes after its {part} but has {found}", shown_path(path))]
    Length {
        /// The file.
        path: PathBuf,
        /// The part that implies the number of bytes: `first four`, or `header`.
        part: &'static str,
        /// The number of bytes implied.
        expected: u128,
        /// The number of bytes that follow, or that it is larger.
        found: String,
    },
    /// A file that is not a readable image.
    #[error("{} is no picture that can be read: {reason}", shown_path(path))]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A shape that images cannot be converted to.
    #[error(
        "pictures cannot have the shape {shape:?}: it must be [1 or 3, height, width] with sides of 1 to 65535, and 2²⁸ values at most"
    )]
    PictureShape {
        /// The shape.
        shape: [usize; 3],
    },
    /// A file that could not be written.
    #[error("cannot write {}: {source}", shown_path(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A folder without the expected images.
    #[error(
        "{} holds no {set} images: expected a file such as {file}-images-idx3-ubyte, plain or .gz (`data.prefix` is for \
         names that begin otherwise)",
        shown_path(path)
    )]
    Missing {
        /// The folder.
        path: PathBuf,
        /// `training` or `test`.
        set: &'static str,
        /// The start of the names of the set's files.
        file: String,
    },
    /// An array whose number of axes is not that of images.
    #[error(
        "{} must have 3 axes (count, height, width) or 4 (count, channels, height, width), all \
         above 0, but has {shape:?}",
        shown_path(path)
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its axes.
        shape: Vec<usize>,
    },
    /// A number of labels that differs from the number of images.
    #[error("{} holds {labels} labels for {images} images", shown_path(path))]
    Labels {
        /// The file of the labels.
        path: PathBuf,
        /// The number of images.
        images: usize,
        /// The number of labels.
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
    /// More rows to hold out than the set can spare.
    #[error("cannot hold out {held_out} rows of {rows}: at least one must be left to train on")]
    HeldOut {
        /// The number of rows to hold out.
        held_out: usize,
        /// The number of rows in the set.
        rows: usize,
    },
    /// More crops to hold out than whole pictures can spare.
    #[error(
        "cannot hold out {held_out} crops of {pictures} picture{}: pictures are held out whole, and one at least must be left \
         to train on. Give more pictures, or hold out less (`data.validation`, `data.test`)",
        if *pictures == 1 { "" } else { "s" }
    )]
    HeldOutPictures {
        /// The number of crops to hold out.
        held_out: usize,
        /// The number of pictures in the set.
        pictures: usize,
    },
    /// A shape that crops cannot have.
    #[error(
        "`data.crops.shape` must be [1 or 3, height, width] with sides of 1 to 65535, but is {shape:?}"
    )]
    CropShape {
        /// The shape.
        shape: [usize; 3],
    },
    /// Crops that cannot be turned.
    #[error(
        "crops of {height} × {width} pixels cannot be turned by a quarter: their sides must be equal"
    )]
    Turns {
        /// The height of a crop.
        height: usize,
        /// The width of a crop.
        width: usize,
    },
    /// A value that is infinite or NaN.
    #[error("row {row} holds {value:?} at place {place}: values must be finite")]
    NonFinite {
        /// The row, from 0.
        row: usize,
        /// The place on the first axis of the row, from 0: a column of a table.
        place: usize,
        /// The value.
        value: f32,
    },
    /// A number that single precision does not hold.
    #[error(
        "row {row} holds {value:?} at place {place}, which single precision would change: use `data.scaling`, which \
         takes away what is common to all rows first, or leave it out"
    )]
    Precision {
        /// The row, from 0.
        row: usize,
        /// The place on the first axis of the row, from 0: a column of a table.
        place: usize,
        /// The number.
        value: f64,
    },
    /// An integer of more digits than double precision has.
    #[error(
        "row {row} holds {value}, an integer of more than 53 bits that double precision would change: subtract what is \
         common to all rows first"
    )]
    Digits {
        /// The row, from 0.
        row: usize,
        /// The integer.
        value: i128,
    },
    /// A value that is not in the domain that was declared.
    #[error("row {row} holds {value}, but the data are declared to be {domain}")]
    OutsideDomain {
        /// The row's id.
        row: u64,
        /// The value.
        value: f32,
        /// The declared domain.
        domain: Domain,
    },
    /// A value that cannot be binarized.
    #[error("row {row} holds {value}: only values in [0, 1] can be binarized")]
    NotAChance {
        /// The row's id.
        row: u64,
        /// The value.
        value: f32,
    },
    /// Missing entries where they are not supported.
    #[error("rows with missing entries cannot be used for {what}")]
    Incomplete {
        /// The use that does not support them.
        what: &'static str,
    },
    /// Crops where they are not supported.
    #[error("crops of pictures cannot be used for {what}")]
    Cropped {
        /// The use that does not support them.
        what: &'static str,
    },
    /// A scaler that does not fit the rows.
    #[error(
        "a scaler must have one finite offset and one scale above 0 for each of {places} places"
    )]
    Scaler {
        /// The length of the first axis of a row.
        places: usize,
    },
    /// A range that is none.
    #[error(
        "{} must ascend and be {}, but are {low} and {high}",
        if *is_percentiles { "percentiles" } else { "the ends of a range" },
        if *is_percentiles { "from 0 to 100" } else { "finite" }
    )]
    Range {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
        /// Whether the ends are percentiles.
        is_percentiles: bool,
    },
    /// A value outside of the range that all were said to lie in.
    #[error(
        "row {row} holds {value}, which is outside of the range {range:?} that all values were said to lie in"
    )]
    OutOfRange {
        /// The row's id.
        row: usize,
        /// Its value.
        value: f64,
        /// The range.
        range: [f64; 2],
    },
    /// A shape with a different number of entries.
    #[error(
        "rows of shape {from:?} cannot become rows of shape {to:?}: they must have as many entries, and an axis"
    )]
    Reshape {
        /// The shape of a row.
        from: Vec<usize>,
        /// The requested shape.
        to: Vec<usize>,
    },
    /// A file whose contents cannot be used.
    #[error("{} cannot be used: {reason}", shown_path(path))]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A cell of a table that is not a number.
    #[error(
        "{}, line {line}: column `{}` holds `{}`, which is no number (an empty cell, NA, NaN or \
         null is a missing one; other words by `data.missing`, a decimal comma by `data.decimal`, and columns of text \
         are left out by `data.columns` or --columns)",
        shown_path(path),
        shown(column),
        shown(cell)
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column's name, or its number from 1.
        column: String,
        /// The cell's text.
        cell: String,
    },
    /// A cell of a column of dates that is none of its format.
    #[error(
        "{}, line {line}: column `{}` holds `{}`, which is no date of the format {} (an empty cell, NA, NaN or null is a missing \
         one; another format by `data.kinds`: {} = {{ date = \"%d.%m.%Y\" }})",
        shown_path(path),
        shown(column),
        shown(cell),
        shown(format.as_str()),
        shown(column)
    )]
    Date {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// The cell's text.
        cell: String,
        /// The format of the column.
        format: Box<crate::DateFormat>,
    },
    /// A row whose shape differs from that of the rows before it.
    #[error(
        "{} is of shape {found:?}, but the rows before it are of shape {expected:?}: {advice}",
        shown_path(path)
    )]
    Unlike {
        /// The file.
        path: PathBuf,
        /// Its shape.
        found: Vec<usize>,
        /// The shape of the rows before it.
        expected: Vec<usize>,
        /// What to do about it.
        advice: &'static str,
    },
    /// A picture whose sides are not those of a model.
    #[error(
        "{} has rows of shape {found:?}, but the model is for rows of shape {expected:?}",
        shown_path(path)
    )]
    ForModel {
        /// The file.
        path: PathBuf,
        /// The shape of the picture.
        found: Vec<usize>,
        /// The shape that the model expects.
        expected: Vec<usize>,
    },
    /// A sparse matrix that takes too much memory with its zeros.
    #[error(
        "scaling fills in the zeros of a sparse matrix, of which the {entries} entries take more than 2 GiB: leave `data.scaling` out, or \
         scale its numbers before"
    )]
    FilledIn {
        /// The number of entries, zeros included.
        entries: usize,
    },
    /// A file of an unsupported type.
    #[error(
        "{} is of no kind that is known: a picture (.png, .jpg, .tif, .webp, .pgm, .ppm), an array (.npy, .npz), a \
         sparse matrix (.mtx, .mtx.gz), a table (.csv, .tsv), a text (.txt), or a folder of pictures",
        shown_path(path)
    )]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A folder without any images.
    #[error(
        "the folder {} holds no picture (.png, .jpg, .tif, .webp, .pgm, .ppm)",
        shown_path(path)
    )]
    NoPicture {
        /// The folder.
        path: PathBuf,
    },
    /// A temporary file that could not be written.
    #[error(
        "cannot keep the rows in a temporary file in {}: {source}. Name a folder with room by the variable TMPDIR, or \
         raise `data.memory`",
        shown_path(folder)
    )]
    Temporary {
        /// The folder for temporary files.
        folder: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A batch of no rows.
    #[error("`batch_size` must be at least 1, but is 0")]
    BatchSize,
}

impl DataError {
    pub(crate) fn temporary(source: std::io::Error) -> Self {
        Self::Temporary { folder: std::env::temp_dir(), source }
    }

    /// Whether there is no more room on a disk, or for its user.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Write { source, .. } | Self::Temporary { source, .. } if is_full_disk(source))
    }
}

/// Whether there is no more room on a disk, or for its user.
pub fn is_full_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};

    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
