//! Scaling fitted on the training rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::place_scaling::{PlaceScaling, curved};
use crate::statistics::Statistics;
use crate::{ColumnKind, DataError, Dataset, Domain, Ranks, TableColumn};

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
    /// To the normal scores of their ranks among the training rows ([`Ranks`]): for numbers of any skew, with gross errors among
    /// them. It is not linear: the mean of scores is the score of no mean.
    Ranks,
}

/// What 0 and 1 are for a model, in the numbers of the files: the same for all channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValueRange {
    /// These two numbers, between which all values lie: `[0, 4095]` for 12 bits in files of 16.
    Between([f64; 2]),
    /// These percentiles, from 0 to 100, of the training rows' values; some values lie outside.
    Percentiles([f64; 2]),
}

impl ValueRange {
    /// What the values are for the model: numbers in `[0, 1]` if all lie in the range, and real ones if some may not.
    pub fn domain(&self) -> Domain {
        match self {
            Self::Between(_) => Domain::Unit,
            Self::Percentiles(_) => Domain::Real,
        }
    }

    /// An error names a row with a value outside of a range that all lie in. `full_scale` is the number of the files that is
    /// 1 in these rows.
    pub fn hold(&self, rows: &Dataset, full_scale: f64) -> Result<(), DataError> {
        let Self::Between(range) = *self else { return Ok(()) };
        let [low, high] = range.map(|end| (end / full_scale) as f32);
        match rows.find(|_, value| !(low..=high).contains(&value)) {
            None => Ok(()),
            Some((row, _, value)) => {
                let value = (f64::from(value) * full_scale * 1e3).round() / 1e3;
                Err(DataError::OutOfRange { row: row as usize, value, range })
            }
        }
    }

    /// An error names a range that is none.
    pub fn check(&self) -> Result<(), DataError> {
        let (Self::Between([low, high]) | Self::Percentiles([low, high])) = *self;
        let is_percentiles = matches!(self, Self::Percentiles(_));
        let possible = if is_percentiles { 0.0..=100.0 } else { f64::MIN..=f64::MAX };
        if low < high && possible.contains(&low) && possible.contains(&high) {
            return Ok(());
        }
        Err(DataError::Range { low, high, is_percentiles })
    }
}

/// A fitted scaling: `x ↦ (f(x) − offset) / scale` for each place on the first axis of a row, where `f(x)` is `x`, or where
/// ratios count `sign(x) ln(1 + |x| / unit)`, or the normal score of its rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// The offset to subtract, one for each place.
    pub offset: Vec<f64>,
    /// The scale to divide by, one for each place.
    pub scale: Vec<f64>,
    /// The unit of the logarithm, one for each place: numbers far above it are told apart by their ratio, numbers below it
    /// by their distance. 0 for a place without a logarithm; left out if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit: Vec<f64>,
    /// The normal scores of ranks in place of `f`, empty for a place without them; left out if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Ranks>,
}

/// What was fitted at a place.
struct Fitted {
    offset: f64,
    scale: f64,
    unit: f64,
    ranks: Option<Ranks>,
}

impl Default for Fitted {
    /// Numbers as they are.
    fn default() -> Self {
        Self { offset: 0.0, scale: 1.0, unit: 0.0, ranks: None }
    }
}

impl Fitted {
    /// To mean 0 and standard deviation 1, after a logarithm of this unit if it is not 0; a constant place is only shifted.
    fn standard(rows: &Dataset, place: usize, unit: f64) -> Self {
        let found = Statistics::of(rows.entries_at(place).map(|x| curved(x, unit)));
        let deviation = found.variance.sqrt();
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        Self { offset: found.mean, scale, unit, ranks: None }
    }

    /// To normal scores; a constant place is only shifted.
    fn ranks(rows: &Dataset, place: usize) -> Self {
        match Ranks::fit(rows.entries_at(place)) {
            Some(ranks) => Self { ranks: Some(ranks), ..Self::default() },
            None => Self::standard(rows, place, 0.0),
        }
    }
}

