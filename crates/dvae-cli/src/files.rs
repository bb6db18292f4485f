//! The user's input and output files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dvae::data::{
    Channels, DataError, Decimal, Domain, Element, FileKind, Format, Pictures, ReadOptions,
    RowWriter, pictures_in, write_file,
};
use dvae::eval::Grid;
use dvae::prelude::*;
use dvae::{Experiment, ExperimentError, Pretrained};
use tempfile::TempDir;

use crate::Error;
use crate::output::{report, warn};
use crate::stop::remove_at_end;

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
    /// Pictures (PNG, JPEG, TIFF, WebP, PNM), folders of pictures, arrays (NPY, NPZ) or tables (CSV, TSV); - is standard
    /// input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// What standard input is: png, csv, npy, …
    #[arg(long, value_name = "ENDING")]
    format: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

/// Input files that are there to be read.
pub(crate) struct InputFiles<'a> {
    inputs: Vec<PathBuf>,
    reading: &'a Reading,
    stdin: Option<StandardInput>,
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
    /// The files, standard input among them.
    pub(crate) fn open(&self) -> Result<InputFiles<'_>, Error> {
        let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
        let stdin = match (self.inputs.iter().filter(|path| is_stdin(path)).count(), &self.format) {
            (0, None) => None,
            (0, Some(_)) => {
                return Err("--format is for standard input, which is named by -".into());
            }
            (1, Some(format)) => Some(StandardInput::open(format)?),
            (1, None) => return Err("standard input needs a --format, such as csv or png".into()),
            _ => return Err("standard input can be read once".into()),
        };
        let mut inputs = self.inputs.clone();
        if let Some(stdin) = &stdin {
            inputs
                .iter_mut()
                .filter(|path| is_stdin(path))
                .for_each(|path| *path = stdin.path.clone());
        }
        Ok(InputFiles { inputs, reading: &self.reading, stdin })
    }
}

/// Standard input under a name that says what it is.
struct StandardInput {
    path: PathBuf,
    folder: TempDir,
}

impl StandardInput {
    fn open(format: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(format!("standard-input.{format}"));
        if FileKind::by_name(&path).is_none() {
            return Err(
                format!("--format is one of png, jpg, tif, csv, npy, …, but is {format}").into()
            );
        }
        // An archive has its index at its end.
        if cfg!(unix) && !format.eq_ignore_ascii_case("npz") {
            link_to_stdin(&path)?;
        } else {
            std::io::copy(&mut std::io::stdin().lock(), &mut File::create_new(&path)?)?;
        }
        remove_at_end(folder.path());
        Ok(Self { path, folder })
    }
}

#[cfg(unix)]
fn link_to_stdin(path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink("/dev/stdin", path)
}

#[cfg(not(unix))]
fn link_to_stdin(_path: &Path) -> std::io::Result<()> {
    unreachable!("it is copied")
}

impl InputFiles<'_> {
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
                let Pictures { files: pictures, omissions } = pictures_in(input)?;
                omissions.iter().for_each(warn);
                files.extend(pictures.into_iter().map(within));
            } else {
                let name =
                    input.file_name().ok_or_else(|| format!("{} has no name", input.display()))?;
                files.push((input.clone(), name.into()));
            }
        }
        Ok(files)
    }

    /// The name of a file for people.
    pub(crate) fn label(&self, file: &Path) -> String {
        match &self.stdin {
            Some(stdin) if file.starts_with(stdin.folder.path()) => "standard input".to_owned(),
            _ => file.display().to_string(),
        }
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
            warn(
                &"JPEG files hold values that are near those asked for; PNG and TIFF files hold the same",
            );
        }
        Ok(jobs)
    }
}

/// The files of several that cannot be used.
pub(crate) struct Failures {
    /// Whether the first one ends the command.
    is_strict: bool,
    files: usize,
    failed: Vec<String>,
}

impl Failures {
    pub(crate) fn new(is_strict: bool, jobs: &[Job]) -> Self {
        Self { is_strict, files: jobs.len(), failed: vec![] }
    }

    /// Notes and prints why a file cannot be used. It is an error if the command cannot go on with the others.
    pub(crate) fn add(&mut self, job: &Job, error: Error) -> Result<(), Error> {
        if self.is_strict || self.files == 1 || is_of_output(&*error) {
            return Err(error);
        }
        report(&*error);
        self.failed.push(job.input.to_string_lossy().into_owned());
        if self.failed.len() == self.files {
            return Err(format!("none of {} files can be used", self.files).into());
        }
        Ok(())
    }

    /// The files that failed.
    pub(crate) fn into_names(self) -> Vec<String> {
        self.failed
    }
}

fn is_of_output(error: &(dyn std::error::Error + 'static)) -> bool {
    let data = error.downcast_ref::<DataError>();
    let inner = error.downcast_ref::<ExperimentError>().and_then(|error| match error {
        ExperimentError::Data(error) => Some(error),
        _ => None,
    });
    matches!(data.or(inner), Some(DataError::Write { .. }))
}

/// The exit code of a command that has done all but these files.
pub(crate) fn exit_code(failed: &[String]) -> ExitCode {
    ExitCode::from(u8::from(!failed.is_empty()))
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
