//! What the rows of a file are, and how it stores them.

use std::path::Path;
use std::sync::Arc;

use crate::cells::Cells;
use crate::picture::picture_domain;
use crate::rows::Extra;
use crate::table::places_in_lines;
use crate::{DataError, Domain, Element, Numbers, Row, TableColumn};

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