impl Scaler {
    /// Fits a scaler on the observed entries of these rows; `None` for [`Scaling::None`]. A constant place is
    /// only shifted.
    pub fn fit(scaling: Scaling, rows: &Dataset) -> Option<Self> {
        if scaling == Scaling::None {
            return None;
        }
        if scaling == Scaling::Ranks {
            let places = rows.event()[0];
            return Some(Self::by_place((0..places).map(|place| Fitted::ranks(rows, place))));
        }
        let statistics = rows.statistics();
        let scale = |scale: f64| if scale > 0.0 { scale } else { 1.0 };
        let pair = |s: &Statistics| match scaling {
            Scaling::None | Scaling::Standard | Scaling::Ranks => {
                (s.mean, scale(s.variance.sqrt()))
            }
            Scaling::MinMax => (s.low, scale(s.high - s.low)),
        };
        let (offset, scale) = statistics.iter().map(pair).unzip();
        Some(Self { offset, scale, unit: vec![], ranks: vec![] })
    }

    /// Fits a scaler for columns of several kinds on the observed entries of these rows: numbers to mean 0 and standard deviation
    /// 1, those of [`ColumnKind::Positive`] after their logarithm, in units of the smallest one, or with [`Scaling::Ranks`] all of them to
    /// normal scores; classes as they are.
    pub fn of_columns(columns: &[TableColumn], scaling: Scaling, rows: &Dataset) -> Self {
        let fitted = |(place, column): (usize, &TableColumn)| {
            let unit = match column.kind {
                _ if column.kind.is_class() => return Fitted::default(),
                _ if scaling == Scaling::Ranks => return Fitted::ranks(rows, place),
                ColumnKind::Positive => {
                    let positive = rows.entries_at(place).filter(|&x| x > 0.0);
                    let smallest = positive.fold(f64::INFINITY, f64::min);
                    if smallest.is_finite() { smallest } else { 1.0 }
                }
                _ => 0.0,
            };
            Fitted::standard(rows, place, unit)
        };
        Self::by_place(columns.iter().enumerate().map(fitted))
    }

    fn by_place(fitted: impl Iterator<Item = Fitted>) -> Self {
        let fitted: Vec<Fitted> = fitted.collect();
        let ranks = match fitted.iter().any(|place| place.ranks.is_some()) {
            true => fitted.iter().map(|place| place.ranks.clone().unwrap_or_default()).collect(),
            false => vec![],
        };
        Self {
            offset: fitted.iter().map(|place| place.offset).collect(),
            scale: fitted.iter().map(|place| place.scale).collect(),
            unit: fitted.iter().map(|place| place.unit).collect(),
            ranks,
        }
    }

    /// The scaler that makes `[0, 1]` of a range. `full_scale` is the number of the files that is 1 in these rows:
    /// [`Element::full_scale`](crate::Element::full_scale) where they are in [`Domain::Unit`](crate::Domain::Unit).
    ///
    /// An error names a range that is none, or a row with a value outside of one that all lie in.
    pub fn of_range(range: ValueRange, rows: &Dataset, full_scale: f64) -> Result<Self, DataError> {
        range.check()?;
        let [low, high] = match range {
            ValueRange::Between(ends) => {
                range.hold(rows, full_scale)?;
                // In single precision, as the rows are: an end becomes 0 or 1 exactly.
                ends.map(|end| f64::from((end / full_scale) as f32))
            }
            ValueRange::Percentiles(ends) => rows.percentiles(ends),
        };
        let places = rows.event()[0];
        let scale = if high > low { high - low } else { 1.0 };
        Ok(Self {
            offset: vec![low; places],
            scale: vec![scale; places],
            unit: vec![],
            ranks: vec![],
        })
    }

