//! The user's input and output files.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use dvae::ExperimentError;
use dvae::Pretrained;
use dvae::data::{
    FileKind, NpyWriter, ReadOptions, Rows, TableWriter, picture_rows_in, pictures_in, read_rows,
    write_file, write_picture,
};
use dvae::eval::Grid;
use dvae::prelude::*;

use crate::Error;

/// Input files and the options for reading them.
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

/// One input file and its outputs.
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// The output file for the uncertainty, if requested.
    pub(crate) deviation: Option<PathBuf>,
}

impl Inputs {
    /// The options for reading files: those of an experiment's data, overridden by the arguments.
    pub(crate) fn options(&self, base: ReadOptions) -> Result<ReadOptions, Error> {
        let any = |ending: &str| {
            self.inputs
                .iter()
                .any(|path| path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case(ending)))
        };
        if self.key.is_some() && !any("npz") {
            return Err("--key is for NPZ files, and there is none".into());
        }
        if self.no_header && !any("csv") {
            return Err("--no-header is for CSV files, and there is none".into());
        }
        Ok(ReadOptions {
            key: self.key.clone(),
            no_header: self.no_header || base.no_header,
            image: None,
            ..base
        })
    }

    /// All files, including those in folders.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = vec![];
        for input in &self.inputs {
            match FileKind::of(input)? {
                FileKind::Folder => files.extend(pictures_in(input)?),
                _ => files.push(input.clone()),
            }
        }
        Ok(files)
    }

    /// Each file with its output: `out` itself for one file, or a file in the folder `out` for several files
    /// or a folder.
    pub(crate) fn jobs(&self, out: &Path, deviations: bool) -> Result<Vec<Job>, Error> {
        let folder = self.inputs.len() > 1
            || FileKind::of(&self.inputs[0])? == FileKind::Folder
            || out.is_dir();
        let mut jobs: Vec<Job> = vec![];
        for input in self.files()? {
            let name =
                input.file_name().ok_or_else(|| format!("{} has no name", input.display()))?;
            let mut output = if folder { out.join(name) } else { out.to_path_buf() };
            if folder && FileKind::by_name(&input) == Some(FileKind::Array) {
                output.set_extension("npy");
            }
            check_output(&input, &output)?;
            let deviation = deviations.then(|| deviation_of(&output));
            jobs.push(Job { input, output, deviation });
        }
        let outputs = jobs.iter().flat_map(|job| {
            [Some(&job.output), job.deviation.as_ref()]
                .into_iter()
                .flatten()
                .map(|path| (path, &job.input))
        });
        let mut taken: HashMap<&Path, &Path> = HashMap::new();
        for (output, input) in outputs.clone() {
            if let Some(other) = taken.insert(output, input) {
                let (a, b) = (other.display(), input.display());
                return Err(format!("{a} and {b} would both become {}", output.display()).into());
            }
        }
        keep_inputs(
            outputs.map(|(output, _)| output.as_path()),
            jobs.iter().map(|job| &*job.input),
        )?;
        if folder {
            std::fs::create_dir_all(out)
                .map_err(|error| format!("cannot make the folder {}: {error}", out.display()))?;
        }
        Ok(jobs)
    }
}

/// `clean.png` → `clean-deviation.npy`; for a table `clean-deviation.csv`.
fn deviation_of(output: &Path) -> PathBuf {
    let ending = match FileKind::by_name(output) {
        Some(FileKind::Table) => "csv",
        _ => "npy",
    };
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-deviation.{ending}"));
    output.with_file_name(name)
}

/// An error if an output is one of the inputs.
pub(crate) fn keep_inputs<'a>(
    outputs: impl IntoIterator<Item = &'a Path>,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Error> {
    let inputs: HashSet<PathBuf> =
        inputs.into_iter().filter_map(|input| input.canonicalize().ok()).collect();
    for output in outputs {
        if output.canonicalize().is_ok_and(|output| inputs.contains(&output)) {
            return Err(
                format!("{} would be overwritten: choose another -o", output.display()).into()
            );
        }
    }
    Ok(())
}

/// An error if an output has another type than its input.
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

/// The rows of a file for a model; an error if they do not fit it.
///
/// A gray model sees color images in gray, and a color model sees gray images in color. An array may have
/// another shape: see [`Pretrained::fits`].
pub(crate) fn rows_for(
    model: &Pretrained,
    path: &Path,
    options: &ReadOptions,
) -> Result<Rows, Error> {
    let kind = FileKind::of(path)?;
    // An image with other channels is converted; its height and width are kept.
    let rows = match (kind, model.event()) {
        (FileKind::Picture, &[channels @ (1 | 3), ..]) => {
            picture_rows_in(vec![path.into()], channels)?
        }
        _ => rows_of(path, options)?,
    };
    let fits = match kind {
        FileKind::Array => model.fits(path, &rows.event),
        _ if rows.event == model.event() => Ok(()),
        _ => Err(ExperimentError::Input {
            path: path.into(),
            found: rows.event.clone(),
            expected: model.event().into(),
        }),
    };
    fits?;
    if kind == FileKind::Array && rows.bytes && model.data().bytes == Some(false) {
        let path = path.display();
        return Err(format!(
            "{path} holds bytes, which would be read as [0, 1], but the model was trained on other values: save \
             x.astype(\"float32\") instead"
        )
        .into());
    }
    Ok(rows)
}

/// The rows of a file, not converted for a model.
pub(crate) fn rows_of(path: &Path, options: &ReadOptions) -> Result<Rows, Error> {
    Ok(read_rows(path, options)?)
}

/// Writes rows to a file of the type that its name implies.
pub(crate) enum RowWriter {
    Picture { path: PathBuf, event: Vec<usize>, written: bool },
    Array(NpyWriter),
    Table(Box<TableWriter>),
}

impl RowWriter {
    /// `names` are a table's column names; with `bytes`, an array stores `[0, 1]` as bytes.
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
            Some(FileKind::Table) => Self::Table(Box::new(TableWriter::create(path, names)?)),
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

/// Draws rows of images as a picture, `columns` in a line; an error if they are not images.
pub(crate) fn grid(rows: &[(String, Vec<Vec<f32>>)], event: &[usize]) -> Result<Grid, Error> {
    let &[channels, height, width] = event else {
        return Err(format!(
            "rows of shape {event:?} are not pictures: choose an output that ends in .npy or .csv"
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

/// Writes a command's result to the requested file: images as one picture, or rows as an array or a table.
pub(crate) fn write_rows(
    path: &Path,
    labeled: &[(String, Vec<Vec<f32>>)],
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
        return Ok(write_file(path, &grid(labeled, event)?.png())?);
    }
    let mut writer = RowWriter::create(path, event, None, false)?;
    for row in labeled.iter().flat_map(|(_, rows)| rows) {
        writer.write(row)?;
    }
    writer.finish()
}
