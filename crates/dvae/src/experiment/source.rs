//! Kinds of data, and how their rows are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dvae_data::{
    Channels, Crops, DataError, Dataset, Decimal, Domain, Element, FileKind, Fit, KindConfig,
    Pairs, ReadOptions, Rows, Sets, TableColumn, TextUnit, Vocabulary, columns_by_kind,
    fashion_mnist, read_idx_folder_of, read_rows,
};
use dvae_random::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExperimentError, PreparedData};

/// A kind of data, with its own keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum DataSource {
    /// The embedded part of Fashion-MNIST: 5,000 training and 1,000 test images.
    FashionMnist {},
    /// A folder of IDX files, named as MNIST's.
    Idx {
        /// The folder.
        path: PathBuf,
        /// What the names of the files begin with, such as `emnist-balanced`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        /// Megabytes of images that are held in memory: those of a larger file stay there, or, if it is compressed, in a file without a
        /// name in the folder for temporary files (`TMPDIR`). The training is the same, up to 1,048,576 images.
        #[serde(default = "four_thousand", skip_serializing_if = "is_four_thousand")]
        memory: u64,
    },
    /// A NumPy array, `.npy` or `.npz`, or a tensor of a `.safetensors` file: axis 0 indexes the rows. A path such as
    /// `parts/part-*.npy` stands for several arrays whose rows follow each other, in the order of their names. Or a sparse
    /// matrix, which stays one in memory: SciPy's `.npz`, or Matrix Market, `.mtx` or `.mtx.gz`.
    Npy {
        /// The file.
        path: PathBuf,
        /// A file with the rows to report on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_path: Option<PathBuf>,
        /// The array's name in an NPZ or safetensors file; not needed if the file has only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The name of the array of the rows to report on, in `test_path` or else in `path`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_key: Option<String>,
        /// Whether the rows are the columns of the file, as of genes by cells; for two axes.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        transposed: bool,
        /// Where the array has its channels: `first` or `last`. Needed if the last axis of a row is 1, 3 or 4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<Channels>,
        /// Megabytes of an array that are held in memory: the rows of a larger one stay in their file, or, if it is compressed, in one without a name
        /// in the folder for temporary files (`TMPDIR`), and are read from there in each epoch; the training is the same. Of more than 1,048,576
        /// such rows, blocks of 1,024 are held out, and their order is another random one. What scaling and binarization make of them is in
        /// a temporary file too.
        #[serde(default = "four_thousand", skip_serializing_if = "is_four_thousand")]
        memory: u64,
    },
    /// A table of numbers, `.csv` or `.tsv`, or `.parquet` with the cargo feature of that name; a missing cell is not observed.
    Csv {
        /// The file.
        path: PathBuf,
        /// A file with the rows to report on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_path: Option<PathBuf>,
        /// Whether the first line contains the column names.
        #[serde(default = "yes")]
        header: bool,
        /// The columns to learn, by name; all columns if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// Learn classes as well as numbers: the kind of each column is found, as `dvae table` shows it, but for those that are
        /// named here, or `{}`: `{ grade = "numeric", note = "ignore", size = { ordinal = ["S", "M", "L"] }, born = { date =
        /// "%d.%m.%Y" } }`. Columns that pass through are not learned. Scaling and likelihood follow the kinds:
        /// `model.likelihood` is that of the numbers. Left out, all columns are numbers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kinds: Option<BTreeMap<String, KindConfig>>,
        /// What stands between cells, such as ";"; found if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delimiter: Option<char>,
        /// The decimal separator: "." or ",".
        #[serde(default)]
        decimal: Decimal,
        /// Texts of missing cells, in addition to an empty cell, `NA`, `N/A`, `#N/A`, `<NA>`, `NaN`, `null`, `none` and `?`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// Megabytes of numbers, of 8 bytes each, that are held in memory: those of a larger table are read once, into a file without a name in the folder
        /// for temporary files (`TMPDIR`). The training is the same, up to 1,048,576 rows.
        #[serde(default = "four_thousand", skip_serializing_if = "is_four_thousand")]
        memory: u64,
    },
    /// Texts: the lines of a text file, `.txt`, or a column of a table, `.csv` or `.tsv`. They are in memory. The network is `tokens`, and the
    /// corruption one of texts, such as `typos`.
    Text {
        /// The file.
        path: PathBuf,
        /// A file with the texts to report on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_path: Option<PathBuf>,
        /// The column of a table that has the texts, by name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        /// What stands between cells of a table, such as ";"; found if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delimiter: Option<char>,
        /// A file of pairs of wrong and right texts, from which the process `learned-typos` learns the errors that people make: a pair in each
        /// line, `WRONG->RIGHT`, or with a tab between.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        typos: Option<PathBuf>,
        /// What a row is: `line`, or `word` for texts of any length. Each word is a row once, however often it is there.
        #[serde(default)]
        unit: TextUnit,
        /// The most characters of a row; longer ones are left out of the training, and never changed.
        #[serde(default = "longest_row")]
        longest: usize,
        /// How often a character occurs at least to be known: what is rarer can be copied, but not put in.
        #[serde(default = "least_often")]
        least: usize,
    },
    /// A folder of images, searched with the folders in it: PNG, JPEG, TIFF, WebP, PNM.
    Images {
        /// The folder.
        path: PathBuf,
        /// A folder with the images to report on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_path: Option<PathBuf>,
        /// The shape that images are converted to, `[channels, height, width]`; without it, and without `crops`, all
        /// images must have the same shape.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<[usize; 3]>,
        /// How rows are cut from images of any size: `{ shape = [1, 64, 64], flips = true, turns = true }`. In every
        /// epoch they are others. Images are held out whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crops: Option<Crops>,
        /// Damaged pictures of the same scenes, which the model gets in place of the clean ones; `crops` must be given too.
        /// `corruption` comes on top: "none" adds nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pairs: Option<Pairs>,
        /// Images that are left out, by their places in the folder: broken ones, as `dvae train --skip-broken` finds them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leave_out: Vec<PathBuf>,
        /// Megabytes of pictures that are held in memory. If there are more, they are decoded once, into
        /// a file without a name in the folder for temporary files (`TMPDIR`), and read from there; the training is the
        /// same, of whole pictures up to 1,048,576 of them.
        #[serde(default = "four_thousand", skip_serializing_if = "is_four_thousand")]
        memory: u64,
    },
}

