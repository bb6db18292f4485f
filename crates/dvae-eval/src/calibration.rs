//! Intervals about results that hold the share of entries that they promise.

use serde::{Deserialize, Serialize};

/// The shares of entries that an interval can be asked to hold.
pub const COVERAGES: [f64; 5] = [0.5, 0.8, 0.9, 0.95, 0.99];

/// The fewest held-out entries that intervals are learned from: the widest of [`COVERAGES`] is then decided by ten.
pub const FEWEST: usize = 1000;

/// The most draws that results can be made of.
const MOST_SAMPLES: usize = 1 << 16;

/// The most groups of entries of like deviation.
const GROUPS: usize = 16;

/// An entry that was held out: what a model said of it, and what it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutEntry {
    /// The standard deviation that the model gives it.
    pub deviation: f32,
    /// The distance of its value from the model's mean.
    pub error: f32,
}

impl HeldOutEntry {
    /// Whether both are finite.
    pub fn is_finite(&self) -> bool {
        self.deviation.is_finite() && self.error.is_finite()
    }
}

/// How many standard deviations an interval about a result must reach on either side, for each of [`COVERAGES`], learned
/// from held-out entries.
///
/// Of entries with about the same deviation, the interval holds about the share that was asked for, whatever the model's
/// deviations are worth: split conformal prediction with the error relative to the deviation as its score (Lei et al. 2018,
/// "Distribution-Free Predictive Inference for Regression", section 5.2), within groups of like deviation (Vovk 2012,
/// "Conditional Validity of Inductive Conformal Predictors", section 4). Between groups, widths are interpolated. That is for
/// entries like those that were held out, under the same corruption; entries of one row err together, so a single row may hold
/// more or less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The number of draws that results were made of.
    pub samples: usize,
    /// The number of held-out entries.
    pub entries: usize,
    /// The median deviation of each group, ascending.
    deviations: Vec<f64>,
    /// For each of [`COVERAGES`], the standard deviations to either side in each group.
    factors: Vec<Vec<f64>>,
}

impl Calibration {
    /// From entries that were held out, at least [`FEWEST`], and the number of draws that results are made of; `None` of
    /// fewer, or of numbers that are not finite.
    pub fn of(entries: &[HeldOutEntry], samples: usize) -> Option<Self> {
        if entries.len() < FEWEST || !entries.iter().all(HeldOutEntry::is_finite) {
            return None;
        }
        let mut entries = entries.to_vec();
        entries.sort_by(|a, b| a.deviation.total_cmp(&b.deviation));
        let groups = (entries.len() / FEWEST).clamp(1, GROUPS);
        let mut calibration = Self {
            samples,
            entries: entries.len(),
            deviations: vec![],
            factors: vec![vec![]; COVERAGES.len()],
        };
        for group in parts(&entries, groups) {
            calibration.add(group);
        }
        Some(calibration)
    }

    /// Adds a group, sorted by deviation, above the others.
    fn add(&mut self, group: &[HeldOutEntry]) {
        let mut scores: Vec<f64> = group.iter().map(score).collect();
        scores.sort_by(f64::total_cmp);
        let quantile = |coverage: f64| {
            let rank = (coverage * (scores.len() + 1) as f64).ceil() as usize;
            scores[rank.clamp(1, scores.len()) - 1]
        };
        self.deviations.push(floored(group[group.len() / 2].deviation.into()));
        for (factors, coverage) in self.factors.iter_mut().zip(COVERAGES) {
            factors.push(quantile(coverage));
        }
    }

    /// Half the width of the interval about a result of this deviation; `None` if the coverage is not one of [`COVERAGES`].
    pub fn half_width(&self, coverage: f64, deviation: f64) -> Option<f64> {
        let place = COVERAGES.iter().position(|known| *known == coverage)?;
        let (factors, deviation) = (&self.factors[place], floored(deviation));
        let next = self.deviations.partition_point(|median| *median < deviation);
        Some(match next {
            0 => factors[0] * deviation,
            next if next == factors.len() => factors[next - 1] * deviation,
            next => {
                let ends = [next - 1, next].map(|at| (self.deviations[at], factors[at]));
                let [low, high] = ends.map(|(deviation, factor)| factor * deviation);
                let share = (deviation - ends[0].0) / (ends[1].0 - ends[0].0);
                low + share * (high - low)
            }
        })
    }

    /// The share of entries that intervals hold.
    ///
    /// # Panics
    ///
    /// If the coverage is not one of [`COVERAGES`].
    pub fn held(&self, coverage: f64, entries: &[HeldOutEntry]) -> f64 {
        let is_held = |entry: &&HeldOutEntry| {
            let half = self.half_width(coverage, entry.deviation.into()).expect("a known coverage");
            f64::from(entry.error) <= half
        };
        entries.iter().filter(is_held).count() as f64 / entries.len().max(1) as f64
    }

