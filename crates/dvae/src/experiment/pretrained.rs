//! A trained model, ready for use.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use dvae_corruption::CorruptionConfig;
use dvae_data::{Dataset, ReadOptions, Scaling};
use dvae_eval::Denoising;
use dvae_losses::Objective;
use dvae_models::Vae;
use dvae_random::{Key, Purpose};
use dvae_train::{Evaluation, import_state_dict, load_weights, read_config};

use super::network::WithModel;
use super::run::{described, description};
use super::typed::{Model, Typed};
use super::{Experiment, ExperimentError, NetworkConfig, PreparedData};

/// Rows that a model sees at once, where nothing else says.
pub(super) const ROWS_AT_ONCE: usize = 64;

/// Which weights of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// Those with the largest bound on held-out rows with corrupted input.
    #[default]
    Best,
    /// Those at the end of the training so far.
    Last,
}

/// The model of a run's folder, or of a `.safetensors` file of one: its best weights, on the first back end that is
/// compiled in. [`Pretrained::load`] has the choice.
pub fn from_pretrained(run: impl AsRef<Path>) -> Result<Pretrained, ExperimentError> {
    Pretrained::load(run.as_ref(), Weights::Best, None)
}

/// Rows to measure a model on.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// The rows, as the experiment prepares them.
    pub rows: Dataset,
    /// Which they are: `test` or `validation`.
    pub set: &'static str,
}

/// A trained model with the configuration that made it: what a run's folder, or one of its weight files, is
/// enough for.
///
/// Rows go in and come out as they are in the user's files: the scaling of the experiment is done and undone
/// here; binarization is not: a model of zeros and ones is given them. A NaN in a row is an entry that was not
/// observed: the model sees 0 there (and is told so, if its experiment shows it a mask), and what comes out is
/// filled in.
pub struct Pretrained {
    experiment: Experiment,
    data: PreparedData,
    network: NetworkConfig,
    model: Box<dyn Model>,
    device: Device,
}

impl Pretrained {
    /// The model of a run's folder, or of a `.safetensors` file of one, on this device, or on that of the first
    /// back end that is compiled in.
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

    /// The model of an experiment with the weights of a PyTorch state dict: [`import_state_dict`]. The data is
    /// read, unless the model's configuration has the shape of a row and nothing is scaled.
    pub fn import(experiment: &Experiment, state_dict: &Path) -> Result<Self, ExperimentError> {
        let event = experiment.model.event();
        let (experiment, data) = if event.is_empty() || experiment.data.scaling != Scaling::None {
            let prepared = experiment.prepare()?;
            (prepared.experiment, prepared.data)
        } else {
            let data = PreparedData { event: event.into(), ..PreparedData::default() };
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
        let network = experiment.network(&data)?;
        let work = Load { file, experiment: &experiment, event: &data.event, from_pytorch };
        let model = network.with(Key::new(0), &device, work)?;
        Ok(Self { experiment, data, network, model, device })
    }

    /// Saves the weights with the configuration in their metadata, for [`from_pretrained`] and other tools.
    pub fn save(&self, file: &Path) -> Result<(), ExperimentError> {
        Ok(self.model.save(file, &description(&self.experiment, &self.data)?)?)
    }

    /// The experiment that made it.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// What the data decided.
    pub fn data(&self) -> &PreparedData {
        &self.data
    }

    /// How files are read for it: as its own data.
    pub fn read_options(&self) -> ReadOptions {
        self.data.options(&self.experiment.data)
    }

    /// The rows of its own data to measure it on: the test rows, or else the validation rows.
    ///
    /// An error says if the data has changed since the training.
    pub fn held_out(&self) -> Result<HeldOut, ExperimentError> {
        let (_, rows) = self.experiment.data.load(Some(&self.data))?;
        Ok(match rows.test {
            Some(rows) => HeldOut { rows, set: "test" },
            None => HeldOut { rows: rows.validation, set: "validation" },
        })
    }

    /// What has to be added to a bound on these rows, in nats, where values are scaled (`data.scaling`): the
    /// bound is then one in the data's own units. Nothing without scaling.
    ///
    /// `log p(x) = log p(scaled x) − Σ ln(scale)`, over observed entries that have a density; a mean over rows.
    pub fn units_shift(&self, rows: &Dataset) -> Option<f64> {
        self.data.units(rows, |place| self.network.is_density_at(place))
    }

    /// The shape of a row.
    pub fn event(&self) -> &[usize] {
        &self.data.event
    }

    /// Number of latents.
    pub fn latent(&self) -> usize {
        self.experiment.model.latent()
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.model.weights()
    }

    /// Cleans rows: the mean of `p(x | z)` at the posterior's mean.
    pub fn denoise(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let input = self.input(rows);
        self.output(self.model.denoise(input))
    }

    /// Cleans rows by `samples` draws of `z`: the mean over them of that of `p(x | z)`, and its standard
    /// deviation over them, which is what the posterior leaves open; the likelihood's own spread is not in
    /// it. Row `i` draws from the stream of id `first + i` of the experiment's seed.
    pub fn denoise_by_samples(
        &self,
        rows: &[Vec<f32>],
        first: u64,
        samples: usize,
    ) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let input = self.input(rows);
        let ids: Vec<u64> = (first..first + rows.len() as u64).collect();
        let key = Key::new(self.experiment.train.seed).purpose(Purpose::Sampling);
        let (mean, deviation) = self.model.denoise_by_samples(input, key, &ids, samples);
        let mut deviation = lines(deviation);
        if let Some(scaler) = &self.data.scaler {
            deviation.iter_mut().for_each(|row| scaler.undo_distance(row));
        }
        (self.output(mean), deviation)
    }

