//! Rows of a table, and what processes of tables know of its columns.

use std::fmt::Debug;
use std::sync::Arc;

use dvae_checks::Vocabulary;

use crate::typos::TypoModel;

use crate::{CorruptionError, Domain};

/// What processes are built for: what numbers the data are and, for those of tables, the training rows, and for those of texts, what the
/// numbers mean.
#[derive(Clone, Debug)]
pub struct CorruptionContext {
    /// What the values of the data are.
    pub domain: Domain,
    /// The training rows, if the data are a table.
    pub table: Option<Arc<TableRows>>,
    /// What is known of the texts, if the data are such.
    pub texts: Option<TextContext>,
}

/// What processes of texts know of them.
#[derive(Clone, Debug)]
pub struct TextContext {
    /// The characters.
    pub vocabulary: Arc<Vocabulary>,
    /// The errors that people make in them, if there are pairs of wrong and right texts.
    pub typos: Option<Arc<TypoModel>>,
}

impl TextContext {
    pub(crate) fn typos(&self) -> Result<Arc<TypoModel>, CorruptionError> {
        self.typos.clone().ok_or(CorruptionError::NoTypoModel)
    }
}

impl From<Domain> for CorruptionContext {
    /// Data that are neither a table nor texts.
    fn from(domain: Domain) -> Self {
        Self { domain, table: None, texts: None }
    }
}

impl From<&CorruptionContext> for CorruptionContext {
    fn from(context: &CorruptionContext) -> Self {
        context.clone()
    }
}

impl CorruptionContext {
    /// A table without columns, and texts without characters: enough to find out whether parameters are right.
    pub(crate) fn of_any(domain: Domain) -> Self {
        let table = Some(Arc::new(TableRows::new(vec![])));
        let typos = TypoModel::learn([("b", "a")]).ok().map(Arc::new);
        let texts = Some(TextContext { vocabulary: Arc::new(Vocabulary::of([], 1)), typos });
        Self { domain, table, texts }
    }

    pub(crate) fn texts(&self) -> Result<TextContext, CorruptionError> {
        let texts = self.texts.clone().filter(|_| self.domain == Domain::Tokens);
        texts.ok_or(CorruptionError::TextsOnly { domain: self.domain })
    }

    pub(crate) fn rows(&self) -> Result<Arc<TableRows>, CorruptionError> {
        self.table.clone().ok_or(CorruptionError::NoTable)
    }
}

/// How the numbers of a model stand for those of a file, if they are scaled.
pub trait Units: Debug + Send + Sync {
    /// The number of a file that a number of the model stands for, in the column at this place.
    fn of_file(&self, column: usize, value: f32) -> f64;

    /// The number of the model that stands for a number of a file.
    fn of_model(&self, column: usize, value: f64) -> f32;
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableColumnRows {
    /// The name.
    pub name: String,
    /// The number of classes, of which cells are the numbers from 0 on; 0 for a column of numbers.
    pub classes: usize,
    /// The rows whose cell is there, ascending, by their ids.
    ids: Vec<u64>,
    /// Their cells.
    values: Vec<f32>,
    mean: f64,
    deviation: f64,
}

impl TableColumnRows {
    /// From the ids of rows and the cells of the column, where NaN is a missing one.
    pub fn new(name: String, classes: usize, cells: impl Iterator<Item = (u64, f32)>) -> Self {
        let mut cells: Vec<(u64, f32)> = cells.filter(|(_, cell)| !cell.is_nan()).collect();
        cells.sort_unstable_by_key(|&(id, _)| id);
        let (ids, values): (Vec<u64>, Vec<f32>) = cells.into_iter().unzip();
        let n = values.len().max(1) as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let square = |&x: &f32| (f64::from(x) - mean).powi(2);
        let deviation = (values.iter().map(square).sum::<f64>() / n).sqrt();
        Self { name, classes, ids, values, mean, deviation }
    }

    /// How many standard deviations a cell is above the mean of the column; 0 if all of its cells are the same.
    pub(crate) fn standard(&self, value: f32) -> f64 {
        match self.deviation > 0.0 {
            true => (f64::from(value) - self.mean) / self.deviation,
            false => 0.0,
        }
    }

    /// The standard deviation of the column.
    pub(crate) fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The cell of another row than this one, by a number in `[0, 1)`; `None` if there is none.
    pub(crate) fn other(&self, id: u64, uniform: f64) -> Option<f32> {
        let own = self.ids.binary_search(&id).ok();
        let others = self.ids.len() - usize::from(own.is_some());
        let place = (uniform * others as f64) as usize;
        let place = place.min(others.checked_sub(1)?);
        Some(self.values[place + usize::from(own.is_some_and(|own| own <= place))])
    }
}

/// The training rows of a table, column by column.
#[derive(Clone, Debug)]
pub struct TableRows {
    pub(crate) columns: Vec<TableColumnRows>,
    pub(crate) units: Option<Arc<dyn Units>>,
}

impl TableRows {
    /// From its columns, of numbers that are those of the files.
    pub fn new(columns: Vec<TableColumnRows>) -> Self {
        Self { columns, units: None }
    }

    /// The same for numbers that stand for others.
    pub fn in_units(self, units: Arc<dyn Units>) -> Self {
        Self { units: Some(units), ..self }
    }

    /// The place of a column; an error says which there are. A table without columns stands for any.
    pub(crate) fn place(&self, name: &str) -> Result<usize, CorruptionError> {
        if self.columns.is_empty() {
            return Ok(0);
        }
        let found = self.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| CorruptionError::UnknownColumn {
            name: name.to_owned(),
            known: self.columns.iter().map(|column| column.name.clone()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of the rows 3, 5 and 9, row 5 gets the cells of the two others, and a row that is none of them any.
    #[test]
    fn another_row_is_never_the_row_itself() {
        let nan = f32::NAN;
        let cells = [(9, 90.0), (3, 30.0), (7, nan), (5, 50.0)];
        let column = TableColumnRows::new("x".to_owned(), 0, cells.into_iter());
        let others = |id| [0.0, 0.4, 0.6, 0.99].map(|u| column.other(id, u).unwrap());
        assert_eq!(others(5), [30.0, 30.0, 90.0, 90.0]);
        assert_eq!(others(3), [50.0, 50.0, 90.0, 90.0]);
        assert_eq!(others(9), [30.0, 30.0, 50.0, 50.0]);
        assert_eq!(others(7), [30.0, 50.0, 50.0, 90.0]);
        let alone = TableColumnRows::new("x".to_owned(), 0, [(3, 1.0)].into_iter());
        assert_eq!((alone.other(3, 0.5), alone.other(4, 0.5)), (None, Some(1.0)));
        // The deviation of 30, 50 and 90 is 24.94.
        assert_eq!(alone.standard(7.0), 0.0);
        assert!((column.standard(90.0) - 1.336_3).abs() < 1e-4);
    }
}
