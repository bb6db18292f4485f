//! Texts of files: the lines of a text file, or a column of a table.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::beside::{Beside, write_at};
use crate::kind::is_parquet;
use crate::table::{OpenTable, open_table};
use crate::table_text::{cell_text, quoted};
use crate::{DataError, FileKind, ReadOptions};

/// The longest line, in bytes.
const LONGEST: u64 = 64 << 20;
/// The mark at the beginning of a text of UTF-8 that some programs write.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A text of a file, and what stands around it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow {
    /// The line or lines of the file, with their ending.
    line: Vec<u8>,
    /// Where the text is in it.
    place: Range<usize>,
    /// What stands between the cells of a table; `None` of a text file.
    delimiter: Option<u8>,
}

impl TextRow {
    fn raw(&self) -> &str {
        std::str::from_utf8(&self.line[self.place.clone()]).unwrap_or_default()
    }

    /// The text, as the file has it; that of a cell is without its quotes.
    pub fn text(&self) -> String {
        match self.delimiter {
            Some(_) => cell_text(self.raw()).into_owned(),
            None => self.raw().to_owned(),
        }
    }

    /// Replaces the text, and nothing else of the line.
    pub fn replace(&mut self, text: &str) {
        let cell = match self.delimiter {
            Some(delimiter) => quoted(text, delimiter),
            None => text.into(),
        };
        let place = self.place.clone();
        self.place = place.start..place.start + cell.len();
        self.line.splice(place, cell.bytes());
    }
}

/// The texts of a file, in order; nothing follows an error.
pub struct TextRows {
    path: PathBuf,
    kind: Kind,
    failed: bool,
}

enum Kind {
    Lines { reader: BufReader<File>, number: u64 },
    Column { table: Box<OpenTable>, place: usize, head: Option<Vec<u8>> },
}

/// Opens a text file, `.txt`, or a column of a table, `.csv` or `.tsv`. An error names a file that is neither, or a table without that column,
/// or says that a table needs a column, and lines none.
pub fn read_texts(
    path: &Path,
    column: Option<&str>,
    options: &ReadOptions,
) -> Result<TextRows, DataError> {
    let bad = |reason: String| Err(DataError::File { path: path.into(), reason });
    let kind = match (FileKind::of(path)?, column) {
        (FileKind::Text, Some(_)) => return bad("its lines have no columns".to_owned()),
        (FileKind::Text, None) => {
            let io = |source| DataError::Io { path: path.into(), source };
            let reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
            Kind::Lines { reader, number: 0 }
        }
        (FileKind::Table, _) if is_parquet(path) => {
            return bad("texts of Parquet files are not read: save it as .csv".to_owned());
        }
        (FileKind::Table, None) => {
            return bad("of a table, say which column has the texts".to_owned());
        }
        (FileKind::Table, Some(column)) => {
            let mut table = open_table(path, options)?;
            let place = table.place_of(column)?;
            let head = table.take_header();
            Kind::Column { table: Box::new(table), place, head }
        }
        _ => return Err(DataError::Kind { path: path.into() }),
    };
    Ok(TextRows { path: path.into(), kind, failed: false })
}

impl TextRows {
    /// What stands before the first text: the first line of a table with names of columns.
    pub fn head(&self) -> &[u8] {
        match &self.kind {
            Kind::Column { head: Some(head), .. } => head,
            _ => &[],
        }
    }

    fn read(&mut self) -> Result<Option<TextRow>, DataError> {
        let path = &self.path;
        match &mut self.kind {
            Kind::Lines { reader, number } => {
                let io = |source| DataError::Io { path: path.clone(), source };
                let mut line = vec![];
                reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line).map_err(io)?;
                if line.is_empty() {
                    return Ok(None);
                }
                *number += 1;
                let bad = |reason| DataError::File { path: path.clone(), reason };
                if line.len() as u64 > LONGEST {
                    return Err(bad(format!("line {number} is longer than 64 MiB")));
                }
                if let Err(error) = std::str::from_utf8(&line) {
                    let byte = line[error.valid_up_to()];
                    return Err(bad(format!(
                        "line {number} is not UTF-8 (byte {byte:#04x}): save it as UTF-8"
                    )));
                }
                let start = if *number == 1 && line.starts_with(MARK) { MARK.len() } else { 0 };
                let end = line.len() - usize::from(line.ends_with(b"\n"));
                let end = end - usize::from(line[..end].ends_with(b"\r"));
                Ok(Some(TextRow { place: start..end.max(start), line, delimiter: None }))
            }
            Kind::Column { table, place, .. } => {
                let Some((line, at)) = table.next_line()? else { return Ok(None) };
                let (text, cells) = table.cells_of(&line, at)?;
                let cell = cells[*place].clone();
                // Spaces around a cell stay.
                let inner = text[cell.clone()].trim();
                let start = cell.start + text[cell.clone()].len() - text[cell].trim_start().len();
                let place = start..start + inner.len();
                Ok(Some(TextRow { place, line, delimiter: Some(table.style.delimiter) }))
            }
        }
    }
}

