//! CSV tables of numbers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::beside::{Beside, write_at};
use crate::{DataError, Rows};

/// The texts of a missing cell, in any case.
const MISSING: [&str; 6] = ["", "na", "nan", "null", "none", "?"];

/// Opens a CSV file of numbers, with the column names in its first line if `header`; a missing cell is NaN.
/// If `columns` are given, only those are read, in that order; other columns may contain text.
///
/// An error names the line and the column of a cell that is not a number, a line whose number of cells
/// differs from the first line's, or a missing column.
pub fn read_table_rows(
    path: &Path,
    header: bool,
    columns: Option<&[String]>,
) -> Result<Rows, DataError> {
    let file = File::open(path).map_err(|source| DataError::Io { path: path.into(), source })?;
    let mut reader =
        csv::ReaderBuilder::new().has_headers(header).trim(csv::Trim::All).from_reader(file);
    let bad = {
        let path = PathBuf::from(path);
        move |error: csv::Error| DataError::File { path: path.clone(), reason: error.to_string() }
    };
    let (count, names) = if header {
        let names = reader.headers().map_err(&bad)?.clone();
        let names: Vec<String> = names.iter().map(str::to_owned).collect();
        if !names.is_empty() && names.iter().all(|name| name.parse::<f64>().is_ok()) {
            let reason = "its first line has numbers and not names of columns: say so by `data.header = \
                          false`, or --no-header";
            return Err(DataError::File { path: path.into(), reason: reason.to_owned() });
        }
        (names.len(), Some(names))
    } else {
        let mut first = csv::StringRecord::new();
        let position = reader.position().clone();
        reader.read_record(&mut first).map_err(&bad)?;
        let count = first.len();
        reader.seek(position).map_err(&bad)?;
        (count, None)
    };
    if count == 0 {
        let reason = "it is empty".to_owned();
        return Err(DataError::File { path: path.into(), reason });
    }
    let places = places(path, columns, names.as_deref(), count)?;
    let names = names.map(|names| places.iter().map(|&at| names[at].clone()).collect::<Vec<_>>());
    let (path, column_names, width) = (PathBuf::from(path), names.clone(), places.len());
    let mut records = reader.into_records();
    let mut failed = false;
    let rows = std::iter::from_fn(move || {
        let record = records.next().filter(|_| !failed)?;
        let row = record.map_err(&bad).and_then(|record| {
            let cell = |(at, &place): (usize, &usize)| {
                number(&record[place]).ok_or_else(|| DataError::Cell {
                    path: path.clone(),
                    line: record.position().map_or(0, csv::Position::line),
                    column: match &column_names {
                        Some(names) => names[at].clone(),
                        None => (place + 1).to_string(),
                    },
                    cell: record[place].to_owned(),
                })
            };
            places.iter().enumerate().map(cell).collect::<Result<Vec<f32>, _>>()
        });
        failed = row.is_err();
        Some(row)
    });
    Ok(Rows { event: vec![width], names, bytes: false, count: None, rows: Box::new(rows) })
}

/// The positions of the requested columns.
fn places(
    path: &Path,
    wanted: Option<&[String]>,
    names: Option<&[String]>,
    count: usize,
) -> Result<Vec<usize>, DataError> {
    let bad = |reason| DataError::File { path: path.into(), reason };
    match (wanted, names) {
        (None, _) => Ok((0..count).collect()),
        (Some(_), None) => Err(bad("columns are chosen by name, but it has no names".to_owned())),
        (Some([]), _) => Err(bad("one column at least must be chosen".to_owned())),
        (Some(wanted), _) if (1..wanted.len()).any(|at| wanted[..at].contains(&wanted[at])) => {
            Err(bad("a column is chosen twice".to_owned()))
        }
        (Some(wanted), Some(names)) => wanted
            .iter()
            .map(|column| {
                names.iter().position(|name| name == column).ok_or_else(|| {
                    bad(format!("it has no column `{column}`, but {}", names.join(", ")))
                })
            })
            .collect(),
    }
}

fn number(cell: &str) -> Option<f32> {
    if MISSING.iter().any(|missing| cell.eq_ignore_ascii_case(missing)) {
        return Some(f32::NAN);
    }
    cell.parse().ok().filter(|value: &f32| value.is_finite())
}

/// Writes rows to a CSV file one by one. The file is written under a temporary name and renamed when it is
/// finished.
#[derive(Debug)]
pub struct TableWriter {
    place: Beside,
    writer: csv::Writer<BufWriter<File>>,
}

