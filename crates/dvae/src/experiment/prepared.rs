//! What an experiment's data determines.

use std::path::Path;

use dvae_checks::{shown, shown_path};
use dvae_corruption::TypoModel;
use dvae_data::{
    DataError, Dataset, Domain, Element, Fit, ReadOptions, Rows, Scaler, TableColumn, ValueRange,
    Vocabulary, array_names, read_idx_folder_of, read_rows,
};
use dvae_random::{Key, Purpose};
use serde::{Deserialize, Serialize};

use super::{DataConfig, DataSource, Experiment, ExperimentError};

/// The values determined by the data: fitted on the training rows and stored with a run and its weights. They
/// are never part of an [`Experiment`], which holds only what the user wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedData {
    /// The shape of a row.
    pub event: Vec<usize>,
    /// The column names of a table, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The columns of a table of several kinds, as `data.kinds` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<TableColumn>>,
    /// Whether adjacent columns of one likelihood are one group of it: without, each of them is one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub groups_columns: bool,
    /// Whether the order of ordinal classes counts: without, they are classes as others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orders_classes: bool,
    /// Whether rows were held out by blocks of adjacent ones: see [`Dataset::in_blocks`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_blocks: bool,
    /// Columns of a table without any value: no model is trained on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub empty_columns: Vec<String>,
    /// What tokens mean, if the rows are texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<Vocabulary>,
    /// The errors that were learned from pairs of wrong and right texts, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typos: Option<TypoModel>,
    /// Texts that are longer than a row may be, and were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// What the values of the files are.
    pub domain: Domain,
    /// The type of the numbers in the files; `None` if the data was never read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<Element>,
    /// A checksum of the training rows: if the data has changed since, it would be split differently. `None`
    /// if the data was never read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<u32>,
    /// A checksum of the test rows, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_checksum: Option<u32>,
    /// The scaling that was fitted on the training rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaler: Option<Scaler>,
}

/// The rows of an experiment, scaled and binarized as configured.
#[derive(Clone, Debug)]
pub struct Splits {
    /// Training rows.
    pub train: Dataset,
    /// Validation rows.
    pub validation: Dataset,
    /// Test rows, if any.
    pub test: Option<Dataset>,
}

/// An experiment whose data has been read, ready for training.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the user wrote, with absolute paths.
    pub experiment: Experiment,
    /// The values determined by the data.
    pub data: PreparedData,
    /// The rows.
    pub rows: Splits,
}

impl PreparedData {
    /// The options for reading files for a model of this data: a table's columns are matched by name.
    pub(super) fn options(&self, config: &DataConfig) -> ReadOptions {
        let options = config.source.options();
        ReadOptions {
            domain: config.domain,
            leave_out: vec![], // They are of its own data.
            columns: options.columns.or_else(|| self.columns.clone()),
            kinds: self.kinds.clone(),
            fit: Fit::Model(self.event.clone()),
            is_key_of_model: options.key.is_some(),
            ..options
        }
    }

    /// Loads the clean rows of another file, in the shape of the model's rows, scaled and binarized like them. `fits`
    /// gives the shape of the file's rows for the model.
    pub(super) fn load_other(
        &self,
        config: &DataConfig,
        path: &Path,
        options: &ReadOptions,
        fits: impl Fn(&[usize]) -> Result<Vec<usize>, ExperimentError>,
    ) -> Result<Dataset, ExperimentError> {
        let rows = match &config.source {
            DataSource::Idx { prefix, .. } if path.is_dir() => {
                let prefix = prefix.as_deref().unwrap_or_default();
                let options = ReadOptions { domain: Some(self.domain), ..options.clone() };
                let sets = read_idx_folder_of(path, prefix, &options)?;
                sets.test
            }
            source @ DataSource::Text { .. } => {
                let known = self.vocabulary.as_ref().zip(self.event.first().copied());
                source.whole_tokens(path, known)?
            }
            source => {
                let fit = match source.options().fit {
                    Fit::Stored => options.fit.clone(),
                    resized => resized,
                };
                let options = ReadOptions { fit, ..options.clone() };
                self.open(path, &options)?.into_dataset(path)?
            }
        };
        let shape = fits(rows.event())?;
        let rows = rows.reshaped(&shape)?;
        // What a model is evaluated on is clean.
        let rows = if self.domain == Domain::Unit { rows.declared(Domain::Unit)? } else { rows };
        let key = Key::new(config.seed).purpose(Purpose::Data).branch(1);
        config.finished(rows, self.scaler.as_ref(), key)
    }

