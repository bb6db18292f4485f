//! Learning-rate schedules.

use std::f64::consts::PI;
use std::fmt;
use std::ops::Bound::{Excluded, Included};

use dvae_checks::{RangeError, positive, within};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A learning rate as a function of the step.
///
/// In a file a constant rate may be a number:
///
/// ```toml
/// learning_rate = 0.001
/// learning_rate = { rate = 0.002, warm_up = 0.05, decay = { cosine = { to = 0.0001 } } }
/// learning_rate = { rate = 0.002, decay = { step = { factor = 0.5, epochs = 10 } } }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schemars(!remote, transform = or_short)]
pub struct LearningRate {
    /// The rate after the warm-up.
    pub rate: f64,
    /// The share of the training, in `[0, 1)`, over which the rate rises linearly from nearly 0: Goyal et al.
    /// (2017), "Accurate, Large Minibatch SGD", section 2.2.
    #[serde(default)]
    pub warm_up: f64,
    /// The decay after the warm-up.
    #[serde(default)]
    pub decay: Decay,
}

/// Extends the schema to accept the short form as well.
fn or_short(schema: &mut schemars::Schema) {
    let table = std::mem::take(schema);
    *schema = schemars::json_schema!({ "anyOf": [{ "type": "number" }, table] });
}

/// The decay of a learning rate after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Decay {
    /// The rate stays constant.
    #[default]
    Constant,
    /// The rate falls to `to` at the last step, along half a cosine: Loshchilov & Hutter (2017), "SGDR",
    /// equation 5.
    Cosine {
        /// The rate of the last step.
        to: f64,
    },
    /// The rate is multiplied by `factor` after every `epochs` epochs since the warm-up.
    Step {
        /// The factor, in `(0, 1]`.
        factor: f64,
        /// The number of epochs between two decays, at least 1.
        epochs: usize,
    },
}

impl Default for LearningRate {
    /// A constant rate of 10⁻³.
    fn default() -> Self {
        Self::constant(1e-3)
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        Self::constant(rate)
    }
}

impl LearningRate {
    /// A constant rate.
    pub const fn constant(rate: f64) -> Self {
        Self { rate, warm_up: 0.0, decay: Decay::Constant }
    }

    /// A rate that falls from `from` to `to` along half a cosine.
    pub const fn cosine(from: f64, to: f64) -> Self {
        Self { rate: from, warm_up: 0.0, decay: Decay::Cosine { to } }
    }

    /// The rate at step `step` of `steps`, counted from 0, with `per_epoch` steps in an epoch.
    pub fn at(self, step: usize, steps: usize, per_epoch: usize) -> f64 {
        // At least one step has the full rate.
        let warm_up = (self.warm_up * steps as f64).ceil() as usize;
        let warm_up = warm_up.min(steps.saturating_sub(1));
        if step < warm_up {
            return self.rate * (step + 1) as f64 / (warm_up + 1) as f64;
        }
        match self.decay {
            Decay::Constant => self.rate,
            Decay::Cosine { to } => {
                let left = steps.saturating_sub(warm_up + 1).max(1);
                let done = (step - warm_up) as f64 / left as f64;
                to + 0.5 * (self.rate - to) * (1.0 + (PI * done).cos())
            }
            Decay::Step { factor, epochs } => {
                let stairs = (step - warm_up) / per_epoch.max(1) / epochs;
                self.rate * factor.powi(i32::try_from(stairs).unwrap_or(i32::MAX))
            }
        }
    }

    /// The key that makes the rate depend on the length of the training, if any: a share of all steps, or a
    /// decay that ends with the last one.
    pub(crate) fn of_whole_training(self) -> Option<&'static str> {
        match self.decay {
            _ if self.warm_up > 0.0 => Some("learning_rate.warm_up"),
            Decay::Cosine { .. } => Some("learning_rate.decay"),
            Decay::Constant | Decay::Step { .. } => None,
        }
    }

    pub(crate) fn check(self) -> Result<(), RangeError> {
        positive("learning_rate.rate", self.rate)?;
        within("learning_rate.warm_up", self.warm_up, 0.0..1.0)?;
        match self.decay {
            Decay::Constant => {}
            Decay::Cosine { to } => {
                positive("learning_rate.decay.cosine.to", to)?;
            }
            Decay::Step { factor, epochs } => {
                let share = (Excluded(0.0), Included(1.0));
                within("learning_rate.decay.step.factor", factor, share)?;
                within("learning_rate.decay.step.epochs", epochs, 1..)?;
            }
        }
        Ok(())
    }
}

impl Serialize for LearningRate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::constant(self.rate) {
            return serializer.serialize_f64(self.rate);
        }
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for LearningRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LearningRateVisitor)
    }
}

/// A number or a table.
struct LearningRateVisitor;

