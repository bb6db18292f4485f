//! What the columns of a table hold, found from its cells.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::table::{OpenTable, open_table};
use crate::table_text::{cell_text, number};
use crate::{DataError, DateFormat, Decimal, ReadOptions};

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Numbers, on a scale of equal steps.
    Numeric,
    /// Numbers above 0 that spread over more than two powers of ten: ratios count.
    Positive,
    /// Whole numbers from 0 on, of more than ten values.
    Count,
    /// Two values that repeat, numbers or texts.
    Binary,
    /// Classes that have an order: whole numbers of three to ten values that repeat.
    Ordinal,
    /// Texts of few values.
    Categorical,
    /// Dates or times, learned as numbers. No column is found to be one: say it.
    Date,
    /// What is nothing to learn from, and is kept: texts that hardly repeat, dates, numbers of lines.
    PassThrough,
    /// No cell holds a value, or all hold the same one.
    Ignore,
}

impl ColumnKind {
    /// Whether the cells are classes, of which nothing lies between.
    pub fn is_class(self) -> bool {
        matches!(self, Self::Binary | Self::Ordinal | Self::Categorical)
    }

    /// Its name, as in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Positive => "positive",
            Self::Count => "count",
            Self::Binary => "binary",
            Self::Ordinal => "ordinal",
            Self::Categorical => "categorical",
            Self::Date => "date",
            Self::PassThrough => "pass-through",
            Self::Ignore => "ignore",
        }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Its name, or its place from 1 if the table has no names.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
    /// The lines of the table.
    pub rows: u64,
    /// Cells without a value.
    pub holes: u64,
    /// The different values; [`Column::MOST_VALUES`] stands for more.
    pub values: usize,
    /// The smallest and the largest number, if all cells are numbers.
    pub range: Option<[f64; 2]>,
    /// The most digits behind the decimal separator, zeros at the end aside, if all cells are numbers that are written out: 0
    /// for whole ones.
    pub decimals: Option<u32>,
    /// Some values, in the order of the lines.
    pub examples: Vec<String>,
    /// The different values as they were first written, if they are not more than are counted: numbers by size, others by the
    /// alphabet.
    #[serde(skip)]
    pub(crate) texts: Vec<String>,
    /// The first of the usual formats of dates that all cells have.
    #[serde(skip)]
    pub(crate) date: Option<DateFormat>,
    /// Whether the cells are neither numbers nor texts, but lists or bytes, for example.
    #[serde(skip)]
    pub(crate) is_opaque: bool,
}

impl Column {
    /// Different values that are counted.
    pub const MOST_VALUES: usize = 1000;
}

/// Describes the columns of a table, all of them, from all of its lines. Options say how the table is written; `columns` has no
/// effect.
pub fn table_columns(path: &Path, options: &ReadOptions) -> Result<Vec<Column>, DataError> {
    let mut table = open_table(path, options)?;
    table.check_names()?;
    let dates = DateFormat::usual();
    let opaque = table.opaque.clone();
    let found = |at| Found { is_opaque: opaque.contains(&at), ..Found::new(&dates) };
    let mut columns: Vec<Found> = (0..table.titles.len()).map(found).collect();
    while let Some((text, at)) = table.next_line()? {
        let cells = table.texts_of(&text, at)?;
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.add(&cell, &table, options);
        }
    }
    let names = table.titles.iter().enumerate().map(|(at, title)| match table.has_names {
        true => title.clone(),
        false => (at + 1).to_string(),
    });
    Ok(names.zip(columns).map(|(name, found)| found.column(name)).collect())
}

/// What was found in a column so far.
#[derive(Debug)]
struct Found {
    rows: u64,
    holes: u64,
    /// Hashes of different values: of numbers, or of texts.
    values: HashSet<u64>,
    examples: Vec<String>,
    /// The first text of each value, with its number.
    texts: Vec<(Option<f64>, String)>,
    are_numbers: bool,
    /// Whether all look like dates, of whatever format.
    are_dates: bool,
    /// The usual formats of dates that all of them have.
    dates: Vec<DateFormat>,
    is_opaque: bool,
    /// Whether the numbers are 0, 1, 2, … or 1, 2, 3, … in the order of the lines.
    is_counter: bool,
    last: Option<f64>,
    range: [f64; 2],
    decimals: Option<u32>,
}

