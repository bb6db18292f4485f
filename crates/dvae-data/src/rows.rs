//! Rows of files, one at a time.

use std::path::Path;
use std::sync::Arc;

use crate::budget::Budget;
use crate::cells::Cells;
use crate::picture::{over_white, picture_domain, under_white};
use crate::sparse::Sparse;
use crate::stored_numbers::StoredNumbers;
use crate::stored_rows::BINARY;
use crate::table::places_in_lines;
use crate::table_text::cell_text;
use crate::{DataError, Dataset, Domain, Element, Numbers, ReadOptions, TableColumn, read_rows};

/// What the rows of a file are, and how the file stores them: enough to write such rows again.
#[derive(Clone, Debug)]
pub struct Format {
    /// The shape of a row, channels first.
    pub event: Vec<usize>,
    /// What the values are.
    pub domain: Domain,
    /// The type of the stored numbers.
    pub element: Element,
    /// The column names, if a table has them.
    pub names: Option<Vec<String>>,
    /// Of each column of a table, what its cells are; nothing of what is no table.
    pub(crate) cells: Arc<[Cells]>,
    /// Columns that follow those of a table.
    pub(crate) appended: Vec<FurtherColumn>,
    pub(crate) layout: Layout,
}

/// What is particular to the kind of file.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    Picture,
    Array(Channels),
    Table(Arc<TableLayout>),
    /// What comes from no file: for a table, names of the texts before the numbers of a row, and its marks.
    New {
        labels: Vec<String>,
        delimiter: Option<u8>,
        decimal: Decimal,
    },
}

/// A column that follows those of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherColumn {
    /// Its name.
    pub name: String,
    /// The place, among the columns that are read, of the one whose values its cells are, such as dates; without it they are numbers.
    pub values_of: Option<usize>,
}

/// Where an array has the channels of a row.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// `[rows, channels, height, width]`.
    #[default]
    First,
    /// `[rows, height, width, channels]`.
    Last,
}

/// How a table is written.
#[derive(Clone, Debug)]
pub(crate) struct TableLayout {
    /// The first line as it stands, if it has names.
    pub(crate) header: Option<Vec<u8>>,
    /// The names of all columns; none if it has no names.
    pub(crate) titles: Vec<String>,
    /// The places of the columns that are read.
    pub(crate) places: Vec<usize>,
    pub(crate) style: TableStyle,
    /// Texts of missing cells, in addition to the usual ones.
    pub(crate) missing: Vec<String>,
    /// The file, if it is a Parquet file.
    #[cfg(feature = "parquet")]
    pub(crate) parquet: Option<std::path::PathBuf>,
}

/// The marks of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableStyle {
    pub(crate) delimiter: u8,
    pub(crate) decimal: Decimal,
}

/// The decimal separator of a table.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Decimal {
    /// `1.5`.
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `1,5`.
    #[serde(rename = ",")]
    Comma,
}

impl Format {
    /// Rows of this shape that come from no file.
    pub fn new(event: &[usize], element: Element, domain: Domain) -> Self {
        let layout = Layout::New { labels: vec![], delimiter: None, decimal: Decimal::Point };
        Self {
            event: event.into(),
            domain,
            element,
            names: None,
            cells: [].into(),
            appended: vec![],
            layout,
        }
    }

    /// The same with column names.
    pub fn named(self, names: Option<Vec<String>>) -> Self {
        Self { names, ..self }
    }

    /// The same with columns of these kinds: numbers of classes and dates are written as their texts.
    pub fn by_kind(self, columns: &[TableColumn]) -> Self {
        let cells = columns.iter().map(TableColumn::cells).collect();
        let names = columns.iter().map(|column| column.name.clone()).collect();
        Self { cells, names: Some(names), ..self }
    }

    /// The same with texts before the numbers of a row, if it is written as a table; these are their names. A format of a
    /// file is returned as it is.
    pub fn labeled(mut self, names: &[&str]) -> Self {
        if let Layout::New { labels, .. } = &mut self.layout {
            *labels = names.iter().map(|&name| name.to_owned()).collect();
        }
        self
    }

    /// The same with these marks, if it is written as a table; without a delimiter the name of the file tells. A format
    /// of a file is returned as it is.
    pub fn marked(mut self, between: Option<char>, point: Decimal) -> Self {
        if let Layout::New { delimiter, decimal, .. } = &mut self.layout {
            let ascii = between.filter(char::is_ascii).map(|mark| mark as u8);
            (*delimiter, *decimal) = (ascii, point);
        }
        self
    }

