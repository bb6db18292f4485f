//! The identity of a run: what a resume must find as it was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use dvae_data::Dataset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{TrainConfig, TrainError};

/// Settings by their keys, such as `model.network.type`, each with its value as JSON text.
///
/// Text compares exactly, where parsed floats may not.
///
/// ```
/// use dvae_train::Settings;
///
/// let settings = |latent: usize| Settings::of(&serde_json::json!({ "model": { "latent": latent } }));
/// let difference = settings(4).difference(&settings(8)).unwrap();
/// assert_eq!(difference.key, "model.latent");
/// assert_eq!((difference.own.as_str(), difference.other.as_str()), ("4", "8"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, String>);

/// A setting that differs between two [`Settings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// Its value, or `not set`.
    pub own: String,
    /// The value in the other settings, or `not set`.
    pub other: String,
}

impl Settings {
    /// The settings in a value: tables, and lists of tables, are entered.
    pub fn of(value: &Value) -> Self {
        let mut settings = Self::default();
        settings.add(String::new(), value);
        settings
    }

    fn add(&mut self, key: String, value: &Value) {
        match value {
            Value::Object(table) => {
                for (name, value) in table {
                    let dot = if key.is_empty() { "" } else { "." };
                    self.add(format!("{key}{dot}{name}"), value);
                }
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {
                for (place, value) in list.iter().enumerate() {
                    self.add(format!("{key}[{place}]"), value);
                }
            }
            value => {
                self.0.insert(key, value.to_string());
            }
        }
    }

    /// A setting that differs, if any: one that both have before one that only one of them has, because a key
    /// that selects a kind says more than the keys of that kind.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        let keys = self.0.keys().chain(other.0.keys());
        let differs = |key: &&String| self.0.get(*key) != other.0.get(*key);
        let is_in_one = |key: &&String| !(self.0.contains_key(*key) && other.0.contains_key(*key));
        let key = keys.filter(differs).min_by_key(|key| (is_in_one(key), *key))?;
        let value = |of: &Self| of.0.get(key).map_or("not set", String::as_str).to_owned();
        Some(Difference { key: key.clone(), own: value(self), other: value(other) })
    }
}

/// What a run must have in common with the run that made a checkpoint. The number of epochs may grow, if no
/// schedule depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) epochs: usize,
    /// The caller's settings, and those of the training that its result depends on.
    settings: Settings,
    /// Checksums of the training rows, and of the held-out rows that the best bound was measured on.
    data: [u32; 2],
}

impl Identity {
    /// Without settings of the caller, a run is identified by what its corruption prints.
    pub(crate) fn new(
        train: &TrainConfig,
        corruption: &dyn fmt::Debug,
        settings: Option<&Settings>,
        sets: [&Dataset; 2],
    ) -> Self {
        let mut table = serde_json::to_value(train).expect("plain settings");
        for key in ["epochs", "checkpoint", "keep", "time_limit"] {
            table.as_object_mut().expect("a table").remove(key);
        }
        let mut all = settings.cloned().unwrap_or_else(|| {
            Settings::of(&serde_json::json!({ "corruption": format!("{corruption:?}") }))
        });
        all.add("train".to_owned(), &table);
        Self { epochs: train.epochs, settings: all, data: sets.map(Dataset::checksum) }
    }

    /// Checks that a run of identity `run` may go on from the checkpoint `path` of this identity.
    pub(crate) fn check(&self, run: &Self, path: &Path) -> Result<(), TrainError> {
        let path = path.to_path_buf();
        if let Some(Difference { key, own, other }) = self.settings.difference(&run.settings) {
            return Err(TrainError::ResumeSetting { path, key, saved: own, now: other });
        }
        for (set, place) in [("training", 0), ("held-out", 1)] {
            let (saved, now) = (self.data[place], run.data[place]);
            if saved != now {
                return Err(TrainError::ResumeRows { path, set, saved, now });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(own: &Value, other: &Value) -> Option<[String; 3]> {
        let found = Settings::of(own).difference(&Settings::of(other))?;
        Some([found.key, found.own, found.other])
    }

    #[test]
    fn a_difference_is_named_by_its_key() {
        let one = json!({"a": {"b": [1, 2], "c": "x"}, "of": [{"level": 0.5}]});
        assert_eq!(difference(&one, &one), None);
        let lists = json!({"a": {"b": [1, 3], "c": "x"}, "of": [{"level": 0.5}]});
        assert_eq!(difference(&one, &lists).unwrap(), ["a.b", "[1,2]", "[1,3]"]);
        let levels = json!({"a": {"b": [1, 2], "c": "x"}, "of": [{"level": 0.25}]});
        assert_eq!(difference(&one, &levels).unwrap(), ["of[0].level", "0.5", "0.25"]);
        let fewer = json!({"a": {"b": [1, 2]}, "of": [{"level": 0.5}]});
        assert_eq!(difference(&one, &fewer).unwrap(), ["a.c", "\"x\"", "not set"]);
        // `channels` comes first in the alphabet, but the type explains it.
        let (conv, mlp) = (json!({"channels": 3, "type": "conv"}), json!({"type": "mlp"}));
        assert_eq!(difference(&conv, &mlp).unwrap(), ["type", "\"conv\"", "\"mlp\""]);
    }

    #[test]
    fn any_learning_rate_is_the_same_after_a_manifest() {
        let rows = Dataset::from_bytes(vec![1, 2], &[1]).unwrap();
        for rate in [0.01 * 1.1, 1.0 / 3.0, f64::MIN_POSITIVE, 0.1 + 0.2] {
            let learning_rate = crate::LearningRate::constant(rate);
            let train = TrainConfig { learning_rate, ..TrainConfig::default() };
            let run = Identity::new(&train, &"masking", None, [&rows, &rows]);
            let text = serde_json::to_string(&run).unwrap();
            assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), run);
        }
    }

    #[test]
    fn only_what_the_result_depends_on_is_compared() {
        let rows = Dataset::from_bytes(vec![1, 2], &[1]).unwrap();
        let identity = |change: fn(&mut TrainConfig)| {
            let mut train = TrainConfig::default();
            change(&mut train);
            Identity::new(&train, &"masking", None, [&rows, &rows])
        };
        let check = |change| {
            let checked = identity(|_| ()).check(&identity(change), Path::new("step-00000001"));
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(check(|train| train.keep = 9), Ok(()));
        assert_eq!(check(|train| train.checkpoint = crate::Every::Steps(7)), Ok(()));
        assert_eq!(check(|train| train.epochs = 99), Ok(()));
        // When the bound is measured decides which weights are the best.
        let error = check(|train| train.validate = crate::Every::Epochs(7)).unwrap_err();
        let expected = "`train.validate.epochs` was 1 in the training until the checkpoint \
                        step-00000001, but is 7 now";
        assert!(error.starts_with(expected), "{error}");
    }
}
