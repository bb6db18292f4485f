//! The user's files: what goes in, where it goes out.

use std::path::{Path, PathBuf};

use dvae::Pretrained;
use dvae::data::{
    FileKind, NpyWriter, ReadOptions, Rows, TableWriter, picture_rows, pictures_in, read_rows,
    write_picture,
};
use dvae::eval::Grid;
use dvae::prelude::*;

use crate::Error;

/// Files to read, and how.
#[derive(clap::Args)]
pub(crate) struct Inputs {
    /// Pictures (PNG, JPEG), folders of pictures, arrays (NPY, NPZ) or tables (CSV)
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The array of an NPZ file, if it has several
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// The tables have no names of columns in their first line
    #[arg(long)]
    pub(crate) no_header: bool,
}

/// One file that is read and one that is written of it.
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
}

impl Inputs {
    pub(crate) fn options(&self) -> ReadOptions {
        ReadOptions { key: self.key.clone(), no_header: self.no_header, ..ReadOptions::default() }
    }

    /// Each file with its place: `out` itself for one file, in the folder `out` for several or for a folder.
    pub(crate) fn jobs(&self, out: &Path) -> Result<Vec<Job>, Error> {
        let folder = self.inputs.len() > 1
            || FileKind::of(&self.inputs[0])? == FileKind::Folder
            || out.is_dir();
        let mut jobs: Vec<Job> = vec![];
        for input in &self.inputs {
            let files = match FileKind::of(input)? {
                FileKind::Folder => pictures_in(input)?,
                _ => vec![input.clone()],
            };
            for file in files {
                let name =
                    file.file_name().ok_or_else(|| format!("{} has no name", file.display()))?;
                let mut output = if folder { out.join(name) } else { out.to_path_buf() };
                if folder && FileKind::by_name(&file) == Some(FileKind::Array) {
                    output.set_extension("npy");
                }
                if let Some(other) = jobs.iter().find(|job| job.output == output) {
                    let (a, b) = (other.input.display(), file.display());
                    return Err(
                        format!("{a} and {b} would both become {}", output.display()).into()
                    );
                }
                if same_file(&file, &output) {
                    return Err(format!(
                        "{} would be overwritten: choose another -o",
                        file.display()
                    )
                    .into());
                }
                jobs.push(Job { input: file, output });
            }
        }
        if folder {
            std::fs::create_dir_all(out)
                .map_err(|error| format!("cannot make the folder {}: {error}", out.display()))?;
        }
        for Job { input, output } in &jobs {
            check_output(input, output)?;
        }
        Ok(jobs)
    }
}

/// An error if an output is of another kind than its input.
fn check_output(input: &Path, output: &Path) -> Result<(), Error> {
    let (from, to) = (FileKind::by_name(input), FileKind::by_name(output));
    let archive = output.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("npz"));
    if from != to || archive {
        let ending = match from {
            Some(FileKind::Array) => ".npy",
            Some(FileKind::Table) => ".csv",
            _ => ".png or .jpg",
        };
        let (input, output) = (input.display(), output.display());
        return Err(format!(
            "{output}: what is made of {input} needs a name that ends in {ending}"
        )
        .into());
    }
    Ok(())
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The rows of a file for a model; an error if they are not what it is for.
///
/// A grey model sees colours as grey, and the other way round. An array may have another shape with as many
/// entries a row.
pub(crate) fn rows_for(
    model: &Pretrained,
    path: &Path,
    options: &ReadOptions,
) -> Result<Rows, Error> {
    let columns = model.experiment().data.columns.clone();
    let rows = rows_of(path, &ReadOptions { columns, ..options.clone() })?;
    if let (&[channels @ (1 | 3), ..], &[other, height, width]) = (model.event(), &rows.event[..])
        && channels != other
        && FileKind::of(path)? == FileKind::Picture
    {
        let rows = picture_rows(vec![path.into()], Some([channels, height, width]))?;
        model.fits(path, &rows.event)?;
        return Ok(rows);
    }
    let size = |shape: &[usize]| shape.iter().product::<usize>();
    let is_array = FileKind::by_name(path) == Some(FileKind::Array);
    if !(is_array && size(&rows.event) == size(model.event())) {
        model.fits(path, &rows.event)?;
    }
    Ok(rows)
}

