//! The strength of a process: fixed, drawn for each row, or changing over training.

use std::f64::consts::PI;

use dvae_checks::within;
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::CorruptionError;

/// The strength of a process, in the unit that its [`Scale`] states.
///
/// In a file a fixed strength is a number, and any other level is a table with one entry or a string:
///
/// ```toml
/// level = 0.3
/// level = { severity = 3 }
/// level = "@3"
/// level = { uniform = [0.1, 0.5] }
/// level = "0.1..0.5"
/// level = { log-uniform = [0.01, 0.5] }
/// level = { linear = [0.0, 0.5] }
/// level = { cosine = [0.0, 0.5] }
/// level = { step = { from = 0.1, to = 0.5, steps = 5 } }
/// level = { cyclical = { from = 0.0, to = 0.5, cycles = 4 } }
/// ```
///
/// Scheduled levels change from epoch to epoch, not from step to step: a row's corruption depends on the
/// seed, the epoch and the row, not on its batch. A trained model is measured at the final strength.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(!remote, transform = or_short)]
#[non_exhaustive]
pub enum Level {
    /// The same for every row.
    Fixed(f64),
    /// One of the process's five named strengths, 1 (slight) to 5 (heavy).
    Severity(u8),
    /// Drawn for each row, uniform between two ends.
    Uniform([f64; 2]),
    /// Drawn for each row, with a logarithm that is uniform between those of two ends.
    LogUniform([f64; 2]),
    /// Linear from the first value to the second over training.
    Linear([f64; 2]),
    /// From the first value to the second along half a cosine.
    Cosine([f64; 2]),
    /// From one value to the other in steps.
    Step {
        /// The value of the first step.
        from: f64,
        /// The value of the last step.
        to: f64,
        /// The number of steps, at least 2.
        steps: u32,
    },
    /// Repeated cycles (of at least four epochs each): a rise in the first half of a cycle, constant in the
    /// second. Fu et al. (2019), "Cyclical Annealing Schedule", with R = ½.
    Cyclical {
        /// The value at the start of each cycle.
        from: f64,
        /// The value at the end of each cycle.
        to: f64,
        /// The number of cycles, at least 1.
        cycles: u32,
    },
}

/// Extends the schema to accept the short form as well.
fn or_short(schema: &mut schemars::Schema) {
    let table = std::mem::take(schema);
    *schema =
        schemars::json_schema!({ "anyOf": [{ "type": "number" }, { "type": "string" }, table] });
}

/// The meaning of a process's level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The name of the parameter: `sigma`, `rate`, …
    pub name: &'static str,
    /// The quantity it measures, and its unit.
    pub meaning: &'static str,
    /// The smallest and the largest level.
    pub range: [f64; 2],
    /// The level that changes nothing.
    pub null: f64,
    /// The levels of severities 1 to 5.
    pub severities: [f64; 5],
}

/// The strength of a process: its level and the level's meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// The level.
    pub level: Level,
    /// The level's meaning.
    pub scale: Scale,
}

impl From<f64> for Level {
    fn from(level: f64) -> Self {
        Self::Fixed(level)
    }
}

impl Default for Level {
    /// Severity 3.
    fn default() -> Self {
        Self::Severity(3)
    }
}

impl Level {
    /// The share of the training after which the level is constant.
    pub fn schedule_end(self) -> f64 {
        match self {
            Self::Fixed(_) | Self::Severity(_) | Self::Uniform(_) | Self::LogUniform(_) => 0.0,
            Self::Linear([from, to]) | Self::Cosine([from, to]) => f64::from(from != to),
            Self::Step { steps, .. } => f64::from(steps.max(2) - 1) / f64::from(steps.max(2)),
            Self::Cyclical { cycles, .. } => 1.0 - 0.5 / f64::from(cycles.max(1)),
        }
    }

