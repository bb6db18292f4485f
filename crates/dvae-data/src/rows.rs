//! Rows of files, one at a time.

use std::path::{Path, PathBuf};

use crate::{DataError, Dataset, picture_rows, read_npy_rows, read_table_rows};

/// Rows of equal shape that come one after the other: memory holds one.
pub struct Rows {
    /// The shape of a row.
    pub event: Vec<usize>,
    /// The names of the columns of a table that has them.
    pub names: Option<Vec<String>>,
    /// Whether the values were bytes, which are now in `[0, 1]`.
    pub bytes: bool,
    /// How many rows there are, if that is known before they are read.
    pub count: Option<usize>,
    pub(crate) rows: Box<dyn Iterator<Item = Result<Vec<f32>, DataError>> + Send>,
}

impl Iterator for Rows {
    type Item = Result<Vec<f32>, DataError>;

    /// The next row; NaN is what was not observed. Nothing follows an error.
    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("event", &self.event).finish_non_exhaustive()
    }
}

/// What a file holds, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A picture: `.png`, `.jpg`, `.jpeg`.
    Picture,
    /// A folder of pictures.
    Folder,
    /// An array: `.npy`, `.npz`.
    Array,
    /// A table: `.csv`.
    Table,
}

impl FileKind {
    /// The kind of an input; an error if there is nothing, or of a kind that is not read.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        Self::by_name(path).ok_or_else(|| DataError::Kind { path: path.into() })
    }

    /// The kind of file that a name says.
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

/// How files are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The array of an NPZ file; not needed where there is but one.
    pub key: Option<String>,
    /// Whether a table has no names in its first line.
    pub no_header: bool,
    /// The columns of a table that are read, by name, in this order; all, if nothing.
    pub columns: Option<Vec<String>>,
    /// The shape that pictures are brought to: `[channels, height, width]`. Without it they must be alike.
    pub image: Option<[usize; 3]>,
}

/// The rows of a picture, a folder of pictures, an array or a table.
pub fn read_rows(path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
    match FileKind::of(path)? {
        FileKind::Picture => picture_rows(vec![path.into()], options.image),
        FileKind::Folder => picture_rows(pictures_in(path)?, options.image),
        FileKind::Array => read_npy_rows(path, options.key.as_deref()),
        FileKind::Table => read_table_rows(path, !options.no_header, options.columns.as_deref()),
    }
}

/// The pictures of a folder, in the order of their names; an error if there is none.
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
    /// All of them in memory; as bytes where they were bytes. `path` is where they come from.
    ///
    /// Missing entries are allowed where there are any: see [`Dataset::from_incomplete`].
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
    /// All rows of a file or folder, in memory: [`Rows::into_dataset`] of [`read_rows`].
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        read_rows(path, options)?.into_dataset(path)
    }
}
