//! Cells that are hidden because of what they are, or of what another cell of their row is.

use std::sync::Arc;

use dvae_checks::within;

use crate::table_process::{Cell, CellProcess, Damage, TableProcess};
use crate::table_rows::TableRows;
use crate::{CorruptionError, Level, Scale};

/// Cells that are hidden the more often the larger they are: missing not at random.
///
/// ```text
/// p(hidden | xᵢ) = σ(a (xᵢ − mᵢ)/sᵢ + b)
/// ```
///
/// `mᵢ` and `sᵢ` are mean and standard deviation of the column, `a` is the slope, and `b` is such that the level is about the share of
/// hidden cells of a column whose cells are normal. With a negative slope, smaller ones are hidden more often. Classes count as the numbers of
/// their places. Rubin (1976), "Inference and Missing Data"; as a mechanism, Ipsen, Mattei & Frellsen (2021), "not-MIWAE", section 2.
pub type MaskingByValue = TableProcess<ByValue>;

/// Cells that are hidden the more often the larger the cell of their row in another column is: missing at random, given that cell.
///
/// ```text
/// p(hidden | x) = σ(a (xⱼ − mⱼ)/sⱼ + b),   i ≠ j
/// ```
///
/// As [`MaskingByValue`], with one column that decides for all others and is never hidden.
pub type MaskingByColumn = TableProcess<ByColumn>;

/// The process of [`MaskingByValue`].
#[derive(Clone, Copy, Debug)]
pub struct ByValue {
    slope: f64,
}

/// The process of [`MaskingByColumn`].
#[derive(Clone, Copy, Debug)]
pub struct ByColumn {
    slope: f64,
    by: usize,
}

const SCALE: Scale = Scale {
    name: "rate",
    meaning: "share of hidden cells, where they are normal",
    range: [0.0, 1.0],
    null: 0.0,
    severities: [0.1, 0.2, 0.3, 0.5, 0.7],
};

impl MaskingByValue {
    /// Hides a share of the cells, by a slope of at most 100 per standard deviation.
    pub fn new(
        rate: impl Into<Level>,
        slope: f64,
        rows: Arc<TableRows>,
    ) -> Result<Self, CorruptionError> {
        let slope = within("slope", slope, -100.0..=100.0)?;
        Self::of(ByValue { slope }, rate, rows)
    }
}

impl MaskingByColumn {
    /// Hides a share of the cells by the column of this name, or by the first one.
    pub fn new(
        rate: impl Into<Level>,
        slope: f64,
        by: Option<&str>,
        rows: Arc<TableRows>,
    ) -> Result<Self, CorruptionError> {
        let slope = within("slope", slope, -100.0..=100.0)?;
        let by = by.map_or(Ok(0), |name| rows.place(name))?;
        Self::of(ByColumn { slope, by }, rate, rows)
    }
}

impl CellProcess for ByValue {
    const SCALE: Scale = SCALE;

    fn of_row(&self, level: f32, _row: &[f32], _rows: &TableRows) -> f64 {
        offset(f64::from(level), self.slope)
    }

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let log_odds = self.slope * cell.column.standard(cell.value) + cell.of_row;
        hidden(cell.uniform[0] < sigmoid(log_odds))
    }
}

impl CellProcess for ByColumn {
    const SCALE: Scale = SCALE;

    /// The probability that a cell of the row is hidden.
    fn of_row(&self, level: f32, row: &[f32], rows: &TableRows) -> f64 {
        let Some(column) = rows.columns.get(self.by) else { return 0.0 };
        let offset = offset(f64::from(level), self.slope);
        sigmoid(self.slope * column.standard(row[self.by]) + offset)
    }

    fn damage(&self, cell: Cell<'_>) -> Damage {
        hidden(cell.place != self.by && cell.uniform[0] < cell.of_row)
    }
}

fn hidden(is_hidden: bool) -> Damage {
    if is_hidden { Damage::Hidden } else { Damage::Nothing }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `b` with about `E[σ(a z + b)] = rate` for a standard normal `z`, to 0.02 of the rate: MacKay (1992), "The Evidence Framework
/// Applied to Classification Networks", equation 10.
fn offset(rate: f64, slope: f64) -> f64 {
    (rate / (1.0 - rate)).ln() * (1.0 + std::f64::consts::PI * slope * slope / 8.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_process::{by_hand, two_columns};

    // The mean over z by a sum over a fine grid.
    #[test]
    fn offsets_give_about_the_rate() {
        for slope in [0.0, 0.5, -2.0, 10.0, -100.0] {
            for rate in [0.02, 0.2, 0.5, 0.9] {
                let offset = offset(rate, slope);
                let share = (-8000..=8000).map(|place| {
                    let z = f64::from(place) * 0.001;
                    (-0.5 * z * z).exp() * 0.001 / std::f64::consts::TAU.sqrt()
                        * sigmoid(slope * z + offset)
                });
                let share: f64 = share.sum();
                assert!((share - rate).abs() < 0.02, "{slope} {rate}: {share}");
            }
        }
        assert_eq!(sigmoid(offset(1.0, 2.0) - 16.0), 1.0);
    }

    // Of the numbers 1 to 5, the largest is √2 deviations above the mean: σ(√2 · 2) is 0.944, and of the mean ½.
    #[test]
    fn large_cells_are_hidden_more_often() {
        let (table, process) = (two_columns(), ByValue { slope: 2.0 });
        let of = |row: [f32; 2], u| by_hand(&process, &table, 0.5, &row, [u, 0.0], 0.0);
        assert_eq!(of([5.0, 1.0], 0.94), [Damage::Hidden, Damage::Nothing]);
        assert_eq!(of([5.0, 2.0], 0.95)[0], Damage::Nothing);
        assert_eq!(of([3.0, 1.0], 0.49), [Damage::Hidden; 2]);
        assert_eq!(of([3.0, 1.0], 0.51), [Damage::Nothing; 2]);
    }

    #[test]
    fn one_column_decides_for_the_others() {
        let rows = Arc::new(two_columns());
        let process = ByColumn { slope: -2.0, by: 0 };
        let of = |row: [f32; 2], u| by_hand(&process, &rows, 0.5, &row, [u, 0.0], 0.0);
        assert_eq!(of([1.0, 0.0], 0.9), [Damage::Nothing, Damage::Hidden]);
        assert_eq!(of([5.0, 0.0], 0.1), [Damage::Nothing; 2]);
        let error = MaskingByColumn::new(0.2, 1.0, Some("weight"), rows.clone()).unwrap_err();
        assert!(error.to_string().contains("`size`, `kind`"), "{error}");
        assert!(MaskingByColumn::new(0.2, 1.0, Some("kind"), rows.clone()).is_ok());
        assert!(MaskingByValue::new(0.2, f64::NAN, rows).is_err());
    }
}
