//! The loop around the step.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use dvae_corruption::Corruption;
use dvae_data::{Batch, Dataset, Order};
use dvae_kernels::Adam;
use dvae_losses::LossContext;
use dvae_models::Vae;
use dvae_random::{Key, Purpose};

use crate::checkpoint::Identity;
use crate::evaluate::measure;
use crate::fit::check_fit;
use crate::terms::{PendingTerms, TermSums};
use crate::{
    EpochReport, Event, Observer, Streams, TrainConfig, TrainError, Training, Validation,
    checkpoint, denoising_draws,
};

/// Steps between two looks at the terms: reading them waits for the device.
const STEPS_PER_READ: usize = 10;

/// Trains a model on the denoising bound.
///
/// All noise is keyed by the seed, the epoch and the row. So a run depends on its configuration and
/// data alone, and one that was stopped and resumed has the same weights, bit for bit on the same
/// CPU back end, as one that was not.
pub struct Trainer<const D: usize, V> {
    model: V,
    optimizer: ModuleOptimizer,
    corruption: Box<dyn Corruption<D>>,
    config: TrainConfig,
    device: Device,
    epochs_done: usize,
    last_epoch: usize,
    checkpoints: Option<PathBuf>,
    /// The checkpoint that this goes on from, and what made it.
    resumed: Option<(PathBuf, Identity)>,
}

/// Where in the training a step is.
struct Place {
    /// Its number, from the beginning of the training.
    step: usize,
    per_epoch: usize,
    /// Rows of the training set.
    rows: usize,
}

impl<const D: usize, V: Vae<D>> Trainer<D, V> {
    /// A trainer of `model`, whose weights are on `device`, before its first epoch.
    pub fn new(
        model: V,
        corruption: Box<dyn Corruption<D>>,
        config: TrainConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        config.check()?;
        Ok(Self {
            model: model.train(),
            optimizer: Adam::default().init(),
            corruption,
            device: device.clone(),
            epochs_done: 0,
            last_epoch: config.epochs,
            checkpoints: None,
            resumed: None,
            config,
        })
    }

    /// Saves the state after every epoch in this folder; the last two checkpoints are kept.
    pub fn checkpoints(mut self, folder: impl Into<PathBuf>) -> Self {
        self.checkpoints = Some(folder.into());
        self
    }

    /// Goes on from the newest intact checkpoint in this folder, and saves there.
    ///
    /// An error names a folder without one, and one whose weights do not fit the model.
    /// [`Trainer::fit`] then refuses a checkpoint of other settings, another corruption or other
    /// training rows. That the model's configuration is the same in what has no weights (its
    /// non-linearity, its likelihood) is the caller's to see to.
    pub fn resume(self, folder: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let folder = folder.into();
        let loaded = checkpoint::load(&folder, self.model.valid(), self.optimizer)?;
        Ok(Self {
            model: loaded.model.train(),
            optimizer: loaded.optimizer,
            epochs_done: loaded.epochs_done,
            resumed: Some((loaded.folder, loaded.run)),
            checkpoints: Some(folder),
            ..self
        })
    }

    /// Ends this sitting after `epoch` epochs of the configured ones: to be resumed later.
    pub fn until(mut self, epoch: usize) -> Self {
        self.last_epoch = epoch.min(self.config.epochs);
        self
    }

    /// Trains to the last epoch, or to that of [`Trainer::until`], and returns the model, ready for use on
    /// the plain device.
    ///
    /// After each epoch the bound on `validation` is measured with clean and with corrupted input,
    /// with noise that is the same every time.
    ///
    /// Strengths that are scheduled follow the epochs; validation is always at their last value.
    ///
    /// An error names a set without rows, rows that the corruption or the likelihood does not fit, a model
    /// that the objective is not for, a folder that holds the checkpoints of another run, and whatever stops
    /// the training.
    ///
    /// # Panics
    ///
    /// If the rows have another shape than the model was configured for.
    pub fn fit(
        self,
        train: &Dataset,
        validation: &Dataset,
        observers: &mut [Box<dyn Observer>],
    ) -> Result<V, TrainError> {
        for (set, rows) in [("training", train), ("validation", validation)] {
            if rows.is_empty() {
                return Err(TrainError::Empty { set });
            }
        }
        self.corruption.check(train.event())?;
        let (model, objective) = (self.model.valid(), &self.config.objective);
        let sets = [("training", train), ("validation", validation)];
        check_fit(&model, objective, &*self.corruption, self.root(), &sets, &self.device)?;
        let run = Identity::new(&self.config, &self.corruption, train);
        match (&self.resumed, &self.checkpoints) {
            (Some((folder, saved)), _) => checkpoint::check(folder, saved, &run)?,
            (None, Some(path)) if checkpoint::any(path) => {
                return Err(TrainError::Occupied { path: path.clone() });
            }
            _ => {}
        }
        // Inside the pool, parallel loops start without handing work to another thread first.
        let mut result = None;
        rayon::scope(|_| result = Some(self.fit_in_pool(&run, train, validation, observers)));
        result.expect("the scope ran")
    }

    fn fit_in_pool(
        mut self,
        run: &Identity,
        train: &Dataset,
        validation: &Dataset,
        observers: &mut [Box<dyn Observer>],
    ) -> Result<V, TrainError> {
        let epochs = self.config.epochs;
        let steps_per_epoch = train.len().div_ceil(self.config.batch_size);
        let epochs_done = self.epochs_done;
        tell(observers, &Event::Started { epochs_done, epochs, steps_per_epoch })?;
        while self.epochs_done < self.last_epoch {
            let start = Instant::now();
            let terms;
            (self, terms) = self.train_epoch(train, observers)?;
            let seconds = start.elapsed().as_secs_f64();
            let report = self.report(&terms, seconds, steps_per_epoch, validation)?;
            self.epochs_done += 1;
            tell(observers, &Event::Epoch(&report))?;
            if let Some(folder) = &self.checkpoints {
                checkpoint::save(folder, self.epochs_done, &self.model, &self.optimizer, run)?;
            }
        }
        tell(observers, &Event::Finished)?;
        Ok(self.model.valid())
    }

