//! Texts of files: the lines of a text file, or a column of a table.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use dvae_checks::Vocabulary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::beside::{Beside, write_at};
use crate::dataset::RowCollector;
use crate::kind::is_parquet;
use crate::table::{OpenTable, open_table};
use crate::table_text::{cell_text, quoted};
use crate::{DataError, Dataset, Domain, Element, FileKind, Format, Numbers, ReadOptions};

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

/// What a row of a model of texts is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextUnit {
    /// A line of a text file, or a cell of a table, as it stands.
    #[default]
    Line,
    /// A word; what stands between words is no part of any row.
    Word,
}

impl TextUnit {
    /// The places of the units in a text, in bytes; none in an empty text. Words are runs of letters and combining marks, with apostrophes
    /// between them.
    pub fn places(self, text: &str) -> Vec<Range<usize>> {
        match self {
            Self::Line if text.is_empty() => vec![],
            Self::Line => vec![0..text.len()],
            Self::Word => words(text),
        }
    }
}

fn words(text: &str) -> Vec<Range<usize>> {
    let is_letter = |letter: char| letter.is_alphabetic() || is_combining_mark(letter);
    let is_within = |letter: char| matches!(letter, '\'' | '\u{2019}');
    let (mut words, mut start, mut end) = (vec![], None, 0);
    for (at, letter) in text.char_indices() {
        // An apostrophe after letters may be within a word.
        let may_continue = start.is_some() && end == at && is_within(letter);
        if is_letter(letter) {
            start.get_or_insert(at);
            end = at + letter.len_utf8();
        } else if !may_continue || !text[at + letter.len_utf8()..].starts_with(is_letter) {
            words.extend(start.take().map(|start| start..end));
        } else {
            end = at + letter.len_utf8();
        }
    }
    words.extend(start.map(|start| start..end));
    words
}

/// A text as models see it: in Unicode's normalization form C.
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// How texts become rows of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    /// What a row is.
    pub unit: TextUnit,
    /// The most characters of a row.
    pub longest: usize,
    /// How often a character occurs at least to be known.
    pub least: usize,
}

/// Rows of tokens, and what they mean.
#[derive(Clone, Debug)]
pub struct TokenRows {
    /// The rows `[width]`.
    pub rows: Dataset,
    /// The characters.
    pub vocabulary: Vocabulary,
    /// Texts that are longer than a row may be: they are left out.
    pub left_out: usize,
}

impl TokenRows {
    /// The characters that a row has room for beyond its longest text, so that damage may make it longer.
    fn room(longest: usize) -> usize {
        4 + longest / 4
    }

    /// Reads all texts of a file. Lines are rows as often as they are there, and words once; empty ones are none. With `known`, rows are as wide and
    /// tokens mean the same as in those that it is of: the vocabulary and the width. An error names a file without any text.
    pub fn read(
        path: &Path,
        texts: TextRows,
        options: TokenOptions,
        known: Option<(&Vocabulary, usize)>,
    ) -> Result<Self, DataError> {
        let bad = |reason| DataError::File { path: path.into(), reason };
        let (mut units, mut left_out): (Vec<String>, usize) = (vec![], 0);
        let mut seen = std::collections::HashSet::new();
        let longest = known.map_or(options.longest, |(_, width)| width.min(options.longest));
        for row in texts {
            let text = composed(&row?.text());
            for place in options.unit.places(&text) {
                let unit = &text[place];
                if unit.chars().nth(longest).is_some() {
                    left_out += 1;
                } else if options.unit == TextUnit::Line || seen.insert(unit.to_owned()) {
                    units.push(unit.to_owned());
                }
            }
        }
        if units.is_empty() {
            return Err(bad(match left_out {
                0 => "it holds no text".to_owned(),
                _ => format!("its {left_out} texts are all longer than {longest} characters"),
            }));
        }
        let each = || units.iter().map(String::as_str);
        let (vocabulary, width) = match known {
            Some((vocabulary, width)) => (vocabulary.clone(), width),
            None => {
                let longest = each().map(|unit| unit.chars().count()).max().unwrap_or_default();
                (Vocabulary::of(each(), options.least), longest + Self::room(longest))
            }
        };
        let format = Format::new(&[width], Element::U16, Domain::Tokens);
        let mut collected = RowCollector::new(&format, u64::MAX);
        for unit in each() {
            let mut tokens = vocabulary.tokens(unit);
            tokens.resize(width, Vocabulary::END);
            collected.add(&Numbers::from(&tokens[..]))?;
        }
        Ok(Self { rows: collected.finish()?, vocabulary, left_out })
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

    #[test]
    fn words_keep_their_apostrophes_and_marks() {
        let found = |text: &str| -> Vec<String> {
            words(text).into_iter().map(|place| text[place].to_owned()).collect()
        };
        assert_eq!(
            found("Don't 'quote' me, O\u{2019}Neil's 2nd!"),
            ["Don't", "quote", "me", "O\u{2019}Neil's", "nd"]
        );
        assert_eq!(found("e\u{301}a 🙂 שלום"), ["e\u{301}a", "שלום"]);
        assert_eq!(found("a'' b' 'c"), ["a", "b", "c"]);
        assert_eq!(found(""), [""; 0]);
    }

    #[test]
    fn texts_become_rows_of_tokens_with_room_for_damage() {
        let (_folder, path) = file("a.txt", "abba\n\nb\nmuch too long\ne\u{301}\n".as_bytes());
        let options = TokenOptions { unit: TextUnit::Line, longest: 5, least: 1 };
        let texts = || read_texts(&path, None, &ReadOptions::default()).unwrap();
        let read = TokenRows::read(&path, texts(), options, None).unwrap();
        assert_eq!((read.rows.len(), read.rows.event(), read.left_out), (3, &[9][..], 1));
        assert_eq!(read.vocabulary.characters(), ['a', 'b', 'é']);
        assert_eq!(read.rows.domain(), Domain::Tokens);
        let words = TokenOptions { unit: TextUnit::Word, longest: 4, least: 2 };
        let read = TokenRows::read(&path, texts(), words, None).unwrap();
        assert_eq!((read.rows.len(), read.left_out), (6, 0));
        let error = TokenRows::read(&path, texts(), TokenOptions { longest: 0, ..options }, None);
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("its 4 texts are all longer than 0 characters"), "{error}");
    }
}
