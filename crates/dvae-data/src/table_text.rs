//! The text of tables: lines, cells and numbers.
//!
//! Lines and cells are found here, not by a library, because a cell that is not asked for has to come back as it stands
//! in the file, quotes and spaces included. Shafranovich (2005), RFC 4180, with any of the usual delimiters and line
//! endings.

use std::borrow::Cow;
use std::io::{self, BufRead};
use std::ops::Range;

use crate::Decimal;

/// The texts of a missing cell, in any case.
const MISSING: [&str; 9] = ["", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?"];

/// The longest line, in bytes: each cell takes up to fifteen times its length in memory.
const LONGEST: usize = 64 << 20;

/// Where a reader stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first letter of a cell.
    Start,
    Plain,
    Quoted,
    /// After a quote within quotes, which ends them unless another one follows.
    Closing,
}

impl Place {
    /// The place after a byte. A quote within a cell that does not begin with one is a letter.
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Closing,
            (Self::Quoted, _) => Self::Quoted,
            (Self::Start | Self::Closing, b'"') => Self::Quoted,
            (_, byte) if byte == delimiter => Self::Start,
            (Self::Start, b' ') => Self::Start,
            (Self::Closing, _) => Self::Closing,
            _ => Self::Plain,
        }
    }
}

/// Lines of a table. A quoted line ending does not end a line, and empty lines belong to the line before them.
pub(crate) struct Lines<R> {
    reader: R,
    delimiter: u8,
    /// The line, from 1, that comes next.
    next: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R, delimiter: u8) -> Self {
        Self { reader, delimiter, next: 1 }
    }

    /// The next line with its ending, and its number from 1; `None` at the end.
    pub(crate) fn read(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let (mut line, start) = (vec![], self.next);
        let mut from = 0;
        while is_blank(&line[from..]) {
            from = line.len();
            if !self.append(&mut line)? {
                return Ok(None);
            }
        }
        // Empty lines at the beginning are those of the first line.
        let start = start + endings(leading_blank(&line));
        while matches!(self.reader.fill_buf()?.first(), Some(b'\r' | b'\n')) {
            self.append(&mut line)?;
        }
        Ok(Some((line, start)))
    }

    /// Appends the text up to the end of a line; `false` if there is none.
    fn append(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let (start, mut place) = (line.len(), Place::Start);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(line.len() > start);
            }
            let skipped = if self.next == 1 && line.is_empty() { mark(buffer) } else { 0 };
            let end = buffer[skipped..].iter().position(|&byte| {
                let ends = matches!(byte, b'\r' | b'\n') && place != Place::Quoted;
                place = place.after(byte, self.delimiter);
                ends
            });
            let taken = end.map_or(buffer.len(), |end| skipped + end + 1);
            // A line ending within quotes counts as a line too.
            self.next += endings(&buffer[..taken]);
            let is_return = end.is_some() && buffer[taken - 1] == b'\r';
            if line.len() + taken > LONGEST {
                let text = format!("line {} is longer than 64 MiB", self.next);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            line.extend_from_slice(&buffer[..taken]);
            self.reader.consume(taken);
            if is_return && self.reader.fill_buf()?.first() == Some(&b'\n') {
                line.push(b'\n');
                self.reader.consume(1);
            }
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// The length of a byte order mark at the beginning of a text.
fn mark(text: &[u8]) -> usize {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if text.starts_with(MARK) { MARK.len() } else { 0 }
}

/// The number of line endings: `\n`, `\r\n` or `\r`.
fn endings(text: &[u8]) -> u64 {
    let ends = text.iter().enumerate().filter(|&(at, &byte)| match byte {
        b'\n' => at == 0 || text[at - 1] != b'\r',
        byte => byte == b'\r',
    });
    ends.count() as u64
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

fn leading_blank(line: &[u8]) -> &[u8] {
    let blank = line.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &line[..blank]
}

/// Where the cells of a line are, quotes included. A byte order mark is part of no cell.
pub(crate) fn cells(line: &[u8], delimiter: u8) -> Vec<Range<usize>> {
    let end = line.len() - line.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let start = mark(line);
    let start = start + leading_blank(&line[start..end.max(start)]).len();
    let (mut cells, mut from, mut place) = (Vec::with_capacity(end / 4), start, Place::Start);
    for (at, &byte) in line.iter().enumerate().take(end).skip(start) {
        if byte == delimiter && place != Place::Quoted {
            cells.push(from..at);
            from = at + 1;
        }
        place = place.after(byte, delimiter);
    }
    cells.push(from..end.max(from));
    cells
}

/// The text of a cell, without quotes and spaces around it.
pub(crate) fn cell_text(cell: &str) -> Cow<'_, str> {
    let cell = cell.trim();
    match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
        Some(inner) if inner.contains("\"\"") => {
            Cow::Owned(inner.replace("\"\"", "\"").trim().to_owned())
        }
        Some(inner) => Cow::Borrowed(inner.trim()),
        None => Cow::Borrowed(cell),
    }
}