impl Found {
    fn new(dates: &[DateFormat]) -> Self {
        Self {
            rows: 0,
            holes: 0,
            values: HashSet::new(),
            examples: vec![],
            texts: vec![],
            are_numbers: true,
            are_dates: true,
            dates: dates.to_vec(),
            is_opaque: false,
            is_counter: true,
            last: None,
            range: [f64::INFINITY, f64::NEG_INFINITY],
            decimals: Some(0),
        }
    }

    fn add(&mut self, cell: &str, table: &OpenTable, options: &ReadOptions) {
        const EXAMPLES: usize = 4;
        self.rows += 1;
        let number = number(cell, table.style.decimal, &options.missing);
        if number.is_some_and(f64::is_nan) {
            self.holes += 1;
            self.is_counter = false;
            return;
        }
        let mut hasher = DefaultHasher::new();
        match number {
            // 7 and 7.0 are one value, and so are 0 and -0.
            Some(number) => (number + 0.0).to_bits().hash(&mut hasher),
            None => cell.hash(&mut hasher),
        }
        let has_room = self.values.len() < Column::MOST_VALUES;
        let is_new = has_room && self.values.insert(hasher.finish());
        if is_new && self.examples.len() < EXAMPLES {
            self.examples.push(shortened(cell));
        }
        if is_new {
            self.texts.push((number, cell.to_owned()));
        } else if !has_room {
            self.texts.clear(); // Nobody takes so many for classes.
        }
        self.are_dates &= is_date(cell);
        self.dates.retain(|format| format.number(cell).is_some());
        let Some(number) = number else {
            self.are_numbers = false;
            return;
        };
        self.range = [self.range[0].min(number), self.range[1].max(number)];
        self.is_counter &= match self.last {
            None => number == 0.0 || number == 1.0,
            Some(last) => number == last + 1.0,
        };
        self.last = Some(number);
        let own = decimals(cell, table.style.decimal);
        self.decimals = self.decimals.zip(own).map(|(most, own)| most.max(own));
    }

    fn column(mut self, name: String) -> Column {
        let are_numbers = self.are_numbers;
        self.texts.sort_by(|(a, a_text), (b, b_text)| match (a, b) {
            (Some(a), Some(b)) if are_numbers => a.total_cmp(b),
            _ => a_text.cmp(b_text),
        });
        let has_numbers = self.are_numbers && !self.values.is_empty() && !self.is_opaque;
        Column {
            name,
            kind: self.kind(),
            rows: self.rows,
            holes: self.holes,
            values: self.values.len(),
            range: has_numbers.then_some(self.range),
            decimals: self.decimals.filter(|_| has_numbers),
            examples: self.examples,
            is_opaque: self.is_opaque,
            date: self.dates.into_iter().next().filter(|_| !self.values.is_empty()),
            texts: self.texts.into_iter().map(|(_, text)| text).collect(),
        }
    }

    fn kind(&self) -> ColumnKind {
        let Self { range: [low, high], .. } = *self;
        let seen = self.rows - self.holes;
        let is_whole = self.decimals == Some(0);
        let repeat = |values: usize| 2 * values as u64 <= seen;
        match self.values.len() {
            _ if self.is_opaque => ColumnKind::PassThrough,
            0 | 1 => ColumnKind::Ignore,
            _ if self.are_numbers && is_whole && self.is_counter => ColumnKind::PassThrough,
            _ if self.are_dates => ColumnKind::PassThrough,
            2 if repeat(2) => ColumnKind::Binary,
            values @ 3..=10 if self.are_numbers && is_whole && repeat(values) => {
                ColumnKind::Ordinal
            }
            _ if self.are_numbers && is_whole && low >= 0.0 => ColumnKind::Count,
            _ if self.are_numbers && low > 0.0 && high / low > 100.0 => ColumnKind::Positive,
            _ if self.are_numbers => ColumnKind::Numeric,
            values if values <= 100 && repeat(values) => ColumnKind::Categorical,
            _ => ColumnKind::PassThrough,
        }
    }
}

