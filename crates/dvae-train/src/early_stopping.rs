//! Early stopping, and the choice of the best weights.

use dvae_checks::{RangeError, non_negative, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ends training when the bound on held-out rows, with corrupted input, no longer improves.
///
/// It never does so before the weight of the KL and the strength of the corruption have reached their final
/// values: earlier measurements do not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// The number of consecutive measurements without improvement that ends training, at least 1.
    pub patience: usize,
    /// The smallest increase that counts as an improvement, in nats.
    #[serde(default)]
    pub improvement: f64,
}

impl EarlyStopping {
    pub(crate) fn check(self) -> Result<(), RangeError> {
        within("early_stopping.patience", self.patience, 1..)?;
        non_negative("early_stopping.improvement", self.improvement)?;
        Ok(())
    }
}

/// The state after the measurements so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The bits of the best bound.
    best: Option<u64>,
    /// The bits of the bound that the next one must exceed to reset the patience.
    reference: Option<u64>,
    /// Measurements since then.
    waited: usize,
}

impl Measured {
    /// Records a measurement; returns whether it is the best so far.
    pub(crate) fn take(&mut self, bound: f64, improvement: f64, warming_up: bool) -> bool {
        let beats = |other: Option<u64>, by: f64| {
            other.is_none_or(|other| bound > f64::from_bits(other) + by)
        };
        // A bound reached under a smaller weight may never be reached again, so it is no reference.
        if warming_up || beats(self.reference, improvement) {
            (self.reference, self.waited) = (Some(bound.to_bits()), 0);
        } else {
            self.waited += 1;
        }
        let is_best = beats(self.best, 0.0);
        if is_best {
            self.best = Some(bound.to_bits());
        }
        is_best
    }

    pub(crate) fn is_over(&self, stopping: Option<EarlyStopping>) -> bool {
        stopping.is_some_and(|stopping| self.waited >= stopping.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(patience: usize, improvement: f64, bounds: &[(f64, bool)]) -> Option<usize> {
        let stopping = Some(EarlyStopping { patience, improvement });
        let mut measured = Measured::default();
        bounds.iter().position(|&(bound, warming_up)| {
            measured.take(bound, improvement, warming_up);
            measured.is_over(stopping)
        })
    }

    // -3 is the best; neither of the two after it is better.
    #[test]
    fn training_ends_after_so_many_measurements_without_improvement() {
        let bounds = [-5.0, -3.0, -4.0, -3.5, -1.0].map(|bound| (bound, false));
        assert_eq!(over(2, 0.0, &bounds), Some(3));
        assert_eq!(over(3, 0.0, &bounds), None);
    }

    // Each is better, but none by half a nat: small increases add up against the same reference.
    #[test]
    fn an_improvement_has_a_size() {
        let bounds = [-5.0, -4.8, -4.6, -4.4, -4.2].map(|bound| (bound, false));
        assert_eq!(over(3, 0.5, &bounds), None);
        assert_eq!(over(2, 0.5, &bounds), Some(2));
    }

    #[test]
    fn nothing_is_counted_while_it_warms_up() {
        let bounds = [-1.0, -2.0, -3.0, -4.0].map(|bound| (bound, true));
        assert_eq!(over(1, 0.0, &bounds), None);
        let after = [(-1.0, true), (-2.0, true), (-3.0, false), (-3.0, false)];
        assert_eq!(over(2, 0.0, &after), Some(3));
        // Better each time, though not as good as before the weight rose.
        let rising = [(-1.0, true), (-5.0, true), (-4.0, false), (-3.0, false)];
        assert_eq!(over(1, 0.0, &rising), None);
    }

    #[test]
    fn the_best_is_kept_through_a_warm_up() {
        let mut measured = Measured::default();
        let best: Vec<bool> = [(-2.0, true), (-3.0, true), (-1.0, false), (-1.0, false)]
            .map(|(bound, warming_up)| measured.take(bound, 0.0, warming_up))
            .into();
        assert_eq!(best, [true, false, true, false]);
    }
}
