//! Schedules: weights that change over training.

use std::f64::consts::PI;
use std::fmt;
use std::ops::Bound::{Excluded, Included};

use dvae_checks::{RangeError, non_negative, within};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value as a function of the training progress.
///
/// In a file a constant is a number, and any other schedule is a table with one entry:
///
/// ```toml
/// beta = 1.0
/// beta = { linear = { from = 0.0, to = 1.0, until = 0.3 } }
/// beta = { cosine = { from = 0.0, to = 1.0, until = 0.3 } }
/// beta = { cyclical = { from = 0.0, to = 1.0, cycles = 4, rise = 0.5 } }
/// ```
///
/// `until` is the share of the training after which the value stays at `to`. It is at most 1: a warm-up
/// cannot be longer than the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(!remote, transform = or_short)]
#[non_exhaustive]
pub enum Schedule {
    /// The same value throughout.
    Constant(f64),
    /// Linear from one value to another: Sønderby et al. (2016), "Ladder Variational Autoencoders". Bowman et
    /// al. (2016), "Generating Sentences from a Continuous Space", use a sigmoid instead.
    Linear(WarmUp),
    /// Along half a cosine.
    Cosine(WarmUp),
    /// Repeated cycles of a linear rise and a constant phase: Fu et al. (2019), "Cyclical Annealing
    /// Schedule", equation 6.
    Cyclical {
        /// The value at the start of each cycle.
        from: f64,
        /// The value at the end of each cycle.
        to: f64,
        /// The number of cycles, at least 1.
        cycles: usize,
        /// The share of a cycle in which the value rises.
        #[serde(default = "half")]
        rise: f64,
    },
}

/// Extends the schema to accept the short form as well.
fn or_short(schema: &mut schemars::Schema) {
    let table = std::mem::take(schema);
    *schema = schemars::json_schema!({ "anyOf": [{ "type": "number" }, table] });
}

/// A change from one value to another, up to a point of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// The value at the first step.
    pub from: f64,
    /// The value from `until` on.
    pub to: f64,
    /// The share of the training that the change takes, in `(0, 1]`.
    #[serde(default = "whole")]
    pub until: f64,
}

fn half() -> f64 {
    0.5
}

fn whole() -> f64 {
    1.0
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl Schedule {
    /// The value at a training progress in `[0, 1]`.
    pub fn at(self, progress: f64) -> f64 {
        let t = progress.clamp(0.0, 1.0);
        let between = |from: f64, to: f64, share: f64| from + (to - from) * share.min(1.0);
        match self {
            Self::Constant(value) => value,
            Self::Linear(WarmUp { from, to, until }) => between(from, to, t / until),
            Self::Cosine(WarmUp { from, to, until }) => {
                between(from, to, 0.5 - 0.5 * (PI * (t / until).min(1.0)).cos())
            }
            Self::Cyclical { from, to, cycles, rise } => {
                let within = if t == 1.0 { 1.0 } else { (t * cycles as f64).fract() };
                between(from, to, within / rise)
            }
        }
    }

    /// The share of the training after which the value is constant.
    pub fn end(self) -> f64 {
        match self {
            Self::Constant(_) => 0.0,
            Self::Linear(WarmUp { until, .. }) | Self::Cosine(WarmUp { until, .. }) => until,
            Self::Cyclical { cycles, rise, .. } => ((cycles - 1) as f64 + rise) / cycles as f64,
        }
    }

    /// Checks the schedule; an error names what is out of range.
    /// The largest value.
    pub(crate) fn most(self) -> f64 {
        match self {
            Self::Constant(value) => value,
            Self::Linear(WarmUp { from, to, .. })
            | Self::Cosine(WarmUp { from, to, .. })
            | Self::Cyclical { from, to, .. } => from.max(to),
        }
    }

    pub(crate) fn check(self, name: &'static str) -> Result<(), RangeError> {
        let share = |name, value| within(name, value, (Excluded(0.0), Included(1.0)));
        match self {
            Self::Constant(value) => {
                non_negative(name, value)?;
            }
            Self::Linear(WarmUp { from, to, until }) | Self::Cosine(WarmUp { from, to, until }) => {
                non_negative(name, from)?;
                non_negative(name, to)?;
                share("until", until)?;
            }
            Self::Cyclical { from, to, cycles, rise } => {
                non_negative(name, from)?;
                non_negative(name, to)?;
                within("cycles", cycles, 1..=1_000_000)?;
                share("rise", rise)?;
            }
        }
        Ok(())
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(value) => serializer.serialize_f64(*value),
            other => Self::serialize(other, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScheduleVisitor)
    }
}

/// A number or a table.
struct ScheduleVisitor;

impl<'de> Visitor<'de> for ScheduleVisitor {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a table such as { linear = { from = 0, to = 1, until = 0.3 } }")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Schedule, E> {
        Ok(Schedule::Constant(value as f64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
        Schedule::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Halfway through a warm-up: the mean of the ends. Cycles of ½ with a rise of ½: the value rises for a
    // quarter of the training, is constant until half of it, and repeats.
    #[test]
    fn values_over_training_are_hand_worked() {
        let warm_up = WarmUp { from: 0.0, to: 2.0, until: 0.5 };
        let cyclical = Schedule::Cyclical { from: 0.0, to: 1.0, cycles: 2, rise: 0.5 };
        for (schedule, expected) in [
            (Schedule::Constant(0.7), [0.7; 5]),
            (Schedule::Linear(warm_up), [0.0, 1.0, 2.0, 2.0, 2.0]),
            (Schedule::Cosine(warm_up), [0.0, 1.0, 2.0, 2.0, 2.0]),
            (cyclical, [0.0, 1.0, 0.0, 1.0, 1.0]),
        ] {
            for (at, expected) in [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().zip(expected) {
                assert!((schedule.at(at) - expected).abs() < 1e-12, "{schedule:?} at {at}");
            }
        }
        assert!((Schedule::Cosine(warm_up).at(0.125) - (1.0 - 0.5f64.sqrt())).abs() < 1e-12);
    }

    #[test]
    fn a_schedule_stays_where_it_is_after_its_end() {
        let warm_up = WarmUp { from: 0.0, to: 2.0, until: 0.5 };
        let cyclical = Schedule::Cyclical { from: 0.0, to: 1.0, cycles: 2, rise: 0.5 };
        for (schedule, end) in [
            (Schedule::Constant(0.7), 0.0),
            (Schedule::Linear(warm_up), 0.5),
            (Schedule::Cosine(warm_up), 0.5),
            (cyclical, 0.75),
        ] {
            assert_eq!(schedule.end(), end);
            assert_eq!(schedule.at(end), schedule.at(1.0), "{schedule:?}");
            assert!(end == 0.0 || schedule.at(end - 0.1) != schedule.at(1.0), "{schedule:?}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let error = |schedule: Schedule| schedule.check("beta").unwrap_err().to_string();
        assert!(
            error(Schedule::Constant(f64::NAN))
                .contains("`beta` must be finite and at least 0, but is NaN")
        );
        let warm_up = WarmUp { from: 0.0, to: 1.0, until: 1.5 };
        assert!(error(Schedule::Linear(warm_up)).contains("`until` must be above 0 and at most 1"));
        let cyclical = Schedule::Cyclical { from: 0.0, to: 1.0, cycles: 0, rise: 0.5 };
        assert!(error(cyclical).contains("`cycles`"));
    }
}
