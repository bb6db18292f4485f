//! The data of an experiment.

use std::path::{Path, PathBuf};

use dvae_data::{
    Binarization, DataError, Dataset, ReadOptions, Scaler, Scaling, Sets, fashion_mnist,
    read_idx_folder, read_rows,
};
use dvae_random::{Key, Purpose};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExperimentError;

/// What an experiment is trained, validated and reported on.
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
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// What kind of data.
    pub source: DataSource,
    /// The file or folder; not for the embedded set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A file or folder of the same kind with the rows to report on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_path: Option<PathBuf>,
    /// The array of an NPZ file; not needed where there is but one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the first line of a table has the names of its columns.
    pub header: bool,
    /// The columns of a table that are learnt, by name; all, if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The shape that pictures are brought to, `[channels, height, width]`; without it they must be alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<[usize; 3]>,
    /// The shape of a row, if not that of the file: `[1, 28, 28]` makes images of rows of 784.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// At most so many rows, the first ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// The share of the training rows that is held out for validation, in `(0, 1)`.
    pub validation: f64,
    /// The share of all rows that is held out to report on, in `[0, 1)`; not where there is a test set.
    pub test: f64,
    /// What the rows that are held out are drawn by.
    pub seed: u64,
    /// How entries are scaled, by what the training rows look like.
    pub scaling: Scaling,
    /// How entries in `[0, 1]` become zeros and ones; not at all if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binarization: Option<Binarization>,
    /// The scaling as it was fitted; fitted on the training rows if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub scaler: Option<Scaler>,
    /// Whether values were bytes, which are in `[0, 1]` then; noted when the data is first read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub bytes: Option<bool>,
    /// A checksum of the training rows, noted when they are first read: data that has changed since would be
    /// split in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub checksum: Option<u32>,
}

/// A kind of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataSource {
    /// The embedded part of Fashion-MNIST: 5,000 training and 1,000 test images.
    #[default]
    FashionMnist,
    /// A folder of IDX files, named as MNIST's.
    Idx,
    /// An array of NumPy, `.npy` or `.npz`: axis 0 are the rows.
    Npy,
    /// A table of numbers, `.csv`; a missing cell is not observed.
    Csv,
    /// A folder of pictures, PNG or JPEG.
    Images,
}

impl Default for DataConfig {
    /// The embedded set, a twentieth of its training rows held out for validation.
    fn default() -> Self {
        Self {
            source: DataSource::default(),
            path: None,
            test_path: None,
            key: None,
            header: true,
            columns: None,
            image: None,
            shape: None,
            rows: None,
            validation: 0.05,
            test: 0.0,
            seed: 1,
            scaling: Scaling::default(),
            binarization: None,
            scaler: None,
            bytes: None,
            checksum: None,
        }
    }
}

/// The rows of an experiment, scaled and binarized as it says.
#[derive(Clone, Debug)]
pub struct LoadedData {
    /// Rows to train on.
    pub train: Dataset,
    /// Rows to validate on.
    pub validation: Dataset,
    /// Rows to report on, if there are any.
    pub test: Option<Dataset>,
    /// The scaling that was fitted on the training rows.
    pub scaler: Option<Scaler>,
    /// The names of a table's columns, if it has any.
    pub columns: Option<Vec<String>>,
    /// Whether values were bytes.
    pub bytes: bool,
}