fn longest_row() -> usize {
    64
}

fn least_often() -> usize {
    2
}

fn four_thousand() -> u64 {
    4000
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde passes it.
fn is_four_thousand(memory: &u64) -> bool {
    *memory == four_thousand()
}

fn yes() -> bool {
    true
}

/// The rows of a source, before splitting and scaling.
pub(super) struct SourceRows {
    pub(super) rows: Dataset,
    /// The source's own test rows.
    pub(super) test: Option<Dataset>,
    /// The column names of a table.
    pub(super) columns: Option<Vec<String>>,
    /// Columns without any value, which are left out.
    pub(super) empty_columns: Vec<String>,
    /// The columns of a table of several kinds.
    pub(super) kinds: Option<Vec<TableColumn>>,
    /// The type of the stored numbers.
    pub(super) element: Element,
    /// What tokens mean, if the rows are texts.
    pub(super) vocabulary: Option<Vocabulary>,
    /// Texts that are too long.
    pub(super) left_out: usize,
}

impl SourceRows {
    /// Rows that are neither a table nor texts.
    pub(super) fn new(rows: Dataset, test: Option<Dataset>, element: Element) -> Self {
        Self {
            rows,
            test,
            columns: None,
            empty_columns: vec![],
            kinds: None,
            element,
            vocabulary: None,
            left_out: 0,
        }
    }
}

impl DataSource {
    /// The options for reading files of this kind.
    pub fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        match self {
            Self::FashionMnist {} => {}
            Self::Idx { memory, .. } => options.memory = Some(memory.saturating_mul(1_000_000)),
            Self::Npy { key, channels, transposed, memory, .. } => {
                options.memory = Some(memory.saturating_mul(1_000_000));
                options.key.clone_from(key);
                options.transposed = *transposed;
                options.channels = *channels;
            }
            Self::Csv { header, columns, delimiter, decimal, missing, memory, .. } => {
                options.memory = Some(memory.saturating_mul(1_000_000));
                options.no_header = !header;
                options.columns.clone_from(columns);
                options.delimiter = *delimiter;
                options.decimal = *decimal;
                options.missing.clone_from(missing);
            }
            Self::Text { delimiter, .. } => options.delimiter = *delimiter,
            Self::Images { image, leave_out, memory, .. } => {
                options.fit = image.map_or(Fit::Stored, Fit::Resized);
                options.memory = Some(memory.saturating_mul(1_000_000));
                options.leave_out.clone_from(leave_out);
            }
        }
        options
    }

    /// Reads the rows; crops are drawn by `key`. `earlier` is what was found before.
    pub(super) fn read(
        &self,
        domain: Option<Domain>,
        key: Key,
        earlier: Option<&PreparedData>,
    ) -> Result<SourceRows, ExperimentError> {
        match self {
            Self::FashionMnist {} => own(fashion_mnist(), domain),
            Self::Idx { path, prefix, .. } => {
                let prefix = prefix.as_deref().unwrap_or_default();
                let domain = Some(domain.unwrap_or(Domain::Unit));
                let options = ReadOptions { domain, ..self.options() };
                own(read_idx_folder_of(path, prefix, &options)?, domain)
            }
            Self::Npy { path, test_path, key, test_key, .. } => {
                let options = ReadOptions { domain, ..self.options() };
                let test = test_key.as_ref().map(|_| test_path.as_ref().unwrap_or(path));
                let test = test.or(test_path.as_ref());
                let test_key = test_key.as_ref().or(key.as_ref()).cloned();
                let of_test = ReadOptions { key: test_key, ..options.clone() };
                self.files(path, &options, test.map(|test| (&**test, &of_test)))
            }
            Self::Images { path, test_path, crops: Some(crops), pairs, .. } => {
                let options = ReadOptions { domain, ..self.options() };
                let (rows, element) =
                    Dataset::read_crops(path, &options, *crops, pairs.as_ref(), key)?;
                let test = test_path.as_ref().map(|path| {
                    // Left out is what is broken in the folder of the training.
                    let options = ReadOptions { leave_out: vec![], ..options.clone() };
                    Dataset::read_crops(path, &options, *crops, pairs.as_ref(), key)
                });
                let test = test.transpose()?;
                let test = test.map(|(test, _)| test);
                keep_apart(&rows, test.as_ref())?;
                Ok(SourceRows::new(rows, test, element))
            }
            Self::Csv { path, test_path, kinds: Some(kinds), .. } => {
                let own = self.options();
                let known = earlier.and_then(|earlier| earlier.kinds.clone());
                let columns = match known {
                    Some(known) => known,
                    None => columns_by_kind(path, &own, kinds)?,
                };
                let options = ReadOptions { domain, kinds: Some(columns.clone()), ..own };
                let test = test_path.as_ref().map(|test| (&**test, &options));
                let rows = self.files(path, &options, test)?;
                Ok(SourceRows { kinds: Some(columns), ..rows })
            }
            Self::Text { .. } => self.texts(earlier),
            Self::Csv { path, test_path, .. } | Self::Images { path, test_path, .. } => {
                let options = ReadOptions { domain, ..self.options() };
                let of_test = ReadOptions { leave_out: vec![], ..options.clone() };
                self.files(path, &options, test_path.as_ref().map(|test| (&**test, &of_test)))
            }
        }
    }

    /// The rows of files of this kind.
    fn files(
        &self,
        path: &Path,
        options: &ReadOptions,
        test: Option<(&Path, &ReadOptions)>,
    ) -> Result<SourceRows, ExperimentError> {
        let rows = self.open(path, options)?;
        let (columns, element) = (rows.format.names.clone(), rows.format.element);
        let rows = rows.into_dataset(path)?;
        let (columns, empty_columns) = self.with_values(path, columns, &rows)?;
        if !empty_columns.is_empty() {
            let options = ReadOptions { columns, ..options.clone() };
            let test = test.map(|(path, _)| (path, &options));
            let rest = self.files(path, &options, test)?;
            return Ok(SourceRows { empty_columns, ..rest });
        }
        let test = match test {
            Some((path, options)) => {
                // Columns are matched by name.
                let columns = columns.clone().or(options.columns.clone());
                let options = ReadOptions { columns, ..options.clone() };
                Some(self.open(path, &options)?.into_dataset(path)?)
            }
            None => None,
        };
        keep_apart(&rows, test.as_ref())?;
        Ok(SourceRows { columns, empty_columns, ..SourceRows::new(rows, test, element) })
    }

    /// The columns that have values, and those that have none.
    #[allow(clippy::type_complexity)] // The names of both.
    fn with_values(
        &self,
        path: &Path,
        columns: Option<Vec<String>>,
        rows: &Dataset,
    ) -> Result<(Option<Vec<String>>, Vec<String>), ExperimentError> {
        let Self::Csv { columns: chosen, .. } = self else { return Ok((columns, vec![])) };
        let counts = rows.observed_counts();
        let Some(first) = counts.iter().position(|&count| count == 0) else {
            return Ok((columns, vec![]));
        };
        let bad = |name: String| {
            let reason = format!("column {name} has no value: leave it out by `data.columns`");
            Err(DataError::File { path: path.into(), reason }.into())
        };
        match columns {
            Some(names) if chosen.is_some() => bad(format!("`{}`", names[first])),
            None => bad((first + 1).to_string()),
            Some(names) => {
                let (full, empty): (Vec<_>, Vec<_>) =
                    names.into_iter().zip(counts).partition(|&(_, count)| count > 0);
                let names =
                    |pairs: Vec<(String, u64)>| pairs.into_iter().map(|(name, _)| name).collect();
                if full.is_empty() {
                    return bad(format!("`{}`", empty[first].0));
                }
                Ok((Some(names(full)), names(empty)))
            }
        }
    }

    /// The files and folders of the data.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::FashionMnist {} => vec![],
            Self::Idx { path, .. } => vec![path],
            Self::Npy { path, test_path, .. } | Self::Csv { path, test_path, .. } => {
                std::iter::once(&**path).chain(test_path.as_deref()).collect()
            }
            Self::Text { path, test_path, typos, .. } => std::iter::once(&**path)
                .chain(test_path.as_deref())
                .chain(typos.as_deref())
                .collect(),
            Self::Images { path, test_path, pairs, .. } => {
                let damaged = match pairs {
                    Some(Pairs::Damaged { path }) => Some(&**path),
                    _ => None,
                };
                std::iter::once(&**path).chain(test_path.as_deref()).chain(damaged).collect()
            }
        }
    }

    /// The file or folder of the test rows, if they have one.
    pub(super) fn test_path(&self) -> Option<&Path> {
        match self {
            Self::FashionMnist {} | Self::Idx { .. } => None,
            Self::Npy { test_path, .. }
            | Self::Csv { test_path, .. }
            | Self::Text { test_path, .. }
            | Self::Images { test_path, .. } => test_path.as_deref(),
        }
    }

    /// Keeps the last part of each path alone, and no names of broken pictures.
    pub(super) fn name_paths(&mut self) {
        for path in self.paths_mut() {
            *path = path.file_name().map_or_else(|| PathBuf::from("data"), PathBuf::from);
        }
        if let Self::Images { leave_out, .. } = self {
            leave_out.clear();
        }
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::FashionMnist {} => vec![],
            Self::Idx { path, .. } => vec![path],
            Self::Npy { path, test_path, .. } | Self::Csv { path, test_path, .. } => {
                std::iter::once(path).chain(test_path).collect()
            }
            Self::Text { path, test_path, typos, .. } => {
                std::iter::once(path).chain(test_path).chain(typos).collect()
            }
            Self::Images { path, test_path, pairs, .. } => {
                let damaged = match pairs {
                    Some(Pairs::Damaged { path }) => Some(path),
                    _ => None,
                };
                std::iter::once(path).chain(test_path).chain(damaged).collect()
            }
        }
    }

    /// Opens a file, which must be of this kind.
    fn open(&self, path: &Path, options: &ReadOptions) -> Result<Rows, ExperimentError> {
        match (self, FileKind::of(path)?) {
            (Self::Npy { .. }, FileKind::Array)
            | (Self::Csv { .. }, FileKind::Table)
            | (Self::Images { .. }, FileKind::Folder | FileKind::Picture) => {
                Ok(read_rows(path, options)?)
            }
            _ => Err(DataError::Kind { path: path.into() }.into()),
        }
    }

    /// Whether the source has test rows of its own.
    pub(super) fn has_test(&self) -> bool {
        match self {
            Self::FashionMnist {} | Self::Idx { .. } => true,
            Self::Npy { test_path, test_key, .. } => test_path.is_some() || test_key.is_some(),
            Self::Csv { test_path, .. }
            | Self::Text { test_path, .. }
            | Self::Images { test_path, .. } => test_path.is_some(),
        }
    }

    /// The same source with absolute paths, which do not depend on the working directory.
    pub(super) fn absolute(mut self) -> Self {
        self.paths_mut().into_iter().for_each(make_absolute);
        self
    }
}

pub(super) fn make_absolute(path: &mut PathBuf) {
    if let Ok(absolute) = std::path::absolute(&path) {
        *path = absolute;
    }
}

/// An error if the test rows are the training rows.
pub(super) fn keep_apart(rows: &Dataset, test: Option<&Dataset>) -> Result<(), ExperimentError> {
    if test.is_some_and(|test| test.checksum() == rows.checksum()) {
        let text = "the test rows are the training rows: name others by `data.test_path` or `data.test_key`, or \
                    hold some out by `data.test`";
        return Err(ExperimentError::Settings(text.to_owned()));
    }
    Ok(())
}

/// The rows of a source that is stored as bytes, with test rows.
fn own(Sets { train, test }: Sets, domain: Option<Domain>) -> Result<SourceRows, ExperimentError> {
    let declared = |rows: Dataset| rows.declared(domain.unwrap_or(Domain::Unit));
    let (rows, test) = (declared(train)?, Some(declared(test)?));
    Ok(SourceRows::new(rows, test, Element::U8))
}
