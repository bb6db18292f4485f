//! Tables of numbers: CSV and its kin.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dvae_checks::{listed, shown};

#[cfg(feature = "parquet")]
use crate::Decimal;
use crate::cells::{Cell, Cells};
use crate::format::{Layout, TableLayout, TableStyle};
use crate::kind::is_parquet;
use crate::rows::{Extra, Line};
use crate::table_text::{Lines, cell_text, cells, find_delimiter};
use crate::{DataError, Domain, Element, Format, Numbers, ReadOptions, Row, Rows, TableColumn};

/// Opens a table of numbers; a missing cell is NaN. Columns that are not read may contain text.
///
/// An error names the line and the column of a cell that is not a number, a line whose number of cells differs from
/// the first line's, a missing column, or two columns of one name.
pub(crate) fn read_table_rows(path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
    let mut open = open_table(path, options)?;
    let names = open.has_names.then_some(&open.titles[..]);
    let kinds = options.kinds.as_deref();
    let names_of =
        |columns: &[TableColumn]| columns.iter().map(|column| column.name.clone()).collect();
    let wanted = kinds.map(names_of).or_else(|| options.columns.clone());
    let places = places(path, wanted.as_deref(), names, open.titles.len())?;
    let of_kinds = kinds.map(|kinds| kinds.iter().map(TableColumn::cells).collect());
    let cells: Arc<[Cells]> = of_kinds.unwrap_or_else(|| vec![Cells::Numbers; places.len()]).into();
    let read = names.map(|names| places.iter().map(|&at| names[at].clone()).collect::<Vec<_>>());
    let (header, style) = (open.header.take(), open.style);
    let titles = if open.has_names { open.titles.clone() } else { vec![] };
    let table = Table {
        open,
        names: read.clone(),
        places: places.clone(),
        cells: cells.clone(),
        missing: options.missing.clone(),
        domain: options.domain.unwrap_or(Domain::Real),
    };
    let missing = options.missing.clone();
    let layout = TableLayout {
        header,
        titles,
        places: places.clone(),
        style,
        missing,
        #[cfg(feature = "parquet")]
        parquet: is_parquet(path).then(|| path.to_path_buf()),
    };
    let layout = Layout::Table(Arc::new(layout));
    let format = Format::new(&[places.len()], Element::F64, table.domain).named(read);
    let format = Format { cells, layout, ..format };
    let mut table = table;
    let rows = std::iter::from_fn(move || {
        let line = table.open.next_line();
        line.and_then(|line| line.map(|(text, at)| table.row(text, at)).transpose()).transpose()
    });
    Ok(Rows::new(format, None, rows))
}

/// The places of columns of these names in the lines of a table, whether they are read or not; an error names one that is not there.
pub(crate) fn places_in_lines(
    path: &Path,
    format: &Format,
    names: &[String],
) -> Result<Vec<usize>, DataError> {
    match &format.layout {
        Layout::Table(table) if !table.titles.is_empty() => {
            places(path, Some(names), Some(&table.titles), table.titles.len())
        }
        _ => Err(bad(path, "it is no table whose columns have names".to_owned())),
    }
}

/// A table whose first line was read.
pub(crate) struct OpenTable {
    path: PathBuf,
    lines: TableLines,
    pub(crate) style: TableStyle,
    /// Whether the first line has the names of columns.
    pub(crate) has_names: bool,
    /// The cells of the first line.
    pub(crate) titles: Vec<String>,
    /// The first line as it stands, if it has names.
    header: Option<Vec<u8>>,
    /// The first line and its number, if it has none.
    waiting: Option<(Vec<u8>, u64)>,
    /// The places of columns that hold neither numbers nor texts: they pass through.
    pub(crate) opaque: Vec<usize>,
    /// Whether the last column has no name, and no cells if all lines end in a delimiter.
    open_ended: bool,
}

/// The lines of a table, as texts.
enum TableLines {
    Text(Lines<BufReader<File>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<crate::parquet::ParquetLines>),
}

pub(crate) fn open_table(path: &Path, options: &ReadOptions) -> Result<OpenTable, DataError> {
    if is_parquet(path) {
        return open_parquet(path, options);
    }
    let io = |source| DataError::Io { path: path.into(), source };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let style = style(path, reader.fill_buf().map_err(io)?, options)?;
    let mut lines = Lines::new(reader, style.delimiter);
    let Some((text, number)) = lines.read().map_err(io)? else {
        return Err(bad(path, "it is empty".to_owned()));
    };
    let first = Line {
        cells: cells(&text, style.delimiter),
        text,
        unseen: vec![],
        erased: vec![],
        appended: vec![],
    };
    let titles = texts(&first, number, path)?;
    let has_names = !options.no_header;
    let open_ended = has_names && titles.last().is_some_and(String::is_empty);
    let (header, waiting) = match has_names {
        true => (Some(first.text), None),
        false => (None, Some((first.text, number))),
    };
    let path = path.into();
    let lines = TableLines::Text(lines);
    let opaque = vec![];
    Ok(OpenTable { path, lines, style, has_names, titles, header, waiting, opaque, open_ended })
}

