//! Resuming a training.

use std::path::{Path, PathBuf};

use dvae_models::Vae;

use super::Trainer;
use crate::identity::Identity;
use crate::{TrainError, checkpoint};

impl<const D: usize, V: Vae<D>> Trainer<D, V> {
    /// Resumes from the newest intact checkpoint in this folder, and saves there.
    ///
    /// An error names a folder without a checkpoint, or a checkpoint whose weights do not fit the model.
    /// [`Trainer::fit`] then refuses a checkpoint with different [`settings`](Self::settings) or rows. Without
    /// settings it compares what the corruption prints, and the caller must make sure that the parts of the
    /// model's configuration that have no weights (its non-linearity, its likelihood) are the same.
    ///
    /// How often checkpoints are saved, and how many are kept, may change. [`TrainConfig::epochs`] may grow if
    /// no schedule depends on it: the result is then that of a training that had as many from its beginning.
    ///
    /// [`TrainConfig::epochs`]: crate::TrainConfig::epochs
    pub fn resume(self, folder: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let folder = folder.into();
        let loaded = checkpoint::load(&folder, self.model, self.optimizer)?;
        Ok(Self {
            model: loaded.model,
            average: self.average.and(loaded.average),
            optimizer: loaded.optimizer,
            state: loaded.state,
            resumed: Some((loaded.folder, loaded.run)),
            checkpoints: Some(folder),
            ..self
        })
    }

    /// Checks that the training of this identity may go on from its checkpoint, if there is one.
    pub(super) fn check_resumed(&self, run: &Identity, per_epoch: usize) -> Result<(), TrainError> {
        let Some((folder, saved)) = &self.resumed else { return Ok(()) };
        saved.check(run, folder)?;
        match self.obstacle_to_length(saved.epochs, per_epoch) {
            Some(reason) => {
                let (saved, now) = (saved.epochs, run.epochs);
                Err(TrainError::ResumeLength { saved, now, reason })
            }
            None => Ok(()),
        }
    }

    /// Why a training of `saved` epochs cannot become one of the configured length, if it cannot.
    fn obstacle_to_length(&self, saved: usize, per_epoch: usize) -> Option<String> {
        let last = saved * per_epoch;
        if self.config.epochs == saved {
            None
        } else if self.config.epochs < saved {
            Some("a resume may ask for more epochs, but not for fewer".to_owned())
        } else if let Some(key) = self.schedule_of_whole_training() {
            Some(format!(
                "`{key}` is a schedule over all epochs, so the steps done would have been others"
            ))
        } else if self.state.steps == last && !self.config.validate.is_due(last, per_epoch) {
            let text = "the training is done, and `train.validate` is not due after its last step: a longer one \
                        would not have measured there";
            Some(text.to_owned())
        } else {
            None
        }
    }

    /// The key of a schedule that depends on the length of the training, if any.
    fn schedule_of_whole_training(&self) -> Option<String> {
        if let Some(key) = self.config.learning_rate.of_whole_training() {
            Some(format!("train.{key}"))
        } else if self.config.objective.warm_up_end() > 0.0 {
            Some("train.objective.kl".to_owned())
        } else if self.corruption.schedule_end() > 0.0 {
            Some("corruption".to_owned())
        } else {
            None
        }
    }
}

/// Loads the weights of the newest intact checkpoint in `folder` into `model`: the averaged ones, if they are
/// kept.
pub fn load_checkpoint<M: burn::module::Module>(folder: &Path, model: M) -> Result<M, TrainError> {
    checkpoint::load_weights(folder, model)
}

/// Whether `folder` contains a checkpoint for [`Trainer::resume`], intact or not.
pub fn has_checkpoint(folder: &Path) -> Result<bool, TrainError> {
    checkpoint::any(folder)
}
