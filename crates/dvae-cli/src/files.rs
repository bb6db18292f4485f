//! The user's input and output files.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use dvae::data::{
    Channels, Decimal, Domain, Element, FileKind, Format, ReadOptions, RowWriter, pictures_in,
    write_file,
};
use dvae::eval::Grid;
use dvae::prelude::*;
use dvae::{Experiment, Pretrained};

use crate::Error;

/// How files are read.
#[derive(clap::Args)]
pub(crate) struct Reading {
    /// The array of an NPZ file, if it has several
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Where arrays have their channels: first or last
    #[arg(long, value_name = "WHERE")]
    pub(crate) channels: Option<String>,
    /// The tables have no names of columns in their first line
    #[arg(long)]
    pub(crate) no_header: bool,
    /// What stands between the cells of tables [default: found]
    #[arg(long, value_name = "CHARACTER")]
    pub(crate) delimiter: Option<char>,
    /// The tables have decimal commas
    #[arg(long)]
    pub(crate) decimal_comma: bool,
}

/// Input files and the options for reading them.
#[derive(clap::Args)]
pub(crate) struct Inputs {
    /// Pictures (PNG, JPEG, TIFF, WebP, PNM), folders of pictures, arrays (NPY, NPZ) or tables (CSV, TSV)
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// One input file and its outputs.
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// The output file for the uncertainty, if requested.
    pub(crate) deviation: Option<PathBuf>,
}

impl Reading {
    /// The options for reading these files: those of an experiment's data, overridden by the arguments. An argument
    /// for a kind of file that there is none of is an error.
    pub(crate) fn options(
        &self,
        base: ReadOptions,
        files: &[PathBuf],
    ) -> Result<ReadOptions, Error> {
        let any = |endings: &[&str]| {
            files
                .iter()
                .filter_map(|path| path.extension())
                .any(|kind| endings.iter().any(|ending| kind.eq_ignore_ascii_case(ending)))
        };
        let checks: [(bool, &[&str], &str); 5] = [
            (self.key.is_some(), &["npz"], "--key is for NPZ files"),
            (self.channels.is_some(), &["npy", "npz"], "--channels is for NPY and NPZ files"),
            (self.no_header, &["csv", "tsv"], "--no-header is for CSV files"),
            (self.delimiter.is_some(), &["csv", "tsv"], "--delimiter is for CSV files"),
            (self.decimal_comma, &["csv", "tsv"], "--decimal-comma is for CSV files"),
        ];
        if let Some((_, _, text)) =
            checks.iter().find(|(given, endings, _)| *given && !any(endings))
        {
            return Err(format!("{text}, and there is none").into());
        }
        let channels = match self.channels.as_deref() {
            None => base.channels,
            Some("first") => Some(Channels::First),
            Some("last") => Some(Channels::Last),
            Some(other) => {
                return Err(format!("--channels is first or last, but is {other}").into());
            }
        };
        Ok(ReadOptions {
            is_key_of_model: self.key.is_none() && base.is_key_of_model,
            key: self.key.clone().or(base.key),
            channels,
            no_header: self.no_header || base.no_header,
            delimiter: self.delimiter.or(base.delimiter),
            decimal: if self.decimal_comma { Decimal::Comma } else { base.decimal },
            image: None,
            ..base
        })
    }
}

impl Inputs {
    /// The options for reading the files: see [`Reading::options`].
    pub(crate) fn options(&self, base: ReadOptions) -> Result<ReadOptions, Error> {
        self.reading.options(base, &self.inputs)
    }