    /// Opens a file whose rows become those of a model of this data. An error names a file whose numbers are others
    /// than those of the data.
    pub(super) fn open(&self, path: &Path, options: &ReadOptions) -> Result<Rows, ExperimentError> {
        self.check_numbers("rows of numbers")?;
        let mut options = options.clone();
        if options.is_key_of_model && array_names(path)?.len() < 2 {
            options.key = None; // The only array may have any name.
        }
        let mut rows = read_rows(path, &options)?;
        // What was made of transposed rows has them on its first axis.
        if options.transposed && rows.format.event != self.event && path.is_file() {
            let as_stored = ReadOptions { transposed: false, ..options };
            let stored = read_rows(path, &as_stored)?;
            if stored.format.event == self.event {
                rows = stored;
            }
        }
        let Some(own) = self.element else { return Ok(rows) };
        let (found, domain) = (rows.format.element, rows.format.domain);
        let fits = match self.domain {
            Domain::Unit => domain == Domain::Unit || !found.is_whole(),
            // A file that says itself which number stands for 1 means something else.
            _ => !rows.format.says_unit() || (found == own && domain == self.domain),
        };
        if !fits {
            let domain = self.domain;
            let path = shown_path(path);
            return Err(ExperimentError::Settings(format!(
                "{path} holds {found}, but the model was trained on {own} that are {domain}: convert it first, as with \
                 x.astype(\"float32\")"
            )));
        }
        Ok(rows)
    }

    /// An error if the data are texts, for which this is not.
    pub(super) fn check_numbers(&self, what: &str) -> Result<(), ExperimentError> {
        if self.vocabulary.is_none() {
            return Ok(());
        }
        Err(ExperimentError::Settings(format!(
            "the model is one of texts, which {what} are not for: see `dvae denoise`, `calibrate`, `evaluate` and `sample`"
        )))
    }

    /// What the values are that the model sees: scaled and binarized as configured.
    pub fn model_domain(&self, config: &DataConfig) -> Domain {
        match (config.binarization, &self.scaler) {
            (Some(_), _) => Domain::Unit,
            (None, Some(_)) => config.range.as_ref().map_or(Domain::Real, ValueRange::domain),
            (None, None) => self.domain,
        }
    }

    /// The shift, in nats, from a bound per row on scaled values to a bound in the data's own units:
    /// `−Σ ln(scale)` over the observed entries of scaled rows, a mean over rows. `is_density` says which places of the
    /// first axis have a density; a probability of counts or classes has no units. `None` without scaling.
    pub(super) fn units(&self, rows: &Dataset, is_density: impl Fn(usize) -> bool) -> Option<f64> {
        let scaler = self.scaler.as_ref()?;
        let densities: Vec<bool> = (0..scaler.scale.len()).map(is_density).collect();
        let sum =
            rows.sum(|place, x| if densities[place] { scaler.log_slope(place, x) } else { 0.0 });
        Some(sum / rows.len().max(1) as f64)
    }
}