    /// The same table with further columns at the end of each line, whose cells rows get by [`Row::appended`].
    pub fn with_columns(self, columns: Vec<FurtherColumn>) -> Self {
        Self { appended: columns, ..self }
    }

    /// The places of columns of a table in its lines, by their names, whether they are read or not: see [`Row::texts`]. An error names a
    /// column that the file, whose path is for the message, does not have.
    pub fn places(&self, path: &Path, names: &[String]) -> Result<Vec<usize>, DataError> {
        places_in_lines(path, self, names)
    }

    /// The format of a model's results for rows of this format: see [`Element::of_results`].
    pub fn of_results(&self) -> Self {
        Self { element: self.element.of_results(self.domain), ..self.clone() }
    }

    /// The format of distances between rows of this format, such as deviations: floats in the data's own units.
    pub fn of_deviations(&self) -> Self {
        let element = if self.element == Element::F64 { Element::F64 } else { Element::F32 };
        Self { element, domain: Domain::Real, cells: [].into(), ..self.clone() }
    }

    /// Whether the file says itself which number stands for 1: bytes, truth values and pictures of integers do.
    pub fn says_unit(&self) -> bool {
        let is_picture =
            matches!(self.layout, Layout::Picture) && picture_domain(self.element) == Domain::Unit;
        is_picture || self.element.domain() == Domain::Unit
    }

    /// A row of these values.
    ///
    /// # Panics
    ///
    /// If their number is not that of the shape.
    pub fn row(&self, values: &[f64]) -> Row {
        assert_eq!(values.len(), self.event.iter().product::<usize>(), "values of a row");
        let numbers = Numbers::of_values(self.element, self.domain, values);
        Row { numbers, domain: self.domain, extra: Extra::None }
    }
}

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
    /// All numbers, if they may stay in the file, and how much of what is made of them may be in memory.
    pub(crate) stored: Option<(StoredNumbers, u64)>,
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
            rows: Box::new(rows.fuse()),
        }
    }

    /// The same rows, each of which is checked when it is read.
    pub fn checked(
        self,
        mut check: impl FnMut(&Row) -> Result<(), DataError> + Send + 'static,
    ) -> Self {
        let Self { format, count, classes, rows, .. } = self;
        let rows = rows.map(move |row| row.and_then(|row| check(&row).map(|()| row)));
        Self { classes, ..Self::new(format, count, rows) }
    }

    /// Reads all rows into memory, as the file stores them: see [`Dataset::from_numbers`]. Those of a sparse matrix stay sparse, in single
    /// precision, and those of an array that is larger than [`ReadOptions::memory`] stay in the file. Rows of a folder of folders
    /// have the folders as their classes. Errors name `path`.
    ///
    /// Missing entries are allowed: see [`Dataset::from_incomplete`].
    pub fn into_dataset(self, path: &Path) -> Result<Dataset, DataError> {
        let (format, classes) = (self.format.clone(), self.classes.clone());
        let bad = |reason| DataError::File { path: path.into(), reason };
        if let Some(matrix) = self.sparse {
            let values = matrix.singles(format.domain).map_err(bad)?;
            let rows = Dataset::from_sparse(values, &format);
            return rows.map_err(|error| bad(error.to_string()));
        }
        let stored = self.stored.clone().filter(|(numbers, _)| numbers.len() > 0);
        if let Some((numbers, memory)) = stored {
            if format.element == Element::U8
                && format.domain == Domain::Unit
                && numbers.is_binary()?
            {
                return Err(bad(BINARY.to_owned()));
            }
            let rows = Dataset::from_stored(numbers, &format, memory);
            return rows.map_err(|error| bad(error.to_string()));
        }
        let mut numbers = Numbers::new(format.element, vec![]);
        let budget = Budget::of_all(path);
        for row in self {
            numbers.extend(&row?.into_numbers());
            budget.check_numbers(numbers.len() as u128).map_err(bad)?;
        }
        if numbers.is_empty() {
            let reason = "it holds no rows".to_owned();
            return Err(DataError::File { path: path.into(), reason });
        }
        let rows = Dataset::from_numbers(numbers, &format.event, format.domain)
            .map_err(|error| DataError::File { path: path.into(), reason: error.to_string() })?;
        Ok(match classes.filter(|classes| classes.len() == rows.len()) {
            Some(classes) => rows.labeled(classes),
            None => rows,
        })
    }
}

impl Dataset {
    /// Reads all rows of a file or folder into memory, in single precision: [`Rows::into_dataset`] of [`read_rows`].
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        read_rows(path, options)?.into_dataset(path)?.single()
    }
}