/// The rows of a file as they are.
pub(crate) fn rows_of(path: &Path, options: &ReadOptions) -> Result<Rows, Error> {
    Ok(read_rows(path, options)?)
}

/// Writes rows of a kind that is known by the name of the file.
pub(crate) enum RowWriter {
    Picture { path: PathBuf, event: Vec<usize>, written: bool },
    Array(NpyWriter),
    Table(TableWriter),
}

impl RowWriter {
    /// `names` are those of a table's columns; `bytes` says that an array holds `[0, 1]` as bytes.
    pub(crate) fn create(
        path: &Path,
        event: &[usize],
        names: Option<&[String]>,
        bytes: bool,
    ) -> Result<Self, Error> {
        Ok(match FileKind::by_name(path) {
            Some(FileKind::Picture) => {
                Self::Picture { path: path.into(), event: event.into(), written: false }
            }
            Some(FileKind::Array) => Self::Array(NpyWriter::create(path, event, bytes)?),
            Some(FileKind::Table) => Self::Table(TableWriter::create(path, names)?),
            _ => {
                return Err(format!(
                    "{}: a name that ends in .npy, .csv or .png is needed",
                    path.display()
                )
                .into());
            }
        })
    }

    pub(crate) fn write(&mut self, row: &[f32]) -> Result<(), Error> {
        match self {
            Self::Picture { path, written: true, .. } => {
                return Err(format!(
                    "{}: one picture is one row, but there are more",
                    path.display()
                )
                .into());
            }
            Self::Picture { path, event, written } => {
                write_picture(path, row, event)?;
                *written = true;
            }
            Self::Array(writer) => writer.write(row)?,
            Self::Table(writer) => writer.write(row)?,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        match self {
            Self::Picture { .. } => {}
            Self::Array(writer) => writer.finish()?,
            Self::Table(writer) => writer.finish()?,
        }
        Ok(())
    }
}

/// Rows of images as a picture, `columns` beside each other; an error if they are no images.
pub(crate) fn grid(rows: &[(String, Vec<Vec<f32>>)], event: &[usize]) -> Result<Grid, Error> {
    let &[channels, height, width] = event else {
        return Err(format!(
            "rows of shape {event:?} are no pictures: choose an output that ends in .npy or .csv"
        )
        .into());
    };
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let mut grid = Grid::new();
    for (label, images) in rows {
        let shape = [images.len(), channels, height, width];
        let values = dvae::burn::tensor::TensorData::new(images.concat(), shape);
        grid = grid.row(label, Tensor::from_data(values, &device));
    }
    Ok(grid)
}

/// Writes what a command made to the file that was asked for: pictures as one, or rows of an array or a table.
pub(crate) fn write_rows(
    path: &Path,
    labelled: &[(String, Vec<Vec<f32>>)],
    event: &[usize],
) -> Result<(), Error> {
    if FileKind::by_name(path) == Some(FileKind::Picture) {
        if path.extension().is_none_or(|kind| !kind.eq_ignore_ascii_case("png")) {
            return Err(format!(
                "{}: such a picture is written as PNG: choose a name that ends in .png",
                path.display()
            )
            .into());
        }
        let png = grid(labelled, event)?.png();
        return std::fs::write(path, png)
            .map_err(|error| format!("cannot write {}: {error}", path.display()).into());
    }
    let mut writer = RowWriter::create(path, event, None, false)?;
    for row in labelled.iter().flat_map(|(_, rows)| rows) {
        writer.write(row)?;
    }
    writer.finish()
}