/// A text as a cell, in quotes if it needs them.
pub(crate) fn quoted(text: &str, delimiter: u8) -> Cow<'_, str> {
    let needs = |c: char| matches!(c, '"' | '\r' | '\n') || c == char::from(delimiter);
    if !text.contains(needs) && text.trim() == text {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
}

/// The number that a cell holds: NaN if it is missing, `None` if it is no finite number.
pub(crate) fn number(cell: &str, decimal: Decimal, missing: &[String]) -> Option<f64> {
    let number = match decimal {
        Decimal::Point => cell.parse().ok(),
        Decimal::Comma if cell.contains('.') => None,
        Decimal::Comma => cell.replace(',', ".").parse().ok(),
    };
    let number = number.filter(|value: &f64| value.is_finite());
    let is_missing = match number {
        Some(number) => {
            missing.iter().any(|missing| missing == cell || missing.parse() == Ok(number))
        }
        None => {
            let usual = MISSING.iter().any(|missing| cell.eq_ignore_ascii_case(missing));
            usual || missing.iter().any(|missing| missing == cell)
        }
    };
    if is_missing { Some(f64::NAN) } else { number }
}

/// A number as a cell: the shortest text that is read as the same number, of single precision where that holds it.
/// NaN becomes an empty cell.
pub(crate) fn number_text(value: f64, decimal: Decimal) -> String {
    if value.is_nan() {
        return String::new();
    }
    let single = value as f32;
    let is_plain = value == 0.0 || (1e-6..1e17).contains(&value.abs());
    let text = match f64::from(single) == value {
        true if is_plain => single.to_string(),
        true => format!("{single:e}"),
        false if is_plain => value.to_string(),
        false => format!("{value:e}"),
    };
    match decimal {
        Decimal::Point => text,
        Decimal::Comma => text.replace('.', ","),
    }
}

