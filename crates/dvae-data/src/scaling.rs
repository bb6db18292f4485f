//! Scaling fitted on the training rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset};

/// How entries are scaled. Each place on the first axis of a row (a column of a table, a channel of an image)
/// is scaled separately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// No scaling.
    #[default]
    None,
    /// To mean 0 and standard deviation 1 over the training rows.
    Standard,
    /// To `[0, 1]` over the training rows; values of other rows may lie outside.
    MinMax,
}

/// A fitted scaling: `x ↦ (x − offset) / scale` for each place on the first axis of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// The offset to subtract, one for each place.
    pub offset: Vec<f32>,
    /// The scale to divide by, one for each place.
    pub scale: Vec<f32>,
}

impl Scaler {
    /// Fits a scaler on the observed entries of these rows; `None` for [`Scaling::None`]. A constant place is
    /// only shifted.
    pub fn fit(scaling: Scaling, rows: &Dataset) -> Option<Self> {
        if scaling == Scaling::None {
            return None;
        }
        let statistics = rows.statistics();
        let scale = |scale: f64| if scale > 0.0 { scale as f32 } else { 1.0 };
        let pairs: Vec<(f32, f32)> = match scaling {
            Scaling::None | Scaling::Standard => {
                statistics.iter().map(|s| (s.mean as f32, scale(s.variance.sqrt()))).collect()
            }
            Scaling::MinMax => {
                statistics.iter().map(|s| (s.low as f32, scale(s.high - s.low))).collect()
            }
        };
        let (offset, scale) = pairs.into_iter().unzip();
        Some(Self { offset, scale })
    }

    /// Checks that there is one finite offset, and one finite scale above 0, for each of `places` places.
    pub fn check(&self, places: usize) -> Result<(), DataError> {
        let offsets = self.offset.iter().all(|offset| offset.is_finite());
        let scales = self.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0);
        if self.offset.len() != places || self.scale.len() != places || !offsets || !scales {
            return Err(DataError::Scaler { places });
        }
        Ok(())
    }

    /// Scales a row in place; unobserved entries stay NaN.
    pub fn apply(&self, row: &mut [f32]) {
        self.each(row, |x, offset, scale| (x - offset) / scale);
    }

    /// Undoes [`Self::apply`].
    pub fn undo(&self, row: &mut [f32]) {
        self.each(row, |x, offset, scale| x * scale + offset);
    }

    /// Undoes the scaling of a distance, such as a standard deviation: the offset does not apply.
    pub fn undo_distance(&self, row: &mut [f32]) {
        self.each(row, |x, _, scale| x * scale);
    }

    fn each(&self, row: &mut [f32], f: impl Fn(f32, f32, f32) -> f32) {
        let per_place = (row.len() / self.offset.len()).max(1);
        let places = self.offset.iter().zip(&self.scale);
        for (entries, (&offset, &scale)) in row.chunks_mut(per_place).zip(places) {
            entries.iter_mut().for_each(|x| *x = f(*x, offset, scale));
        }
    }
}

/// Statistics of the observed entries at a place on the first axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Statistics {
    /// The statistics of a sequence of values: Welford (1962), "Note on a Method for Calculating Corrected
    /// Sums of Squares and Products".
    pub(crate) fn of(values: impl Iterator<Item = f32>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(f64::from).filter(|value| !value.is_nan()) {
            count += 1.0;
            let distance = value - mean;
            mean += distance / count;
            squares += distance * (value - mean);
            (low, high) = (low.min(value), high.max(value));
        }
        if count == 0.0 {
            return Self { mean: 0.0, variance: 0.0, low: 0.0, high: 0.0 };
        }
        Self { mean, variance: squares / count, low, high }
    }
}

impl Dataset {
    /// The rows, scaled. An error names a scaler that does not fit the rows, or a row that is not finite
    /// afterwards.
    pub fn scaled(&self, scaler: &Scaler) -> Result<Self, DataError> {
        scaler.check(self.event()[0])?;
        self.map_to_floats(|row| scaler.apply(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Columns 1, 2, 3 (mean 2, variance 2/3) and a constant 5; the last row is not used.
    #[test]
    fn statistics_are_those_of_the_rows_that_are_fitted() {
        let all = vec![1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 100.0, 7.0];
        let rows = Dataset::from_floats(all, &[2]).unwrap();
        let standard = Scaler::fit(Scaling::Standard, &rows.take(3)).unwrap();
        assert_eq!(standard.offset, [2.0, 5.0]);
        assert!((standard.scale[0] - (2f32 / 3.0).sqrt()).abs() < 1e-7 && standard.scale[1] == 1.0);
        let unit = Scaler::fit(Scaling::MinMax, &rows.take(3)).unwrap();
        assert_eq!((unit.offset, unit.scale), (vec![1.0, 5.0], vec![2.0, 1.0]));
        assert_eq!(Scaler::fit(Scaling::None, &rows), None);
    }

    #[test]
    fn a_scaler_that_is_none_is_refused() {
        let rows = Dataset::from_floats(vec![1.0, 2.0], &[2]).unwrap();
        for (offset, scale) in [
            (vec![], vec![]),
            (vec![0.0], vec![1.0]),
            (vec![0.0; 2], vec![1.0, 0.0]),
            (vec![0.0; 2], vec![1.0, f32::NAN]),
        ] {
            let error = rows.scaled(&Scaler { offset, scale }).unwrap_err().to_string();
            assert!(
                error.contains("one finite offset and one scale above 0 for each of 2"),
                "{error}"
            );
        }
    }

    #[test]
    fn holes_stay_holes_and_do_not_count() {
        let rows = Dataset::from_incomplete(vec![1.0, f32::NAN, 3.0, 8.0], &[2]).unwrap();
        let scaler = Scaler::fit(Scaling::MinMax, &rows).unwrap();
        assert_eq!((&scaler.offset[..], &scaler.scale[..]), (&[1.0, 8.0][..], &[2.0, 1.0][..]));
        let mut row = [3.0, f32::NAN];
        scaler.apply(&mut row);
        assert!(row[0] == 1.0 && row[1].is_nan());
        assert!(rows.scaled(&scaler).unwrap().is_incomplete());
    }

    #[test]
    fn channels_are_scaled_each_by_itself_and_back() {
        let rows = Dataset::from_floats(vec![0.0, 2.0, 10.0, 30.0], &[2, 1, 2]).unwrap();
        let scaler = Scaler::fit(Scaling::MinMax, &rows).unwrap();
        let mut row = [0.0, 2.0, 10.0, 30.0];
        scaler.apply(&mut row);
        assert_eq!(row, [0.0, 1.0, 0.0, 1.0]);
        scaler.undo(&mut row);
        assert_eq!(row, [0.0, 2.0, 10.0, 30.0]);
        let mut distance = [1.0; 4];
        scaler.undo_distance(&mut distance);
        assert_eq!(distance, [2.0, 2.0, 20.0, 20.0]);
    }
}