    /// All files, including those in folders, each with its path within the folder.
    fn files_within(&self) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
        let mut files = vec![];
        for input in &self.inputs {
            if FileKind::of(input)? == FileKind::Folder {
                let within = |file: PathBuf| {
                    let name =
                        file.strip_prefix(input).map_or_else(|_| file.clone(), Path::to_path_buf);
                    (file, name)
                };
                files.extend(pictures_in(input)?.into_iter().map(within));
            } else {
                let name =
                    input.file_name().ok_or_else(|| format!("{} has no name", input.display()))?;
                files.push((input.clone(), name.into()));
            }
        }
        Ok(files)
    }

    /// All files, including those in folders.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, Error> {
        Ok(self.files_within()?.into_iter().map(|(file, _)| file).collect())
    }

    /// Each file with its output: `out` itself for one file, or a file in the folder `out` for several files
    /// or a folder.
    pub(crate) fn jobs(&self, out: &Path, deviations: bool) -> Result<Vec<Job>, Error> {
        let several = self.inputs.len() > 1 || FileKind::of(&self.inputs[0])? == FileKind::Folder;
        if several && !out.is_dir() && FileKind::by_name(out).is_some() {
            return Err(format!(
                "{} is the name of one file, but there are several inputs: name a folder",
                out.display()
            )
            .into());
        }
        let folder = several || out.is_dir();
        let mut jobs: Vec<Job> = vec![];
        for (input, name) in self.files_within()? {
            let mut output = if folder { out.join(name) } else { out.to_path_buf() };
            if folder && FileKind::by_name(&input) == Some(FileKind::Array) {
                output.set_extension("npy");
            }
            if folder && RowWriter::loses(&output) {
                output.set_extension("png");
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
        if jobs.iter().any(|job| RowWriter::loses(&job.output)) {
            let text = "warning: JPEG files hold values that are near those asked for; PNG and TIFF files hold the same";
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        Ok(jobs)
    }
}

/// `clean.png` → `clean-deviation.npy`; for a table `clean-deviation.csv`.
fn deviation_of(output: &Path) -> PathBuf {
    let ending = match FileKind::by_name(output) {
        Some(FileKind::Table) => {
            output.extension().unwrap_or_default().to_string_lossy().into_owned()
        }
        _ => "npy".to_owned(),
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

/// An error if an output is one of the files of an experiment's data, or in their folder.
pub(crate) fn keep_data<'a>(
    outputs: impl IntoIterator<Item = &'a Path>,
    experiment: &Experiment,
) -> Result<(), Error> {
    let paths = experiment.data.source.paths();
    let data: Vec<PathBuf> =
        paths.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
    for output in outputs {
        let is_data = |output: PathBuf| data.iter().any(|data| output.starts_with(data));
        if output.canonicalize().is_ok_and(is_data) {
            let output = output.display();
            return Err(format!(
                "{output} belongs to the data of the experiment: choose another -o"
            )
            .into());
        }
    }
    Ok(())
}

/// The outputs of jobs.
pub(crate) fn outputs(jobs: &[Job]) -> impl Iterator<Item = &Path> {
    jobs.iter().flat_map(|job| std::iter::once(&*job.output).chain(job.deviation.as_deref()))
}

/// An error if an output has another type than its input.
fn check_output(input: &Path, output: &Path) -> Result<(), Error> {
    let (from, to) = (FileKind::by_name(input), FileKind::by_name(output));
    let archive = output.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("npz"));
    let kind = |path: &Path| path.extension().unwrap_or_default().to_ascii_lowercase();
    // A line of a table is written as it stands, with its delimiters.
    let other_table = from == Some(FileKind::Table) && kind(input) != kind(output);
    if from != to || archive || other_table {
        let table = format!(".{}", kind(input).to_string_lossy());
        let ending = match from {
            Some(FileKind::Array) => ".npy",
            Some(FileKind::Table) => &table,
            _ => ".png or .tif",
        };
        let (input, output) = (input.display(), output.display());
        return Err(format!(
            "{output}: what is made of {input} needs a name that ends in {ending}"
        )
        .into());
    }
    Ok(())
}

/// The format of a file of rows that a model makes of itself: floats, in the model's own marks if it is a table, and
/// grids of 8 bits if it is a picture. Columns have the names of the model's table, or `x0`, `x1`, ….
pub(crate) fn format_of(model: &Pretrained, path: &Path) -> Format {
    let data = model.data();
    let own = data.element.unwrap_or(Element::F32);
    let element = match FileKind::by_name(path) {
        Some(FileKind::Table) => Element::F64,
        _ if own.fits_single() => Element::F32,
        _ => Element::F64,
    };
    let options = model.read_options();
    let width: usize = model.event().iter().product();
    let has_header = !options.no_header;
    let numbered = || (0..width).map(|at| format!("x{at}")).collect();
    let names = has_header.then(|| data.columns.clone().unwrap_or_else(numbered));
    let format = Format::new(model.event(), element, data.domain).named(names);
    format.marked(options.delimiter, options.decimal)
}

/// Draws rows of images as a picture, `columns` in a line; an error if they are not images.
fn grid(rows: &[(String, Vec<Vec<f64>>)], format: &Format) -> Result<Grid, Error> {
    let event = &format.event;
    let (&[channels, height, width], Domain::Unit) = (&event[..], format.domain) else {
        let domain = format.domain;
        return Err(format!(
            "rows of shape {event:?} that are {domain} are not pictures: choose an output that ends in .npy or .csv"
        )
        .into());
    };
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let mut grid = Grid::new();
    for (label, images) in rows {
        let shape = [images.len(), channels, height, width];
        let values: Vec<f32> = images.iter().flatten().map(|&value| value as f32).collect();
        let values = dvae::burn::tensor::TensorData::new(values, shape);
        grid = grid.row(label, Tensor::from_data(values, &device));
    }
    Ok(grid)
}

/// Writes a command's result to the requested file: images as one picture, or rows as an array or a table.
pub(crate) fn write_rows(
    path: &Path,
    labeled: &[(String, Vec<Vec<f64>>)],
    model: &Pretrained,
) -> Result<(), Error> {
    let format = format_of(model, path);
    if FileKind::by_name(path) == Some(FileKind::Picture) {
        if path.extension().is_none_or(|kind| !kind.eq_ignore_ascii_case("png")) {
            return Err(format!(
                "{}: such a picture is written as PNG: choose a name that ends in .png",
                path.display()
            )
            .into());
        }
        return Ok(write_file(path, &grid(labeled, &format)?.png())?);
    }
    let mut writer = RowWriter::create(path, &format)?;
    for row in labeled.iter().flat_map(|(_, rows)| rows) {
        writer.write(&format.row(row))?;
    }
    Ok(writer.finish()?)
}

/// A number of things: `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