impl DataConfig {
    /// Reads, splits, scales and binarizes the rows. If the data was prepared before, the scaling of
    /// `earlier` is used, and data that has changed since is an error.
    pub(super) fn load(
        &self,
        earlier: Option<&PreparedData>,
    ) -> Result<(PreparedData, Splits), ExperimentError> {
        self.check()?;
        let key = Key::new(self.seed).purpose(Purpose::Data);
        let source = self.source.read(self.domain, key.branch(2), earlier)?;
        let domain = source.rows.domain();
        let (rows, test) = (source.rows, source.test);
        if let Some(test) = test.as_ref().filter(|test| test.event() != rows.event()) {
            let (train, test) = (rows.event().into(), test.event().into());
            return Err(DataError::Mismatch { train, test }.into());
        }
        if let Some(other) = test.as_ref().map(Dataset::domain).filter(|other| *other != domain) {
            return Err(ExperimentError::Settings(format!(
                "the training rows are {domain}, but the test rows are {other}: say what both are by `data.domain`"
            )));
        }
        let rows = rows.take(self.rows.unwrap_or(usize::MAX));
        let in_blocks = earlier.map_or(rows.is_vast(), |earlier| earlier.in_blocks);
        let rows = if in_blocks { rows.in_blocks() } else { rows };
        let (rows, test) = (self.shaped(rows)?, test.map(|test| self.shaped(test)).transpose()?);
        let (train, validation, test) = self.split(rows, test)?;
        let scaler = match earlier {
            Some(earlier) => earlier.scaler.clone(),
            None => match self.range {
                Some(range) => {
                    let whole =
                        if domain == Domain::Unit { source.element.full_scale() } else { 1.0 };
                    for rows in [Some(&validation), test.as_ref()].into_iter().flatten() {
                        range.hold(rows, whole)?;
                    }
                    Some(Scaler::of_range(range, &train, whole)?)
                }
                None => match &source.kinds {
                    Some(columns) => Some(Scaler::of_columns(columns, self.scaling, &train)),
                    None => Scaler::fit(self.scaling, &train),
                },
            },
        };
        let (own, of_test) = (self.source.paths().first().copied(), self.source.test_path());
        let column = |path, place| self.column(path, source.columns.as_deref(), place);
        if let Some(place) = scaler.as_ref().and_then(Scaler::overflow) {
            let text = format!(
                "{} spreads too far for double precision: divide it first, or leave it out by `data.columns`",
                column(own, place)
            );
            return Err(ExperimentError::Settings(text));
        }
        let named = |path| {
            move |error| match error {
                ExperimentError::Data(
                    error @ (DataError::Precision { place, .. }
                    | DataError::NonFinite { place, .. }),
                ) => ExperimentError::Settings(format!("{}: {error}", column(path, place))),
                error => error,
            }
        };
        let scale = |rows: Dataset, path| scaled(rows, scaler.as_ref()).map_err(named(path));
        let whole = train.clone();
        let train = scale(train, own)?;
        // Rows that were held out are in the buffer of the others, which is scaled once.
        let scale_rest = |rows: Dataset, path| match rows.shares_buffer(&whole) {
            true => rows.viewed_in(&train).map_err(|error| named(path)(error.into())),
            false => scale(rows, path),
        };
        let test = test.map(|test| scale_rest(test, of_test.or(own))).transpose()?;
        let validation = scale_rest(validation, own)?;
        // Rows of another file may share ids with training rows, so a different key binarizes them.
        let test = test.map(|test| self.binarized(test, key.branch(1))).transpose()?;
        let (train, validation) = (self.binarized(train, key)?, self.binarized(validation, key)?);
        let (checksum, test_checksum) = (train.checksum(), test.as_ref().map(Dataset::checksum));
        if let Some(earlier) = earlier {
            same_rows("training", earlier.checksum, Some(checksum))?;
            same_rows("test", earlier.test_checksum, test_checksum)?;
        }
        let typos = match earlier {
            Some(earlier) => earlier.typos.clone(),
            None => self.source.typos()?,
        };
        let prepared = PreparedData {
            event: train.event().into(),
            columns: source.columns,
            groups_columns: earlier
                .map_or(source.kinds.is_some(), |earlier| earlier.groups_columns),
            orders_classes: earlier
                .map_or(source.kinds.is_some(), |earlier| earlier.orders_classes),
            kinds: source.kinds,
            vocabulary: source.vocabulary,
            left_out: source.left_out,
            typos,
            in_blocks,
            empty_columns: source.empty_columns,
            domain,
            element: Some(source.element),
            checksum: Some(checksum),
            test_checksum,
            scaler,
        };
        Ok((prepared, Splits { train, validation, test }))
    }

    /// Splits the rows into (training, validation, test).
    fn split(
        &self,
        rows: Dataset,
        test: Option<Dataset>,
    ) -> Result<(Dataset, Dataset, Option<Dataset>), ExperimentError> {
        let root = Key::new(self.seed).purpose(Purpose::Split);
        let (rows, test) = match test {
            None if self.test > 0.0 => {
                let (rest, test) = rows.split(count(self.test, &rows), root.branch(1))?;
                (rest, Some(test))
            }
            test => (rows, test),
        };
        let (train, validation) = rows.split(count(self.validation, &rows), root)?;
        Ok((train, validation, test))
    }

