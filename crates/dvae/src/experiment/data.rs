//! The data configuration of an experiment.

use dvae_checks::within;
use dvae_data::{Binarization, Domain, Pairs, Scaling, ValueRange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataSource, ExperimentError};

/// The rows that an experiment trains on, validates on and reports on.
///
/// ```toml
/// [data]
/// source = "csv"            # or "fashion-mnist", "idx", "npy", "images", "text"
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
    /// What the values are: `unit` (numbers in [0, 1]; the largest number of an integer type stands for 1), `counts`,
    /// `integers` or `real`. Left out, pictures and bytes are `unit`, other integers `integers`, and floats and tables
    /// `real`, or `unit` if the model's likelihood is for numbers in [0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
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
    /// What 0 and 1 are for the model, for pictures that do not fill the range of their type: `{ between = [0, 4095] }` for 12
    /// bits in files of 16, or `{ percentiles = [0.1, 99.9] }` of the training rows. Signal-to-noise ratios and levels of
    /// corruptions follow it; noise is clipped to it if all values lie in it. Left out, the largest number of an integer
    /// type is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<ValueRange>,
    /// How entries in `[0, 1]` become zeros and ones; left out, they are not binarized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binarization: Option<Binarization>,
}

impl Default for DataConfig {
    /// The embedded set, with a twentieth of its training rows held out for validation.
    fn default() -> Self {
        Self {
            source: DataSource::FashionMnist {},
            domain: None,
            shape: None,
            rows: None,
            validation: 0.05,
            test: 0.0,
            seed: 1,
            scaling: Scaling::default(),
            range: None,
            binarization: None,
        }
    }
}

impl DataConfig {
    /// Whether rows are scaled.
    pub fn is_scaled(&self) -> bool {
        let is_by_kind = matches!(self.source, DataSource::Csv { kinds: Some(_), .. });
        self.scaling != Scaling::None || self.range.is_some() || is_by_kind
    }

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
        if let Some(range) = &self.range {
            range.check()?;
            if self.scaling != Scaling::None || self.binarization.is_some() {
                let text = "`data.range` says what 0 and 1 are: leave `data.scaling` and `data.binarization` out";
                return wrong(text.to_owned());
            }
        }
        if let DataSource::Csv { kinds: Some(_), .. } = &self.source {
            let others = [
                (!matches!(self.scaling, Scaling::None | Scaling::Ranks), "data.scaling"),
                (self.range.is_some(), "data.range"),
                (self.binarization.is_some(), "data.binarization"),
                (self.shape.is_some(), "data.shape"),
                (self.domain.is_some(), "data.domain"),
            ];
            if let Some((_, other)) = others.iter().find(|(is_given, _)| *is_given) {
                return wrong(format!(
                    "`data.kinds` says what the columns are, and how they are scaled: leave `{other}` out"
                ));
            }
        }
        if let DataSource::Text { longest, least, .. } = &self.source {
            let in_range =
                within("data.longest", *longest, 1..=4096).and(within("data.least", *least, 1..));
            in_range.map_err(|error| ExperimentError::Settings(error.to_string()))?;
            let others = [
                (self.scaling != Scaling::None, "data.scaling"),
                (self.range.is_some(), "data.range"),
                (self.binarization.is_some(), "data.binarization"),
                (self.shape.is_some(), "data.shape"),
                (self.domain.is_some(), "data.domain"),
            ];
            if let Some((_, other)) = others.iter().find(|(is_given, _)| *is_given) {
                return wrong(format!("`{other}` is for numbers, and not for texts: leave it out"));
            }
        }
        self.check_crops()?;
        if self.shape.as_ref().is_some_and(Vec::is_empty) {
            return wrong("`data.shape` must have an axis at least, but is []".to_owned());
        }
        if self.test > 0.0 && self.source.has_test() {
            return wrong("`data.test` is for data without a test set: leave it out".to_owned());
        }
        Ok(())
    }

    fn check_crops(&self) -> Result<(), ExperimentError> {
        if let DataSource::Images { crops: None, pairs: Some(_), .. } = &self.source {
            let text =
                "`data.pairs` is for crops of pictures: say by `data.crops` how they are cut";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        if let DataSource::Images {
            test_path: Some(_), pairs: Some(Pairs::Damaged { .. }), ..
        } = &self.source
        {
            let text = "the pictures of `data.test_path` have no damaged counterparts: hold pairs out by `data.test`";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        let DataSource::Images { image, crops: Some(crops), .. } = &self.source else {
            return Ok(());
        };
        crops.check()?;
        let other = match (image, self.binarization, &self.shape) {
            (Some(_), ..) => "data.image",
            (_, Some(_), _) => "data.binarization",
            (.., Some(_)) => "data.shape",
            _ => return Ok(()),
        };
        let text = format!("`{other}` does not go with `data.crops`: leave one of them out");
        Err(ExperimentError::Settings(text))
    }
}
