//! Swap noise: cells that are another row's.

use std::sync::Arc;

use crate::table_process::{Cell, CellProcess, Damage, TableProcess};
use crate::table_rows::TableRows;
use crate::{CorruptionError, Level, Scale};

/// Swap noise: a cell becomes that of another training row, drawn uniformly from those that have one in its column.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) xᵢ + mᵢ xᵢ of row r,   mᵢ ~ Bernoulli(ν),   r ~ uniform over the other rows, independently
/// ```
///
/// What it makes is a value of its column, so that only its row tells that it is wrong. A row never gets its own cell, and no cell of
/// a held-out row. Known from Porto Seguro's safe driver prediction (Jahrer 2017, the first place on Kaggle), and as SCARF's random
/// feature corruption: Bahri et al. (2022), "SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption", section 3.
pub type Swap = TableProcess<SwapCell>;

/// The process of [`Swap`].
#[derive(Clone, Copy, Debug)]
pub struct SwapCell;

impl Swap {
    /// Replaces each cell with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>, rows: Arc<TableRows>) -> Result<Self, CorruptionError> {
        Self::of(SwapCell, rate, rows)
    }
}

impl CellProcess for SwapCell {
    const SCALE: Scale = Scale {
        name: "rate",
        meaning: "probability that a cell is another row's",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.05, 0.1, 0.15, 0.25, 0.4],
    };

    fn damage(&self, cell: Cell<'_>) -> Damage {
        let [first, second] = cell.uniform;
        if first >= cell.of_row {
            return Damage::Nothing;
        }
        cell.column.other(cell.id, second).map_or(Damage::Nothing, Damage::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_process::{by_hand, two_columns};

    // Row 0 gets cells of rows 1 to 4; with 0.6, of the third of them.
    #[test]
    fn a_cell_becomes_that_of_another_row() {
        let (table, row) = (two_columns(), [1.0, 0.0]);
        let of = |uniform| by_hand(&SwapCell, &table, 0.3, &row, uniform, 0.0);
        assert_eq!(of([0.2, 0.6]), [Damage::Value(4.0), Damage::Value(2.0)]);
        assert_eq!(of([0.2, 0.0]), [Damage::Value(2.0), Damage::Value(0.0)]);
        assert_eq!(of([0.31, 0.6]), [Damage::Nothing; 2]);
    }
}