    /// The posterior's mean of each row.
    pub fn embed(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        lines(self.model.embed(self.input(rows)))
    }

    /// The mean of `p(x | z)` for each latent.
    pub fn decode(&self, latents: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let chunks = latents.chunks(ROWS_AT_ONCE);
        chunks
            .flat_map(|latents| {
                let values = latents.concat();
                let shape = [latents.len(), self.latent()];
                let latents = Tensor::from_data(TensorData::new(values, shape), &self.device);
                self.output(self.model.decode(latents))
            })
            .collect()
    }

    /// Means of `p(x | z)` of latents from the prior, as they are asked for: that of a number is the same for
    /// the same seed.
    pub fn sample(&self, numbers: Range<u64>, seed: u64) -> impl Iterator<Item = Vec<f32>> {
        let key = Key::new(seed).purpose(Purpose::Sampling);
        let starts = numbers.clone().step_by(ROWS_AT_ONCE);
        starts.flat_map(move |start| {
            let ids: Vec<u64> = (start..numbers.end.min(start + ROWS_AT_ONCE as u64)).collect();
            self.output(self.model.sample(key, &ids))
        })
    }

    /// The rows of a file, as the experiment prepares those that it reports on: for [`Self::evaluate`].
    pub fn read(&self, path: &Path) -> Result<Dataset, ExperimentError> {
        let rows = self.data.load_other(&self.experiment.data, path)?;
        self.fits(path, rows.event())?;
        Ok(rows.reshaped(self.event())?)
    }

    /// An error if rows of this shape are not what the model is for. Axes of length 1 do not matter, and a flat
    /// row of as many entries is taken for one.
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

    /// The bound on rows, damaged as `corruption` says, with noise from the experiment's seed.
    pub fn evaluate(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        objective: &Objective,
    ) -> Result<Evaluation, ExperimentError> {
        self.model.evaluate(rows, corruption, objective, self.key(), &self.device)
    }

    /// How much cleaner damaged rows become, as ratios of signal to noise (for values in `[0, 1]`) and bounds.
    pub fn denoising(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
    ) -> Result<Denoising, ExperimentError> {
        self.model.denoising(rows, corruption, self.key(), &self.device)
    }

    /// How much each latent varies over rows, undamaged: [`dvae_eval::latent_activity`].
    pub fn activity(&self, rows: &Dataset) -> Result<Vec<f64>, ExperimentError> {
        let corruption = &self.experiment.corruption;
        self.model.activity(rows, corruption, self.key(), &self.device)
    }

    fn key(&self) -> Key {
        Key::new(self.experiment.train.seed)
    }

    /// What the encoder sees of rows: `[rows, width]`, or twice as wide with a mask of what was not observed.
    fn input(&self, rows: &[Vec<f32>]) -> Tensor<2> {
        let width: usize = self.event().iter().product();
        let masked = self.model.shows_mask();
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

struct Load<'a> {
    file: &'a Path,
    experiment: &'a Experiment,
    event: &'a [usize],
    from_pytorch: bool,
}

impl WithModel for Load<'_> {
    type Output = Box<dyn Model>;

    fn call<const D: usize, V: Vae<D> + 'static>(
        self,
        model: V,
    ) -> Result<Box<dyn Model>, ExperimentError> {
        let model = match self.from_pytorch {
            true => import_state_dict(self.file, model)?,
            false => load_weights(self.file, model)?,
        };
        let event = self.event.to_vec();
        let shows_mask = self.experiment.corruption.build::<D>()?.shows_mask();
        Ok(Box::new(Typed::<D, V> { model, event, shows_mask }))
    }
}
