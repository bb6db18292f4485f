//! Rows of files, one at a time.

use std::path::Path;
use std::sync::Arc;

use crate::budget::Budget;
use crate::dataset::RowCollector;
use crate::format::Layout;
use crate::picture::{over_white, under_white};
use crate::sparse::Sparse;
use crate::stored_numbers::StoredNumbers;
use crate::stored_rows::BINARY;
use crate::table_text::cell_text;
use crate::{DataError, Dataset, Domain, Element, Format, Numbers, ReadOptions, read_rows};

/// A row as its file has it: the numbers that are read, and what else stands in the file beside them.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) numbers: Numbers,
    pub(crate) domain: Domain,
    pub(crate) extra: Extra,
}

/// A line of a table as it stands, and where its cells are.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: Vec<u8>,
    pub(crate) cells: Vec<std::ops::Range<usize>>,
    /// The columns that are read in which it has a class that is not known: they are NaN, and are never written anew.
    pub(crate) unseen: Vec<usize>,
    /// The columns that are read whose cells were erased.
    pub(crate) erased: Vec<usize>,
    /// The cells of the columns that follow.
    pub(crate) appended: Vec<f64>,
}

/// What a row has beside its numbers.
#[derive(Clone, Debug)]
pub(crate) enum Extra {
    None,
    /// A line of a table.
    Line(Line),
    /// Texts before the numbers.
    Labels(Vec<String>),
    /// The transparency of each pixel, and the color profile.
    Picture {
        alpha: Option<Numbers>,
        profile: Option<Arc<[u8]>>,
    },
}

impl Row {
    /// The row with texts before its numbers: see [`Format::labeled`].
    pub fn labeled(self, labels: Vec<String>) -> Self {
        Self { extra: Extra::Labels(labels), ..self }
    }

    /// The values, in the order of the row's shape: numbers in `[0, 1]` for [`Domain::Unit`], else those of the
    /// file. NaN marks one that was not observed. Transparent pictures are seen before a white background.
    pub fn values(&self) -> Vec<f64> {
        let mut values = self.numbers.values(self.domain);
        if let Extra::Picture { alpha: Some(alpha), .. } = &self.extra {
            over_white(&mut values, &alpha.values(Domain::Unit));
        }
        values
    }

    /// The row of a table with cells for further columns: see [`Format::with_columns`]. NaN becomes an empty cell; a row that is no
    /// line of a table stays as it is.
    pub fn appended(mut self, cells: Vec<f64>) -> Self {
        if let Extra::Line(line) = &mut self.extra {
            line.appended = cells;
        }
        self
    }

    /// The texts of cells of a line of a table, without quotes, at these places: see [`Format::places`]. A cell that is not there is
    /// empty.
    pub fn texts(&self, places: &[usize]) -> Vec<String> {
        let text = |&place: &usize| match &self.extra {
            Extra::Line(line) => line.cells.get(place).map_or(String::new(), |cell| {
                cell_text(&String::from_utf8_lossy(&line.text[cell.clone()])).into_owned()
            }),
            _ => String::new(),
        };
        places.iter().map(text).collect()
    }

    /// The columns in which the row has a class that is not among those of the column, and the text of each. Its values have NaN
    /// there, and whatever it is given for them is not written.
    pub fn unseen(&self, format: &Format) -> Vec<(usize, String)> {
        let (Extra::Line(line), Layout::Table(table)) = (&self.extra, &format.layout) else {
            return vec![];
        };
        let texts = self.texts(&line.unseen.iter().map(|&at| table.places[at]).collect::<Vec<_>>());
        line.unseen.iter().copied().zip(texts).collect()
    }

    /// The numbers as the file stores them.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Replaces some values: `change` gets the place of each, and returns the new value of those that change. All
    /// others keep the bits that the file has.
    pub fn replace(&mut self, change: impl Fn(usize) -> Option<f64>) {
        let (alpha, area) = match &self.extra {
            Extra::Picture { alpha: Some(alpha), .. } => {
                (alpha.values(Domain::Unit), alpha.len().max(1))
            }
            _ => (vec![], 1),
        };
        for at in 0..self.numbers.len() {
            let Some(value) = change(at) else { continue };
            let value = match alpha.get(at % area) {
                Some(0.0) => continue, // A pixel that nobody sees.
                Some(&alpha) => under_white(value, alpha),
                None => value,
            };
            self.numbers.set(at, self.domain, value);
        }
    }

    /// Makes a value missing; in a table its cell is written empty.
    pub fn erase(&mut self, at: usize) {
        self.numbers.set(at, self.domain, f64::NAN);
        if let Extra::Line(line) = &mut self.extra {
            line.erased.push(at);
        }
    }

    /// The same row in another format, with all values replaced. What the row has beside its values is kept.
    ///
    /// # Panics
    ///
    /// If the number of values is not that of the format's shape.
    pub fn with_values(&self, format: &Format, values: &[f64]) -> Self {
        // A pixel that nobody sees keeps its color.
        let mut row = if self.numbers.len() == values.len() {
            self.in_format(format)
        } else {
            let numbers = Numbers::of_values(format.element, format.domain, values);
            Self { numbers, domain: format.domain, extra: self.extra.clone() }
        };
        row.replace(|at| Some(values[at]));
        row
    }

