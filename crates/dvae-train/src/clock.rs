//! The time that a session may take.

use std::time::{Duration, Instant};

use dvae_checks::{RangeError, positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a session of a training may take, measured from when its run is opened: `{ hours = 11.5 }`.
///
/// It ends after the last step that leaves time for saving, with a checkpoint, to be resumed. A further step, with what is measured and
/// saved after it, is expected to take as long as the longest one so far in this session; so leave time for the first measurement, and for
/// whatever else the machine does. One step is made in any case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TimeLimit {
    /// So many seconds, above 0.
    Seconds(f64),
    /// So many minutes, above 0.
    Minutes(f64),
    /// So many hours, above 0.
    Hours(f64),
}

impl TimeLimit {
    fn seconds(self) -> f64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Minutes(minutes) => 60.0 * minutes,
            Self::Hours(hours) => 3600.0 * hours,
        }
    }

    pub(crate) fn check(self) -> Result<(), RangeError> {
        positive("time_limit", self.seconds()).map(|_| ())
    }
}

/// How long the parts of a session take.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// When the step before ended, with what was measured and saved after it.
    last: Instant,
    /// The longest step, with what was measured and saved after it.
    longest: Duration,
    /// The longest time of saving.
    saving: Duration,
}

impl Clock {
    /// A session that began at this time, and whose next step begins now.
    pub(crate) fn since(start: Instant) -> Self {
        Self { start, last: Instant::now(), longest: Duration::ZERO, saving: Duration::ZERO }
    }

    /// Notes how long saving took.
    pub(crate) fn saved(&mut self, took: Duration) {
        self.saving = self.saving.max(took);
    }

    /// Notes the end of a step.
    pub(crate) fn step_ended(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
    }

    /// Whether another step may end too late to save in time.
    pub(crate) fn is_up(&self, limit: Option<TimeLimit>) -> bool {
        let next = self.longest.max(self.last.elapsed()) + self.saving;
        limit.is_some_and(|limit| (self.start.elapsed() + next).as_secs_f64() >= limit.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_and_what_is_saved_after_it_have_to_fit() {
        let limit = |seconds| Some(TimeLimit::Seconds(seconds));
        let start = Instant::now() - Duration::from_secs(100);
        let mut clock = Clock::since(start);
        assert!(!clock.is_up(None) && !clock.is_up(Some(TimeLimit::Hours(1.0))));
        assert!(clock.is_up(limit(99.0)) && !clock.is_up(limit(160.0)));
        clock.saved(Duration::from_secs(40));
        clock.saved(Duration::from_secs(10));
        assert!(clock.is_up(limit(135.0)) && !clock.is_up(limit(160.0)));
        clock.last -= Duration::from_secs(30);
        clock.step_ended();
        assert!(clock.is_up(limit(165.0)) && !clock.is_up(Some(TimeLimit::Minutes(3.0))));
    }

    #[test]
    fn limits_are_above_nothing() {
        for limit in [TimeLimit::Hours(0.0), TimeLimit::Seconds(-1.0), TimeLimit::Minutes(f64::NAN)]
        {
            assert!(limit.check().is_err(), "{limit:?}");
        }
        assert!(TimeLimit::Hours(11.5).check().is_ok());
    }
}