    /// Checks what was read from a file; an error says what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let groups = self.deviations.len();
        let ascend = self.deviations.is_sorted() && self.deviations.iter().all(|d| *d > 0.0);
        let fit = self.factors.len() == COVERAGES.len()
            && self.factors.iter().all(|of| of.len() == groups);
        let mut factors = self.factors.iter().flatten();
        let finite = factors.all(|f| *f >= 0.0 && f.is_finite())
            && self.deviations.iter().all(|d| d.is_finite());
        if groups > 0 && ascend && fit && finite && (2..=MOST_SAMPLES).contains(&self.samples) {
            Ok(())
        } else {
            Err("its calibration is damaged: calibrate it again".to_owned())
        }
    }
}

/// The error in deviations.
fn score(entry: &HeldOutEntry) -> f64 {
    f64::from(entry.error) / floored(entry.deviation.into())
}

/// A deviation that something can be divided by: below it, results are as sure as single precision can say.
fn floored(deviation: f64) -> f64 {
    deviation.max(1e-6)
}

/// So many parts of about equal length, none empty.
fn parts(entries: &[HeldOutEntry], parts: usize) -> impl Iterator<Item = &[HeldOutEntry]> {
    let bound = move |part: usize| part * entries.len() / parts;
    (0..parts).map(move |part| &entries[bound(part)..bound(part + 1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use dvae_random::Key;

    /// Errors of a model whose deviations are half of the truth below 0.1, and three times the truth above.
    fn entries(seed: u64, n: usize) -> Vec<HeldOutEntry> {
        let device = Device::flex();
        let mut draws = Key::new(seed).rows(&[0]);
        let read = |t: Tensor<2>| -> Vec<f32> { t.into_data().iter().collect() };
        let uniform = read(draws.uniform([1, n], &device));
        let normal = read(draws.normal([1, n], &device));
        let each = uniform.into_iter().zip(normal);
        each.map(|(uniform, normal)| {
            let deviation = 0.01 * 100f32.powf(uniform);
            let truth = if deviation < 0.1 { 2.0 } else { 1.0 / 3.0 } * deviation;
            HeldOutEntry { deviation, error: (normal * truth).abs() }
        })
        .collect()
    }

    // Six standard deviations of a share of 50 of 100 in 40,000 entries, of a calibration and of a measurement, are 2 of 100.
    #[test]
    fn intervals_hold_what_they_promise_where_deviations_are_too_small_and_too_large() {
        let calibration = Calibration::of(&entries(1, 100_000), 8).unwrap();
        let fresh = entries(2, 100_000);
        let of = |is: &dyn Fn(f32) -> bool| -> Vec<HeldOutEntry> {
            fresh.iter().copied().filter(|entry| is(entry.deviation)).collect()
        };
        let (small, large) = (of(&|d| d < 0.08), of(&|d| d > 0.13));
        for coverage in COVERAGES {
            for entries in [&fresh, &small, &large] {
                let held = calibration.held(coverage, entries);
                assert!((held - coverage).abs() < 0.02, "{coverage}: {held}");
            }
        }
        // A normal's 95 % are within 1.96 of its standard deviations.
        let half = calibration.half_width(0.95, 0.03).unwrap();
        assert!((half / 0.06 - 1.96).abs() < 0.06, "{half}");
        assert_eq!(calibration.half_width(0.94, 0.03), None);
        calibration.check().unwrap();
    }

    #[test]
    fn few_entries_and_damage_are_refused() {
        assert_eq!(Calibration::of(&entries(1, FEWEST - 1), 8), None);
        let mut wrong = entries(1, FEWEST);
        wrong[7].error = f32::NAN;
        assert_eq!(Calibration::of(&wrong, 8), None);
        let whole = Calibration::of(&entries(1, 5 * FEWEST), 8).unwrap();
        assert_eq!(whole.deviations.len(), 5);
        let damaged = |change: &dyn Fn(&mut Calibration)| {
            let mut calibration = whole.clone();
            change(&mut calibration);
            calibration.check().is_err()
        };
        assert!(damaged(&|c| c.factors[2].truncate(1)));
        assert!(damaged(&|c| c.factors.truncate(1)));
        assert!(damaged(&|c| c.deviations.reverse()));
        assert!(damaged(&|c| c.factors[0][0] = f64::NAN));
        assert!(damaged(&|c| c.samples = 0) && damaged(&|c| c.samples = 1 << 60));
    }

    // A model that is never wrong about some entries gives them no width.
    #[test]
    fn entries_without_deviation_or_error_have_a_width() {
        let zero = HeldOutEntry { deviation: 0.0, error: 0.0 };
        let calibration = Calibration::of(&vec![zero; 4 * FEWEST], 2).unwrap();
        assert_eq!(calibration.half_width(0.95, 0.0), Some(0.0));
        calibration.check().unwrap();
        let one = HeldOutEntry { error: 1.0, ..zero };
        let calibration = Calibration::of(&vec![one; 4 * FEWEST], 2).unwrap();
        assert!((calibration.half_width(0.95, 0.0).unwrap() - 1.0).abs() < 1e-9);
    }
}
