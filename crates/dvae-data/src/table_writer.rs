//! A writer of tables.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::beside::{Beside, write_at};
use crate::cells::{Cell, Cells};
use crate::format::{Layout, TableLayout, TableStyle};
use crate::rows::{Extra, Line};
use crate::table_text::{cell_text, cells, quoted};
use crate::{DataError, Decimal, Format, FurtherColumn, Row};

/// Writes rows to a table one by one. The file is written under a temporary name and renamed when it is finished.
///
/// A row that was read from a table is written as its line stands there, except for the cells whose numbers have
/// changed.
#[derive(Debug)]
pub(crate) struct TableWriter {
    place: Beside,
    file: BufWriter<File>,
    layout: Option<Arc<TableLayout>>,
    style: TableStyle,
    /// What the cells of each column are.
    cells: Arc<[Cells]>,
    /// What the cells of the columns are that follow those of the file.
    appended: Vec<Cells>,
}

impl TableWriter {
    /// Creates a file with the format's names, if it has any, in its first line.
    pub(crate) fn create(path: &Path, format: &Format) -> Result<Self, DataError> {
        let (place, file) = Beside::create(path)?;
        let is_tabs = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("tsv"));
        let by_name = |decimal| match (is_tabs, decimal) {
            (true, _) => b'\t',
            (false, Decimal::Point) => b',',
            (false, Decimal::Comma) => b';',
        };
        let (style, layout, labels) = match &format.layout {
            Layout::Table(table) => (table.style, Some(table.clone()), &[][..]),
            Layout::New { labels, delimiter, decimal } => {
                let delimiter = delimiter.unwrap_or_else(|| by_name(*decimal));
                (TableStyle { delimiter, decimal: *decimal }, None, &labels[..])
            }
            _ => (
                TableStyle { delimiter: by_name(Decimal::Point), decimal: Decimal::Point },
                None,
                &[][..],
            ),
        };
        let (file, cells) = (BufWriter::new(file), format.cells.clone());
        let of_further = |column: &FurtherColumn| {
            column.values_of.and_then(|at| cells.get(at)).cloned().unwrap_or_default()
        };
        let appended = format.appended.iter().map(of_further).collect();
        let mut writer = Self { place, file, layout, style, cells, appended };
        let header = writer.layout.as_ref().map(|table| table.header.clone());
        let written = match (header, &format.names) {
            (Some(Some(header)), _) => {
                let (text, ending) = without_ending(&header);
                let names = format.appended.iter().map(|column| &*column.name);
                writer.append(text, names).and_then(|()| writer.file.write_all(ending))
            }
            (None, Some(names)) => {
                writer.write_cells(labels.iter().chain(names).map(String::as_str))
            }
            _ => Ok(()),
        };
        written.map_err(write_at(path))?;
        Ok(writer)
    }

    /// Appends a row; NaN becomes an empty cell.
    pub(crate) fn write(&mut self, row: &Row) -> Result<(), DataError> {
        let values = row.numbers.values(row.domain);
        let written = match (&row.extra, self.layout.clone()) {
            (Extra::Line(line), Some(layout)) => self.line(line, &layout, &values),
            (extra, _) => {
                let labels = if let Extra::Labels(labels) = extra { &labels[..] } else { &[] };
                let numbers = values.iter().enumerate().map(|(at, &value)| self.text(at, value));
                let cells: Vec<String> = labels.iter().cloned().chain(numbers).collect();
                self.write_cells(cells.iter().map(String::as_str))
            }
        };
        written.map_err(write_at(self.place.path()))
    }

    fn write_cells<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let delimiter = char::from(self.style.delimiter).to_string();
        let cells: Vec<_> = cells.map(|cell| quoted(cell, self.style.delimiter)).collect();
        writeln!(self.file, "{}", cells.join(&delimiter))
    }

    /// The text of a value of a column.
    fn text(&self, column: usize, value: f64) -> String {
        self.cells.get(column).unwrap_or(&Cells::Numbers).text(value, self.style.decimal)
    }

    /// A line with other values in some of its cells.
    fn line(&mut self, line: &Line, layout: &TableLayout, values: &[f64]) -> io::Result<()> {
        let mut from = 0;
        for (place, column, value) in changed_cells(line, layout, &self.cells, values) {
            let cell = line.cells[place].clone();
            self.file.write_all(&line.text[from..cell.start])?;
            let text = self.text(column, value);
            self.file.write_all(quoted(&text, self.style.delimiter).as_bytes())?;
            from = cell.end;
        }
        if self.appended.is_empty() {
            return self.file.write_all(&line.text[from..]);
        }
        // A line may end in a delimiter or not, but further cells stand under their names.
        let end = line.cells.last().map_or(0, |cell| cell.end);
        let missing = line.cells.len() - cells(&line.text[..end], self.style.delimiter).len();
        let decimal = self.style.decimal;
        let values = line.appended.iter().copied().chain(std::iter::repeat(f64::NAN));
        let cells = self.appended.iter().zip(values).map(|(of, value)| of.text(value, decimal));
        let further: Vec<String> =
            std::iter::repeat_n(String::new(), missing).chain(cells).collect();
        self.append(&line.text[from..end], further.iter().map(String::as_str))?;
        self.file.write_all(without_ending(&line.text).1)
    }

    /// Writes a text, and further cells after it.
    fn append<'a>(&mut self, text: &[u8], cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
        self.file.write_all(text)?;
        for cell in cells {
            self.file.write_all(&[self.style.delimiter])?;
            self.file.write_all(quoted(cell, self.style.delimiter).as_bytes())?;
        }
        Ok(())
    }

    /// Moves the file to its final name.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        let path = self.place.path().to_owned();
        self.file.flush().and_then(|()| self.place.finish()).map_err(write_at(&path))
    }
}

