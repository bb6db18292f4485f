//! Evaluation of a trained model's bound.

use burn::tensor::Device;
use dvae_corruption::Corruption;
use dvae_data::{Batch, Dataset, Order};
use dvae_losses::{BoundTerms, Objective};
use dvae_models::Vae;
use dvae_random::Key;
use serde::{Deserialize, Serialize};

use crate::communicator::{gathered, gathered_numbers, own};
use crate::fit::check_fit;
use crate::step::CorruptedBatch;
use crate::terms::{PendingTerms, TermSums};
use crate::{BatchNoise, Communicator, MeanElbo, Single, TrainError};

/// What measures have in common beside model, rows and corruption.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationContext<'a> {
    /// What the noise comes from: it depends on the key and the rows' ids alone.
    pub key: Key,
    /// Rows that the model is given at once.
    pub batch_size: usize,
    /// Where the model's weights are.
    pub device: &'a Device,
    /// The processes that share the batches: each makes its own, and all come to the same result.
    pub group: &'a dyn Communicator,
}

impl<'a> EvaluationContext<'a> {
    /// For this process by itself.
    pub fn new(key: Key, batch_size: usize, device: &'a Device) -> Self {
        Self { key, batch_size, device, group: &Single }
    }

    /// Numbers of each batch of rows, in stored order, as `of_batch` finds them; those of other processes' batches are found there. All
    /// processes call it with the same rows. An error names a batch size of 0.
    pub fn of_batches<const D: usize>(
        &self,
        rows: &Dataset,
        of_batch: impl FnMut(Batch<D>) -> Vec<f64>,
    ) -> Result<Vec<Vec<f64>>, TrainError> {
        let own: Vec<Vec<f64>> = self.own_batches(rows)?.map(of_batch).collect();
        Ok(gathered_numbers(self.group, own))
    }

    /// The batches of rows that this process makes.
    fn own_batches<const D: usize>(
        &self,
        rows: &Dataset,
    ) -> Result<impl Iterator<Item = Batch<D>> + Send + use<D>, TrainError> {
        let Self { batch_size, device, group, .. } = *self;
        let numbers = own(group, rows.len().div_ceil(batch_size.max(1)));
        Ok(rows.some_batches::<D, _>(batch_size, Order::Stored, numbers, device)?)
    }
}

/// The bound of a model on a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Means over rows, in nats.
    #[serde(flatten)]
    pub mean: MeanElbo,
    /// The objective's own bound, unweighted: the importance-weighted bound or the mean ELBO. With the
    /// mixture as denominator, or with sticking the landing, its KL is estimated from the draws; the terms
    /// above always use each posterior by itself.
    pub bound: f64,
    /// Mean `KL(q ‖ p)` of each latent, in nats, level by level, top first; of maps, of each channel, summed over its
    /// positions. Latents at 0 have collapsed onto the prior. Empty for a level whose KL has no closed form.
    pub kl_per_latent: Vec<Vec<f64>>,
    /// Rows without any observed entry, which are left out of all means.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unobserved: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Measures the bound `E log p(x | z) − KL(q(z | x̃) ‖ p(z))` of the clean rows of `dataset`, with as many
/// draws as the objective asks for; [`Objective::default`] asks for one of each.
///
/// The noise depends on the key and the rows' ids alone, not on the batch size nor on when it is
/// called (but for [`dvae_distributions::OptimalNormal`], whose scale is that of a batch). With
/// [`dvae_corruption::Clean`] it is the plain bound, on clean input. Importance weights of many draws give a tight
/// one: `Objective::diwae(1, 5000)`, with a small batch, as every draw of a batch is kept until its bound is known.
///
/// An error names a set without rows, rows that do not fit the corruption or the likelihood, or an objective
/// that does not fit the model.
pub fn evaluate<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    objective: &Objective,
    context: &EvaluationContext,
) -> Result<Evaluation, TrainError> {
    check(model, dataset, corruption, objective, context)?;
    measure(model, dataset, corruption, objective, context)
}

/// The bound of each row, in nats, with the row's id, in stored order; rows without an observed entry are left out.
/// The mean over rows is [`Evaluation::bound`], with the same noise and the same errors.
pub fn row_bounds<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    objective: &Objective,
    context: &EvaluationContext,
) -> Result<Vec<(u64, f64)>, TrainError> {
    check(model, dataset, corruption, objective, context)?;
    let rows = dataset.with_observed_entries();
    let bounds = context.of_batches::<D>(&rows, |batch| {
        let terms = score(model, batch, corruption, objective, context);
        objective.bound_of(&terms).into_data().iter::<f64>().collect()
    })?;
    let placed = bounds.into_iter().flatten().enumerate();
    Ok(placed.map(|(place, bound)| (rows.id_at(place), bound)).collect())
}

fn check<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    objective: &Objective,
    context: &EvaluationContext,
) -> Result<(), TrainError> {
    if dataset.with_observed_entries().is_empty() {
        return Err(TrainError::Empty { set: "evaluation" });
    }
    corruption.check(dataset.event())?;
    objective.check()?;
    let EvaluationContext { key, device, .. } = *context;
    check_fit(model, objective, corruption, key, &[("evaluation", dataset)], device)
}

/// [`evaluate`] without the checks.
pub(crate) fn measure<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    objective: &Objective,
    context: &EvaluationContext,
) -> Result<Evaluation, TrainError> {
    let rows = dataset.with_observed_entries();
    let mut found = vec![];
    for batch in context.own_batches::<D>(&rows)? {
        let terms = score(model, batch, corruption, objective, context);
        let terms = PendingTerms::new(&terms, objective.bound_of(&terms).mean());
        found.extend(PendingTerms::read(&mut vec![terms]));
    }
    let mut sums = TermSums::default();
    gathered(context.group, found).iter().for_each(|terms| sums.add(terms));
    let (mean, kl_per_latent) = (sums.mean(), sums.kl_per_latent());
    let unobserved = dataset.len() - rows.len();
    Ok(Evaluation { mean, bound: sums.objective(), kl_per_latent, unobserved })
}

/// The terms of the rows of a batch.
fn score<const D: usize, V: Vae<D>>(
    model: &V,
    batch: Batch<D>,
    corruption: &dyn Corruption<D>,
    objective: &Objective,
    context: &EvaluationContext,
) -> Vec<BoundTerms> {
    let mut noise = BatchNoise::evaluation(context.key, &batch.ids);
    let corruptions = objective.corruptions();
    let corrupted = CorruptedBatch::of(batch, corruption, corruptions, &mut noise.corruption);
    corrupted.score(model, objective, &mut noise.latent)
}
