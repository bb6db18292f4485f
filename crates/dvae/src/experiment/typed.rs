//! A model of whatever network and rank behind one interface.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use dvae_corruption::{Corruption, CorruptionConfig, ShowMask};
use dvae_data::Dataset;
use dvae_distributions::Likelihood;
use dvae_eval::{Denoising, denoising, latent_activity};
use dvae_losses::Objective;
use dvae_models::Vae;
use dvae_random::Key;
use dvae_train::{Evaluation, TrainError, evaluate};

use super::ExperimentError;
use super::pretrained::ROWS_AT_ONCE;

/// A model of whatever network over rows of whatever rank. Rows are flat here: `[rows, width]`.
pub(super) trait Model: Send {
    fn weights(&self) -> usize;
    fn shows_mask(&self) -> bool;
    fn denoise(&self, input: Tensor<2>) -> Tensor<2>;
    fn embed(&self, input: Tensor<2>) -> Tensor<2>;
    fn decode(&self, latent: Tensor<2>) -> Tensor<2>;
    fn sample(&self, key: Key, ids: &[u64]) -> Tensor<2>;
    /// (mean, standard deviation)
    fn denoise_by_samples(
        &self,
        input: Tensor<2>,
        key: Key,
        ids: &[u64],
        samples: usize,
    ) -> (Tensor<2>, Tensor<2>);
    fn save(&self, file: &Path, config: &str) -> Result<(), TrainError>;
    fn evaluate(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        objective: &Objective,
        key: Key,
        device: &Device,
    ) -> Result<Evaluation, ExperimentError>;
    fn denoising(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        key: Key,
        device: &Device,
    ) -> Result<Denoising, ExperimentError>;
    fn activity(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        key: Key,
        device: &Device,
    ) -> Result<Vec<f64>, ExperimentError>;
}

/// A model behind it.
pub(super) struct Typed<const D: usize, V> {
    pub(super) model: V,
    pub(super) event: Vec<usize>,
    pub(super) shows_mask: bool,
}

impl<const D: usize, V: Vae<D>> Typed<D, V> {
    /// The input in its own shape. A mask stands behind the rows: on axis 1.
    fn shaped(&self, input: Tensor<2>) -> Tensor<D> {
        let mut shape = [input.dims()[0]; D];
        shape[1..].copy_from_slice(&self.event);
        if self.shows_mask {
            shape[1] *= 2;
        }
        input.reshape(shape)
    }

    /// The process, with a mask that shows nothing if the model is used to see one.
    fn process(
        &self,
        corruption: &CorruptionConfig,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        let process = corruption.build::<D>()?;
        if self.shows_mask && !process.shows_mask() {
            return Ok(Box::new(ShowMask::new(process)?));
        }
        Ok(process)
    }
}

fn flat<const D: usize>(rows: Tensor<D>) -> Tensor<2> {
    rows.flatten(1, D - 1)
}

impl<const D: usize, V: Vae<D>> Model for Typed<D, V> {
    fn weights(&self) -> usize {
        self.model.num_params()
    }

    fn shows_mask(&self) -> bool {
        self.shows_mask
    }

    fn denoise(&self, input: Tensor<2>) -> Tensor<2> {
        flat(self.model.denoise(self.shaped(input)))
    }

    fn embed(&self, input: Tensor<2>) -> Tensor<2> {
        self.model.embed(self.shaped(input))
    }

    fn decode(&self, latent: Tensor<2>) -> Tensor<2> {
        flat(self.model.decode(latent).mean())
    }

    fn sample(&self, key: Key, ids: &[u64]) -> Tensor<2> {
        self.decode(self.model.prior_sample(&mut key.rows(ids)))
    }

    fn denoise_by_samples(
        &self,
        input: Tensor<2>,
        key: Key,
        ids: &[u64],
        samples: usize,
    ) -> (Tensor<2>, Tensor<2>) {
        let encoding = self.model.encode(self.shaped(input));
        let mut draws = key.rows(ids);
        let mut draw = || self.decode(encoding.infer(&mut draws).latent);
        // Welford (1962), "Note on a Method for Calculating Corrected Sums of Squares and Products".
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

    fn save(&self, file: &Path, config: &str) -> Result<(), TrainError> {
        dvae_train::save_weights(file, &self.model, config)
    }

    fn evaluate(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        objective: &Objective,
        key: Key,
        device: &Device,
    ) -> Result<Evaluation, ExperimentError> {
        let process = self.process(corruption)?;
        // Every draw of a batch is kept until its bound is known.
        let draws = objective.latents().saturating_mul(objective.corruptions());
        let batch = (ROWS_AT_ONCE * 16 / draws).clamp(1, ROWS_AT_ONCE);
        Ok(evaluate(&self.model, rows, &*process, objective, key, batch, device)?)
    }

    fn denoising(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        key: Key,
        device: &Device,
    ) -> Result<Denoising, ExperimentError> {
        let process = self.process(corruption)?;
        Ok(denoising(&self.model, rows, &*process, key, ROWS_AT_ONCE, device)?)
    }

    fn activity(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        key: Key,
        device: &Device,
    ) -> Result<Vec<f64>, ExperimentError> {
        let process = self.process(corruption)?.at_null()?;
        Ok(latent_activity(&self.model, rows, &*process, key, ROWS_AT_ONCE, device)?)
    }
}