    /// The level at a training progress in `[0, 1]`, if it is not drawn.
    fn at(self, progress: f64) -> Option<f64> {
        let t = progress.clamp(0.0, 1.0);
        let between = |from: f64, to: f64, share: f64| from + (to - from) * share;
        Some(match self {
            Self::Fixed(level) => level,
            Self::Linear([from, to]) => between(from, to, t),
            Self::Cosine([from, to]) => between(from, to, 0.5 - 0.5 * (PI * t).cos()),
            Self::Step { from, to, steps } => {
                let last = f64::from(steps.max(2) - 1);
                between(from, to, (t * f64::from(steps)).floor().min(last) / last)
            }
            Self::Cyclical { from, to, cycles } => {
                let within = if t == 1.0 { 1.0 } else { (t * f64::from(cycles)).fract() };
                between(from, to, (2.0 * within).min(1.0))
            }
            Self::Severity(_) | Self::Uniform(_) | Self::LogUniform(_) => return None,
        })
    }

    /// The largest value of the level; `None` for a severity.
    pub(crate) fn largest(self) -> Option<f64> {
        match self {
            Self::Severity(_) => None,
            Self::Fixed(level) => Some(level),
            Self::Uniform([a, b])
            | Self::LogUniform([a, b])
            | Self::Linear([a, b])
            | Self::Cosine([a, b])
            | Self::Step { from: a, to: b, .. }
            | Self::Cyclical { from: a, to: b, .. } => Some(a.max(b)),
        }
    }

    /// Whether it is certain that no row has this level.
    pub(crate) fn is_always_beside(self, level: f64) -> bool {
        matches!(self, Self::Fixed(own) if own != level)
    }

    /// The same kind of level with every value mapped by `f`, which must be monotonic.
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let ascending = |ends: [f64; 2]| {
            let [a, b] = ends.map(&f);
            [a.min(b), a.max(b)]
        };
        match self {
            Self::Fixed(level) => Self::Fixed(f(level)),
            Self::Severity(severity) => Self::Severity(severity),
            Self::Uniform(ends) => Self::Uniform(ascending(ends)),
            Self::LogUniform(ends) => Self::LogUniform(ascending(ends)),
            Self::Linear(ends) => Self::Linear(ends.map(f)),
            Self::Cosine(ends) => Self::Cosine(ends.map(f)),
            Self::Step { from, to, steps } => Self::Step { from: f(from), to: f(to), steps },
            Self::Cyclical { from, to, cycles } => {
                Self::Cyclical { from: f(from), to: f(to), cycles }
            }
        }
    }
}

impl Strength {
    /// The level of each row of `draws`. Only a random level takes a draw.
    ///
    /// A value closer to the null level than 10⁻³⁰ counts as the null level.
    pub fn of_rows(&self, draws: &mut RowStreams) -> Vec<f32> {
        let between = |[low, high]: [f64; 2], u: f64| low + (high - low) * u;
        let null = self.scale.null;
        let snap = |level: f64| (if (level - null).abs() < 1e-30 { null } else { level }) as f32;
        let rows = draws.ids().len();
        let mut drawn = |value: &dyn Fn(f64) -> f64| -> Vec<f32> {
            let uniforms = draws.uniform_host(1);
            uniforms.into_iter().map(|u| snap(value(f64::from(u)))).collect()
        };
        match self.level {
            Level::Uniform(ends) => drawn(&|u| between(ends, u)),
            Level::LogUniform(ends) => drawn(&|u| between(ends.map(f64::ln), u).exp()),
            Level::Severity(severity) => {
                let place = usize::from(severity.clamp(1, 5)) - 1;
                vec![snap(self.scale.severities[place]); rows]
            }
            level => vec![snap(level.at(draws.progress()).unwrap_or(null)); rows],
        }
    }

    /// The level at a share of the way from the null level (0) to this strength (1). Only one of the two may
    /// vary.
    pub(crate) fn share(self, share: Level) -> Result<Level, CorruptionError> {
        let Scale { name, null, .. } = self.scale;
        let toward = |level: f64, share: f64| null + share * (level - null);
        let log = |level| matches!(level, Level::LogUniform(_)) && null != 0.0;
        match (self.scale.resolve(self.level)?, share) {
            (_, Level::Fixed(0.0)) => Ok(Level::Fixed(null)),
            (level, Level::Fixed(1.0)) => Ok(level),
            (level, share) if log(level) || log(share) => {
                Err(CorruptionError::LogUniformShare { name, null })
            }
            (level, Level::Fixed(share)) => Ok(level.map(|level| toward(level, share))),
            (Level::Fixed(level), share) => Ok(share.map(|share| toward(level, share))),
            _ => Err(CorruptionError::VariesTwice { name }),
        }
    }
}

