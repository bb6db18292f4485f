//! A writer of tables.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::beside::{Beside, write_at};
use crate::rows::{Extra, Layout, Line, TableLayout, TableStyle};
use crate::table_text::{cell_text, number, number_text, quoted};
use crate::{DataError, Decimal, Format, Row};

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
        let mut writer = Self { place, file: BufWriter::new(file), layout, style };
        let header = writer.layout.as_ref().map(|table| table.header.clone());
        let written = match (header, &format.names) {
            (Some(Some(header)), _) => writer.file.write_all(&header),
            (None, Some(names)) => writer.cells(labels.iter().chain(names).map(String::as_str)),
            _ => Ok(()),
        };
        written.map_err(write_at(path))?;
        Ok(writer)
    }

    /// Appends a row; NaN becomes an empty cell.
    pub(crate) fn write(&mut self, row: &Row) -> Result<(), DataError> {
        let values = row.numbers.values(row.domain);
        let written = match (&row.extra, self.layout.clone()) {
            (Extra::Line(line), Some(layout)) => self.line(line, &layout.places, &values),
            (extra, _) => {
                let labels = if let Extra::Labels(labels) = extra { &labels[..] } else { &[] };
                let numbers = values.iter().map(|&value| number_text(value, self.style.decimal));
                let cells: Vec<String> = labels.iter().cloned().chain(numbers).collect();
                self.cells(cells.iter().map(String::as_str))
            }
        };
        written.map_err(write_at(self.place.path()))
    }

    fn cells<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let delimiter = char::from(self.style.delimiter).to_string();
        let cells: Vec<_> = cells.map(|cell| quoted(cell, self.style.delimiter)).collect();
        writeln!(self.file, "{}", cells.join(&delimiter))
    }

    /// A line with other numbers in some of its cells.
    fn line(&mut self, line: &Line, places: &[usize], values: &[f64]) -> io::Result<()> {
        let mut changed: Vec<(usize, f64)> =
            places.iter().copied().zip(values.iter().copied()).collect();
        changed.retain(|&(place, value)| !holds(line, place, value, self.style.decimal));
        changed.sort_by_key(|&(place, _)| place);
        let mut from = 0;
        for (place, value) in changed {
            let cell = line.cells[place].clone();
            self.file.write_all(&line.text[from..cell.start])?;
            let text = number_text(value, self.style.decimal);
            self.file.write_all(quoted(&text, self.style.delimiter).as_bytes())?;
            from = cell.end;
        }
        self.file.write_all(&line.text[from..])
    }

    /// Moves the file to its final name.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        let path = self.place.path().to_owned();
        self.file.flush().and_then(|()| self.place.finish()).map_err(write_at(&path))
    }
}

/// Whether a cell already holds this number: one that is missing stays as it is written.
fn holds(line: &Line, place: usize, value: f64, decimal: Decimal) -> bool {
    let text = std::str::from_utf8(&line.text[line.cells[place].clone()]).unwrap_or_default();
    let number = number(&cell_text(text), decimal, &[]);
    value.is_nan() || number.is_some_and(|number| number.to_bits() == value.to_bits())
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
}