impl std::fmt::Debug for TextRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextRows").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Iterator for TextRows {
    type Item = Result<TextRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.read().transpose();
        self.failed = matches!(row, Some(Err(_)));
        row
    }
}

/// Writes texts to a file with what stood around them where they were read. The file is written under a temporary name and renamed when
/// it is finished.
#[derive(Debug)]
pub struct TextWriter {
    place: Beside,
    file: BufWriter<File>,
}

impl TextWriter {
    /// Begins a file for texts of these rows.
    pub fn create(path: &Path, rows: &TextRows) -> Result<Self, DataError> {
        let (place, file) = Beside::create(path)?;
        let mut writer = Self { place, file: BufWriter::new(file) };
        writer.bytes(rows.head())?;
        Ok(writer)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.file.write_all(bytes).map_err(write_at(self.place.path()))
    }

    /// Appends a text. An error names a file that cannot be written.
    pub fn write(&mut self, row: &TextRow) -> Result<(), DataError> {
        self.bytes(&row.line)
    }

    /// Moves the file to its final name.
    pub fn finish(self) -> Result<(), DataError> {
        let Self { place, file } = self;
        let path = place.path().to_path_buf();
        let flushed = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        flushed.and_then(|_| place.finish()).map_err(write_at(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        (folder, path)
    }

    fn rewritten(name: &str, contents: &[u8], column: Option<&str>) -> (Vec<String>, Vec<u8>) {
        let (folder, path) = file(name, contents);
        let rows = read_texts(&path, column, &ReadOptions::default()).unwrap();
        let out = folder.path().join("out");
        let mut writer = TextWriter::create(&out, &rows).unwrap();
        let mut texts = vec![];
        for row in rows {
            let mut row = row.unwrap();
            texts.push(row.text());
            if row.text() == "teh" {
                row.replace("the, \"x\"");
            }
            writer.write(&row).unwrap();
        }
        writer.finish().unwrap();
        (texts, std::fs::read(&out).unwrap())
    }

    #[test]
    fn lines_are_written_as_they_stand_but_for_what_is_replaced() {
        let text = "\u{feff}one \r\nteh\n\nlast\rone";
        let (texts, out) = rewritten("a.txt", text.as_bytes(), None);
        assert_eq!(texts, ["one ", "teh", "", "last\rone"]);
        assert_eq!(out, text.replace("teh", "the, \"x\"").as_bytes());
        assert_eq!(rewritten("a.txt", b"", None), (vec![], vec![]));
    }

    #[test]
    fn a_cell_is_replaced_within_its_line() {
        let table = "id;name\r\n1; teh ;\r\n2;\"a;b\";\r\n3;;\r\n";
        let table = table.replace(";\r\n", "\r\n");
        let (texts, out) = rewritten("a.csv", table.as_bytes(), Some("name"));
        assert_eq!(texts, ["teh", "a;b", ""]);
        let expected = table.replace("teh", "\"the, \"\"x\"\"\"");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let (_folder, path) = file("a.txt", b"fine\nbad \xff\n");
        let error = read_texts(&path, None, &ReadOptions::default()).unwrap().last().unwrap();
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("line 2 is not UTF-8 (byte 0xff): save it as UTF-8"), "{error}");
        let (_folder, path) = file("a.csv", b"a,b\n1,2\n");
        let refused = |column: Option<&str>| {
            read_texts(&path, column, &ReadOptions::default()).unwrap_err().to_string()
        };
        assert!(refused(None).ends_with("of a table, say which column has the texts"));
        assert!(refused(Some("c")).ends_with("it has no column `c`, but a, b"));
    }
}
