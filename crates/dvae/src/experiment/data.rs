//! The data configuration of an experiment.

use std::path::{Path, PathBuf};

use dvae_data::{
    Binarization, DataError, Dataset, FileKind, ReadOptions, Rows, Scaling, Sets, fashion_mnist,
    read_idx_folder, read_rows,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExperimentError;

/// The rows that an experiment trains on, validates on and reports on.
///
/// ```toml
/// [data]
/// source = "csv"            # or "fashion-mnist", "idx", "npy", "images"
/// path = "sensors.csv"
/// validation = 0.1
/// test = 0.1
/// scaling = "standard"
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(transform = super::schema::flat)]
pub struct DataConfig {
    /// The kind of data, with the keys of that kind.
    #[serde(flatten)]
    pub source: DataSource,
    /// The shape of a row, if it differs from the file's: `[1, 28, 28]` turns rows of 784 into images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// The maximum number of rows; the first ones are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// The share of the training rows that is held out for validation, in `(0, 1)`.
    pub validation: f64,
    /// The share of all rows that is held out for reporting, in `[0, 1)`; not allowed with a test set.
    pub test: f64,
    /// The seed of the random split.
    pub seed: u64,
    /// How entries are scaled; the scaling is fitted on the training rows. Bounds, and lower limits of scales
    /// in a likelihood, are then in scaled units.
    pub scaling: Scaling,
    /// How entries in `[0, 1]` become zeros and ones; left out, they are not binarized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binarization: Option<Binarization>,
}

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
    },
    /// A NumPy array, `.npy` or `.npz`: axis 0 indexes the rows.
    Npy {
        /// The file.
        path: PathBuf,
        /// A file with the rows to report on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_path: Option<PathBuf>,
        /// The array's name in an NPZ file; not needed if the file has only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A table of numbers, `.csv`; a missing cell is not observed.
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
    },
    /// A folder of images, PNG or JPEG.
    Images {
        /// The folder.
        path: PathBuf,
        /// A folder with the images to report on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test_path: Option<PathBuf>,
        /// The shape that images are converted to, `[channels, height, width]`; without it all images must
        /// have the same shape.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<[usize; 3]>,
    },
}

fn yes() -> bool {
    true
}

impl Default for DataConfig {
    /// The embedded set, with a twentieth of its training rows held out for validation.
    fn default() -> Self {
        Self {
            source: DataSource::FashionMnist {},
            shape: None,
            rows: None,
            validation: 0.05,
            test: 0.0,
            seed: 1,
            scaling: Scaling::default(),
            binarization: None,
        }
    }
}

/// The rows of a source, before splitting and scaling.
pub(super) struct SourceRows {
    pub(super) rows: Dataset,
    /// The source's own test rows.
    pub(super) test: Option<Dataset>,
    /// The column names of a table.
    pub(super) columns: Option<Vec<String>>,
    /// Whether the values were stored as bytes.
    pub(super) bytes: bool,
}

impl DataSource {
    /// The options for reading files of this kind.
    pub fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        match self {
            Self::FashionMnist {} | Self::Idx { .. } => {}
            Self::Npy { key, .. } => options.key.clone_from(key),
            Self::Csv { header, columns, .. } => {
                options.no_header = !header;
                options.columns.clone_from(columns);
            }
            Self::Images { image, .. } => options.image = *image,
        }
        options
    }

    pub(super) fn read(&self) -> Result<SourceRows, ExperimentError> {
        let own = |Sets { train, test }| SourceRows {
            rows: train,
            test: Some(test),
            columns: None,
            bytes: true,
        };
        let (path, test_path) = match self {
            Self::FashionMnist {} => return Ok(own(fashion_mnist())),
            Self::Idx { path } => return Ok(own(read_idx_folder(path)?)),
            Self::Npy { path, test_path, .. }
            | Self::Csv { path, test_path, .. }
            | Self::Images { path, test_path, .. } => (path, test_path),
        };
        let rows = self.open(path)?;
        let (columns, bytes) = (rows.names.clone(), rows.bytes);
        let test = match test_path {
            Some(test) => Some(self.open(test)?.into_dataset(test)?),
            None => None,
        };
        Ok(SourceRows { rows: rows.into_dataset(path)?, test, columns, bytes })
    }

    /// Opens a file, which must be of this kind.
    fn open(&self, path: &Path) -> Result<Rows, ExperimentError> {
        match (self, FileKind::of(path)?) {
            (Self::Npy { .. }, FileKind::Array)
            | (Self::Csv { .. }, FileKind::Table)
            | (Self::Images { .. }, FileKind::Folder | FileKind::Picture) => {
                Ok(read_rows(path, &self.options())?)
            }
            _ => Err(DataError::Kind { path: path.into() }.into()),
        }
    }

    /// Whether the source has test rows of its own.
    fn has_test(&self) -> bool {
        match self {
            Self::FashionMnist {} | Self::Idx { .. } => true,
            Self::Npy { test_path, .. }
            | Self::Csv { test_path, .. }
            | Self::Images { test_path, .. } => test_path.is_some(),
        }
    }

    /// The same source with absolute paths, which do not depend on the working directory.
    pub(super) fn absolute(mut self) -> Self {
        let absolute = |path: &mut PathBuf| {
            if let Ok(absolute) = std::path::absolute(&path) {
                *path = absolute;
            }
        };
        match &mut self {
            Self::FashionMnist {} => {}
            Self::Idx { path } => absolute(path),
            Self::Npy { path, test_path, .. }
            | Self::Csv { path, test_path, .. }
            | Self::Images { path, test_path, .. } => {
                absolute(path);
                test_path.iter_mut().for_each(absolute);
            }
        }
        self
    }
}

impl DataConfig {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        let wrong = |text: String| Err(ExperimentError::Settings(text));
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let value = self.validation;
            return wrong(format!(
                "`data.validation` is a share above 0 and below 1, but is {value}"
            ));
        }
        if !(self.test >= 0.0 && self.test < 1.0) {
            let value = self.test;
            return wrong(format!(
                "`data.test` is a share of at least 0 and below 1, but is {value}"
            ));
        }
        if self.rows == Some(0) {
            return wrong("`data.rows` must be at least 1, but is 0".to_owned());
        }
        if self.binarization.is_some() && self.scaling != Scaling::None {
            let text =
                "`data.binarization` takes values in [0, 1] as they are: leave `data.scaling` out";
            return wrong(text.to_owned());
        }
        if self.shape.as_ref().is_some_and(Vec::is_empty) {
            return wrong("`data.shape` must have an axis at least, but is []".to_owned());
        }
        if self.test > 0.0 && self.source.has_test() {
            return wrong("`data.test` is for data without a test set: leave it out".to_owned());
        }
        Ok(())
    }
}
