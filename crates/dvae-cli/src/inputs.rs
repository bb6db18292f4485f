//! The user's input files, and how they are read.

use std::fs::File;
use std::path::{Path, PathBuf};

use dvae::data::{Channels, Decimal, FileKind, Pictures, ReadOptions, pictures_in};
use tempfile::TempDir;

use crate::Error;
use crate::output::warn;
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
    /// Pictures (PNG, JPEG, TIFF, WebP, PNM), folders of pictures, arrays (NPY, NPZ), sparse matrices (MTX, SciPy's NPZ), tables (CSV, TSV) or
    /// texts (TXT);
    /// - is standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// What standard input is: png, csv, npy, txt, …
    #[arg(long, value_name = "ENDING")]
    format: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

/// Input files that are there to be read.
pub(crate) struct InputFiles<'a> {
    pub(crate) inputs: Vec<PathBuf>,
    reading: &'a Reading,
    stdin: Option<StandardInput>,
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
            (self.key.is_some(), &["npz", "safetensors"], "--key is for NPZ and safetensors files"),
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
            ..base
        })
    }
}

impl Inputs {
    /// The files, standard input among them.
    pub(crate) fn open(&self) -> Result<InputFiles<'_>, Error> {
        self.open_as(false)
    }

    /// The files, to be read more than once: standard input is copied.
    pub(crate) fn open_to_read_again(&self) -> Result<InputFiles<'_>, Error> {
        self.open_as(true)
    }

    /// Whether standard input is among the files.
    pub(crate) fn has_standard_input(&self) -> bool {
        self.inputs.iter().any(|path| path.as_os_str() == "-")
    }

    fn open_as(&self, is_copied: bool) -> Result<InputFiles<'_>, Error> {
        let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
        let stdin = match (self.inputs.iter().filter(|path| is_stdin(path)).count(), &self.format) {
            (0, None) => None,
            (0, Some(_)) => {
                return Err("--format is for standard input, which is named by -".into());
            }
            (1, Some(format)) => Some(StandardInput::open(format, is_copied)?),
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
    fn open(format: &str, is_copied: bool) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(format!("standard-input.{format}"));
        if FileKind::by_name(&path).is_none() {
            return Err(format!(
                "--format is one of png, jpg, tif, csv, npy, txt, …, but is {format}"
            )
            .into());
        }
        // What has its index at its end, or is read from places, is kept.
        let is_sought =
            ["npz", "safetensors", "parquet"].iter().any(|kind| format.eq_ignore_ascii_case(kind));
        if cfg!(unix) && !is_copied && !is_sought {
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
    pub(crate) fn files_within(&self) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
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
}
