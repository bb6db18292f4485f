//! How files are read, of whatever kind they are.

use std::path::{Path, PathBuf};

use crate::kind::{classes, files_of, is_pattern};
use crate::picture::picture_rows;
use crate::safetensors::is_safetensors;
use crate::sparse::read_sparse_rows;
use crate::stored_rows::{read_npy_parts, read_safetensors_rows};
use crate::{
    Channels, DataError, Decimal, Domain, FileKind, Rows, TableColumn, pictures_in, read_npy_rows,
    read_table_rows,
};

/// Options for reading files. An option has no effect on kinds of files that it is not for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// What the values are, if it is not what their type suggests ([`crate::Element::domain`]).
    pub domain: Option<Domain>,
    /// The array's name in an NPZ file; not needed if the file has only one.
    pub key: Option<String>,
    /// Whether the key is that of a model's own data: another file with one array may call it otherwise.
    pub is_key_of_model: bool,
    /// Whether the rows of an array of two axes, or of a sparse matrix, are its columns.
    pub transposed: bool,
    /// Where an array has its channels. Without it, an array that looks as if it had them last is refused.
    pub channels: Option<Channels>,
    /// Whether a table lacks a first line of column names.
    pub no_header: bool,
    /// The columns of a table to read, by name, in this order; `None` reads all.
    pub columns: Option<Vec<String>>,
    /// The columns of a table to read, with their kinds: classes become their numbers, and one that is not among those of
    /// its column becomes NaN. In place of `columns`, and only for tables with names of columns.
    pub kinds: Option<Vec<TableColumn>>,
    /// What stands between the cells of a table; without it, the first line tells.
    pub delimiter: Option<char>,
    /// The decimal separator of a table.
    pub decimal: Decimal,
    /// Texts of missing cells, in addition to the usual ones.
    pub missing: Vec<String>,
    /// The shape that the rows get.
    pub fit: Fit,
    /// Pictures of a folder that are left out, by their places in it.
    pub leave_out: Vec<PathBuf>,
    /// Bytes of data that are held in memory; of more, rows stay in their file or in a temporary one ([`Rows::into_dataset`],
    /// [`crate::Dataset::read_crops`]). All are held without it.
    pub memory: Option<u64>,
}

impl ReadOptions {
    /// The pictures of a folder that are to be read: [`pictures_in`], but for those left out. An error says that there are
    /// none.
    pub fn pictures_in(&self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        let mut files = pictures_in(folder)?.files;
        for left_out in &self.leave_out {
            let before = files.len();
            files.retain(|file| file.strip_prefix(folder).unwrap_or(file) != left_out);
            if files.len() == before {
                let reason =
                    format!("there is no picture {} in it to leave out", left_out.display());
                return Err(DataError::File { path: folder.into(), reason });
            }
        }
        if files.is_empty() {
            return Err(DataError::NoPicture { path: folder.into() });
        }
        Ok(files)
    }
}

/// The pictures of a folder that cannot be read, by their places in it, with the reason: each is decoded whole.
pub fn broken_pictures(folder: &Path) -> Result<Vec<(PathBuf, DataError)>, DataError> {
    let broken = |file: PathBuf| {
        let read = read_rows(&file, &ReadOptions::default())
            .and_then(|mut rows| rows.try_for_each(|row| row.map(|_| ())));
        let place = file.strip_prefix(folder).unwrap_or(&file).to_path_buf();
        read.err().map(|error| (place, error))
    };
    Ok(pictures_in(folder)?.files.into_iter().filter_map(broken).collect())
}

/// Which shape the rows of a file get.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fit {
    /// The shape that the file has. All pictures of a folder must have that of the first.
    #[default]
    Stored,
    /// Pictures are converted to this shape, `[channels, height, width]`: their channels are converted, and their sides
    /// resized.
    Resized([usize; 3]),
    /// That of the rows of a model. A picture is converted to its channels, and refused by its header if its sides
    /// differ; an array with its channels last is recognized by it.
    Model(Vec<usize>),
    /// So many channels, for a model of pictures of any sides. A picture is converted to them; an array with its channels
    /// last is recognized by them.
    Channels(usize),
}

/// Opens an image, a folder of images, an array or a table; a pattern such as `part-*.npy` stands for arrays whose rows follow each other.
pub fn read_rows(path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
    let rows = match FileKind::of(path)? {
        FileKind::Array if is_pattern(path) => read_npy_parts(&files_of(path)?, options)?,
        FileKind::Array if is_safetensors(path) => read_safetensors_rows(path, options)?,
        FileKind::Picture => picture_rows(vec![path.into()], options)?,
        FileKind::Folder => {
            let pictures = options.pictures_in(path)?;
            let classes = classes(path, &pictures);
            Rows { classes, ..picture_rows(pictures, options)? }
        }
        FileKind::Array => match read_sparse_rows(path, options)? {
            Some(rows) => rows,
            None => read_npy_rows(path, options)?,
        },
        FileKind::Text => {
            let reason = "it is a text, and rows of numbers are asked for".to_owned();
            return Err(DataError::File { path: path.into(), reason });
        }
        FileKind::Table => read_table_rows(path, options)?,
    };
    Ok(Rows { memory: options.memory.unwrap_or(u64::MAX), ..rows })
}
