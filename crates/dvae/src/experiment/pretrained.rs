//! A trained model, ready for use.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dvae_corruption::{Corruption, CorruptionConfig, ShowMask};
use dvae_data::{Dataset, ReadOptions, Scaling};
use dvae_distributions::{LatentShape, Latents, Likelihood};
use dvae_eval::{Denoising, denoising, latent_activity};
use dvae_losses::Objective;
use dvae_models::{AnyNetwork, Autoencoder, Vae};
use dvae_random::{Key, Purpose, RowStreams};
use dvae_train::{
    Evaluation, EvaluationContext, evaluate, import_state_dict, load_weights, read_config,
    save_weights,
};

use super::identity::{described, description};
use super::model::{Rank, with_rank};
use super::units::is_density_at;
use super::{Experiment, ExperimentError, PreparedData};

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
/// Rows go in and come out in the units of the user's files: the experiment's scaling is applied and undone
/// here. Binarization is not: a model of zeros and ones expects zeros and ones. A NaN in a row is an entry
/// that was not observed: the model sees 0 there (and is told so, if its experiment shows it a mask), and the
/// output fills it in.
pub struct Pretrained {
    experiment: Experiment,
    data: PreparedData,
    model: Autoencoder<AnyNetwork>,
    rank: Rank,
    shows_mask: bool,
    device: Device,
}

impl Pretrained {
    /// Loads the model of a run's folder, or of one of its `.safetensors` files, on this device, or on that
    /// of the first back end that is compiled in.
    pub fn load(
        path: &Path,
        weights: Weights,
        device: Option<&Device>,
    ) -> Result<Self, ExperimentError> {
        let file = weights_of(path, weights)?;
        let missing = || ExperimentError::Config {
            place: file.display().to_string(),
            reason: "it has no configuration in its metadata: it was not saved by an experiment"
                .into(),
        };
        let text = read_config(&file)?.filter(|text| !text.is_empty()).ok_or_else(missing)?;
        let place = format!("the configuration in {}", file.display());
        let (experiment, data) = described(&text, &place)?;
        if let Some(scaler) = &data.scaler {
            scaler.check(data.event.first().copied().unwrap_or_default())?;
        }
        let device = device.cloned().map_or_else(|| experiment.device(), Ok)?;
        Self::with_weights(experiment, data, device, &file, false)
    }

    /// Loads the model of an experiment with the weights of a PyTorch state dict: [`import_state_dict`]. The
    /// data is read, unless the model's configuration has the shape of a row and nothing is scaled.
    pub fn import(experiment: &Experiment, state_dict: &Path) -> Result<Self, ExperimentError> {
        let event = &experiment.model.event;
        let (experiment, data) = if event.is_empty() || experiment.data.scaling != Scaling::None {
            let prepared = experiment.prepare()?;
            (prepared.experiment, prepared.data)
        } else {
            let data = PreparedData { event: event.clone(), ..PreparedData::default() };
            (experiment.clone(), data)
        };
        let device = experiment.device()?;
        Self::with_weights(experiment, data, device, state_dict, true)
    }

    fn with_weights(
        experiment: Experiment,
        data: PreparedData,
        device: Device,
        file: &Path,
        from_pytorch: bool,
    ) -> Result<Self, ExperimentError> {
        let rank = Rank::of(&data.event)?;
        let config = experiment.model_for(&data)?;
        let model = config.init(Key::new(0), &device)?;
        let model = match from_pytorch {
            true => import_state_dict(file, model)?,
            false => load_weights(file, model)?,
        };
        let shows_mask = config.mask_input;
        Ok(Self { experiment, data, model, rank, shows_mask, device })
    }

    /// Saves the weights with the configuration in their metadata, for [`from_pretrained`] and other tools.
    pub fn save(&self, file: &Path) -> Result<(), ExperimentError> {
        Ok(save_weights(file, &self.model, &description(&self.experiment, &self.data)?)?)
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
        let (_, rows) = self.experiment.data.load(Some(&self.data))?;
        Ok(match rows.test {
            Some(rows) => HeldOut { rows, set: "test" },
            None => HeldOut { rows: rows.validation, set: "validation" },
        })
    }