    /// A place on the first axis of a row, for a message: a column of a table, or a channel.
    fn column(&self, path: Option<&Path>, columns: Option<&[String]>, place: usize) -> String {
        let path = path.map(|path| format!("{}, ", shown_path(path)));
        let columns = columns.filter(|_| self.shape.is_none());
        let column = match columns.and_then(|columns| columns.get(place)) {
            Some(name) => format!("column `{}`", shown(name)),
            None => format!("place {place}"),
        };
        path.unwrap_or_default() + &column
    }

    fn shaped(&self, rows: Dataset) -> Result<Dataset, ExperimentError> {
        match &self.shape {
            Some(shape) => Ok(rows.reshaped(shape)?),
            None => Ok(rows),
        }
    }

    pub(super) fn finished(
        &self,
        rows: Dataset,
        scaler: Option<&Scaler>,
        key: Key,
    ) -> Result<Dataset, ExperimentError> {
        self.binarized(scaled(rows, scaler)?, key)
    }

    fn binarized(&self, rows: Dataset, key: Key) -> Result<Dataset, ExperimentError> {
        Ok(match self.binarization {
            Some(how) => rows.binarized(how, key)?,
            None => rows,
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde passes it.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn scaled(rows: Dataset, scaler: Option<&Scaler>) -> Result<Dataset, ExperimentError> {
    Ok(match scaler {
        Some(scaler) => rows.scaled(scaler)?,
        None => rows.single()?,
    })
}

/// Checks rows against the checksum of the training, if it is known: of other data, rows that were trained on may
/// be among those that are held out.
fn same_rows(
    set: &'static str,
    expected: Option<u32>,
    found: Option<u32>,
) -> Result<(), ExperimentError> {
    match expected {
        Some(expected) if found != Some(expected) => {
            let found = found.map_or("none".to_owned(), |found| format!("{found:08x}"));
            Err(ExperimentError::Rows { set, expected, found })
        }
        _ => Ok(()),
    }
}

/// The number of rows in a share, at least one.
fn count(share: f64, rows: &Dataset) -> usize {
    ((share * rows.len() as f64).round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    use dvae_data::Binarization;

    #[test]
    fn scaled_values_are_real_and_binarized_ones_are_in_the_unit_interval() {
        let plain = DataConfig::default();
        let binary = DataConfig { binarization: Some(Binarization::Dynamic), ..plain.clone() };
        for domain in [Domain::Unit, Domain::Counts, Domain::Integers, Domain::Real] {
            let data = PreparedData { domain, ..PreparedData::default() };
            assert_eq!(data.model_domain(&plain), domain);
            assert_eq!(data.model_domain(&binary), Domain::Unit);
            let scaler =
                Some(Scaler { offset: vec![0.0], scale: vec![2.0], unit: vec![], ranks: vec![] });
            let scaled = PreparedData { scaler, ..data };
            assert_eq!(scaled.model_domain(&plain), Domain::Real);
            let range = |range| DataConfig { range: Some(range), ..plain.clone() };
            let between = range(ValueRange::Between([0.0, 4095.0]));
            assert_eq!(scaled.model_domain(&between), Domain::Unit);
            let percentiles = range(ValueRange::Percentiles([1.0, 99.0]));
            assert_eq!(scaled.model_domain(&percentiles), Domain::Real);
        }
    }

    // Two columns of scales 2 and 4, and three rows, one of which has a hole in the second column.
    #[test]
    fn a_bound_in_data_units_has_the_logarithm_of_each_observed_scale_taken_away() {
        let rows = vec![1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0];
        let rows = Dataset::from_incomplete(rows, &[2]).unwrap();
        let scaler = Some(Scaler {
            offset: vec![0.0; 2],
            scale: vec![2.0, 4.0],
            unit: vec![],
            ranks: vec![],
        });
        let data = PreparedData { scaler, ..PreparedData::default() };
        let (two, four) = (2f64.ln(), 4f64.ln());
        let expected = -(3.0 * two + 2.0 * four) / 3.0;
        assert!((data.units(&rows, |_| true).unwrap() - expected).abs() < 1e-12);
        // Counts and classes have no units.
        assert!((data.units(&rows, |place| place == 0).unwrap() + two).abs() < 1e-12);
        assert_eq!(data.units(&rows, |_| false), Some(0.0));
        assert_eq!(PreparedData::default().units(&rows, |_| true), None);
    }
}
