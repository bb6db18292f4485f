//! One optimizer step: batches with their noise, gradients, weights.

use std::sync::Arc;

use burn::optim::{GradientsAccumulator, GradientsParams};
use dvae_data::Order;
use dvae_kernels::gradient_norm;
use dvae_losses::LossContext;
use dvae_models::Vae;
use dvae_random::{Purpose, RowStreams};

use super::{Run, Trainer};
use crate::communicator::{self, own};
use crate::pending::PendingStep;
use crate::step::CorruptedBatch;
use crate::terms::PendingTerms;
use crate::{BatchNoise, TrainError, average};

/// A batch with its noise.
pub(super) struct TrainingBatch<const D: usize> {
    ids: Vec<u64>,
    rows: CorruptedBatch<D>,
    latent: RowStreams,
}

impl<const D: usize, V: Vae<D>> Trainer<D, V> {
    /// The remaining batches of an epoch, with their noise.
    pub(super) fn batches(
        &self,
        run: &Run,
        epoch: usize,
    ) -> Result<impl Iterator<Item = TrainingBatch<D>> + Send + use<D, V>, TrainError> {
        let (root, progress) = (self.root(), self.progress(epoch));
        let order = root.purpose(Purpose::Shuffle).epoch(epoch as u64);
        let rows = run.train.at_epoch(epoch as u64);
        let accumulate = self.config.accumulate;
        let first = self.state.steps % run.plan.per_epoch * accumulate;
        let (rank, size) = (self.group.rank(), self.group.size());
        let is_own = move |batch: &usize| batch % accumulate % size == rank;
        let numbers = (first..run.plan.batches).filter(is_own);
        let batches = rows.some_batches::<D, _>(
            self.config.batch_size,
            Order::Shuffled(order),
            numbers,
            &self.device,
        )?;
        let corruption = Arc::clone(&self.corruption);
        let corruptions = self.config.objective.corruptions();
        Ok(batches.map(move |batch| {
            let mut noise = BatchNoise::training(root, epoch, &batch.ids).at_progress(progress);
            let draws = &mut noise.corruption;
            let ids = batch.ids.clone();
            let rows = CorruptedBatch::of(batch, &*corruption, corruptions, draws);
            TrainingBatch { ids, rows, latent: noise.latent }
        }))
    }

    /// One optimizer step from as many batches as it accumulates; `None` if the batches ended too early. The
    /// model is passed by value, so that its weights change in place.
    pub(super) fn step(
        mut self,
        batches: &mut impl Iterator<Item = TrainingBatch<D>>,
        run: &Run,
        pending: &mut Vec<PendingStep>,
    ) -> Self {
        let (plan, step) = (&run.plan, self.state.steps);
        let (batch_size, accumulate) = (self.config.batch_size, self.config.accumulate);
        let first = step % plan.per_epoch * accumulate;
        let wanted = (plan.batches - first).min(accumulate);
        let in_step = (plan.rows - first * batch_size).min(wanted * batch_size);
        let progress = plan.share_done(step);
        let objective = &self.config.objective;
        let own = own(&*self.group, wanted).count();
        let (mut seen, mut terms, mut gradients) = (vec![], vec![], vec![]);
        let mut sum = GradientsAccumulator::new();
        for TrainingBatch { ids, rows, mut latent } in batches.take(own) {
            let drawn = rows.score(&self.model, objective, &mut latent);
            let noise = &mut latent;
            let context = &mut LossContext { progress, rows: plan.rows, noise };
            let loss = objective.loss(&drawn, context);
            terms.push(PendingTerms::new(&drawn, loss.clone()));
            let share = ids.len() as f64 / in_step as f64;
            let loss = if wanted == 1 { loss } else { loss * share };
            let of_batch = GradientsParams::from_grads(loss.backward(), &self.model);
            match self.group.size() {
                1 => sum.accumulate(&self.model, of_batch),
                _ => gradients.push(of_batch),
            }
            seen.push(ids);
        }
        if seen.len() < own {
            return self;
        }
        let gradients = match self.group.size() {
            1 => sum.grads(),
            _ => communicator::sum(&*self.group, &self.model, gradients, wanted),
        };
        let gradient_norm = gradient_norm(&self.model, &gradients, &self.device);
        if let Some(clip) = &self.clip {
            clip.measure(&self.model, &gradients);
        }
        let rate = self.learning_rate(step, plan);
        self.model = self.optimizer.step(rate, self.model, gradients);
        if let (Some(average), Some(decay)) = (self.average.take(), self.config.ema) {
            self.average = Some(average::update(average, &self.model.valid(), decay, step));
        }
        self.state.steps += 1;
        pending.push(PendingStep { step, rows: seen, terms, gradient_norm });
        self
    }
}
