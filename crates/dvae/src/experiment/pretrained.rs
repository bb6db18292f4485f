//! A trained model, ready for use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use burn::module::Module;
use burn::tensor::Device;
use dvae_checks::shown_path;
use dvae_corruption::{Corruption, CorruptionConfig, TableRows};
use dvae_data::{Dataset, Domain, ReadOptions};
use dvae_distributions::{LatentShape, LikelihoodConfig};
use dvae_eval::Calibration;
use dvae_models::{AnyNetwork, Autoencoder, Vae};
use dvae_random::{Key, Purpose};
use dvae_train::{Communicator, Precision, Single, TrainError, WeightFile, save_weights};

use super::identity::{Calibrations, Described, described, description};
use super::model::{Rank, with_rank};
use super::units::{is_class_at, is_density_at};
use super::{DataSource, Experiment, ExperimentError, PreparedData, RepairCalibration, Start};

/// The default number of rows in a batch of inference.
pub(super) const ROWS_AT_ONCE: usize = 64;

/// Which weights of a run to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// The weights with the largest bound on held-out rows with corrupted input.
    #[default]
    Best,
    /// The weights at the end of the training so far.
    Last,
}

/// Loads the model of a run's folder, or of one of its `.safetensors` files: its best weights, on the first
/// back end that is compiled in. [`Pretrained::load`] lets you choose both.
pub fn from_pretrained(run: impl AsRef<Path>) -> Result<Pretrained, ExperimentError> {
    Pretrained::load(run.as_ref(), Weights::Best, None)
}

/// Rows to evaluate a model on.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// The rows, as the experiment prepares them.
    pub rows: Dataset,
    /// The name of the set: `test` or `validation`.
    pub set: &'static str,
}

/// A trained model with the configuration that made it. A run's folder, or one of its weight files, is enough
/// to load it.
///
/// Rows go in and come out in the units of the user's files, in double precision: the experiment's scaling is applied
/// and undone here. Values of pictures and bytes are numbers in `[0, 1]`. Binarization is not applied: a
/// model of zeros and ones expects zeros and ones. A NaN in a row is an entry that was not observed: the model sees 0 there (and
/// is told so, if its experiment shows it a mask), and the output fills it in. Under the likelihood `proportions` such a row has the total of
/// its other entries, which files are refused for.
pub struct Pretrained {
    pub(super) experiment: Experiment,
    pub(super) data: PreparedData,
    pub(super) calibration: Option<Calibration>,
    pub(super) repairs: Option<RepairCalibration>,
    precision: Precision,
    pub(super) model: Autoencoder<AnyNetwork>,
    pub(super) likelihood: LikelihoodConfig,
    pub(super) rank: Rank,
    pub(super) shows_mask: bool,
    pub(super) device: Device,
    pub(super) group: Arc<dyn Communicator>,
    /// The training rows of a table, once a corruption has needed them.
    table: OnceLock<Arc<TableRows>>,
}

impl Pretrained {
    /// Loads the model of a run's folder, or of one of its `.safetensors` files, on this device, or on that
    /// of the first back end that is compiled in.
    pub fn load(
        path: &Path,
        weights: Weights,
        device: Option<&Device>,
    ) -> Result<Self, ExperimentError> {
        let file = Self::file(path, weights)?;
        Self::of_weights(&WeightFile::open(&file)?, &file, device)
    }

    /// Loads the model of weights that were read from a file.
    pub(super) fn of_weights(
        weights: &WeightFile,
        file: &Path,
        device: Option<&Device>,
    ) -> Result<Self, ExperimentError> {
        let missing = || {
            ExperimentError::Config {
            place: shown_path(file),
            reason: "it has no configuration in its metadata: it was not saved by an experiment, or it was written for PyTorch, \
                     from where `dvae import` reads weights"
                .into(),
        }
        };
        let text = weights.config().filter(|text| !text.is_empty()).ok_or_else(missing)?;
        let place = format!("the configuration in {}", shown_path(file));
        let Described { experiment, data, calibration, repairs } = described(text, &place)?;
        if let Some(scaler) = &data.scaler {
            scaler.check(data.event.first().copied().unwrap_or_default())?;
        }
        let device = device.cloned().map_or_else(|| experiment.device(), Ok)?;
        let mut loaded =
            Self::with_weights(experiment, data, device, weights.most_weights(), |model| {
                weights.load(model)
            })?;
        loaded.calibration = calibration;
        loaded.repairs = repairs;
        loaded.precision = weights.precision();
        Ok(loaded)
    }

    /// The file that [`Self::load`] reads.
    pub fn file(path: &Path, weights: Weights) -> Result<PathBuf, ExperimentError> {
        weights_of(path, weights)
    }

