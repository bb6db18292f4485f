//! Wrong cells of tables: other classes, numbers that are a little or grossly off, rounded, or in another unit.

use std::sync::Arc;

use dvae_checks::within;

use crate::table_process::{Cell, CellProcess, Damage, TableProcess};
use crate::table_rows::TableRows;
use crate::{CorruptionError, Level, Scale};

/// Classes that become another class of their column, each other one equally often; numbers stay as they are.
pub type CategoryFlip = TableProcess<Flip>;

/// Numbers to which a normal number is added, in standard deviations of the column; classes stay as they are.
///
/// ```text
/// x̃ᵢ = xᵢ + σ sᵢ εᵢ,   εᵢ ~ N(0, 1)
/// ```
pub type Jitter = TableProcess<Shift>;

/// Numbers that are grossly off; classes stay as they are.
///
/// ```text
/// x̃ᵢ = xᵢ ± k sᵢ u,   u ~ U[½, 1½),   with probability ν, either sign equally often
/// ```
///
/// `sᵢ` is the standard deviation of the column, and `k` the size.
pub type Outliers = TableProcess<Outlier>;

/// Numbers that are rounded to multiples of a share of the column's standard deviation; classes stay as they are.
pub type Rounding = TableProcess<Round>;

/// Numbers in another unit: ten or a hundred times as large, or as small, each equally often; classes stay as they are.
///
/// The numbers are those of the file, whatever the scaling of the model.
pub type UnitSlip = TableProcess<Slip>;

/// The process of [`CategoryFlip`].
#[derive(Clone, Copy, Debug)]
pub struct Flip;

/// The process of [`Jitter`].
#[derive(Clone, Copy, Debug)]
pub struct Shift;

/// The process of [`Outliers`].
#[derive(Clone, Copy, Debug)]
pub struct Outlier {
    size: f64,
}

/// The process of [`Rounding`].
#[derive(Clone, Copy, Debug)]
pub struct Round;

/// The process of [`UnitSlip`].
#[derive(Clone, Copy, Debug)]
pub struct Slip;

impl CategoryFlip {
    /// Changes each class with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>, rows: Arc<TableRows>) -> Result<Self, CorruptionError> {
        Self::of(Flip, rate, rows)
    }
}

impl Jitter {
    /// Adds numbers of this standard deviation, in units of that of the column.
    pub fn new(sigma: impl Into<Level>, rows: Arc<TableRows>) -> Result<Self, CorruptionError> {
        Self::of(Shift, sigma, rows)
    }
}

impl Outliers {
    /// Moves each number with probability `rate`, in `[0, 1]`, by about `size` standard deviations, above 0.
    pub fn new(
        rate: impl Into<Level>,
        size: f64,
        rows: Arc<TableRows>,
    ) -> Result<Self, CorruptionError> {
        let size = within("size", size, f64::MIN_POSITIVE..=1e6)?;
        Self::of(Outlier { size }, rate, rows)
    }
}

impl Rounding {
    /// Rounds numbers to multiples of `step` standard deviations of the column.
    pub fn new(step: impl Into<Level>, rows: Arc<TableRows>) -> Result<Self, CorruptionError> {
        Self::of(Round, step, rows)
    }
}

impl UnitSlip {
    /// Changes the unit of each number with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>, rows: Arc<TableRows>) -> Result<Self, CorruptionError> {
        Self::of(Slip, rate, rows)
    }
}

/// The scale of a rate of cells.
const fn rate(meaning: &'static str) -> Scale {
    Scale {
        name: "rate",
        meaning,
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.01, 0.02, 0.05, 0.1, 0.2],
    }
}

/// The value, if it is a number of single precision.
fn value(value: f64) -> Damage {
    let single = value as f32;
    if single.is_finite() { Damage::Value(single) } else { Damage::Nothing }
}

impl CellProcess for Flip {
    const SCALE: Scale = rate("probability that a class is another");

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let [first, second] = cell.uniform;
        if cell.column.classes < 2 || first >= cell.of_row {
            return Damage::Nothing;
        }
        let others = cell.column.classes - 1;
        let other = ((second * others as f64) as usize).min(others - 1);
        let is_after = f64::from(cell.value) <= other as f64;
        Damage::Value((other + usize::from(is_after)) as f32)
    }
}

impl CellProcess for Shift {
    const SCALE: Scale = Scale {
        name: "sigma",
        meaning: "standard deviation of what is added, in those of the column",
        range: [0.0, 1e6],
        null: 0.0,
        severities: [0.02, 0.05, 0.1, 0.2, 0.5],
    };

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let deviation = cell.column.deviation();
        if cell.is_class() || deviation == 0.0 {
            return Damage::Nothing;
        }
        value(f64::from(cell.value) + cell.of_row * deviation * f64::from(cell.normal))
    }
}

