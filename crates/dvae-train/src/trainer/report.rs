//! Measurements and saved weights during training.

use std::path::Path;

use dvae_corruption::Corruption;
use dvae_data::Dataset;
use dvae_models::Vae;

use super::{Run, Trainer};
use crate::checkpoint::Snapshot;
use crate::evaluate::measure;
use crate::weights::{Precision, save_weights};
use crate::{EvaluationContext, Event, Report, TrainError, Training, Validation, checkpoint};

impl<const D: usize, V: Vae<D>> Trainer<D, V> {
    /// Measures the bound on the held-out rows, and keeps the best weights.
    pub(super) fn measured(&mut self, run: &Run) -> Result<Report, TrainError> {
        let model = self.usable();
        let mut report = self.report(run, &model)?;
        let last = self.state.steps - 1;
        let warming_up = run.plan.share_done(last) < self.config.objective.warm_up_end()
            || self.progress(last / run.plan.per_epoch) < self.corruption.schedule_end();
        let improvement = self.config.early_stopping.map_or(0.0, |early| early.improvement);
        let bound = report.validation.corrupted.bound;
        report.best = self.state.measured.take(bound, improvement, warming_up);
        (self.state.terms, self.state.gradient_norm, self.seconds) = Default::default();
        if report.best
            && let Some(folder) = &self.weights
        {
            self.save_weights(folder, "best.safetensors", &model)?;
        }
        Ok(report)
    }

    fn report(&self, run: &Run, model: &V) -> Result<Report, TrainError> {
        let plan = &run.plan;
        let last = self.state.steps - 1;
        let epoch = last / plan.per_epoch + 1;
        let objective = &self.config.objective;
        let on = |rows: &Dataset, corruption: &dyn Corruption<D>| {
            let (batch_size, key) = (self.config.batch_size, self.root());
            let (device, group) = (&self.device, &*self.group);
            let context = EvaluationContext { key, batch_size, device, group };
            let evaluation = measure(model, rows, corruption, objective, &context)?;
            for value in [evaluation.mean.elbo, evaluation.bound] {
                if !value.is_finite() {
                    let term = "bound on held-out rows".to_owned();
                    let (step, rows) = (last % plan.per_epoch + 1, vec![]);
                    return Err(TrainError::NonFinite { term, value, epoch, step, rows });
                }
            }
            Ok(evaluation)
        };
        let undamaged = self.corruption.at_null()?;
        let terms = &self.state.terms;
        Ok(Report {
            epoch,
            step: self.state.steps,
            beta: objective.beta(plan.share_done(last)),
            learning_rate: self.learning_rate(last, plan),
            gradient_norm: f64::from_bits(self.state.gradient_norm),
            train: Training {
                loss: terms.objective(),
                mean: terms.mean(),
                kl_per_latent: terms.kl_per_latent(),
            },
            validation: Validation {
                clean: on(&run.validation.unpaired(), &*undamaged)?,
                corrupted: on(run.validation, &*self.corruption)?,
            },
            best: false,
            seconds: self.seconds,
        })
    }

    pub(super) fn save(&mut self, run: &Run) -> Result<(), TrainError> {
        let Some(folder) = self.checkpoints.as_ref().filter(|_| self.group.rank() == 0) else {
            return Ok(());
        };
        let snapshot = Snapshot {
            state: &self.state,
            model: &self.model,
            average: self.average.as_ref(),
            optimizer: &self.optimizer,
            run: &run.identity,
        };
        let saved = checkpoint::save(folder, &snapshot, self.config.keep)?;
        self.tell(&Event::Saved(&saved))
    }

    pub(super) fn save_weights(
        &self,
        folder: &Path,
        name: &str,
        model: &V,
    ) -> Result<(), TrainError> {
        if self.group.rank() > 0 {
            return Ok(());
        }
        save_weights(&folder.join(name), model, &self.description, Precision::Single)
    }

    /// The model that is measured and used: the averaged one, if it is kept.
    pub(super) fn usable(&self) -> V {
        self.average.clone().unwrap_or_else(|| self.model.valid())
    }
}