    /// The shift, in nats, from a bound on scaled rows (`data.scaling`) to a bound in the data's own units.
    /// `None` without scaling.
    ///
    /// `log p(x) = log p(scaled x) − Σ ln(scale)`, over observed entries that have a density; a mean over
    /// rows.
    pub fn units_shift(&self, rows: &Dataset) -> Option<f64> {
        let likelihood = &self.experiment.model.likelihood;
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

    /// The number of latents, over all levels.
    pub fn latent(&self) -> usize {
        self.levels().iter().map(|level| level.len()).sum()
    }

    /// The names of the latents, in the order of [`Pretrained::embed`]: `z0`, `z1`, …, or with several levels
    /// `z0.0`, `z0.1`, …, `z1.0`, ….
    pub fn latent_names(&self) -> Vec<String> {
        let levels = self.levels();
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

    /// Denoises rows: the mean of `p(x | z)` at the posterior's mean.
    pub fn denoise(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let input = self.input(rows);
        let cleaned = with_rank!(self.rank, D => flat(self.model.denoise(self.shaped::<D>(input))));
        self.output(cleaned)
    }

    /// Denoises rows with `samples` draws of `z`: the mean and the standard deviation, over the draws, of the
    /// mean of `p(x | z)`. The deviation is the posterior's uncertainty; it does not include the likelihood's
    /// own spread. Row `i` draws from the stream of id `first + i` of the experiment's seed.
    pub fn denoise_by_samples(
        &self,
        rows: &[Vec<f32>],
        first: u64,
        samples: usize,
    ) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let input = self.input(rows);
        let ids: Vec<u64> = (first..first + rows.len() as u64).collect();
        let key = Key::new(self.experiment.train.seed).purpose(Purpose::Sampling);
        let (mean, deviation) = with_rank!(self.rank, D => {
            self.mean_and_deviation::<D>(input, &mut key.rows(&ids), samples)
        });
        let mut deviation = lines(deviation);
        if let Some(scaler) = &self.data.scaler {
            deviation.iter_mut().for_each(|row| scaler.undo_distance(row));
        }
        (self.output(mean), deviation)
    }

    /// The mean and standard deviation, over draws of `z`, of the mean of `p(x | z)`, flat. Welford (1962),
    /// "Note on a Method for Calculating Corrected Sums of Squares and Products".
    fn mean_and_deviation<const D: usize>(
        &self,
        input: Tensor<2>,
        draws: &mut RowStreams,
        samples: usize,
    ) -> (Tensor<2>, Tensor<2>) {
        let prior = Vae::<D>::prior(&self.model);
        let encoding = self.model.encode(self.shaped::<D>(input), &prior);
        let mut draw = || flat(Vae::<D>::decode(&self.model, encoding.infer(draws).latents).mean());
        let mut mean = draw();
        let mut squares = mean.zeros_like();
        for count in 2..=samples {
            let rows = draw();
            let distance = rows.clone() - mean.clone();
            mean = mean + distance.clone() / count as f64;
            squares = squares + distance * (rows - mean.clone());
        }
        let deviation = (squares / samples.saturating_sub(1).max(1) as f64).sqrt();
        (mean, deviation)
    }

    /// The posterior's mean for each row, level by level.
    pub fn embed(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let input = self.input(rows);
        lines(with_rank!(self.rank, D => self.model.embed(self.shaped::<D>(input)).flat()))
    }

    /// The mean of `p(x | z)` for each latent.
    pub fn decode(&self, latents: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let (chunks, levels) = (latents.chunks(ROWS_AT_ONCE), self.levels());
        chunks
            .flat_map(|latents| {
                let values = latents.concat();
                let shape = [latents.len(), values.len() / latents.len()];
                let latents = Tensor::from_data(TensorData::new(values, shape), &self.device);
                self.output(self.decoded(Latents::from_flat(latents, &levels)))
            })
            .collect()
    }

    /// Means of `p(x | z)` for latents drawn from the prior, computed lazily. A number and a seed always give
    /// the same sample.
    pub fn sample(&self, numbers: Range<u64>, seed: u64) -> impl Iterator<Item = Vec<f32>> {
        let key = Key::new(seed).purpose(Purpose::Sampling);
        let starts = numbers.clone().step_by(ROWS_AT_ONCE);
        starts.flat_map(move |start| {
            let ids: Vec<u64> = (start..numbers.end.min(start + ROWS_AT_ONCE as u64)).collect();
            let draws = &mut key.rows(&ids);
            let latents = with_rank!(self.rank, D => Vae::<D>::sample_prior(&self.model, draws));
            self.output(self.decoded(latents))
        })
    }

    /// Reads the rows of a file, prepared as the experiment's test rows are, for [`Self::evaluate`].
    pub fn read(&self, path: &Path) -> Result<Dataset, ExperimentError> {
        let rows = self.data.load_other(&self.experiment.data, path)?;
        self.fits(path, rows.event())?;
        Ok(rows.reshaped(self.event())?)
    }

    /// Checks that rows of this shape fit the model. Axes of length 1 are ignored, and a flat row with the
    /// same number of entries is accepted.
    pub fn fits(&self, path: &Path, event: &[usize]) -> Result<(), ExperimentError> {
        let long = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&axis| axis != 1).collect()
        };
        let flat = [self.event().iter().product::<usize>()];
        if long(event) != long(self.event()) && event != flat {
            let (found, expected) = (event.into(), self.event().into());
            return Err(ExperimentError::Input { path: path.into(), found, expected });
        }
        Ok(())
    }

    /// The bound on rows corrupted by `corruption`, with noise from the experiment's seed.
    pub fn evaluate(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        objective: &Objective,
    ) -> Result<Evaluation, ExperimentError> {
        // All draws of a batch are kept until its bound is known.
        let draws = objective.latents().saturating_mul(objective.corruptions());
        let batch = (ROWS_AT_ONCE * 16 / draws.max(1)).clamp(1, ROWS_AT_ONCE);
        with_rank!(self.rank, D => {
            let process = self.process::<D>(corruption)?;
            Ok(evaluate(&self.model, rows, &*process, objective, &self.context(batch))?)
        })
    }

    /// The improvement by denoising: signal-to-noise ratios (for values in `[0, 1]`) and bounds.
    pub fn denoising(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
    ) -> Result<Denoising, ExperimentError> {
        with_rank!(self.rank, D => {
            let process = self.process::<D>(corruption)?;
            Ok(denoising(&self.model, rows, &*process, &self.context(ROWS_AT_ONCE))?)
        })
    }

    /// How much each latent varies over uncorrupted rows, level by level: [`dvae_eval::latent_activity`].
    pub fn activity(&self, rows: &Dataset) -> Result<Vec<Vec<f64>>, ExperimentError> {
        with_rank!(self.rank, D => {
            let process = self.process::<D>(&self.experiment.corruption)?.at_null()?;
            Ok(latent_activity(&self.model, rows, &*process, &self.context(ROWS_AT_ONCE))?)
        })
    }

    fn context(&self, batch_size: usize) -> EvaluationContext<'_> {
        let key = Key::new(self.experiment.train.seed);
        EvaluationContext { key, batch_size, device: &self.device }
    }

    /// The process, with an empty mask added if the model expects one.
    fn process<const D: usize>(
        &self,
        corruption: &CorruptionConfig,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        let process = corruption.build::<D>()?;
        if self.shows_mask && !process.shows_mask() {
            return Ok(Box::new(ShowMask::new(process)?));
        }
        Ok(process)
    }

    /// The mean of `p(x | z)`, flat.
    fn decoded(&self, latents: Latents) -> Tensor<2> {
        with_rank!(self.rank, D => flat(Vae::<D>::decode(&self.model, latents).mean()))
    }

    /// The encoder's input, in its own shape. A mask follows the rows on axis 1.
    fn shaped<const D: usize>(&self, input: Tensor<2>) -> Tensor<D> {
        let mut shape = [input.dims()[0]; D];
        shape[1..].copy_from_slice(self.event());
        if self.shows_mask {
            shape[1] *= 2;
        }
        input.reshape(shape)
    }

    /// The encoder's input for rows: `[rows, width]`, or twice as wide with a mask of the unobserved entries.
    fn input(&self, rows: &[Vec<f32>]) -> Tensor<2> {
        let width: usize = self.event().iter().product();
        let masked = self.shows_mask;
        let mut values = Vec::with_capacity(rows.len() * width * if masked { 2 } else { 1 });
        for row in rows {
            assert_eq!(row.len(), width, "a row of the model's shape");
            let mut row = row.clone();
            if let Some(scaler) = &self.data.scaler {
                scaler.apply(&mut row);
            }
            values.extend(row.iter().map(|value| if value.is_nan() { 0.0 } else { *value }));
            if masked {
                values.extend(row.iter().map(|value| f32::from(value.is_nan())));
            }
        }
        let shape = [rows.len(), values.len() / rows.len().max(1)];
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    fn output(&self, rows: Tensor<2>) -> Vec<Vec<f32>> {
        let mut rows = lines(rows);
        if let Some(scaler) = &self.data.scaler {
            rows.iter_mut().for_each(|row| scaler.undo(row));
        }
        rows
    }
}

impl std::fmt::Debug for Pretrained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pretrained").field("experiment", &self.experiment).finish_non_exhaustive()
    }
}

fn flat<const D: usize>(rows: Tensor<D>) -> Tensor<2> {
    rows.flatten(1, D - 1)
}

fn lines(rows: Tensor<2>) -> Vec<Vec<f32>> {
    let width = rows.dims()[1];
    let values: Vec<f32> = rows.into_data().iter().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

fn weights_of(path: &Path, weights: Weights) -> Result<PathBuf, ExperimentError> {
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
        let reason = format!("there is no {first}.safetensors yet, but {}", have.display());
        return Err(ExperimentError::Config { place: path.display().to_string(), reason });
    }
    let reason = "it holds no weights (best.safetensors): is it the folder of a run?".to_owned();
    Err(ExperimentError::Config { place: path.display().to_string(), reason })
}