impl Scale {
    /// The end of otherwise unlimited ranges, chosen so that no sum or product overflows.
    pub const LARGEST: f64 = 1e30;

    /// The level of a combination: its share of the way from no corruption to its parts' strengths.
    pub const SHARE: Self = Self {
        name: "share",
        meaning: "share of the way from no damage to the strengths of the parts",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.2, 0.4, 0.6, 0.8, 1.0],
    };

    /// Resolves severities and checks that every value of `level` is within the range; an error names the one
    /// that is not.
    pub fn resolve(&self, level: impl Into<Level>) -> Result<Level, CorruptionError> {
        let level = level.into();
        let [low, high] = self.range;
        let check = |value: f64| within(self.name, value, low..=high);
        match level {
            Level::Fixed(level) => {
                check(level)?;
            }
            Level::Severity(severity) => {
                let place = within("severity", usize::from(severity), 1..=5)? - 1;
                return Ok(Level::Fixed(self.severities[place]));
            }
            Level::Uniform([low, high]) | Level::LogUniform([low, high]) => {
                check(low)?;
                check(high)?;
                if low > high {
                    return Err(CorruptionError::Ends { name: self.name, low, high });
                }
                if low <= 0.0 && matches!(level, Level::LogUniform(_)) {
                    return Err(CorruptionError::LogUniformAtZero { name: self.name, low });
                }
            }
            Level::Linear([from, to]) | Level::Cosine([from, to]) => {
                check(from)?;
                check(to)?;
            }
            Level::Step { from, to, steps } => {
                check(from)?;
                check(to)?;
                within("steps", steps as usize, 2..=1_000_000)?;
            }
            Level::Cyclical { from, to, cycles } => {
                check(from)?;
                check(to)?;
                within("cycles", cycles as usize, 1..=1_000_000)?;
            }
        }
        Ok(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvae_random::Key;

    const SCALE: Scale = Scale {
        name: "sigma",
        meaning: "",
        range: [0.0, 10.0],
        null: 0.0,
        severities: [1.0, 2.0, 3.0, 4.0, 5.0],
    };

    fn at(level: Level, progress: f64) -> f32 {
        let strength = Strength { level, scale: SCALE };
        strength.of_rows(&mut Key::new(1).rows(&[4]).at_progress(progress))[0]
    }

    // Halfway: the mean of the ends for a line and a cosine; the middle one of three steps; the start of the
    // second of two cycles. A quarter of one cycle is half of its rise.
    #[test]
    fn a_schedule_stays_after_its_end() {
        for (level, end) in [
            (Level::Fixed(0.5), 0.0),
            (Level::Linear([0.0, 1.0]), 1.0),
            (Level::Linear([0.5, 0.5]), 0.0),
            (Level::Step { from: 0.0, to: 1.0, steps: 4 }, 0.75),
            (Level::Cyclical { from: 0.0, to: 1.0, cycles: 2 }, 0.75),
        ] {
            assert_eq!(level.schedule_end(), end);
            assert_eq!(level.at(end), level.at(1.0), "{level:?}");
            assert!(end == 0.0 || level.at(end - 0.1) != level.at(1.0), "{level:?}");
        }
    }

    #[test]
    fn a_schedule_goes_from_its_first_to_its_last_value() {
        let cases = [
            (Level::Linear([1.0, 3.0]), [1.0, 1.5, 2.0, 3.0]),
            (Level::Cosine([1.0, 3.0]), [1.0, 1.292_893_2, 2.0, 3.0]),
            (Level::Step { from: 1.0, to: 3.0, steps: 3 }, [1.0, 1.0, 2.0, 3.0]),
            (Level::Cyclical { from: 1.0, to: 3.0, cycles: 1 }, [1.0, 2.0, 3.0, 3.0]),
            (Level::Cyclical { from: 1.0, to: 3.0, cycles: 2 }, [1.0, 3.0, 1.0, 3.0]),
        ];
        for (level, expected) in cases {
            assert_eq!([0.0, 0.25, 0.5, 1.0].map(|t| at(level, t)), expected, "{level:?}");
        }
    }

    #[test]
    fn a_drawn_level_is_the_rows_own_and_follows_its_law() {
        let ids: Vec<u64> = (0..4000).collect();
        let drawn = |level, ids: &[u64]| {
            Strength { level, scale: SCALE }.of_rows(&mut Key::new(1).rows(ids))
        };
        let uniform = drawn(Level::Uniform([1.0, 3.0]), &ids);
        let log = drawn(Level::LogUniform([0.01, 1.0]), &ids);
        assert_eq!(uniform[7], drawn(Level::Uniform([1.0, 3.0]), &[7])[0]);
        assert!(uniform.iter().all(|v| (1.0..=3.0).contains(v)));
        assert!(log.iter().all(|v| (0.009_999..=1.0).contains(v)));
        // Half of the rows are below the middle, of the ends and of their logarithms: five binomial σ.
        let below = |values: &[f32], middle: f32| {
            values.iter().filter(|&&v| v < middle).count() as f64 / 4000.0
        };
        assert!((below(&uniform, 2.0) - 0.5).abs() < 5.0 * 0.5 / 4000f64.sqrt());
        assert!((below(&log, 0.1) - 0.5).abs() < 5.0 * 0.5 / 4000f64.sqrt());
    }

    #[test]
    fn a_share_goes_from_no_damage_to_the_strength() {
        let strength = |level| Strength { level, scale: Scale { null: 1.0, ..SCALE } };
        let half = Level::Fixed(0.5);
        assert_eq!(strength(Level::Fixed(3.0)).share(half), Ok(Level::Fixed(2.0)));
        assert_eq!(
            strength(Level::Uniform([0.0, 3.0])).share(half),
            Ok(Level::Uniform([0.5, 2.0]))
        );
        // Below the null level a growing share is a falling level.
        let varying = strength(Level::Fixed(0.0)).share(Level::Uniform([0.25, 1.0]));
        assert_eq!(varying, Ok(Level::Uniform([0.0, 0.75])));
        let twice = strength(Level::Linear([1.0, 2.0])).share(Level::Linear([0.0, 1.0]));
        assert_eq!(twice, Err(CorruptionError::VariesTwice { name: "sigma" }));
        let log = strength(Level::Fixed(3.0)).share(Level::LogUniform([0.1, 1.0]));
        assert_eq!(log, Err(CorruptionError::LogUniformShare { name: "sigma", null: 1.0 }));
        assert!(strength(Level::LogUniform([2.0, 3.0])).share(half).is_err());
        let severity = Strength { level: Level::Severity(4), scale: SCALE };
        assert_eq!(severity.share(half), Ok(Level::Fixed(2.0)));
        assert_eq!(severity.of_rows(&mut Key::new(1).rows(&[1])), [4.0]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (level, needle) in [
            (Level::Fixed(f64::NAN), "`sigma` must be between 0 and 10, but is NaN"),
            (Level::Fixed(-1.0), "but is -1"),
            (Level::Severity(0), "`severity` must be between 1 and 5, but is 0"),
            (Level::Severity(6), "but is 6"),
            (Level::Uniform([2.0, 1.0]), "two finite numbers, the lower first, but is [2, 1]"),
            (Level::Uniform([1.0, 11.0]), "but is 11"),
            (Level::LogUniform([0.0, 1.0]), "must begin above 0"),
            (Level::Linear([0.0, f64::INFINITY]), "but is inf"),
            (Level::Step { from: 0.0, to: 1.0, steps: 1 }, "`steps`"),
            (Level::Cyclical { from: 0.0, to: 1.0, cycles: 0 }, "`cycles`"),
        ] {
            let error = SCALE.resolve(level).unwrap_err().to_string();
            assert!(error.contains(needle), "{level:?}: {error}");
        }
        assert_eq!(SCALE.resolve(Level::Severity(2)), Ok(Level::Fixed(2.0)));
    }
}