    pub(super) fn with_weights(
        experiment: Experiment,
        data: PreparedData,
        device: Device,
        most_weights: usize,
        load: impl FnOnce(Autoencoder<AnyNetwork>) -> Result<Autoencoder<AnyNetwork>, TrainError>,
    ) -> Result<Self, ExperimentError> {
        let rank = Rank::of(&data.event)?;
        let config = experiment.model_for(&data)?;
        let model = load(config.init_within(most_weights, &device)?)?;
        let (shows_mask, likelihood) = (config.mask_input, config.likelihood);
        let (calibration, precision) = (None, Precision::Single);
        Ok(Self {
            experiment,
            data,
            calibration,
            repairs: None,
            precision,
            model,
            likelihood,
            rank,
            shows_mask,
            device,
            group: Arc::new(Single),
            table: OnceLock::new(),
        })
    }

    /// Shares the batches of its measures with these processes, of which each has loaded the same model: each makes its own batches,
    /// and all come to the same figures, to the bit.
    pub fn communicator(self, group: Arc<dyn Communicator>) -> Self {
        Self { group, ..self }
    }

    /// Saves the weights, in the precision that they were loaded in, with the configuration and the calibration in their
    /// metadata, for [`from_pretrained`] and other tools.
    pub fn save(&self, file: &Path) -> Result<(), ExperimentError> {
        self.write(file, &self.experiment, self.precision)
    }

    /// The same, to be passed on: of the paths of the data the last part is kept alone, and neither names of broken pictures nor
    /// the place of weights that the training started from.
    pub fn export(&self, file: &Path, precision: Precision) -> Result<(), ExperimentError> {
        self.write(file, &self.to_pass_on(), precision)
    }