impl TableWriter {
    /// Creates a file with these names, if any, in its first line.
    pub fn create(path: &Path, names: Option<&[String]>) -> Result<Self, DataError> {
        let (place, file) = Beside::create(path)?;
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        if let Some(names) = names {
            writer.write_record(names).map_err(|error| write_at(path)(error.into()))?;
        }
        Ok(Self { place, writer })
    }

    /// Appends a row; NaN becomes an empty cell.
    pub fn write(&mut self, row: &[f32]) -> Result<(), DataError> {
        let cells = row.iter().map(|value| match value.is_nan() {
            true => String::new(),
            false => value.to_string(),
        });
        self.writer.write_record(cells).map_err(|error| write_at(self.place.path())(error.into()))
    }

    /// Moves the file to its final name.
    pub fn finish(self) -> Result<(), DataError> {
        let path = self.place.path().to_owned();
        let failed = write_at(&path);
        let mut inner = self.writer.into_inner().map_err(|error| failed(error.into_error()))?;
        inner.flush().and_then(|()| self.place.finish()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, header: bool) -> Result<(Vec<usize>, Vec<Vec<f32>>), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tafel ü.csv");
        std::fs::write(&path, text).unwrap();
        let rows = read_table_rows(&path, header, None).map_err(|error| error.to_string())?;
        let event = rows.event.clone();
        let rows: Result<Vec<_>, _> = rows.collect();
        rows.map(|rows| (event, rows)).map_err(|error| error.to_string())
    }

    #[test]
    fn missing_cells_are_nan_however_they_are_spelt() {
        let (event, rows) = read("a,b,c\n1, 2.5 ,-3e1\n,NA,NaN\nnull,?,4\n", true).unwrap();
        assert_eq!((event, &rows[0][..]), (vec![3], &[1.0, 2.5, -30.0][..]));
        assert!(rows[1].iter().all(|cell| cell.is_nan()));
        assert!(rows[2][0].is_nan() && rows[2][1].is_nan() && rows[2][2] == 4.0);
        assert_eq!(read("1,2\n3,4\n", false).unwrap().1, [[1.0, 2.0], [3.0, 4.0]]);
    }

    #[test]
    fn what_is_no_number_is_named_by_line_and_column() {
        let error = read("age,size\n1,2\n3,tall\n", true).unwrap_err();
        assert!(error.contains("tafel ü.csv, line 3: column `size` holds `tall`"), "{error}");
        let error = read("1,x\n", false).unwrap_err();
        assert!(error.contains("line 1: column `2` holds `x`"), "{error}");
        assert!(read("a\ninf\n", true).unwrap_err().contains("holds `inf`"));
        let ragged = read("a,b\n1,2\n3\n", true).unwrap_err();
        assert!(
            ragged.contains("tafel ü.csv cannot be used") && ragged.contains("line: 3"),
            "{ragged}"
        );
        assert!(read("", true).unwrap_err().contains("it is empty"));
        assert!(read("1,2\n3,4\n", true).unwrap_err().contains("numbers and not names"));
    }

    #[test]
    fn columns_are_chosen_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "kind,a,b\nduck,1,2\ngoose,3,\n").unwrap();
        let read = |columns: &[&str], header| {
            let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
            read_table_rows(&path, header, Some(&columns)).map_err(|error| error.to_string())
        };
        let rows = read(&["b", "a"], true).unwrap();
        assert_eq!(
            (&rows.event[..], rows.names.as_ref().unwrap().join(" ")),
            (&[2][..], "b a".into())
        );
        assert_eq!(rows.map(Result::unwrap).next().unwrap(), [2.0, 1.0]);
        assert!(read(&["c"], true).unwrap_err().contains("no column `c`, but kind, a, b"));
        assert!(read(&["a", "a"], true).unwrap_err().contains("chosen twice"));
        assert!(read(&["a"], false).unwrap_err().contains("it has no names"));
        let error = read(&["a", "kind"], true).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("line 2: column `kind` holds `duck`"), "{error}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let names = ["a, b".to_owned(), "c".to_owned()];
        let mut writer = TableWriter::create(&path, Some(&names)).unwrap();
        writer.write(&[0.1, f32::NAN]).unwrap();
        writer.finish().unwrap();
        let rows = read_table_rows(&path, true, None).unwrap();
        assert_eq!(rows.names.as_deref(), Some(&names[..]));
        let row = rows.map(Result::unwrap).next().unwrap();
        assert!(row[0] == 0.1 && row[1].is_nan());
    }
}