/// The cells of a line that do not hold the values that they are given, in the order of the line: the place of each, its column
/// among those that are read, and its value.
pub(crate) fn changed_cells(
    line: &Line,
    layout: &TableLayout,
    cells: &[Cells],
    values: &[f64],
) -> Vec<(usize, usize, f64)> {
    let columns = layout.places.iter().copied().zip(values.iter().copied()).enumerate();
    let mut changed: Vec<(usize, usize, f64)> = columns
        .map(|(column, (place, value))| (place, column, value))
        .filter(|&(place, column, value)| {
            let cells = cells.get(column).unwrap_or(&Cells::Numbers);
            !holds(line, layout, cells, (place, column), value)
        })
        .collect();
    changed.sort_by_key(|&(place, ..)| place);
    changed
}

/// Whether a cell already holds this value, or is to stay whatever it holds: one that is missing stays as it is written if
/// there is no value for it, and so does a class that is not known. So does any other without a value, unless it was erased.
fn holds(
    line: &Line,
    layout: &TableLayout,
    cells: &Cells,
    (place, column): (usize, usize),
    value: f64,
) -> bool {
    let text = std::str::from_utf8(&line.text[line.cells[place].clone()]).unwrap_or_default();
    let old = match cells.read(&cell_text(text), layout.style.decimal, &layout.missing) {
        Cell::Missing | Cell::Wrong => None,
        Cell::Value(value) => Some(value),
        Cell::Unseen => return true,
    };
    match (old, value.is_nan()) {
        (None, is_missing) => is_missing,
        (Some(_), true) => !line.erased.contains(&column),
        (Some(old), false) => cells.are_one(old, value),
    }
}