    /// The first place whose entries spread too far for double precision.
    pub fn overflow(&self) -> Option<usize> {
        let mut places = self.offset.iter().zip(&self.scale);
        places.position(|(offset, scale)| !offset.is_finite() || !scale.is_finite())
    }

    /// Checks that there is one finite offset, and one finite scale above 0, for each of `places` places, and a unit for each or
    /// for none.
    pub fn check(&self, places: usize) -> Result<(), DataError> {
        let offsets = self.offset.iter().all(|offset| offset.is_finite());
        let scales = self.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0);
        let units = self.unit.iter().all(|unit| unit.is_finite() && *unit >= 0.0);
        let ranks = self.ranks.iter().all(Ranks::is_right);
        let lengths = [self.offset.len(), self.scale.len()];
        let fits = |length: usize| length == 0 || length == places;
        let others = fits(self.unit.len()) && fits(self.ranks.len());
        if lengths != [places; 2] || !others || !offsets || !scales || !units || !ranks {
            return Err(DataError::Scaler { places });
        }
        Ok(())
    }

    /// Scales a row, in double precision until the offset is subtracted; unobserved entries stay NaN.
    pub fn apply(&self, row: &[f64]) -> Vec<f32> {
        self.each(row, |x, law| if x.is_nan() { f32::NAN } else { law.scaled(x) as f32 })
    }

    /// Undoes [`Self::apply`]. The result is rounded to the decimals that single precision resolves, so that a number that was scaled
    /// comes back as it was written.
    pub fn undo(&self, row: &[f32]) -> Vec<f64> {
        self.each(row, |x, law| {
            let value = law.number(x.into());
            // The distance of neighboring numbers in single precision, at most.
            let size = f64::from(x).abs().max(1.0);
            let step = law.slope(x.into()) * size * f64::from(f32::EPSILON);
            let decimals = (-step.log10()).floor();
            if decimals.is_finite() { rounded(value, decimals as i32) } else { value }
        })
    }

    /// Scales a number at this place on the first axis of a row.
    pub fn apply_at(&self, place: usize, x: f64) -> f32 {
        self.at(place).scaled(x) as f32
    }

    /// Undoes [`Self::apply_at`], without rounding.
    pub fn undo_at(&self, place: usize, x: f32) -> f64 {
        self.at(place).number(x.into())
    }

    fn at(&self, place: usize) -> PlaceScaling<'_> {
        PlaceScaling {
            offset: self.offset[place],
            scale: self.scale[place],
            unit: self.unit.get(place).copied().unwrap_or(0.0),
            ranks: self.ranks.get(place).filter(|ranks| !ranks.is_empty()),
        }
    }

    /// Undoes the scaling of distances from these scaled values, such as standard deviations: the offset does not apply. A
    /// logarithm is undone to first order.
    ///
    /// # Panics
    ///
    /// If there are other than as many distances as values.
    pub fn undo_distances(&self, distances: &[f32], values: &[f32]) -> Vec<f64> {
        assert_eq!(distances.len(), values.len(), "distances of values");
        let slopes = self.each(values, |x, law| law.slope(x.into()));
        distances.iter().zip(slopes).map(|(&distance, slope)| f64::from(distance) * slope).collect()
    }

    /// The logarithm of how far the scaled value moves for a step of the value that is scaled to `x`: the log-density of the value
    /// is that of the scaled one, plus this.
    pub fn log_slope(&self, place: usize, x: f32) -> f64 {
        -self.at(place).slope(x.into()).ln()
    }

    fn each<X: Copy, Y>(&self, row: &[X], f: impl Fn(X, PlaceScaling<'_>) -> Y) -> Vec<Y> {
        let per_place = (row.len() / self.offset.len()).max(1);
        let entries = row.chunks(per_place).enumerate();
        let scaled = |(place, entries): (usize, &[X])| {
            let law = self.at(place);
            entries.iter().map(|&x| f(x, law)).collect::<Vec<Y>>()
        };
        entries.flat_map(scaled).collect()
    }
}