    fn train_epoch(
        mut self,
        train: &Dataset,
        observers: &mut [Box<dyn Observer>],
    ) -> Result<(Self, TermSums), TrainError> {
        let epoch = self.epochs_done;
        let order = self.root().purpose(Purpose::Shuffle).epoch(epoch as u64);
        let batch_size = self.config.batch_size;
        let batches = train.batches::<D>(batch_size, Order::Shuffled(order), &self.device)?;
        let steps = batches.len();
        let mut sums = TermSums::default();
        let mut pending = Vec::with_capacity(STEPS_PER_READ);
        for (step, batch) in batches.enumerate() {
            let at = Place { step: epoch * steps + step, per_epoch: steps, rows: train.len() };
            let terms;
            (self, terms) = self.step(batch, at);
            pending.push(terms);
            if pending.len() == STEPS_PER_READ || step + 1 == steps {
                let first = step + 1 - pending.len();
                for (i, terms) in PendingTerms::read(&mut pending).into_iter().enumerate() {
                    finite(&terms, epoch, first + i)?;
                    sums.add(&terms);
                }
                let so_far = sums.mean();
                tell(observers, &Event::Steps { epoch: epoch + 1, step: step + 1, so_far })?;
            }
        }
        Ok((self, sums))
    }

    /// One step of the optimiser. The model goes through by value, so that weights change in place.
    fn step(mut self, batch: Batch<D>, at: Place) -> (Self, PendingTerms) {
        let streams = Streams::training(self.root(), self.epochs_done, &batch.ids);
        let mut streams = streams.at_progress(self.progress(self.epochs_done));
        let objective = &self.config.objective;
        let sampled = denoising_draws(
            &self.model,
            batch.clean,
            batch.observed,
            &*self.corruption,
            objective,
            &mut streams,
        );
        let progress = self.share_done(at.step, at.per_epoch);
        let noise = &mut streams.latent;
        let loss = objective.loss(&sampled, &mut LossContext { progress, rows: at.rows, noise });
        let terms = PendingTerms::new(&sampled, loss.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        let rate = self.learning_rate(at.step, at.per_epoch);
        self.model = self.optimizer.step(rate, self.model, gradients);
        (self, terms)
    }

    fn report(
        &self,
        train: &TermSums,
        seconds: f64,
        steps_per_epoch: usize,
        validation: &Dataset,
    ) -> Result<EpochReport, TrainError> {
        let epoch = self.epochs_done + 1;
        let last = epoch * steps_per_epoch - 1;
        let model = self.model.valid();
        let objective = &self.config.objective;
        let on = |corruption: &dyn Corruption<D>| {
            let (rows, key) = (self.config.batch_size, self.root());
            let evaluation =
                measure(&model, validation, corruption, objective, key, rows, &self.device)?;
            for value in [evaluation.mean.elbo, evaluation.bound] {
                if !value.is_finite() {
                    let (term, step) = ("bound on held-out rows", steps_per_epoch);
                    return Err(TrainError::NonFinite { term, value, epoch, step });
                }
            }
            Ok(evaluation)
        };
        let undamaged = self.corruption.at_null()?;
        Ok(EpochReport {
            epoch,
            beta: objective.kl.beta(self.share_done(last, steps_per_epoch)),
            learning_rate: self.learning_rate(last, steps_per_epoch),
            train: Training {
                loss: train.objective(),
                mean: train.mean(),
                kl_per_latent: train.kl_per_latent(),
            },
            validation: Validation { clean: on(&*undamaged)?, corrupted: on(&*self.corruption)? },
            seconds,
        })
    }

    fn learning_rate(&self, step: usize, steps_per_epoch: usize) -> f64 {
        self.config.learning_rate.at(step, self.config.epochs * steps_per_epoch)
    }

    /// How much of the training is done in this epoch: 0 in the first, 1 in the last.
    fn progress(&self, epoch: usize) -> f64 {
        match self.config.epochs {
            1 => 1.0,
            epochs => epoch as f64 / (epochs - 1) as f64,
        }
    }

    /// How much of the training is done at this step: 0 at the first, 1 at the last.
    fn share_done(&self, step: usize, steps_per_epoch: usize) -> f64 {
        match self.config.epochs * steps_per_epoch {
            1 => 1.0,
            steps => step as f64 / (steps - 1) as f64,
        }
    }

    fn root(&self) -> Key {
        Key::new(self.config.seed)
    }
}

impl<const D: usize, V: fmt::Debug> fmt::Debug for Trainer<D, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("model", &self.model)
            .field("corruption", &self.corruption)
            .field("config", &self.config)
            .field("epochs_done", &self.epochs_done)
            .finish_non_exhaustive()
    }
}

/// `model` with the weights of the newest intact checkpoint in `folder`.
pub fn load_weights<M: burn::module::Module>(folder: &Path, model: M) -> Result<M, TrainError> {
    checkpoint::load_weights(folder, model)
}

fn tell(observers: &mut [Box<dyn Observer>], event: &Event) -> Result<(), TrainError> {
    observers.iter_mut().try_for_each(|observer| observer.observe(event))
}

fn finite(terms: &TermSums, epoch: usize, step: usize) -> Result<(), TrainError> {
    match terms.non_finite() {
        Some((term, value)) => {
            Err(TrainError::NonFinite { term, value, epoch: epoch + 1, step: step + 1 })
        }
        None => Ok(()),
    }
}