impl CellProcess for Outlier {
    const SCALE: Scale = rate("probability that a number is grossly off");

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let [first, second] = cell.uniform;
        let deviation = cell.column.deviation();
        if cell.is_class() || deviation == 0.0 || first >= cell.of_row {
            return Damage::Nothing;
        }
        let (sign, rest) = if second < 0.5 { (1.0, second) } else { (-1.0, second - 0.5) };
        value(f64::from(cell.value) + sign * self.size * deviation * (0.5 + 2.0 * rest))
    }
}

impl CellProcess for Round {
    const SCALE: Scale = Scale {
        name: "step",
        meaning: "distance of the multiples, in standard deviations of the column",
        range: [0.0, 1e6],
        null: 0.0,
        severities: [0.05, 0.1, 0.25, 0.5, 1.0],
    };

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let step = cell.of_row * cell.column.deviation();
        if cell.is_class() || step == 0.0 {
            return Damage::Nothing;
        }
        value((f64::from(cell.value) / step).round() * step)
    }
}

impl CellProcess for Slip {
    const SCALE: Scale = rate("probability that a number is in another unit");

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let [first, second] = cell.uniform;
        if cell.is_class() || first >= cell.of_row {
            return Damage::Nothing;
        }
        let factor = [10.0, 0.1, 100.0, 0.01][((second * 4.0) as usize).min(3)];
        match &cell.rows.units {
            Some(units) => {
                let number = units.of_file(cell.place, cell.value) * factor;
                value(units.of_model(cell.place, number).into())
            }
            None => value(f64::from(cell.value) * factor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_process::{by_hand, two_columns};
    use crate::table_rows::Units;

    /// The damage of a row of one number, 5, and one class, 1.
    fn of<P: CellProcess>(process: &P, level: f32, uniform: [f64; 2]) -> [Damage; 2] {
        let damage = by_hand(process, &two_columns(), level, &[5.0, 1.0], uniform, -0.5);
        [damage[0], damage[1]]
    }

    #[test]
    fn a_class_becomes_another_one() {
        assert_eq!(of(&Flip, 0.2, [0.1, 0.4]), [Damage::Nothing, Damage::Value(0.0)]);
        assert_eq!(of(&Flip, 0.2, [0.1, 0.5]), [Damage::Nothing, Damage::Value(2.0)]);
        assert_eq!(of(&Flip, 0.2, [0.21, 0.5]), [Damage::Nothing; 2]);
    }

    // The deviation of the numbers 1 to 5 is √2.
    #[test]
    fn numbers_are_off_in_units_of_their_column() {
        let close = |damage: [Damage; 2], expected: f64| {
            let Damage::Value(found) = damage[0] else { panic!("{damage:?}") };
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
            assert_eq!(damage[1], Damage::Nothing);
        };
        let root = 2f64.sqrt();
        close(of(&Shift, 0.1, [0.0; 2]), 5.0 - 0.05 * root);
        close(of(&Outlier { size: 3.0 }, 0.1, [0.05, 0.25]), 5.0 + 3.0 * root);
        close(of(&Outlier { size: 3.0 }, 0.1, [0.05, 0.5]), 5.0 - 1.5 * root);
        assert_eq!(of(&Outlier { size: 3.0 }, 0.1, [0.11, 0.5]), [Damage::Nothing; 2]);
        // 5 is 3.54 deviations.
        close(of(&Round, 0.5, [0.0; 2]), 3.5 * root);
        close(of(&Slip, 0.1, [0.05, 0.0]), 50.0);
        close(of(&Slip, 0.1, [0.05, 0.3]), 0.5);
        close(of(&Slip, 0.1, [0.05, 0.99]), 0.05);
    }

    /// A number of the model is a file's less 1.
    #[derive(Debug)]
    struct LessOne;

    impl Units for LessOne {
        fn of_file(&self, _column: usize, value: f32) -> f64 {
            f64::from(value) + 1.0
        }

        fn of_model(&self, _column: usize, value: f64) -> f32 {
            (value - 1.0) as f32
        }
    }

    #[test]
    fn a_slip_of_the_unit_is_one_of_the_file() {
        let table = two_columns().in_units(Arc::new(LessOne));
        let damage = by_hand(&Slip, &table, 1.0, &[5.0, 1.0], [0.0, 0.0], 0.0);
        assert_eq!(damage, [Damage::Value(59.0), Damage::Nothing]);
    }
}