/// The nearest number with so many decimals.
fn rounded(value: f64, decimals: i32) -> f64 {
    let power = 10f64.powi(decimals.unsigned_abs() as i32);
    let rounded = match decimals {
        0.. => (value * power).round() / power,
        _ => (value / power).round() * power,
    };
    if rounded.is_finite() { rounded } else { value }
}

impl Dataset {
    /// The rows, scaled. An error names a scaler that does not fit the rows, or a row that is not finite
    /// afterwards.
    pub fn scaled(&self, scaler: &Scaler) -> Result<Self, DataError> {
        scaler.check(self.event()[0])?;
        self.check_filled_in()?;
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
        assert!(
            (standard.scale[0] - (2f64 / 3.0).sqrt()).abs() < 1e-12 && standard.scale[1] == 1.0
        );
        let unit = Scaler::fit(Scaling::MinMax, &rows.take(3)).unwrap();
        assert_eq!((unit.offset, unit.scale), (vec![1.0, 5.0], vec![2.0, 1.0]));
        assert_eq!(Scaler::fit(Scaling::None, &rows), None);
    }

    // 12 bits in files of 16: 4095 / 65535 is 1.
    #[test]
    fn a_range_is_in_the_numbers_of_the_files() {
        let values: Vec<f32> = (0..=4095).map(|n| n as f32 / 65_535.0).collect();
        let rows = Dataset::from_floats(values, &[1, 16, 16]).unwrap();
        let scaler = Scaler::of_range(ValueRange::Between([0.0, 4095.0]), &rows, 65_535.0).unwrap();
        let ends = scaler.apply(&[0.0, 4095.0 / 65_535.0]);
        assert!(ends[0] == 0.0 && (ends[1] - 1.0).abs() < 1e-6, "{ends:?}");
        // Black levels become 0, and nothing below.
        for black in [64, 256, 639] {
            let rows: Vec<f32> = (black..=4095).map(|n| n as f32 / 65_535.0).collect();
            let rows = Dataset::from_floats(rows, &[1]).unwrap();
            let range = ValueRange::Between([f64::from(black), 4095.0]);
            let scaler = Scaler::of_range(range, &rows, 65_535.0).unwrap();
            let scaled = rows.scaled(&scaler).unwrap();
            assert_eq!(scaled.find(|_, value| !(0.0..=1.0).contains(&value)), None, "{black}");
        }
        let narrow = ValueRange::Between([0.0, 4000.0]);
        let error = Scaler::of_range(narrow, &rows, 65_535.0).unwrap_err().to_string();
        assert!(error.contains("holds 4001") && error.contains("[0.0, 4000.0]"), "{error}");
        let scaler = Scaler::of_range(ValueRange::Percentiles([10.0, 90.0]), &rows, 65_535.0);
        let ends =
            scaler.unwrap().undo(&[0.0, 1.0]).iter().map(|end| end * 65_535.0).collect::<Vec<_>>();
        assert!((ends[0] - 409.5).abs() < 1.0 && (ends[1] - 3685.5).abs() < 1.0, "{ends:?}");
        for wrong in [
            ValueRange::Between([1.0, 1.0]),
            ValueRange::Between([0.0, f64::NAN]),
            ValueRange::Percentiles([-1.0, 50.0]),
            ValueRange::Percentiles([0.0, 101.0]),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_scaled_one_by_one_as_in_rows() {
        let scaler = Scaler {
            offset: vec![1.7, 2.0],
            scale: vec![0.83, 4.0],
            unit: vec![3.5, 0.0],
            ranks: vec![],
        };
        for number in [3.5, 5.5, -40.25, 900.0] {
            let row = scaler.apply(&[number, number]);
            for (place, &scaled) in row.iter().enumerate() {
                assert_eq!(scaler.apply_at(place, number), scaled);
                assert!((scaler.undo_at(place, scaled) / number - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_scaler_that_is_none_is_refused() {
        let rows = Dataset::from_floats(vec![1.0, 2.0], &[2]).unwrap();
        for (offset, scale) in [
            (vec![], vec![]),
            (vec![0.0], vec![1.0]),
            (vec![0.0; 2], vec![1.0, 0.0]),
            (vec![0.0; 2], vec![1.0, f64::NAN]),
        ] {
            let error = rows
                .scaled(&Scaler { offset, scale, unit: vec![], ranks: vec![] })
                .unwrap_err()
                .to_string();
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
        let row = scaler.apply(&[3.0, f64::NAN]);
        assert!(row[0] == 1.0 && row[1].is_nan());
        assert!(rows.scaled(&scaler).unwrap().is_incomplete());
    }

    #[test]
    fn channels_are_scaled_each_by_itself_and_back() {
        let rows = Dataset::from_floats(vec![0.0, 2.0, 10.0, 30.0], &[2, 1, 2]).unwrap();
        let scaler = Scaler::fit(Scaling::MinMax, &rows).unwrap();
        let row = scaler.apply(&[0.0, 2.0, 10.0, 30.0]);
        assert_eq!(row, [0.0, 1.0, 0.0, 1.0]);
        assert_eq!(scaler.undo(&row), [0.0, 2.0, 10.0, 30.0]);
        assert_eq!(scaler.undo_distances(&[1.0; 4], &row), [2.0, 2.0, 20.0, 20.0]);
    }

    #[test]
    fn columns_are_scaled_by_their_kinds_and_back() {
        let values = vec![-1.0, 1.0, 0.0, 2.0, 1.0, 10.0, 9.0, 0.0, f32::NAN, 100.0, 99.0, 1.0];
        let rows = Dataset::from_incomplete(values, &[4]).unwrap();
        let kinds =
            [ColumnKind::Numeric, ColumnKind::Positive, ColumnKind::Count, ColumnKind::Ordinal];
        let column = |kind| TableColumn {
            name: String::new(),
            kind,
            decimals: None,
            is_nonnegative: false,
            date: None,
            classes: if kind == ColumnKind::Ordinal { vec!["a".into(); 3] } else { vec![] },
        };
        let columns = kinds.map(column);
        let scaler = Scaler::of_columns(&columns, Scaling::None, &rows);
        scaler.check(4).unwrap();
        assert_eq!(
            (&scaler.unit[..], scaler.offset[3], scaler.scale[3]),
            (&[0.0, 1.0, 0.0, 0.0][..], 0.0, 1.0)
        );
        let row = [0.5, 50.0, 3.0, 2.0];
        let scaled = scaler.apply(&row);
        assert_eq!((scaled[0], scaled[3]), (0.5, 2.0));
        let expected = (51f64.ln() - scaler.offset[1]) / scaler.scale[1];
        assert!((f64::from(scaled[1]) - expected).abs() < 1e-6);
        for (back, value) in scaler.undo(&scaled).iter().zip(row) {
            assert!((back - value).abs() < 1e-5 * value, "{back} {value}");
        }
        // Numbers that no training row had: a negative one comes back as well.
        assert!((scaler.undo(&scaler.apply(&[0.0, -7.0, 0.0, 0.0]))[1] + 7.0).abs() < 1e-5);
        // By a small step of the scaled value.
        let step = 1e-3f32;
        let moved: Vec<f32> = scaled.iter().map(|x| x + step).collect();
        let distances = scaler.undo_distances(&[step; 4], &scaled);
        for place in 0..3 {
            let gap = scaler.undo(&moved)[place] - scaler.undo(&scaled)[place];
            assert!((gap / distances[place] - 1.0).abs() < 0.01, "{gap} {}", distances[place]);
            let log_slope = f64::from(step).ln() - distances[place].ln();
            assert!((scaler.log_slope(place, scaled[place]) - log_slope).abs() < 1e-6);
        }
    }

    #[test]
    fn ranks_are_scores_of_each_place_and_come_back() {
        let values = vec![1.0, 5.0, f32::NAN, 2.0, 5.0, 3.0, 1000.0, 5.0, 7.0, 3.0, 5.0, f32::NAN];
        let rows = Dataset::from_incomplete(values, &[3]).unwrap();
        let scaler = Scaler::fit(Scaling::Ranks, &rows).unwrap();
        scaler.check(3).unwrap();
        // Ranks 1, 2, 4, 3 of four: of opposite ends the scores are opposite. A constant is shifted, and a hole stays one.
        let of = |row: [f64; 3]| scaler.apply(&row);
        let (low, high) = (of([1.0, 5.0, 3.0]), of([1000.0, 5.0, 7.0]));
        assert!((low[0] + high[0]).abs() < 1e-6 && low[1] == 0.0 && low[2] < 0.0);
        assert!(of([1.0, 5.0, f64::NAN])[2].is_nan());
        let row = [300.0, 5.0, 4.0];
        for (back, value) in scaler.undo(&of(row)).iter().zip(row) {
            assert!((back - value).abs() < 1e-4 * value, "{back} {value}");
        }
        let step = 1e-3f32;
        let scaled = of(row);
        let moved: Vec<f32> = scaled.iter().map(|x| x + step).collect();
        let gap = scaler.undo(&moved)[0] - scaler.undo(&scaled)[0];
        let distance = scaler.undo_distances(&[step; 3], &scaled)[0];
        assert!((gap / distance - 1.0).abs() < 0.01, "{gap} {distance}");
        let log_slope = f64::from(step).ln() - distance.ln();
        assert!((scaler.log_slope(0, scaled[0]) - log_slope).abs() < 1e-6);
        let wrong = Scaler { ranks: vec![Ranks::default()], ..scaler };
        assert!(wrong.check(3).is_err());
    }

    #[test]
    fn numbers_of_few_decimals_come_back_as_they_were_written() {
        for decimals in [0, 1, 2, 3] {
            let power = 10f64.powi(decimals);
            let numbers: Vec<f64> =
                (-500..5000).map(|at| f64::from(at * 7) / power + 39.0).collect();
            let rows = crate::Numbers::from(&numbers[..]);
            let rows = Dataset::from_numbers(rows, &[1], crate::Domain::Real).unwrap();
            let scaler = Scaler::fit(Scaling::Standard, &rows).unwrap();
            for number in numbers {
                let written = format!("{number:.*}", decimals as usize).parse::<f64>().unwrap();
                assert_eq!(scaler.undo(&scaler.apply(&[written])), [written]);
            }
        }
    }

    // 400 seconds from 1,700,000,000 are 4 different numbers in single precision.
    #[test]
    fn large_numbers_are_centered_before_they_are_single() {
        let seconds: Vec<f64> = (0..400).map(|at| 1_700_000_000.0 + f64::from(at)).collect();
        let numbers = crate::Numbers::from(&seconds[..]);
        let rows = Dataset::from_numbers(numbers, &[1], crate::Domain::Real).unwrap();
        let scaler = Scaler::fit(Scaling::Standard, &rows).unwrap();
        let scaled = rows.scaled(&scaler).unwrap();
        let back: Vec<f64> = (0..400)
            .map(|id| {
                let row = scaled.gather::<2>(&[id], &burn::tensor::Device::flex());
                scaler.undo(&row.into_data().try_to_vec::<f32>().unwrap())[0].round()
            })
            .collect();
        assert_eq!(back, seconds);
        let error = rows.single().unwrap_err().to_string();
        assert!(
            error.contains("row 1 holds 1700000001") && error.contains("data.scaling"),
            "{error}"
        );
    }
}
