//! Readers of files, one row at a time.

use std::path::{Path, PathBuf};

use crate::{DataError, Dataset, picture_rows, read_npy_rows, read_table_rows};

/// An iterator over rows of equal shape; only one is in memory at a time.
pub struct Rows {
    /// The shape of a row.
    pub event: Vec<usize>,
    /// The column names, if a table has them.
    pub names: Option<Vec<String>>,
    /// Whether the values were stored as bytes; they are scaled to `[0, 1]`.
    pub bytes: bool,
    /// The number of rows, if it is known before they are read.
    pub count: Option<usize>,
    pub(crate) rows: Box<dyn Iterator<Item = Result<Vec<f32>, DataError>> + Send>,
}

impl Iterator for Rows {
    type Item = Result<Vec<f32>, DataError>;

    /// The next row, with NaN for unobserved entries. Nothing follows an error.
    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The type of an input, by its name's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An image: `.png`, `.jpg`, `.jpeg`.
    Picture,
    /// A folder of images.
    Folder,
    /// An array: `.npy`, `.npz`.
    Array,
    /// A table: `.csv`.
    Table,
}

impl FileKind {
    /// The type of an input; an error if it does not exist or its type is not supported.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        Self::by_name(path).ok_or_else(|| DataError::Kind { path: path.into() })
    }

    /// The type of file that a name implies.
    pub fn by_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        Some(match extension.as_str() {
            "png" | "jpg" | "jpeg" => Self::Picture,
            "npy" | "npz" => Self::Array,
            "csv" => Self::Table,
            _ => return None,
        })
    }
}

/// Options for reading files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The array's name in an NPZ file; not needed if the file has only one.
    pub key: Option<String>,
    /// Whether a table lacks a first line of column names.
    pub no_header: bool,
    /// The columns of a table to read, by name, in this order; `None` reads all.
    pub columns: Option<Vec<String>>,
    /// The shape that images are converted to: `[channels, height, width]`. Without it all must have the same
    /// shape.
    pub image: Option<[usize; 3]>,
}

/// Opens an image, a folder of images, an array or a table.
pub fn read_rows(path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
    match FileKind::of(path)? {
        FileKind::Picture => picture_rows(vec![path.into()], options.image),
        FileKind::Folder => picture_rows(pictures_in(path)?, options.image),
        FileKind::Array => read_npy_rows(path, options.key.as_deref()),
        FileKind::Table => read_table_rows(path, !options.no_header, options.columns.as_deref()),
    }
}

/// The image files of a folder, in the order of their names; an error if there are none.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |source| DataError::Io { path: folder.into(), source };
    let mut pictures = vec![];
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if FileKind::by_name(&path) == Some(FileKind::Picture) && path.is_file() {
            pictures.push(path);
        }
    }
    if pictures.is_empty() {
        return Err(DataError::NoPicture { path: folder.into() });
    }
    pictures.sort();
    Ok(pictures)
}

impl Rows {
    /// Reads all rows into memory; values stored as bytes stay bytes. Errors name `path`.
    ///
    /// Missing entries are allowed: see [`Dataset::from_incomplete`].
    pub fn into_dataset(self, path: &Path) -> Result<Dataset, DataError> {
        let (event, bytes) = (self.event.clone(), self.bytes);
        let bad =
            |reason: &str| Err(DataError::File { path: path.into(), reason: reason.to_owned() });
        let (mut bytes_of_rows, mut floats) = (vec![], vec![]);
        for row in self {
            match bytes {
                true => bytes_of_rows.extend(row?.into_iter().map(crate::beside::gray)),
                false => floats.extend(row?),
            }
        }
        if bytes_of_rows.is_empty() && floats.is_empty() {
            return bad("it holds no rows");
        }
        if bytes {
            let is_array = FileKind::by_name(path) == Some(FileKind::Array);
            if is_array && bytes_of_rows.iter().all(|&value| value <= 1) {
                return bad(
                    "its bytes are 0 and 1, which would be read as 0 and 1/255: save it as bool or float32",
                );
            }
            return Dataset::from_bytes(bytes_of_rows, &event);
        }
        match floats.iter().any(|value| value.is_nan()) {
            true => Dataset::from_incomplete(floats, &event),
            false => Dataset::from_floats(floats, &event),
        }
    }
}

impl Dataset {
    /// Reads all rows of a file or folder into memory: [`Rows::into_dataset`] of [`read_rows`].
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        read_rows(path, options)?.into_dataset(path)
    }
}