    /// What was learned on held-out rows.
    pub(super) fn calibrations(&self) -> Calibrations<'_> {
        Calibrations { calibration: self.calibration.as_ref(), repairs: self.repairs.as_ref() }
    }

    /// The experiment without places on this machine, which say nothing elsewhere.
    pub(super) fn to_pass_on(&self) -> Experiment {
        let mut experiment = self.experiment.clone();
        experiment.data.source.name_paths();
        if matches!(experiment.start, Some(Start::Path(_))) {
            experiment.start = None;
        }
        experiment
    }

    fn write(
        &self,
        file: &Path,
        experiment: &Experiment,
        precision: Precision,
    ) -> Result<(), ExperimentError> {
        let text = description(experiment, &self.data, self.calibrations())?;
        Ok(save_weights(file, &self.model, &text, precision)?)
    }

    /// The experiment that trained the model.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The values determined by the data.
    pub fn data(&self) -> &PreparedData {
        &self.data
    }

    /// The options for reading files for this model, as its own data was read.
    pub fn read_options(&self) -> ReadOptions {
        self.data.options(&self.experiment.data)
    }

    /// The rows of its own data to evaluate it on: the test rows, or else the validation rows.
    ///
    /// Data that has changed since training is an error.
    pub fn held_out(&self) -> Result<HeldOut, ExperimentError> {
        let (_, rows) = self.experiment.load_data(Some(&self.data))?;
        Ok(match rows.test {
            Some(rows) => HeldOut { rows, set: "test" },
            None => HeldOut { rows: rows.validation, set: "validation" },
        })
    }

    /// Whether 1 is the largest value for the model, so that there are peak signal-to-noise ratios: its values are in
    /// `[0, 1]`, or `data.range` says what 0 and 1 are.
    pub fn has_peak(&self) -> bool {
        let is_unit = self.experiment.domain(&self.data) == Domain::Unit;
        is_unit || self.experiment.data.range.is_some()
    }

    /// Whether the model was trained on crops of pictures.
    pub fn is_of_crops(&self) -> bool {
        matches!(self.experiment.data.source, DataSource::Images { crops: Some(_), .. })
    }

    /// Crops of pictures, as those that the model was trained on, prepared as its validation rows are. An error says that it
    /// was not trained on crops, or names a picture that is smaller than one.
    pub fn read_crops(&self, path: &Path) -> Result<Dataset, ExperimentError> {
        let DataSource::Images { crops: Some(crops), .. } = &self.experiment.data.source else {
            let text = "the model was not trained on crops of pictures".to_owned();
            return Err(ExperimentError::Settings(text));
        };
        let key = Key::new(self.experiment.data.seed).purpose(Purpose::Data).branch(1);
        let (rows, _) = Dataset::read_crops(path, &self.read_options(), *crops, None, key)?;
        self.experiment.data.finished(rows, self.data.scaler.as_ref(), key)
    }

    /// The validation rows of its own data.
    ///
    /// Data that has changed since training is an error.
    pub fn validation(&self) -> Result<Dataset, ExperimentError> {
        Ok(self.experiment.load_data(Some(&self.data))?.1.validation)
    }

    /// The shift, in nats, from a bound on scaled rows (`data.scaling`) to a bound in the data's own units.
    /// `None` without scaling.
    ///
    /// `log p(x) = log p(scaled x) − Σ ln(scale)`, over observed entries that have a density; a mean over
    /// rows.
    pub fn units_shift(&self, rows: &Dataset) -> Option<f64> {
        let likelihood = &self.likelihood;
        self.data.units(rows, |place| is_density_at(likelihood, place))
    }

    /// The shape of a row.
    pub fn event(&self) -> &[usize] {
        &self.data.event
    }

    /// The latents of each level, top first.
    pub fn levels(&self) -> Vec<LatentShape> {
        with_rank!(self.rank, D => Vae::<D>::latent_shapes(&self.model))
    }

    /// The latents of each level of a picture of this shape, which the model must apply to: see [`Self::reach`].
    pub fn levels_of(&self, [_, height, width]: [usize; 3]) -> Vec<LatentShape> {
        let (levels, mut scale) = (self.levels(), 1);
        let below = levels.iter().rev().map(|level| {
            let [height, width] = [height, width].map(|side| side.div_ceil(scale));
            scale *= 2;
            LatentShape::Map { channels: level.channels(), height, width }
        });
        let mut below: Vec<LatentShape> = below.collect();
        below.reverse();
        below
    }

    /// Whether the entries at this place on the first axis of a row are classes, of which nothing lies between.
    pub fn is_class(&self, place: usize) -> bool {
        is_class_at(&self.likelihood, place)
    }

    /// The number of latents, over all levels.
    pub fn latent(&self) -> usize {
        self.levels().iter().map(|level| level.len()).sum()
    }

    /// The names of the latents, in the order of [`Pretrained::embed`]: `z0`, `z1`, …, or with several levels
    /// `z0.0`, `z0.1`, …, `z1.0`, ….
    pub fn latent_names(&self) -> Vec<String> {
        self.names_of(&self.levels())
    }

    /// The names of the latents of these levels, in the same order.
    pub fn names_of(&self, levels: &[LatentShape]) -> Vec<String> {
        let name = |level: usize, latent: usize| match levels.len() {
            1 => format!("z{latent}"),
            _ => format!("z{level}.{latent}"),
        };
        let each = levels.iter().enumerate();
        each.flat_map(|(level, shape)| (0..shape.len()).map(move |latent| name(level, latent)))
            .collect()
    }

    /// The number of weights.
    pub fn weights(&self) -> usize {
        self.model.num_params()
    }

    /// The process, with an empty mask added if the model expects one. One of tables takes other cells from the training rows, which
    /// must be where they were.
    pub(super) fn process<const D: usize>(
        &self,
        corruption: &CorruptionConfig,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        let table = if corruption.needs_table() { self.table()? } else { None };
        self.experiment.process_of(corruption, &self.data, table, self.shows_mask)
    }
}

impl Pretrained {
    /// The training rows of a table, which are read once.
    fn table(&self) -> Result<Option<Arc<TableRows>>, ExperimentError> {
        if self.data.event.len() != 1 {
            return Ok(None);
        }
        if let Some(table) = self.table.get() {
            return Ok(Some(table.clone()));
        }
        let loaded = self.experiment.load_data(Some(&self.data));
        let (_, rows) = loaded.map_err(|error| {
            let text =
                format!("this corruption takes cells from the rows of the training, but {error}");
            ExperimentError::Settings(text)
        })?;
        let table = self.experiment.table_rows(&self.data, Some(&rows.train)).map(Arc::new);
        Ok(table.map(|table| self.table.get_or_init(|| table).clone()))
    }
}

impl std::fmt::Debug for Pretrained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pretrained").field("experiment", &self.experiment).finish_non_exhaustive()
    }
}

pub(super) fn weights_of(path: &Path, weights: Weights) -> Result<PathBuf, ExperimentError> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    let (first, second) = match weights {
        Weights::Best => ("best", "last"),
        Weights::Last => ("last", "best"),
    };
    let file = |name: &str| path.join(format!("{name}.safetensors"));
    if file(first).exists() {
        return Ok(file(first));
    }
    if file(second).exists() {
        let have = file(second);
        let reason = format!("there is no {first}.safetensors yet, but {}", shown_path(&have));
        return Err(ExperimentError::Config { place: shown_path(path), reason });
    }
    let reason = "it holds no weights (best.safetensors): is it the folder of a run?".to_owned();
    Err(ExperimentError::Config { place: shown_path(path), reason })
}