/// The delimiter of the first lines of a table: the one that stands equally often in each of them.
pub(crate) fn find_delimiter(start: &str, decimal: Decimal) -> u8 {
    let lines: Vec<&str> =
        start.split(['\r', '\n']).filter(|line| !line.trim().is_empty()).take(8).collect();
    let count = |line: &str, delimiter: u8| cells(line.as_bytes(), delimiter).len() - 1;
    let candidates: &[u8] = match decimal {
        Decimal::Point => b"\t;,|",
        Decimal::Comma => b"\t;|",
    };
    let first = |delimiter: u8| lines.first().map_or(0, |line| count(line, delimiter));
    let even = |delimiter: &u8| {
        first(*delimiter) > 0
            && lines.iter().all(|line| count(line, *delimiter) == first(*delimiter))
    };
    let found = candidates.iter().copied().find(even);
    found
        .or_else(|| candidates.iter().copied().find(|&delimiter| first(delimiter) > 0))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str) -> Vec<(String, u64)> {
        let mut lines = Lines::new(text.as_bytes(), b',');
        std::iter::from_fn(|| lines.read().unwrap())
            .map(|(line, number)| (String::from_utf8(line).unwrap(), number))
            .collect()
    }

    #[test]
    fn lines_end_in_any_convention_and_not_within_quotes() {
        let at = |line: &str, number| (line.to_owned(), number);
        for ending in ["\n", "\r\n", "\r"] {
            let text = format!("a,b{ending}\"x{ending}y\",2{ending}{ending}3,4");
            let expected = [
                at(&format!("a,b{ending}"), 1),
                at(&format!("\"x{ending}y\",2{ending}{ending}"), 2),
                at("3,4", 5),
            ];
            assert_eq!(lines(&text), expected, "{ending:?}");
        }
        assert_eq!(lines("\n\na\n"), [at("\n\na\n", 3)]);
        assert_eq!(lines("\n\n"), []);
        assert_eq!(lines(""), []);
    }

    #[test]
    fn cells_are_where_they_stand() {
        let text = |line: &str, delimiter| -> Vec<String> {
            let cells = cells(line.as_bytes(), delimiter);
            cells.into_iter().map(|cell| cell_text(&line[cell]).into_owned()).collect()
        };
        assert_eq!(text("a, b ,c\r\n", b','), ["a", "b", "c"]);
        assert_eq!(text("\"a,b\",\"say \"\"hi\"\"\",5\"\n", b','), ["a,b", "say \"hi\"", "5\""]);
        assert_eq!(text("1,2,\n", b','), ["1", "2", ""]);
        assert_eq!(text("\u{feff}a;b", b';'), ["a", "b"]);
        assert_eq!(text("\n\na;b\n\n", b';'), ["a", "b"]);
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        let number = |cell: &str| number(cell, Decimal::Point, &["-999".to_owned()]);
        for cell in ["", "NA", "n/a", "#N/A", "<NA>", "NaN", "null", "?", "-999"] {
            assert!(number(cell).unwrap().is_nan(), "{cell}");
        }
        assert!(number("-999.0").unwrap().is_nan());
        for cell in ["inf", "missing", "1,5", "x", "1e999"] {
            assert_eq!(number(cell), None, "{cell}");
        }
        assert_eq!(super::number("-1,5", Decimal::Comma, &[]), Some(-1.5));
        assert_eq!(super::number("1.5", Decimal::Comma, &[]), None);
        assert_eq!(number_text(0.1f32.into(), Decimal::Point), "0.1");
        assert_eq!(number_text(0.1, Decimal::Comma), "0,1");
        assert_eq!(number_text(1_700_000_001.0, Decimal::Point), "1700000001");
        assert_eq!(number_text(1e300, Decimal::Point), "1e300");
    }

    #[test]
    fn delimiters_are_found() {
        let found = |text: &str| char::from(find_delimiter(text, Decimal::Point));
        assert_eq!(found("a,b\n1,2\n"), ',');
        assert_eq!(found("a;b\n1,5;2,5\n"), ';');
        assert_eq!(found("1,5;2,5\n3,5;1,0\n"), ';');
        assert_eq!(found("a\tb c\n1\t2\n"), '\t');
        assert_eq!(found("\"a;b\",c\n1,2\n"), ',');
        assert_eq!(found("a\n1\n"), ',');
    }

    proptest! {
        #[test]
        fn a_number_comes_back_to_the_bit(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            for decimal in [Decimal::Point, Decimal::Comma] {
                let back = number(&number_text(value, decimal), decimal, &[]).unwrap();
                prop_assert_eq!(back.to_bits(), value.to_bits());
            }
        }

        #[test]
        fn lines_are_the_whole_text(text in "[a,;\"\r\n 1]{0,60}") {
            let read: String = lines(&text).into_iter().map(|(line, _)| line).collect();
            let blank = text.chars().all(|c| matches!(c, '\r' | '\n'));
            prop_assert_eq!(read, if blank { String::new() } else { text });
        }

        #[test]
        fn a_text_comes_back_from_its_cell(text in "\\PC{0,20}") {
            let line = quoted(&text, b',').into_owned();
            let cells = cells(line.as_bytes(), b',');
            prop_assert_eq!(cells.len(), 1);
            prop_assert_eq!(cell_text(&line[cells[0].clone()]), text.trim());
        }
    }
}
