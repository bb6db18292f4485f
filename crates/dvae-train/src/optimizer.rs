//! Optimizers and their settings.

use std::ops::Bound::{Excluded, Unbounded};

use burn::optim::ModuleOptimizer;
use dvae_checks::within_single;
use dvae_kernels::{Adam, AdamW, GlobalNormClip, Sgd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// An optimizer, with PyTorch's defaults.
///
/// ```toml
/// optimizer = { name = "adam", beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8, weight_decay = 0.0 }
/// optimizer = { name = "adam-w", weight_decay = 0.01 }
/// optimizer = { name = "sgd", momentum = 0.9, nesterov = true, weight_decay = 0.0 }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// [`Adam`]: Kingma & Ba (2015).
    Adam {
        /// Decay of the first moment.
        #[serde(default = "beta_1")]
        beta_1: f64,
        /// Decay of the second moment.
        #[serde(default = "beta_2")]
        beta_2: f64,
        /// A small number that keeps the denominator from being 0.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// `λ` of an L2 penalty: `λ θ` is added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// [`AdamW`]: Loshchilov & Hutter (2019).
    AdamW {
        /// Decay of the first moment.
        #[serde(default = "beta_1")]
        beta_1: f64,
        /// Decay of the second moment.
        #[serde(default = "beta_2")]
        beta_2: f64,
        /// A small number that keeps the denominator from being 0.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// `λ` of decoupled weight decay: `−η λ θ` is added in a separate step.
        #[serde(default = "decoupled")]
        weight_decay: f64,
    },
    /// [`Sgd`]: stochastic gradient descent.
    Sgd {
        /// `μ`, in `[0, 1)`.
        #[serde(default)]
        momentum: f64,
        /// Whether the step is Nesterov's, `η (g + μ v)`.
        #[serde(default)]
        nesterov: bool,
        /// `λ` of an L2 penalty.
        #[serde(default)]
        weight_decay: f64,
    },
}

fn beta_1() -> f64 {
    0.9
}

fn beta_2() -> f64 {
    0.999
}

fn epsilon() -> f64 {
    1e-8
}

fn decoupled() -> f64 {
    1e-2
}

impl Default for OptimizerConfig {
    /// Adam: 0.9, 0.999, 10⁻⁸, no penalty.
    fn default() -> Self {
        let (beta_1, beta_2, epsilon) = (beta_1(), beta_2(), epsilon());
        Self::Adam { beta_1, beta_2, epsilon, weight_decay: 0.0 }
    }
}

impl OptimizerConfig {
    /// Builds the optimizer, which scales gradients by the norm that `clip` measured before the step.
    pub(crate) fn build(self, clip: Option<&GlobalNormClip>) -> ModuleOptimizer {
        let clip = clip.cloned();
        match self {
            Self::Adam { beta_1, beta_2, epsilon, weight_decay } => {
                let [beta_1, beta_2, epsilon, weight_decay] =
                    [beta_1, beta_2, epsilon, weight_decay].map(|value| value as f32);
                Adam { beta_1, beta_2, epsilon, weight_decay, clip }.init()
            }
            Self::AdamW { beta_1, beta_2, epsilon, weight_decay } => {
                let [beta_1, beta_2, epsilon, weight_decay] =
                    [beta_1, beta_2, epsilon, weight_decay].map(|value| value as f32);
                AdamW { beta_1, beta_2, epsilon, weight_decay, clip }.init()
            }
            Self::Sgd { momentum, nesterov, weight_decay } => {
                let weight_decay = weight_decay as f32;
                Sgd { momentum, nesterov, weight_decay, clip }.init()
            }
        }
    }

    /// Checks the settings in single precision, as the optimizer uses them.
    pub(crate) fn check(self) -> Result<(), TrainError> {
        let below_one = |name, value| within_single(name, value, 0.0..1.0);
        let not_negative = |name, value| within_single(name, value, 0.0..);
        match self {
            Self::Adam { beta_1, beta_2, epsilon, weight_decay }
            | Self::AdamW { beta_1, beta_2, epsilon, weight_decay } => {
                below_one("optimizer.beta_1", beta_1)?;
                below_one("optimizer.beta_2", beta_2)?;
                within_single("optimizer.epsilon", epsilon, (Excluded(0.0), Unbounded))?;
                not_negative("optimizer.weight_decay", weight_decay)?;
            }
            Self::Sgd { momentum, nesterov, weight_decay } => {
                below_one("optimizer.momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(TrainError::Nesterov);
                }
                not_negative("optimizer.weight_decay", weight_decay)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named_and_so_are_those_that_round_there() {
        let error = |json: &str| {
            let config: OptimizerConfig = serde_json::from_str(json).unwrap();
            config.check().unwrap_err().to_string()
        };
        let epsilon = error(r#"{"name": "adam", "epsilon": 1e-46}"#);
        assert!(epsilon.starts_with("`optimizer.epsilon` must be finite and above 0"), "{epsilon}");
        let beta = error(r#"{"name": "adam-w", "beta_1": 0.999999999}"#);
        assert!(beta.starts_with("`optimizer.beta_1` must be at least 0 and below 1"), "{beta}");
        let decay = error(r#"{"name": "adam", "weight_decay": 1e300}"#);
        assert!(decay.starts_with("`optimizer.weight_decay`"), "{decay}");
        let momentum = error(r#"{"name": "sgd", "nesterov": true}"#);
        assert!(momentum.contains("set `optimizer.momentum` above 0"), "{momentum}");
    }

    #[test]
    fn what_is_left_out_is_as_in_pytorch() {
        let read = |json| serde_json::from_str::<OptimizerConfig>(json).unwrap();
        assert_eq!(read(r#"{"name": "adam"}"#), OptimizerConfig::default());
        let (beta_1, beta_2, epsilon, weight_decay) = (0.9, 0.999, 1e-8, 0.01);
        let adam_w = OptimizerConfig::AdamW { beta_1, beta_2, epsilon, weight_decay };
        assert_eq!(read(r#"{"name": "adam-w"}"#), adam_w);
    }
}