    /// The same row in another format of as many numbers.
    pub fn in_format(&self, format: &Format) -> Self {
        let numbers = self.numbers.converted(self.domain, format.element, format.domain);
        Self { numbers, domain: format.domain, extra: self.extra.clone() }
    }

    /// The same row with distances of 0 in place of its values: see [`Format::of_deviations`].
    pub fn zeros(&self, format: &Format) -> Self {
        let length = format.event.iter().product::<usize>() * format.element.size();
        let numbers = Numbers::new(format.element, vec![0; length]);
        Self { numbers, domain: format.domain, extra: self.beside_distances() }
    }

    /// What stands beside distances: the line of a table.
    fn beside_distances(&self) -> Extra {
        match &self.extra {
            Extra::Line(line) => Extra::Line(line.clone()),
            _ => Extra::None,
        }
    }

    /// The same row with distances in place of its values: see [`Format::of_deviations`].
    ///
    /// # Panics
    ///
    /// If their number is not that of the format's shape.
    pub fn with_distances(&self, format: &Format, distances: &[f64]) -> Self {
        Self { extra: self.beside_distances(), ..format.row(distances) }
    }

    /// The numbers as a data set stores them: a transparent picture before a white background.
    pub(crate) fn into_numbers(self) -> Numbers {
        match &self.extra {
            Extra::Picture { alpha: Some(_), .. } => {
                Numbers::of_values(self.numbers.element(), self.domain, &self.values())
            }
            _ => self.numbers,
        }
    }
}

/// An iterator over rows of equal shape; only one is in memory at a time.
pub struct Rows {
    /// What the rows are.
    pub format: Format,
    /// The number of rows, if it is known before they are read.
    pub count: Option<usize>,
    /// The class of each row of a folder of folders.
    pub(crate) classes: Option<Vec<u8>>,
    /// All rows, if the file has them without their zeros.
    pub(crate) sparse: Option<Arc<Sparse>>,
    /// All numbers, if they are larger than that, and may stay in the file.
    pub(crate) stored: Option<StoredNumbers>,
    /// Bytes that may be held in memory of all rows.
    pub(crate) memory: u64,
    pub(crate) rows: Box<dyn Iterator<Item = Result<Row, DataError>> + Send>,
}

impl Iterator for Rows {
    type Item = Result<Row, DataError>;

    /// The next row. Nothing follows an error.
    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Rows {
    /// Rows of this format; nothing is read after an error.
    pub(crate) fn new(
        format: Format,
        count: Option<usize>,
        mut rows: impl Iterator<Item = Result<Row, DataError>> + Send + 'static,
    ) -> Self {
        let mut failed = false;
        let rows = std::iter::from_fn(move || {
            let row = if failed { None } else { rows.next() };
            failed = matches!(row, Some(Err(_)));
            row
        });
        Self {
            format,
            count,
            classes: None,
            sparse: None,
            stored: None,
            memory: u64::MAX,
            rows: Box::new(rows.fuse()),
        }
    }

    /// The same rows, each of which is checked when it is read.
    pub fn checked(
        self,
        mut check: impl FnMut(&Row) -> Result<(), DataError> + Send + 'static,
    ) -> Self {
        let Self { format, count, classes, memory, rows, .. } = self;
        let rows = rows.map(move |row| row.and_then(|row| check(&row).map(|()| row)));
        Self { classes, memory, ..Self::new(format, count, rows) }
    }

    /// Reads all rows, as the file stores them: see [`Dataset::from_numbers`]. Those of a sparse matrix stay sparse, in single precision. Of what
    /// takes more than [`ReadOptions::memory`], arrays that are not compressed stay in their files, and everything else becomes a file without a
    /// name, in the folder for temporary files. Rows of a folder of folders have the folders as their classes. Errors name `path`.
    ///
    /// Missing entries are allowed: see [`Dataset::from_incomplete`].
    pub fn into_dataset(self, path: &Path) -> Result<Dataset, DataError> {
        let (format, classes, memory) = (self.format.clone(), self.classes.clone(), self.memory);
        let bad = |reason| DataError::File { path: path.into(), reason };
        let named = |error| match error {
            DataError::Temporary { .. } => error,
            error => bad(error.to_string()),
        };
        if let Some(matrix) = self.sparse {
            let values = matrix.singles(format.domain).map_err(bad)?;
            return Dataset::from_sparse(values, &format).map_err(named);
        }
        if let Some(numbers) = self.stored.clone().filter(|numbers| numbers.len() > 0) {
            if format.element == Element::U8
                && format.domain == Domain::Unit
                && numbers.is_binary()?
            {
                return Err(bad(BINARY.to_owned()));
            }
            return Dataset::from_stored(numbers, &format, memory).map_err(named);
        }
        let mut collected = RowCollector::new(&format, memory);
        let budget = Budget::of_all(path);
        for row in self {
            collected.add(&row?.into_numbers()).map_err(named)?;
            budget.check_numbers(collected.len() as u128).map_err(bad)?;
        }
        if collected.len() == 0 {
            return Err(bad("it holds no rows".to_owned()));
        }
        let rows = collected.finish().map_err(named)?;
        Ok(match classes.filter(|classes| classes.len() == rows.len()) {
            Some(classes) => rows.labeled(classes),
            None => rows,
        })
    }
}

impl Dataset {
    /// Reads all rows of a file or folder, in single precision: [`Rows::into_dataset`] of [`read_rows`].
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        read_rows(path, options)?.into_dataset(path)?.single()
    }
}