impl<'de> Visitor<'de> for LearningRateVisitor {
    type Value = LearningRate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a table such as { rate = 0.001, warm_up = 0.05 }")
    }

    fn visit_f64<E>(self, value: f64) -> Result<LearningRate, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<LearningRate, E> {
        Ok((value as f64).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<LearningRate, E> {
        Ok((value as f64).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LearningRate, A::Error> {
        LearningRate::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The middle of a half cosine is the mean of its ends.
    #[test]
    fn a_cosine_goes_from_start_to_end() {
        let rate = LearningRate::cosine(1e-2, 1e-4);
        for (step, expected) in [(0, 1e-2), (50, 5.05e-3), (100, 1e-4)] {
            assert!((rate.at(step, 101, 10) - expected).abs() < 1e-12, "{step}");
        }
        assert_eq!(rate.at(0, 1, 1), 1e-2);
    }

    // A quarter of 8 steps is 2: thirds of the rate, then all of it; the cosine takes the remaining 5
    // intervals.
    #[test]
    fn a_warm_up_rises_to_the_rate_and_the_decay_has_the_rest() {
        let rate = LearningRate { warm_up: 0.25, ..LearningRate::cosine(3.0, 1.0) };
        let rates: Vec<f64> = (0..8).map(|step| rate.at(step, 8, 4)).collect();
        for (at, expected) in [(0, 1.0), (1, 2.0), (2, 3.0), (7, 1.0)] {
            assert!((rates[at] - expected).abs() < 1e-12, "{rates:?}");
        }
        assert!(rates[2..].is_sorted_by(|a, b| a > b), "{rates:?}");
    }

    #[test]
    fn stairs_go_down_after_so_many_epochs() {
        let decay = Decay::Step { factor: 0.5, epochs: 2 };
        let rate = LearningRate { decay, ..LearningRate::constant(8.0) };
        let rates: Vec<f64> = (0..6).map(|epoch| rate.at(epoch * 3 + 2, 18, 3)).collect();
        assert_eq!(rates, [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]);
        // With a warm-up over a third of the training, they begin there.
        let late = LearningRate { warm_up: 1.0 / 3.0, ..rate };
        let rates: Vec<f64> = (2..6).map(|epoch| late.at(epoch * 3 + 2, 18, 3)).collect();
        assert_eq!(rates, [8.0, 8.0, 4.0, 4.0]);
    }

    // Whatever does not name a key is the same, step by step, in a training twice as long.
    #[test]
    fn a_rate_that_depends_on_the_length_of_the_training_is_named() {
        let stairs = Decay::Step { factor: 0.5, epochs: 2 };
        let constant = LearningRate::constant(2.0);
        for (rate, key) in [
            (constant, None),
            (LearningRate { decay: stairs, ..constant }, None),
            (
                LearningRate { warm_up: 0.1, decay: stairs, ..constant },
                Some("learning_rate.warm_up"),
            ),
            (LearningRate { warm_up: 0.1, ..constant }, Some("learning_rate.warm_up")),
            (LearningRate::cosine(2.0, 1.0), Some("learning_rate.decay")),
        ] {
            assert_eq!(rate.of_whole_training(), key);
            let rates = |steps| (0..20).map(|step| rate.at(step, steps, 4)).collect::<Vec<f64>>();
            assert_eq!(rates(20) == rates(40), key.is_none(), "{rate:?}");
        }
    }

    #[test]
    fn the_last_step_always_has_the_whole_rate() {
        let rate = LearningRate { warm_up: 0.95, ..LearningRate::constant(2.0) };
        assert_eq!(rate.at(9, 10, 10), 2.0);
        assert_eq!(rate.at(0, 1, 1), 2.0);
    }

    #[test]
    fn files_have_a_number_or_a_table() {
        let read = |text| serde_json::from_str::<LearningRate>(text).map_err(|e| e.to_string());
        assert_eq!(read("0.01"), Ok(LearningRate::constant(0.01)));
        assert_eq!(read("1"), Ok(LearningRate::constant(1.0)));
        let table = r#"{"rate": 0.002, "decay": {"cosine": {"to": 0.0001}}}"#;
        assert_eq!(read(table), Ok(LearningRate::cosine(2e-3, 1e-4)));
        assert!(read(r#"{"rate": 1, "warmup": 0.1}"#).unwrap_err().contains("unknown field"));
        let written = serde_json::to_string(&LearningRate::constant(0.01)).unwrap();
        assert_eq!(written, "0.01");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let error = |rate: LearningRate| rate.check().unwrap_err().to_string();
        assert!(error(LearningRate::constant(f64::NAN)).ends_with("above 0, but is NaN"));
        let end = error(LearningRate::cosine(0.1, -0.1));
        assert!(end.starts_with("`learning_rate.decay.cosine.to`"), "{end}");
        let long = LearningRate { warm_up: 1.5, ..LearningRate::default() };
        assert!(
            error(long)
                .contains("`learning_rate.warm_up` must be at least 0 and below 1, but is 1.5")
        );
        let decay = Decay::Step { factor: 0.5, epochs: 0 };
        assert!(error(LearningRate { decay, ..LearningRate::default() }).contains("step.epochs"));
    }
}
