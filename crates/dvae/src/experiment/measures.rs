//! What a trained model is measured by.

use dvae_corruption::CorruptionConfig;
use dvae_data::Dataset;
use dvae_eval::{
    Denoising, MolecularCrossValidation, denoising, latent_activity, molecular_cross_validation,
};
use dvae_losses::Objective;
use dvae_random::Key;
use dvae_train::{Evaluation, EvaluationContext, evaluate, row_bounds};

use super::model::with_rank;
use super::pretrained::ROWS_AT_ONCE;
use super::{ExperimentError, Pretrained};

impl Pretrained {
    /// The bound on rows corrupted by `corruption`, with noise from the experiment's seed.
    pub fn evaluate(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        objective: &Objective,
    ) -> Result<Evaluation, ExperimentError> {
        let context = self.context(rows, rows_at_once(objective));
        with_rank!(self.rank, D => {
            let process = self.process::<D>(corruption)?;
            Ok(evaluate(&self.model, rows, &*process, objective, &context)?)
        })
    }

    /// The bound of each row, in nats, with its id: [`row_bounds`], with the noise of [`Self::evaluate`].
    pub fn row_bounds(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        objective: &Objective,
    ) -> Result<Vec<(u64, f64)>, ExperimentError> {
        let context = self.context(rows, rows_at_once(objective));
        with_rank!(self.rank, D => {
            let process = self.process::<D>(corruption)?;
            Ok(row_bounds(&self.model, rows, &*process, objective, &context)?)
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
            Ok(denoising(&self.model, rows, &*process, &self.context(rows, ROWS_AT_ONCE))?)
        })
    }

    /// Molecular cross-validation on rows of counts, for a corruption that is binomial thinning; `None` for others, and
    /// if of no row a part was held out.
    pub fn molecular(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
    ) -> Result<Option<MolecularCrossValidation>, ExperimentError> {
        let CorruptionConfig::BinomialThinning { .. } = corruption else { return Ok(None) };
        with_rank!(self.rank, D => {
            let (thinning, context) = (self.process::<D>(corruption)?, self.context(rows, ROWS_AT_ONCE));
            let found = molecular_cross_validation(&self.model, rows, &*thinning, &context)?;
            Ok(Some(found).filter(|found| found.rows > 0))
        })
    }

    /// How much each latent varies over uncorrupted rows, level by level: [`dvae_eval::latent_activity`].
    pub fn activity(&self, rows: &Dataset) -> Result<Vec<Vec<f64>>, ExperimentError> {
        with_rank!(self.rank, D => {
            let process = self.process::<D>(&CorruptionConfig::None {})?;
            let rows = &rows.unpaired();
            Ok(latent_activity(&self.model, rows, &*process, &self.context(rows, ROWS_AT_ONCE))?)
        })
    }

    pub(super) fn context(&self, rows: &Dataset, batch_size: usize) -> EvaluationContext<'_> {
        let batch_size = self.rows_at_once(rows.event(), batch_size);
        let key = Key::new(self.experiment.train.seed);
        let (device, group) = (&self.device, &*self.group);
        EvaluationContext { key, batch_size, device, group }
    }
}

/// Rows in a batch: all draws of a batch are kept until its bound is known.
fn rows_at_once(objective: &Objective) -> usize {
    let draws = objective.latents().saturating_mul(objective.corruptions());
    (ROWS_AT_ONCE * 16 / draws.max(1)).clamp(1, ROWS_AT_ONCE)
}
