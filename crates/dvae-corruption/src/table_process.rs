//! Processes of the cells of a table, which know its columns.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Bool, Tensor, TensorData};
use dvae_kernels::with_values;
use dvae_random::{RowStream, RowStreams};
use rayon::prelude::*;

use crate::entries::levels;
use crate::table_rows::{TableColumnRows, TableRows};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A process of the cells of a table, each by the law of its column; rows are `[batch, columns]`.
///
/// Standard deviations, and what other rows have, are those of the training rows that it is built with.
#[derive(Clone, Debug)]
pub struct TableProcess<P> {
    process: P,
    level: Level,
    rows: Arc<TableRows>,
}

/// What a process does to one cell.
pub trait CellProcess: Clone + Debug + Send + Sync + 'static {
    /// The meaning of the level.
    const SCALE: Scale;

    /// What cells of a row at this level have in common.
    fn of_row(&self, level: f32, row: &[f32], rows: &TableRows) -> f64 {
        let _ = (row, rows);
        f64::from(level)
    }

    /// What becomes of a cell.
    fn damage(&self, cell: Cell<'_>) -> Damage;
}

/// A cell, and what its damage may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    pub(crate) value: f32,
    /// The id of its row.
    pub(crate) id: u64,
    /// The place of its column.
    pub(crate) place: usize,
    pub(crate) column: &'a TableColumnRows,
    pub(crate) rows: &'a TableRows,
    /// [`CellProcess::of_row`].
    pub(crate) of_row: f64,
    /// Uniform on `[0, 1)`, the second with 48 bits.
    pub(crate) uniform: [f64; 2],
    /// Standard normal.
    pub(crate) normal: f32,
}

impl Cell<'_> {
    pub(crate) fn is_class(&self) -> bool {
        self.column.classes > 0
    }
}

/// What becomes of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damage {
    /// It stays as it is.
    Nothing,
    /// It has another value.
    Value(f32),
    /// It is erased: 0 stands in its place.
    Hidden,
}

impl<P: CellProcess> TableProcess<P> {
    /// The meaning of the level.
    pub const SCALE: Scale = P::SCALE;

    pub(crate) fn of(
        process: P,
        level: impl Into<Level>,
        rows: Arc<TableRows>,
    ) -> Result<Self, CorruptionError> {
        Ok(Self { process, level: P::SCALE.resolve(level)?, rows })
    }

    /// Damages a row, of which `input` is a copy; notes which cells are changed and which of them are hidden.
    fn row(&self, id: u64, level: f32, stream: &mut RowStream, made: RowBuffers<'_>) {
        let RowBuffers { clean, input, changed, hidden } = made;
        let width = clean.len();
        let (mut uniforms, mut normals) = (vec![0.0; 3 * width], vec![0.0; width]);
        stream.uniform(&mut uniforms);
        stream.normal(&mut normals);
        let of_row = self.process.of_row(level, clean, &self.rows);
        for (place, column) in self.rows.columns.iter().enumerate() {
            let [first, high, low] = [0, 1, 2].map(|draw| f64::from(uniforms[3 * place + draw]));
            let damage = self.process.damage(Cell {
                value: clean[place],
                id,
                place,
                column,
                rows: &self.rows,
                of_row,
                uniform: [first, high + low / f64::from(1 << 24)],
                normal: normals[place],
            });
            match damage {
                Damage::Nothing => {}
                Damage::Value(value) => {
                    input[place] = value;
                    changed[place] = value != clean[place];
                }
                Damage::Hidden => {
                    input[place] = 0.0;
                    (changed[place], hidden[place]) = (true, true);
                }
            }
        }
    }
}

/// A row and what is made of it.
struct RowBuffers<'a> {
    clean: &'a [f32],
    input: &'a mut [f32],
    changed: &'a mut [bool],
    hidden: &'a mut [bool],
}

impl<const D: usize, P: CellProcess> Corruption<D> for TableProcess<P> {
    /// `changed`: the cells that have another value, and those that are hidden.
    ///
    /// # Panics
    ///
    /// If rows have another length than the table has columns: see [`Corruption::check`].
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let levels = levels(Corruption::<D>::strength(self), clean.dims()[0], draws);
        let own = draws.branch();
        let (shape, device, width) = (clean.shape(), clean.device(), self.rows.columns.len());
        let entries = shape.num_elements();
        assert_eq!(entries, levels.len() * width, "rows of {width} cells");
        let mut input = vec![0.0; entries];
        let (mut changed, mut hidden) = (vec![false; entries], vec![false; entries]);
        let null = P::SCALE.null as f32;
        with_values(&clean, |clean| {
            let made = input.par_chunks_mut(width).zip(changed.par_chunks_mut(width));
            let made = made.zip(hidden.par_chunks_mut(width)).zip(clean.par_chunks(width));
            let rows = made.zip(&levels).enumerate().with_min_len(64);
            rows.for_each(|(place, ((((input, changed), hidden), clean), &level))| {
                input.copy_from_slice(clean);
                if level != null {
                    let made = RowBuffers { clean, input, changed, hidden };
                    self.row(own.ids()[place], level, &mut own.row(place), made);
                }
            });
        });
        let flags = |flags: Vec<bool>| -> Tensor<D, Bool> {
            Tensor::from_data(TensorData::new(flags, shape.clone()), &device)
        };
        let hidden = hidden.contains(&true).then(|| flags(hidden));
        let (changed, input) = (flags(changed), TensorData::new(input, shape.clone()));
        CorruptedInput { input: Tensor::from_data(input, &device), changed, hidden }
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: P::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self::of(self.process.clone(), level, self.rows.clone())?))
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        let columns = self.rows.columns.len();
        if event == [columns] {
            return Ok(());
        }
        let why = format!("it is for rows of a table, of {columns} cells");
        Err(CorruptionError::Shape { name: P::SCALE.name, event: event.into(), why })
    }
}

/// Damages a row of literal cells, at this level and with these draws for each cell.
#[cfg(test)]
pub(crate) fn by_hand<P: CellProcess>(
    process: &P,
    rows: &TableRows,
    level: f32,
    row: &[f32],
    uniform: [f64; 2],
    normal: f32,
) -> Vec<Damage> {
    let of_row = process.of_row(level, row, rows);
    let columns = rows.columns.iter().enumerate();
    let damage = |(place, column)| {
        let value = row[place];
        process.damage(Cell { value, id: 0, place, column, rows, of_row, uniform, normal })
    };
    columns.map(damage).collect()
}

/// A column of the numbers 1 to 5, with mean 3 and a variance of 2, and one of the classes 0, 0, 1, 2 and 2.
#[cfg(test)]
pub(crate) fn two_columns() -> TableRows {
    let column = |name: &str, classes, cells: [f32; 5]| {
        TableColumnRows::new(name.to_owned(), classes, (0..).zip(cells))
    };
    TableRows::new(vec![
        column("size", 0, [1.0, 2.0, 3.0, 4.0, 5.0]),
        column("kind", 3, [0.0, 0.0, 1.0, 2.0, 2.0]),
    ])
}