/// The digits behind the decimal separator of a number; `None` if it has an exponent.
fn decimals(cell: &str, decimal: Decimal) -> Option<u32> {
    let separator = match decimal {
        Decimal::Point => '.',
        Decimal::Comma => ',',
    };
    if cell.contains(['e', 'E']) {
        return None;
    }
    let digits = cell.split_once(separator).map_or("", |(_, digits)| digits);
    Some(digits.trim_end_matches('0').len() as u32)
}

/// The beginning of a text.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether a text is a date, with or without a time: year, month and day as in ISO 8601.
fn is_date(cell: &str) -> bool {
    let bytes = cell.as_bytes();
    let is_mark = |at: usize| matches!(bytes[at], b'-' | b'/');
    bytes.len() >= 10
        && is_mark(4)
        && is_mark(7)
        && [0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(|at| bytes[at].is_ascii_digit())
        && (bytes.len() == 10 || matches!(bytes[10], b' ' | b'T'))
}

impl OpenTable {
    /// The texts of the cells of a line.
    fn texts_of(&self, line: &[u8], at: u64) -> Result<Vec<String>, DataError> {
        let (text, cells) = self.cells_of(line, at)?;
        Ok(cells.into_iter().map(|cell| cell_text(&text[cell]).into_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str, options: &ReadOptions) -> Vec<Column> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        table_columns(&path, options).unwrap()
    }

    #[test]
    fn kinds_are_those_of_the_cells() {
        let head = "index,height,income,visits,smoker,grade,town,note,born,nothing,same\n";
        let line = |at: usize| {
            let hole = if at % 7 == 3 { "" } else { "x" };
            let or_hole = |text: String| if hole.is_empty() { String::new() } else { text };
            [
                at.to_string(),
                or_hole(format!("{:.2}", -1.5 + at as f64 / 10.0)),
                format!("{:.1}", 0.5 * 1.5f64.powi(at as i32)),
                (at * 3 % 40).to_string(),
                ["no", "yes"][at % 2].to_owned(),
                (at % 5 - usize::from(at % 5 == 9)).to_string(),
                ["Ulm", "Bonn", "Trier"][at % 3].to_owned(),
                format!("note {at}"),
                format!("2020-01-{:02}", at + 1),
                "NA".to_owned(),
                "7".to_owned(),
            ]
            .join(",")
        };
        let lines: Vec<String> = (0..28).map(line).collect();
        let found = columns(&(head.to_owned() + &lines.join("\n")), &ReadOptions::default());
        use ColumnKind as K;
        let expected = [
            K::PassThrough,
            K::Numeric,
            K::Positive,
            K::Count,
            K::Binary,
            K::Ordinal,
            K::Categorical,
            K::PassThrough,
            K::PassThrough,
            K::Ignore,
            K::Ignore,
        ];
        for (column, kind) in found.iter().zip(expected) {
            assert_eq!(column.kind, kind, "{column:?}");
        }
        assert_eq!((found[1].holes, found[1].rows, found[1].decimals), (4, 28, Some(1)));
        assert_eq!(found[1].range, Some([-1.5, 1.2]));
        assert_eq!((found[9].holes, found[9].values, found[9].range), (28, 0, None));
        assert_eq!(found[6].examples, ["Ulm", "Bonn", "Trier"]);
    }

    #[test]
    fn decimals_are_those_that_are_needed() {
        // Whole numbers with holes, as pandas writes them, and numbers that are no line's.
        let found = columns(
            "a,b\n1.0,2001\n,2002\n2.0,2003\n1.0,2004\n2.00,2005\n",
            &ReadOptions::default(),
        );
        assert_eq!(
            (found[0].kind, found[0].values, found[0].decimals),
            (ColumnKind::Binary, 2, Some(0))
        );
        assert_eq!(found[1].kind, ColumnKind::Count);
        let comma = ReadOptions { decimal: Decimal::Comma, ..ReadOptions::default() };
        let found = columns("a;b\n1,5;x\n2,25;y\n", &comma);
        assert_eq!((found[0].decimals, found[0].range), (Some(2), Some([1.5, 2.25])));
        let options = ReadOptions { no_header: true, ..ReadOptions::default() };
        let found = columns("1,2\n3,4\n5,7\n", &options);
        assert_eq!((found[1].name.as_str(), found[1].rows), ("2", 3));
    }
}