/// A line and its ending, empty lines included.
fn without_ending(line: &[u8]) -> (&[u8], &[u8]) {
    let ending = line.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    line.split_at(line.len() - ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, read_rows};

    /// What is written of a table after some values have changed.
    fn changed(
        name: &str,
        text: &[u8],
        options: &ReadOptions,
        change: impl Fn(usize) -> Option<f64>,
    ) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join(name), folder.path().join(format!("out-{name}")));
        std::fs::write(&from, text).unwrap();
        let rows = read_rows(&from, options).unwrap();
        let mut writer = TableWriter::create(&to, &rows.format).unwrap();
        for row in rows {
            let mut row = row.unwrap();
            row.replace(&change);
            writer.write(&row).unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(std::fs::read(to).unwrap()).unwrap()
    }

    const TABLE: &str = "\u{feff},name,when,a,b,\r\n0,\"Ann \"\"A\"\"\",2020-01-01, 1.50 ,NA,\r\n\r\n1,Bo,,1e3,-0,\r\n";

    #[test]
    fn a_table_that_nobody_changes_comes_back_byte_for_byte() {
        let options =
            ReadOptions { columns: Some(vec!["b".into(), "a".into()]), ..ReadOptions::default() };
        assert_eq!(changed("a.csv", TABLE.as_bytes(), &options, |_| None), TABLE);
        for (name, text) in [("t.tsv", "x\ty\r1\t2\r"), ("s.csv", "x;y\n1,5;\n"), ("e.csv", "x\n1")]
        {
            let decimal = if name == "s.csv" { Decimal::Comma } else { Decimal::Point };
            let options = ReadOptions { decimal, ..ReadOptions::default() };
            assert_eq!(changed(name, text.as_bytes(), &options, |_| None), text);
        }
    }

    #[test]
    fn only_the_cells_that_change_are_written_anew() {
        let options =
            ReadOptions { columns: Some(vec!["b".into(), "a".into()]), ..ReadOptions::default() };
        let text = changed("a.csv", TABLE.as_bytes(), &options, |at| (at == 0).then_some(0.25));
        assert_eq!(text, TABLE.replace("NA", "0.25").replace(",-0,", ",0.25,"));
        let comma = ReadOptions { decimal: Decimal::Comma, ..ReadOptions::default() };
        assert_eq!(changed("s.csv", b"x;y\n1,5;\n", &comma, |_| Some(0.5)), "x;y\n0,5;0,5\n");
        let own = ReadOptions { missing: vec!["-999".into()], ..ReadOptions::default() };
        assert_eq!(
            changed("m.csv", b"x,y\n-999,1\n", &own, |at| (at == 1).then_some(2.0)),
            "x,y\n-999,2\n"
        );
    }

    fn further(name: &str) -> FurtherColumn {
        FurtherColumn { name: name.to_owned(), values_of: None }
    }

    #[test]
    fn further_columns_stand_at_the_end_of_each_line() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        std::fs::write(&from, "x;note\r\n1;a\r\n\r\nNA;b").unwrap();
        let options = ReadOptions {
            columns: Some(vec!["x".into()]),
            decimal: Decimal::Comma,
            ..ReadOptions::default()
        };
        let rows = read_rows(&from, &options).unwrap();
        let format = rows.format.clone().with_columns(["low", "x;high"].map(further).into());
        let mut writer = TableWriter::create(&to, &format).unwrap();
        for row in rows {
            let row = row.unwrap();
            let is_hole = row.values()[0].is_nan();
            let row = row.with_values(&format, &[2.5]);
            writer.write(&if is_hole { row.appended(vec![1.5, f64::NAN]) } else { row }).unwrap();
        }
        writer.finish().unwrap();
        let text = std::fs::read_to_string(to).unwrap();
        assert_eq!(text, "x;note;low;\"x;high\"\r\n2,5;a;;\r\n\r\n2,5;b;1,5;");
        // Lines that end in a delimiter, or do not although the first one does.
        for (text, expected) in [
            ("x,y\n1,2,\n,4, \n", "x,y,low\n1,2,\n7,4,9\n"),
            ("x,y,\n1,2\n,4,\n", "x,y,,low\n1,2,,\n7,4,,9\n"),
        ] {
            std::fs::write(&from, text).unwrap();
            let options = ReadOptions { columns: Some(vec!["x".into()]), ..ReadOptions::default() };
            let rows = read_rows(&from, &options).unwrap();
            let format = rows.format.clone().with_columns(["low"].map(further).into());
            let to = folder.path().join("c.csv");
            let mut writer = TableWriter::create(&to, &format).unwrap();
            for row in rows {
                let row = row.unwrap();
                let is_hole = row.values()[0].is_nan();
                let row = row.with_values(&format, &[if is_hole { 7.0 } else { 1.0 }]);
                writer.write(&if is_hole { row.appended(vec![9.0]) } else { row }).unwrap();
            }
            writer.finish().unwrap();
            assert_eq!(std::fs::read_to_string(to).unwrap(), expected);
        }
    }

    // Of columns of classes, a class that is not known stays, and one that is the same number stays as it is written.
    #[test]
    fn classes_are_read_as_numbers_and_written_as_texts() {
        let column = |name: &str, classes: &[&str]| crate::TableColumn {
            name: name.to_owned(),
            kind: if classes.is_empty() {
                crate::ColumnKind::Numeric
            } else {
                crate::ColumnKind::Categorical
            },
            decimals: None,
            is_nonnegative: false,
            date: None,
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
        };
        let columns = vec![
            column("size", &[]),
            column("town", &["Bonn", "a, b"]),
            column("flag", &["0", "1"]),
        ];
        let options = ReadOptions { kinds: Some(columns.clone()), ..ReadOptions::default() };
        let text = "flag,note,town,size\n1.0,x,\"a, b\",2\nNA,y, Bonn ,\n0,z,Köln,3\n";
        assert_eq!(changed("t.csv", text.as_bytes(), &options, |_| None), text);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let rows = read_rows(&path, &options).unwrap();
        let format = rows.format.clone();
        let rows: Vec<Row> = rows.map(Result::unwrap).collect();
        assert_eq!(rows[0].values(), [2.0, 1.0, 1.0]);
        let holes: Vec<Vec<bool>> = rows
            .iter()
            .map(|row| row.values().iter().map(|value| value.is_nan()).collect())
            .collect();
        assert_eq!(holes[1..], [[true, false, true], [false, true, false]]);
        assert_eq!(rows[2].unseen(&format), [(1, "Köln".to_owned())]);
        // All ones: what changes is written, but for the class that is not known.
        let ones = changed("t.csv", text.as_bytes(), &options, |_| Some(1.0));
        assert_eq!(ones, "flag,note,town,size\n1.0,x,\"a, b\",1\n1,y,\"a, b\",1\n1,z,Köln,1\n");
        // Distances are numbers.
        let distances = format.of_deviations();
        let out = folder.path().join("d.csv");
        let mut writer = TableWriter::create(&out, &distances).unwrap();
        writer.write(&rows[0].with_distances(&distances, &[0.5, 0.25, 0.0])).unwrap();
        writer.finish().unwrap();
        assert!(std::fs::read_to_string(out).unwrap().ends_with("\n0,x,0.25,0.5\n"));
        // Rows of no file.
        let out = folder.path().join("new.csv");
        let format = Format::new(&[3], crate::Element::F64, crate::Domain::Real).by_kind(&columns);
        let mut writer = TableWriter::create(&out, &format).unwrap();
        writer.write(&format.row(&[0.5, 1.0, 0.0])).unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read_to_string(out).unwrap(), "size,town,flag\n0.5,\"a, b\",0\n");
    }
}
