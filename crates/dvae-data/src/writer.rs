//! A writer of rows.

use std::path::Path;

use crate::kind::is_parquet;
use crate::npy_writer::NpyWriter;
use crate::picture::{PictureWriter, loses};
use crate::table_writer::TableWriter;
use crate::{DataError, FileKind, Format, Row};

/// Writes rows to a file of the type that its name implies: an image, an array or a table.
///
/// The file is written under a temporary name and renamed when it is finished, so that it is either the old one or the
/// new one. Its folder is made if there is none.
#[derive(Debug)]
pub struct RowWriter(Kind);

#[derive(Debug)]
enum Kind {
    Picture(Box<PictureWriter>),
    Array(NpyWriter),
    Table(Box<TableWriter>),
    #[cfg(feature = "parquet")]
    Parquet(Box<crate::parquet::ParquetWriter>),
}

impl RowWriter {
    /// Begins a file for rows of this format; an error names a file that cannot hold them.
    pub fn create(path: &Path, format: &Format) -> Result<Self, DataError> {
        let is_array = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("npy"));
        Ok(Self(match FileKind::by_name(path) {
            Some(FileKind::Picture) => {
                Kind::Picture(Box::new(PictureWriter::create(path, format)?))
            }
            Some(FileKind::Array) if is_array => Kind::Array(NpyWriter::create(path, format)?),
            #[cfg(feature = "parquet")]
            Some(FileKind::Table) if is_parquet(path) => {
                Kind::Parquet(Box::new(crate::parquet::ParquetWriter::create(path, format)?))
            }
            #[cfg(not(feature = "parquet"))]
            Some(FileKind::Table) if is_parquet(path) => {
                let reason = crate::kind::NO_PARQUET.to_owned();
                return Err(DataError::File { path: path.into(), reason });
            }
            Some(FileKind::Table) => Kind::Table(Box::new(TableWriter::create(path, format)?)),
            _ => {
                let reason = "a name that ends in .npy, .csv or .png is needed".to_owned();
                return Err(DataError::File { path: path.into(), reason });
            }
        }))
    }

    /// Appends a row.
    ///
    /// An error names a file that cannot be written, or a second row of a picture's file.
    pub fn write(&mut self, row: &Row) -> Result<(), DataError> {
        match &mut self.0 {
            Kind::Picture(writer) => writer.write(row),
            Kind::Array(writer) => writer.write(row),
            Kind::Table(writer) => writer.write(row),
            #[cfg(feature = "parquet")]
            Kind::Parquet(writer) => writer.write(row),
        }
    }

    /// Moves the file to its final name.
    pub fn finish(self) -> Result<(), DataError> {
        match self.0 {
            Kind::Picture(writer) => writer.finish(),
            Kind::Array(writer) => writer.finish(),
            Kind::Table(writer) => writer.finish(),
            #[cfg(feature = "parquet")]
            Kind::Parquet(writer) => writer.finish(),
        }
    }

    /// Whether a file of this name changes the values that are written to it, as JPEG does.
    pub fn loses(path: &Path) -> bool {
        FileKind::by_name(path) == Some(FileKind::Picture) && loses(path)
    }
}