#[cfg(feature = "parquet")]
fn open_parquet(path: &Path, options: &ReadOptions) -> Result<OpenTable, DataError> {
    if options.no_header {
        let reason =
            "a Parquet file has names of its columns: leave `data.header` and --no-header out";
        return Err(bad(path, reason.to_owned()));
    }
    let (lines, titles, header, opaque) = crate::parquet::ParquetLines::open(path)?;
    Ok(OpenTable {
        path: path.into(),
        lines: TableLines::Parquet(Box::new(lines)),
        style: TableStyle { delimiter: b',', decimal: Decimal::Point },
        has_names: true,
        titles,
        header: Some(header),
        waiting: None,
        open_ended: false,
        opaque,
    })
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(path: &Path, _options: &ReadOptions) -> Result<OpenTable, DataError> {
    Err(bad(path, crate::kind::NO_PARQUET.to_owned()))
}

/// What is said of a table whose first line has no names.
const NUMBERS: &str = "its first line has numbers and not names of columns: say so by `data.header = false`, or --no-header";

/// Whether all names of columns that have one are numbers.
fn are_numbers(names: &[String]) -> bool {
    names.iter().all(|name| name.is_empty() || name.parse::<f64>().is_ok())
}

impl OpenTable {
    /// An error if the first line has numbers in place of names.
    pub(crate) fn check_names(&self) -> Result<(), DataError> {
        if self.has_names && are_numbers(&self.titles) && !is_parquet(&self.path) {
            return Err(bad(&self.path, NUMBERS.to_owned()));
        }
        Ok(())
    }

    /// The place of the column of this name; an error says which there are.
    pub(crate) fn place_of(&self, name: &str) -> Result<usize, DataError> {
        let names = self.has_names.then_some(&self.titles[..]);
        let found = places(&self.path, Some(&[name.to_owned()]), names, self.titles.len())?;
        Ok(found[0])
    }

    /// The first line as it stands, if it has names; afterwards it is gone.
    pub(crate) fn take_header(&mut self) -> Option<Vec<u8>> {
        self.header.take()
    }

    /// The next line with its ending, and its number from 1; `None` at the end.
    pub(crate) fn next_line(&mut self) -> Result<Option<(Vec<u8>, u64)>, DataError> {
        let io = |source| DataError::Io { path: self.path.clone(), source };
        match self.waiting.take() {
            Some(line) => Ok(Some(line)),
            None => match &mut self.lines {
                TableLines::Text(lines) => lines.read().map_err(io),
                #[cfg(feature = "parquet")]
                TableLines::Parquet(lines) => lines.read(),
            },
        }
    }

    /// The text of a line, and where its cells are in it, one for each column.
    pub(crate) fn cells_of<'a>(
        &self,
        line: &'a [u8],
        at: u64,
    ) -> Result<(&'a str, Vec<Range<usize>>), DataError> {
        let (line, columns) = (utf8(line, at, &self.path)?, self.titles.len());
        let mut cells = cells(line.as_bytes(), self.style.delimiter);
        let found = cells.len();
        if found == columns + 1 && line[cells[columns].clone()].trim().is_empty() {
            cells.pop(); // The line ends in a delimiter.
        }
        if self.open_ended && cells.len() + 1 == columns {
            let end = cells.last().map_or(0, |cell| cell.end);
            cells.push(end..end);
        }
        if cells.len() != columns {
            let reason = format!("line {at} has {found} cells, but the first line has {columns}");
            return Err(bad(&self.path, reason));
        }
        Ok((line, cells))
    }
}

fn bad(path: &Path, reason: String) -> DataError {
    DataError::File { path: path.into(), reason }
}

/// The marks of a table that begins like this.
fn style(path: &Path, start: &[u8], options: &ReadOptions) -> Result<TableStyle, DataError> {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") || start.contains(&0) {
        return Err(bad(path, "it is UTF-16 or no text at all: save it as UTF-8".to_owned()));
    }
    let delimiter = match options.delimiter {
        Some(delimiter) if delimiter.is_ascii() && !"\r\n\"".contains(delimiter) => delimiter as u8,
        Some(delimiter) => {
            let reason =
                format!("cells cannot be separated by {delimiter:?}: use a comma, for example");
            return Err(bad(path, reason));
        }
        None if path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("tsv")) => b'\t',
        None => find_delimiter(&String::from_utf8_lossy(start), options.decimal),
    };
    Ok(TableStyle { delimiter, decimal: options.decimal })
}

