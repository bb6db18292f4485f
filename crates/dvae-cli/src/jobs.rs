//! Files that become files: the output of each, and what becomes of those that cannot be used.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dvae::ExperimentError;
use dvae::data::{DataError, FileKind, RowWriter};
use dvae::train::Communicator;
use serde::Serialize;

use crate::Error;
use crate::files::{counted, keep_inputs};
use crate::inputs::InputFiles;
use crate::output::{Output, path, report, warn};

/// One input file and its outputs.
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// The files that say how sure it is.
    pub(crate) beside: Vec<PathBuf>,
}

/// What is written beside each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    /// Standard deviations: `clean-deviation.npy`.
    Deviation,
    /// The ends of intervals: `clean-low.png` and `clean-high.png`.
    Interval,
    /// What texts may be: `clean-candidates.csv`.
    Candidates,
}

impl Beside {
    fn files(self, output: &Path) -> Vec<PathBuf> {
        match self {
            Self::Nothing => vec![],
            Self::Deviation => vec![deviation_of(output)],
            Self::Candidates => vec![named(output, "candidates.csv")],
            Self::Interval => {
                let ending = output.extension().unwrap_or_default().to_string_lossy().into_owned();
                // The losses of a JPEG file are as large as some intervals.
                let ending = if RowWriter::loses(output) { "png".to_owned() } else { ending };
                ["low", "high"].map(|end| named(output, &format!("{end}.{ending}"))).into()
            }
        }
    }
}

impl InputFiles<'_> {
    /// Each file with its output: `out` itself for one file, or a file in the folder `out` for several files
    /// or a folder.
    pub(crate) fn jobs(&self, out: &Path, beside: Beside) -> Result<Vec<Job>, Error> {
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
                // Of `counts.mtx.gz` both endings.
                if kind_of(&output) == "gz" {
                    output.set_extension("");
                }
                output.set_extension("npy");
            }
            if folder && RowWriter::loses(&output) {
                output.set_extension("png");
            }
            check_output(&input, &output)?;
            let beside = beside.files(&output);
            jobs.push(Job { input, output, beside });
        }
        let outputs = jobs.iter().flat_map(|job| {
            std::iter::once(&job.output).chain(&job.beside).map(|path| (path, &job.input))
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
    /// Texts that were changed, if there are texts.
    changed: Option<usize>,
}

impl Failures {
    pub(crate) fn new(is_strict: bool, jobs: &[Job]) -> Self {
        Self { is_strict, files: jobs.len(), failed: vec![], changed: None }
    }

    /// The same beside so many texts that were changed.
    pub(crate) fn with_changed(self, changed: usize) -> Self {
        Self { changed: Some(changed), ..self }
    }

    /// Notes and prints why a file cannot be used. It is an error if the command cannot go on with the others.
    pub(crate) fn add(&mut self, job: &Job, error: Error) -> Result<(), Error> {
        if self.is_strict || self.files == 1 || is_of_output(&*error) {
            return Err(error);
        }
        report(&*error);
        self.failed.push(job.input.to_string_lossy().into_owned());
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        if self.failed.len() == self.files {
            return Err(format!("none of {} files can be used", self.files).into());
        }
        Ok(())
    }

    /// The failures, and the rows of complete files, of all processes that share the files.
    pub(crate) fn of_all(
        self,
        rows: usize,
        jobs: &[Job],
        group: &dyn Communicator,
    ) -> Result<(usize, Self), Error> {
        let of_ranks = group.gather(serde_json::to_vec(&(rows, &self.failed, self.changed))?);
        let mut all = (0, Self { failed: vec![], changed: self.changed.map(|_| 0), ..self });
        for of_rank in of_ranks {
            let (rows, failed, changed): (usize, Vec<String>, Option<usize>) =
                serde_json::from_slice(&of_rank)?;
            all.0 += rows;
            all.1.changed = all.1.changed.zip(changed).map(|(sum, changed)| sum + changed);
            all.1.failed.extend(failed);
        }
        let place =
            |name: &String| jobs.iter().position(|job| job.input.to_string_lossy() == *name);
        all.1.failed.sort_by_cached_key(place);
        all.1.check().map(|()| all)
    }

    /// The exit code, which tells whether some files failed.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.failed.is_empty()))
    }

    /// Writes what has become of the files, and returns the exit code. It tells that some failed even if nobody reads on.
    pub(crate) fn summarize(
        self,
        verb: &str,
        rows: usize,
        to: &Path,
        out: Output,
    ) -> Result<ExitCode, Error> {
        let files = self.files - self.failed.len();
        let code = self.code();
        let changed = self.changed;
        let summary = Summary { files, rows, changed, out: to, failed: self.failed };
        let written = out.write(&summary, || {
            let (rows, files) = (counted(rows, "row"), counted(files, "file"));
            if let Some(changed) = changed {
                return format!("{verb} {changed} of {rows} of {files} to {}", to.display());
            }
            format!("{verb} {rows} of {files} to {}", to.display())
        });
        if code == ExitCode::SUCCESS { written.map(|()| code) } else { Ok(code) }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    files: usize,
    rows: usize,
    /// Texts that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<usize>,
    #[serde(serialize_with = "path")]
    out: &'a Path,
    /// Files that cannot be used.
    failed: Vec<String>,
}

/// Whether an error is one of writing, which the next file would meet too.
fn is_of_output(error: &(dyn std::error::Error + 'static)) -> bool {
    let data = error.downcast_ref::<DataError>();
    let inner = error.downcast_ref::<ExperimentError>().and_then(|error| match error {
        ExperimentError::Data(error) => Some(error),
        _ => None,
    });
    matches!(data.or(inner), Some(DataError::Write { .. }))
}

/// The outputs of jobs.
pub(crate) fn outputs(jobs: &[Job]) -> impl Iterator<Item = &Path> {
    jobs.iter()
        .flat_map(|job| std::iter::once(&*job.output).chain(job.beside.iter().map(|path| &**path)))
}

/// `clean.png` → `clean-deviation.npy`; for a table `clean-deviation.csv`.
fn deviation_of(output: &Path) -> PathBuf {
    let ending = match FileKind::by_name(output) {
        // Deviations of whole numbers and dates are none.
        Some(FileKind::Table) if kind_of(output) == "parquet" => "csv".to_owned(),
        Some(FileKind::Table) => {
            output.extension().unwrap_or_default().to_string_lossy().into_owned()
        }
        _ => "npy".to_owned(),
    };
    named(output, &format!("deviation.{ending}"))
}

/// `clean.png` → `clean-end`.
fn named(output: &Path, end: &str) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{end}"));
    output.with_file_name(name)
}

/// The ending of a name, in lower case.
fn kind_of(path: &Path) -> OsString {
    path.extension().unwrap_or_default().to_ascii_lowercase()
}

/// An error if an output has another type than its input.
fn check_output(input: &Path, output: &Path) -> Result<(), Error> {
    let (from, to) = (FileKind::by_name(input), FileKind::by_name(output));
    // A line of a table is written as it stands, with its delimiters.
    let [own, asked] = [input, output].map(kind_of);
    let is_text = own == "parquet" && asked == "csv";
    let other_table = from == Some(FileKind::Table) && own != asked && !is_text;
    let unwritten = to == Some(FileKind::Array) && kind_of(output) != "npy";
    if from != to || unwritten || other_table {
        let table = format!(".{}", kind_of(input).to_string_lossy());
        let ending = match from {
            Some(FileKind::Array) => ".npy",
            Some(FileKind::Table | FileKind::Text) => &table,
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
