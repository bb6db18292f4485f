//! How a run is trained.

use dvae_losses::Objective;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Settings of the training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training rows, at least 1.
    pub epochs: usize,
    /// Rows a step, at least 1; the last batch of an epoch holds the rest.
    pub batch_size: usize,
    /// Step size of Adam (Kingma & Ba 2015; β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸).
    pub learning_rate: LearningRate,
    /// What is maximised; its default is the DVAE bound.
    #[serde(default)]
    pub objective: Objective,
    /// What all randomness of the run comes from.
    pub seed: u64,
}

impl Default for TrainConfig {
    /// 20 epochs of batches of 128 with Adam at 10⁻³ on the DVAE bound, seed 1.
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 128,
            learning_rate: LearningRate::Constant { rate: 1e-3 },
            objective: Objective::default(),
            seed: 1,
        }
    }
}

/// A learning rate over the steps of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LearningRate {
    /// The same at every step.
    Constant {
        /// The rate.
        rate: f64,
    },
    /// From `start` to `end` along half a cosine (Loshchilov & Hutter 2017, "SGDR", equation 5).
    Cosine {
        /// The rate of the first step.
        start: f64,
        /// The rate that the last step comes down to.
        end: f64,
    },
}

impl LearningRate {
    /// The rate of step `step` of `steps`, counted from 0.
    pub fn at(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant { rate } => rate,
            Self::Cosine { start, end } => {
                let done = step as f64 / steps.saturating_sub(1).max(1) as f64;
                end + 0.5 * (start - end) * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }

    fn check(self) -> Result<(), TrainError> {
        let positive = |name, value: f64| {
            if !(value > 0.0 && value.is_finite()) {
                return Err(TrainError::LearningRate { name, value });
            }
            Ok(())
        };
        match self {
            Self::Constant { rate } => positive("learning_rate.rate", rate),
            Self::Cosine { start, end } => {
                positive("learning_rate.start", start)?;
                positive("learning_rate.end", end)
            }
        }
    }
}

impl TrainConfig {
    /// An error naming the first setting that is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        for (name, count) in [("epochs", self.epochs), ("batch_size", self.batch_size)] {
            if count == 0 || count > u32::MAX as usize {
                return Err(TrainError::Count { name, value: count });
            }
        }
        self.learning_rate.check()?;
        Ok(self.objective.check()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Halfway down a half cosine is the mean of its ends.
    #[test]
    fn a_cosine_goes_from_start_to_end() {
        let rate = LearningRate::Cosine { start: 1e-2, end: 1e-4 };
        for (step, expected) in [(0, 1e-2), (50, 5.05e-3), (100, 1e-4)] {
            assert!((rate.at(step, 101) - expected).abs() < 1e-12, "{step}");
        }
        assert_eq!(rate.at(0, 1), 1e-2);
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
        assert!(error(|c| c.objective.latents = 0).starts_with("`latents` must be between 1"));
        let nan = error(|c| c.learning_rate = LearningRate::Constant { rate: f64::NAN });
        assert!(nan.ends_with("must be finite and above 0, but is NaN"), "{nan}");
        let end = error(|c| c.learning_rate = LearningRate::Cosine { start: 0.1, end: -0.1 });
        assert!(end.starts_with("`learning_rate.end`"), "{end}");
    }
}
