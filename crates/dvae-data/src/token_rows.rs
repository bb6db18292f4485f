//! Rows of tokens: what they are, and how texts become such.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use dvae_checks::Vocabulary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::dataset::RowCollector;
use crate::texts::TextRows;
use crate::{DataError, Dataset, Domain, Element, Format, Numbers};

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
    /// The places of the units in a text, in bytes; none in an empty text. Words begin with a letter, and go on with letters,
    /// combining marks, and apostrophes between these.
    pub fn places(self, text: &str) -> Vec<Range<usize>> {
        match self {
            Self::Line if text.is_empty() => vec![],
            Self::Line => vec![0..text.len()],
            Self::Word => words(text),
        }
    }
}

/// Words: a letter, and what follows of letters, combining marks and apostrophes that stand between two of these.
fn words(text: &str) -> Vec<Range<usize>> {
    let is_of_word = |letter: char| letter.is_alphabetic() || is_combining_mark(letter);
    let is_first = |letter: char| letter.is_alphabetic() && !is_combining_mark(letter);
    let mut words = vec![];
    let mut from = 0;
    while let Some(start) = text[from..].find(is_first).map(|at| from + at) {
        let (mut end, mut is_inner) = (start, false);
        for (at, letter) in text[start..].char_indices() {
            if is_of_word(letter) {
                (end, is_inner) = (start + at + letter.len_utf8(), true);
            } else if matches!(letter, '\'' | '\u{2019}') && is_inner {
                is_inner = false;
            } else {
                break;
            }
        }
        words.push(start..end);
        from = end;
    }
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
        let mut seen = HashSet::new();
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
    use crate::{ReadOptions, read_texts};

    fn found(text: &str) -> Vec<&str> {
        words(text).into_iter().map(|place| &text[place]).collect()
    }

    #[test]
    fn words_are_letters_marks_and_inner_apostrophes() {
        assert_eq!(
            found("'Don't' say O\u{2019}Neill's, rock''n -- 7x!"),
            ["Don't", "say", "O\u{2019}Neill's", "rock", "n", "x"]
        );
        // A combining mark belongs to its letter; the selector after an emoji to no word.
        assert_eq!(found("cafe\u{301} ❤\u{fe0f} ok"), ["cafe\u{301}", "ok"]);
        assert_eq!(found("שלום, עולם"), ["שלום", "עולם"]);
        // Devanagari vowel signs are marks, and the joiner of a conjunct too.
        assert_eq!(found("नमस्ते।"), ["नमस्ते"]);
        assert_eq!(found("e\u{301}a 🙂 a'' b' 'c"), ["e\u{301}a", "a", "b", "c"]);
        assert_eq!(found(""), [""; 0]);
    }

    #[test]
    fn texts_become_rows_of_tokens_with_room_for_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let text = "abba\n\nb\nmuch too long\ne\u{301}\n";
        std::fs::write(&path, text).unwrap();
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
