//! Settings of the training loop.

use std::ops::Bound::Excluded;

use dvae_checks::{positive, within};
use dvae_losses::Objective;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EarlyStopping, LearningRate, OptimizerConfig, TimeLimit, TrainError};

/// Settings of the training loop. Every key may be left out of a file.
///
/// ```toml
/// [train]
/// epochs = 20
/// batch_size = 128
/// accumulate = 1                   # batches a step
/// optimizer = { name = "adam" }    # or "adam-w", "sgd"
/// learning_rate = 0.001            # or { rate = 0.001, warm_up = 0.05, decay = { cosine = { to = 1e-5 } } }
/// max_gradient_norm = 1.0          # gradients are not clipped if it is left out
/// ema = 0.999                      # no average of the weights if it is left out
/// early_stopping = { patience = 5 }
/// time_limit = { hours = 11.5 }   # of a session, which can be resumed
/// validate = { epochs = 1 }        # or { steps = 500 }
/// checkpoint = { epochs = 1 }
/// keep = 2                         # checkpoints
/// seed = 1
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training rows, at least 1.
    pub epochs: usize,
    /// Rows in a batch, at least 1; the last batch of an epoch has the remaining rows.
    pub batch_size: usize,
    /// Batches whose gradients make one step, at least 1; the last step of an epoch has the remaining
    /// batches.
    pub accumulate: usize,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate, as a function of the step.
    pub learning_rate: LearningRate,
    /// The maximum Euclidean norm of all gradients together; larger gradients are scaled down to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_gradient_norm: Option<f64>,
    /// The decay of an exponential moving average of the weights, in `(0, 1)`: see [`Trainer`](crate::Trainer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// When to end training before its last epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// How long a session may take before it ends, to be resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<TimeLimit>,
    /// How often the bound on held-out rows is measured; it is always measured after the last step.
    pub validate: Every,
    /// How often a checkpoint is saved; one is always saved after the last step.
    pub checkpoint: Every,
    /// How many checkpoints are kept, at least 1; older ones are used if the latest is damaged.
    pub keep: usize,
    /// The seed of all randomness of the run.
    pub seed: u64,
    /// The objective.
    pub objective: Objective,
}

/// The interval of a repeated action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Every {
    /// After this many epochs, at least 1.
    Epochs(usize),
    /// After this many steps, at least 1, counted from the beginning of the training.
    Steps(usize),
}

impl Every {
    /// Whether the action is due after `steps` steps of the training.
    pub(crate) fn is_due(self, steps: usize, per_epoch: usize) -> bool {
        let every = match self {
            Self::Epochs(epochs) => epochs.saturating_mul(per_epoch),
            Self::Steps(steps) => steps,
        };
        steps.is_multiple_of(every)
    }

    fn count(self) -> usize {
        match self {
            Self::Epochs(count) | Self::Steps(count) => count,
        }
    }
}

impl Default for TrainConfig {
    /// 20 epochs of batches of 128 with Adam at 10⁻³ on the DVAE bound, seed 1. The bound is measured and a
    /// checkpoint saved after each epoch; two checkpoints are kept.
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 128,
            accumulate: 1,
            optimizer: OptimizerConfig::default(),
            learning_rate: LearningRate::default(),
            max_gradient_norm: None,
            ema: None,
            early_stopping: None,
            time_limit: None,
            validate: Every::Epochs(1),
            checkpoint: Every::Epochs(1),
            keep: 2,
            seed: 1,
            objective: Objective::default(),
        }
    }
}

impl TrainConfig {
    /// An error naming the first setting that is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        for (name, value) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("accumulate", self.accumulate),
            ("validate", self.validate.count()),
            ("checkpoint", self.checkpoint.count()),
            ("keep", self.keep),
        ] {
            within(name, value, 1..=u32::MAX as usize)?;
        }
        self.optimizer.check()?;
        self.learning_rate.check()?;
        if let Some(value) = self.max_gradient_norm {
            positive("max_gradient_norm", value)?;
        }
        if let Some(decay) = self.ema {
            within("ema", decay, (Excluded(0.0), Excluded(1.0)))?;
        }
        if let Some(early_stopping) = self.early_stopping {
            early_stopping.check()?;
        }
        if let Some(limit) = self.time_limit {
            limit.check()?;
        }
        Ok(self.objective.check()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_after_so_many_epochs_or_steps() {
        let due = |every: Every| (1..=12).filter(|&s| every.is_due(s, 3)).collect::<Vec<_>>();
        assert_eq!(due(Every::Epochs(1)), [3, 6, 9, 12]);
        assert_eq!(due(Every::Epochs(2)), [6, 12]);
        assert_eq!(due(Every::Steps(5)), [5, 10]);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let error = |change: fn(&mut TrainConfig)| {
            let mut config = TrainConfig::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert_eq!(error(|c| c.epochs = 0), "`epochs` must be between 1 and 4294967295, but is 0");
        assert_eq!(
            error(|c| c.batch_size = 0),
            "`batch_size` must be between 1 and 4294967295, but is 0"
        );
        assert!(error(|c| c.epochs = usize::MAX).contains("but is 18446744073709551615"));
        assert!(error(|c| c.accumulate = 0).starts_with("`accumulate` must be between 1"));
        assert!(error(|c| c.keep = 0).starts_with("`keep` must be between 1"));
        assert!(error(|c| c.validate = Every::Steps(0)).starts_with("`validate` must be"));
        assert!(
            error(|c| c.objective = Objective::dvae(1, 0))
                .starts_with("`latents` must be between 1")
        );
        let norm = error(|c| c.max_gradient_norm = Some(f64::NAN));
        assert_eq!(norm, "`max_gradient_norm` must be finite and above 0, but is NaN");
        let ema = error(|c| c.ema = Some(1.0));
        assert_eq!(ema, "`ema` must be above 0 and below 1, but is 1");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let read: TrainConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(read, TrainConfig::default());
    }
}