/// The texts of the cells of a line.
fn texts(line: &Line, number: u64, path: &Path) -> Result<Vec<String>, DataError> {
    utf8(&line.text, number, path)?;
    let text = |cell: &Range<usize>| {
        let cell = std::str::from_utf8(&line.text[cell.clone()]).unwrap_or_default();
        cell_text(cell).into_owned()
    };
    Ok(line.cells.iter().map(text).collect())
}

fn utf8<'a>(line: &'a [u8], number: u64, path: &Path) -> Result<&'a str, DataError> {
    std::str::from_utf8(line).map_err(|error| {
        let byte = line[error.valid_up_to()];
        let reason = format!("line {number} is not UTF-8 (byte {byte:#04x}): save it as UTF-8");
        bad(path, reason)
    })
}

/// The places of the columns that are read.
fn places(
    path: &Path,
    wanted: Option<&[String]>,
    names: Option<&[String]>,
    count: usize,
) -> Result<Vec<usize>, DataError> {
    let bad = |reason| Err(bad(path, reason));
    let mut known: HashMap<&str, (usize, usize)> = HashMap::new();
    for (at, name) in names.unwrap_or_default().iter().enumerate() {
        known.entry(name).and_modify(|(_, count)| *count += 1).or_insert((at, 1));
    }
    let once = |column: &String, names: &[String]| match known.get(&**column) {
        Some((at, 1)) => Ok(*at),
        None => Err(format!("it has no column `{}`, but {}", shown(column), listed(names))),
        _ => {
            Err(format!("it has several columns `{}`: give each a name of its own", shown(column)))
        }
    };
    let mut chosen = HashSet::new();
    match (wanted, names) {
        (None, None) => Ok((0..count).collect()),
        (Some(_), None) => bad("columns are chosen by name, but it has no names".to_owned()),
        (Some([]), _) => bad("one column at least must be chosen".to_owned()),
        (Some(wanted), _) if !wanted.iter().all(|column| chosen.insert(column)) => {
            bad("a column is chosen twice".to_owned())
        }
        (Some(wanted), Some(names)) => {
            let found = wanted.iter().map(|column| once(column, names));
            found.collect::<Result<_, _>>().or_else(bad)
        }
        (None, Some(names)) => {
            // A column without a name is an index, or what follows the last delimiter.
            let named = (0..count).filter(|&at| !names[at].is_empty());
            let places: Vec<usize> = named.collect();
            if are_numbers(names) && !is_parquet(path) {
                return bad(NUMBERS.to_owned());
            }
            let checked = places.into_iter().map(|at| once(&names[at], names));
            checked.collect::<Result<_, _>>().or_else(bad)
        }
    }
}

/// A table, and what is read of it.
struct Table {
    open: OpenTable,
    names: Option<Vec<String>>,
    places: Vec<usize>,
    /// Of each column that is read.
    cells: Arc<[Cells]>,
    missing: Vec<String>,
    domain: Domain,
}

impl Table {
    fn row(&self, text: Vec<u8>, at: u64) -> Result<Row, DataError> {
        let (whole, cells) = self.open.cells_of(&text, at)?;
        let mut values = Vec::with_capacity(self.places.len());
        let (decimal, missing) = (self.open.style.decimal, &self.missing[..]);
        let mut unseen = vec![];
        for (column, &place) in self.places.iter().enumerate() {
            let cell = cell_text(&whole[cells[place].clone()]);
            values.push(match self.cells[column].read(&cell, decimal, missing) {
                Cell::Value(value) => value,
                Cell::Missing => f64::NAN,
                Cell::Unseen => {
                    unseen.push(column);
                    f64::NAN
                }
                Cell::Wrong => return Err(self.wrong(column, &cell, at)),
            });
        }
        let numbers = Numbers::from(&values[..]);
        Ok(Row {
            numbers,
            domain: self.domain,
            extra: Extra::Line(Line { text, cells, unseen, erased: vec![], appended: vec![] }),
        })
    }

    /// The error of a cell that is not what the column holds.
    fn wrong(&self, column: usize, cell: &str, line: u64) -> DataError {
        let (path, cell) = (self.open.path.clone(), cell.to_owned());
        let name = match &self.names {
            Some(names) => names[column].clone(),
            None => (self.places[column] + 1).to_string(),
        };
        match &self.cells[column] {
            Cells::Dates(format) => {
                DataError::Date { path, line, column: name, cell, format: Box::new(format.clone()) }
            }
            _ => DataError::Cell { path, line, column: name, cell },
        }
    }
}