impl DataConfig {
    /// Reads, splits, scales and binarizes the rows.
    pub fn load(&self) -> Result<LoadedData, ExperimentError> {
        self.check()?;
        let (columns, bytes) = self.kind()?;
        let (rows, test) = self.read()?;
        if let Some(test) = test.as_ref().filter(|test| test.event() != rows.event()) {
            let (train, test) = (rows.event().into(), test.event().into());
            return Err(DataError::Mismatch { train, test }.into());
        }
        let limit = self.rows.unwrap_or(usize::MAX);
        let (rows, test) =
            (self.shaped(rows.take(limit))?, test.map(|test| self.shaped(test)).transpose()?);
        let root = Key::new(self.seed).purpose(Purpose::Split);
        let (rows, test) = match test {
            None if self.test > 0.0 => {
                let (rest, test) = rows.split(count(self.test, &rows)?, root.branch(1))?;
                (rest, Some(test))
            }
            test => (rows, test),
        };
        let (train, validation) = rows.split(count(self.validation, &rows)?, root)?;
        let scaler = match &self.scaler {
            Some(scaler) => Some(scaler.clone()),
            None => Scaler::fit(self.scaling, &train),
        };
        let key = Key::new(self.seed).purpose(Purpose::Data);
        let finish = |rows: Dataset, key| self.finished(rows, scaler.as_ref(), key);
        // Rows of another file may have the ids of training rows: they are drawn by another key.
        let test = test.map(|test| finish(test, key.branch(1))).transpose()?;
        let (train, validation) = (finish(train, key)?, finish(validation, key)?);
        if self.checksum.is_some_and(|checksum| checksum != train.checksum()) {
            let text = "the data has changed since the training: rows that were trained on may be among those \
                        that are held out now; name the rows to use by --data";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        Ok(LoadedData { train, validation, test, scaler, columns, bytes })
    }

    /// The names of a table's columns, and whether values are bytes.
    fn kind(&self) -> Result<(Option<Vec<String>>, bool), ExperimentError> {
        match (self.source, &self.path) {
            (DataSource::Npy | DataSource::Csv, Some(path)) => {
                let rows = read_rows(path, &self.options())?;
                Ok((rows.names, rows.bytes))
            }
            _ => Ok((None, true)),
        }
    }

    /// The rows of another file, as the model sees those of the experiment.
    pub(crate) fn load_other(&self, path: &Path) -> Result<Dataset, ExperimentError> {
        let is_idx = self.source == DataSource::Idx && path.is_dir();
        let rows = match is_idx {
            true => read_idx_folder(path)?.test,
            false => Dataset::read(path, &self.options())?,
        };
        let key = Key::new(self.seed).purpose(Purpose::Data).branch(1);
        self.finished(self.shaped(rows)?, self.scaler.as_ref(), key)
    }

    /// How files are read.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            key: self.key.clone(),
            no_header: !self.header,
            columns: self.columns.clone(),
            image: self.image,
        }
    }

    /// With paths that hold wherever the program is started.
    pub(crate) fn absolute(&self) -> Self {
        let absolute = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        };
        Self { path: absolute(&self.path), test_path: absolute(&self.test_path), ..self.clone() }
    }

    fn check(&self) -> Result<(), ExperimentError> {
        let wrong = |text: String| Err(ExperimentError::Settings(text));
        if !(self.validation > 0.0 && self.validation < 1.0) {
            return wrong(format!(
                "`data.validation` is a share above 0 and below 1, but is {}",
                self.validation
            ));
        }
        if !(self.test >= 0.0 && self.test < 1.0) {
            return wrong(format!(
                "`data.test` is a share of at least 0 and below 1, but is {}",
                self.test
            ));
        }
        if self.rows == Some(0) {
            return wrong("`data.rows` must be at least 1, but is 0".to_owned());
        }
        if self.binarization.is_some() && self.scaling != Scaling::None {
            return wrong(
                "`data.binarization` takes values in [0, 1] as they are: leave `data.scaling` out"
                    .into(),
            );
        }
        if self.shape.as_ref().is_some_and(Vec::is_empty) {
            return wrong("`data.shape` must have an axis at least, but is []".to_owned());
        }
        for (key, is_set, source, name) in [
            ("key", self.key.is_some(), DataSource::Npy, "npy"),
            ("columns", self.columns.is_some(), DataSource::Csv, "csv"),
            ("header", !self.header, DataSource::Csv, "csv"),
            ("image", self.image.is_some(), DataSource::Images, "images"),
        ] {
            if is_set && self.source != source {
                return wrong(format!(
                    "`data.{key}` is for `data.source = \"{name}\"`: leave it out"
                ));
            }
        }
        let has_test = matches!(self.source, DataSource::FashionMnist | DataSource::Idx);
        if self.test > 0.0 && (has_test || self.test_path.is_some()) {
            return wrong("`data.test` is for data without a test set: leave it out".to_owned());
        }
        if has_test && self.test_path.is_some() {
            return wrong(
                "`data.test_path` is for data without a test set: leave it out".to_owned(),
            );
        }
        Ok(())
    }

    /// Training rows, and test rows if the source has any.
    fn read(&self) -> Result<(Dataset, Option<Dataset>), ExperimentError> {
        let path = match (self.source, &self.path) {
            (DataSource::FashionMnist, None) => {
                let Sets { train, test } = fashion_mnist();
                return Ok((train, Some(test)));
            }
            (DataSource::FashionMnist, Some(_)) => {
                let text = "`data.path` is set, but `data.source` is \"fashion-mnist\", which is embedded: \
                            choose the kind of your data";
                return Err(ExperimentError::Settings(text.to_owned()));
            }
            (_, Some(path)) => path,
            (_, None) => {
                let text = "`data.path` is missing: where is the data?";
                return Err(ExperimentError::Settings(text.to_owned()));
            }
        };
        if self.source == DataSource::Idx {
            let Sets { train, test } = read_idx_folder(path)?;
            return Ok((train, Some(test)));
        }
        let test = self.test_path.as_ref().map(|path| self.read_file(path)).transpose()?;
        Ok((self.read_file(path)?, test))
    }

    fn read_file(&self, path: &Path) -> Result<Dataset, ExperimentError> {
        use dvae_data::FileKind::{Array, Folder, Picture, Table};
        let kind = dvae_data::FileKind::of(path)?;
        match (self.source, kind) {
            (DataSource::Npy, Array)
            | (DataSource::Csv, Table)
            | (DataSource::Images, Folder | Picture) => Ok(Dataset::read(path, &self.options())?),
            _ => Err(DataError::Kind { path: path.into() }.into()),
        }
    }

    fn shaped(&self, rows: Dataset) -> Result<Dataset, ExperimentError> {
        match &self.shape {
            Some(shape) => Ok(rows.reshaped(shape)?),
            None => Ok(rows),
        }
    }

    fn finished(
        &self,
        rows: Dataset,
        scaler: Option<&Scaler>,
        key: Key,
    ) -> Result<Dataset, ExperimentError> {
        let rows = match scaler {
            Some(scaler) => rows.scaled(scaler)?,
            None => rows,
        };
        Ok(match self.binarization {
            Some(how) => rows.binarized(how, key)?,
            None => rows,
        })
    }
}

/// A share of the rows, at least one.
fn count(share: f64, rows: &Dataset) -> Result<usize, ExperimentError> {
    Ok(((share * rows.len() as f64).round() as usize).max(1))
}
