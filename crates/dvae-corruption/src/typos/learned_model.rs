//! What is learned from pairs of wrong and right texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::keyboard::lower;
use super::learned_alignment::{Edit, align};
use super::learned_rates::Rates;
use crate::CorruptionError;

/// The errors that people make, counted in pairs of a wrong and a right text: which letter is left out or put in after which one, which is
/// written for which, and which two are swapped.
///
/// These are the four tables of Kernighan, Church and Gale (1990), "A Spelling Correction Program Based on a Noisy Channel Model", section
/// "Scoring"; the smoothing is not that of the paper. [`LearnedTypos`](crate::LearnedTypos) draws errors from them, in any text.
///
/// A letter is a character as people see it (Unicode Standard Annex 29), composed and in lower case. Digits, punctuation and spaces are
/// letters too. The letter before another is that of the right text; where there is none, or white space, it is the start of a word.
///
/// A pair is aligned with as few errors as possible (optimal string alignment: each letter has one error at most). Of several such
/// alignments the model counts the one that has, at the first letter where they differ, the first of: no error, transposition, substitution,
/// deletion, insertion. So `accomodate` lacks the second `m`.
///
/// Let a kind of error have been made `n` times at `N` places for some letters, and at a rate `r` of all places. Then it has the probability
///
/// ```text
/// y after x is left out       (n(x, y) + 1) / (N(x, y) + 1/r)
/// x and the next y swap       (n(x, y) + 1) / (N(x, y) + 1/r)
/// y is put after x            (n(x, y) + g(y)) / (N(x) + 1/r)
/// y ≠ x is written for x      (n(x, y) + g(y)) / (N(x) + 1/r)
/// ```
///
/// where `g(y)` is the share of `y` in all letters put in, or in all written for another one. The added terms are one error more, at the
/// number of places that hold one on average: letters that the pairs lack have the rate `r`. A kind that the pairs lack has the
/// probability 0.
///
/// A file holds the counts, sorted: `{"left_out": …, "seen": {x: {y: N}}, "deleted": {x: {y: n}}, "inserted": …, "substituted": …,
/// "transposed": …}`, where `x` before the first letter of a text is `""`.
///
/// # What this gives up
///
/// An error depends on one letter beside it, not on the word or the language. Letters put in are those of the pairs, in text of any script.
/// A list of misspellings has only words with an error and counts each once, not as often as it is made: spaces are rare in such a list, and
/// mostly there because one was left out. Pairs of whole texts tell how often that happens.
///
/// ```
/// use dvae_corruption::TypoModel;
///
/// let model = TypoModel::from_lines("teh->the\nrecieve\treceive\nwrold → world")?;
/// assert_eq!(model.pairs(), 3);
/// # Ok::<(), dvae_corruption::CorruptionError>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Counts", into = "Counts")]
pub struct TypoModel {
    counts: Counts,
    rates: Rates,
}

/// A count for each pair of letters.
pub(super) type Table = BTreeMap<String, BTreeMap<String, u64>>;

/// The counts of errors, and of what was there in the right texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    /// Pairs that are too different.
    pub(super) left_out: u64,
    /// Letters of the right texts, by the letter before; that of the first is empty.
    pub(super) seen: Table,
    /// Letters left out, by the letter before.
    pub(super) deleted: Table,
    /// Letters put in, by the letter before.
    pub(super) inserted: Table,
    /// Letters, by that in whose place they are.
    pub(super) substituted: Table,
    /// Letters that came before, by the one before them in the right text.
    pub(super) transposed: Table,
}

impl TypoModel {
    /// Learns from pairs of a wrong and a right text.
    ///
    /// Pairs without an error count too: they lower the probabilities at the letters that they hold. Only proportions matter, as it is the
    /// level that says how many errors there are: each right text once more, paired with itself, changes nothing.
    ///
    /// A pair is left out if it has more errors than a third of the letters of the right text (but at least 3 and at most 30), or if the
    /// right text is empty. The time is linear in the length of the texts. An error says that no pair has an error.
    pub fn learn<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, CorruptionError> {
        let mut counts = Counts::default();
        for (wrong, right) in pairs {
            counts.add(&letters(wrong), &letters(right));
        }
        counts.try_into()
    }

    /// Learns from lines `WRONG->RIGHT`, `WRONG → RIGHT`, or the two with a tab between.
    ///
    /// After an arrow the right text ends at a comma: of several ones, as in the dictionary of codespell, it is the first. After a tab it is
    /// the rest of the line. White space around a text is not part of it. Blank lines and lines that begin with `#` are skipped.
    ///
    /// An error names the first line that is no pair, or says that no pair has an error.
    pub fn from_lines(text: &str) -> Result<Self, CorruptionError> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#')
        });
        let pairs = lines.map(|(at, line)| {
            let error = || CorruptionError::TypoLine { line: at + 1, text: line.to_owned() };
            pair(line).ok_or_else(error)
        });
        Self::learn(pairs.collect::<Result<Vec<_>, _>>()?)
    }

    /// How many pairs the model has learned from, those without an error included.
    pub fn pairs(&self) -> u64 {
        self.counts.pairs()
    }

    /// How many pairs were too different to learn from.
    pub fn left_out(&self) -> u64 {
        self.counts.left_out
    }

    pub(super) fn rates(&self) -> &Rates {
        &self.rates
    }
}

impl TryFrom<Counts> for TypoModel {
    type Error = CorruptionError;

    fn try_from(counts: Counts) -> Result<Self, CorruptionError> {
        if counts.errors() == 0 {
            let (pairs, left_out) = (counts.pairs(), counts.left_out);
            return Err(CorruptionError::NoTypo { pairs, left_out });
        }
        Ok(Self { rates: Rates::new(&counts), counts })
    }
}

impl From<TypoModel> for Counts {
    fn from(model: TypoModel) -> Self {
        model.counts
    }
}

impl fmt::Debug for TypoModel {
    /// How much it has learned, not the tables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypoModel")
            .field("pairs", &self.pairs())
            .field("left_out", &self.left_out())
            .field("errors", &self.counts.errors())
            .finish_non_exhaustive()
    }
}

impl Counts {
    /// Counts a pair.
    fn add(&mut self, wrong: &[String], right: &[String]) {
        let edits = if right.is_empty() { None } else { align(right, wrong) };
        let Some(edits) = edits else {
            self.left_out += 1;
            return;
        };
        let before = |at: usize| at.checked_sub(1).map_or("", |before| &right[before]);
        for (at, letter) in right.iter().enumerate() {
            count(&mut self.seen, before(at), letter);
        }
        for edit in edits {
            match edit {
                Edit::Delete { right: at } => count(&mut self.deleted, before(at), &right[at]),
                Edit::Insert { right: at, wrong: put } => {
                    count(&mut self.inserted, before(at), &wrong[put]);
                }
                Edit::Substitute { right: at, wrong: put } => {
                    count(&mut self.substituted, &right[at], &wrong[put]);
                }
                Edit::Transpose { right: at } => {
                    count(&mut self.transposed, &right[at], &right[at + 1]);
                }
            }
        }
    }

    fn pairs(&self) -> u64 {
        self.seen.get("").map_or(0, |first| sum(first.values()))
    }

    /// All letters of the tables, sorted.
    pub(super) fn letters(&self) -> Vec<String> {
        let tables =
            [&self.seen, &self.deleted, &self.inserted, &self.substituted, &self.transposed];
        let rows = tables.into_iter().flatten();
        let letters = rows.flat_map(|(x, row)| row.keys().chain([x]));
        let letters: BTreeSet<&String> = letters.filter(|letter| !letter.is_empty()).collect();
        letters.into_iter().cloned().collect()
    }

    fn errors(&self) -> u64 {
        let tables = [&self.deleted, &self.inserted, &self.substituted, &self.transposed];
        sum(tables.into_iter().flat_map(BTreeMap::values).flat_map(BTreeMap::values))
    }
}

/// The sum of counts, of a file too that holds impossible ones.
fn sum<'a>(counts: impl Iterator<Item = &'a u64>) -> u64 {
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

/// One more of `y` at `x`.
fn count(table: &mut Table, x: &str, y: &str) {
    if !table.contains_key(x) {
        table.insert(x.to_owned(), BTreeMap::new());
    }
    let Some(row) = table.get_mut(x) else { return };
    match row.get_mut(y) {
        Some(count) => *count += 1,
        None => _ = row.insert(y.to_owned(), 1),
    }
}

/// The letters of a text, as they are learned.
fn letters(text: &str) -> Vec<String> {
    text.graphemes(true).map(normal).collect()
}

/// A letter as it is learned: composed, in lower case.
pub(super) fn normal(letter: &str) -> String {
    letter.nfc().map(lower).nfc().collect()
}

/// The wrong and the right text of a line.
fn pair(line: &str) -> Option<(&str, &str)> {
    let separators = ["->", "→", "\t"].into_iter();
    let found = separators.filter_map(|separator| Some((line.find(separator)?, separator)));
    let (at, separator) = found.min()?;
    let (wrong, right) = (&line[..at], &line[at + separator.len()..]);
    let first = if separator == "\t" { right } else { right.split(',').next()? };
    let pair = (wrong.trim(), first.trim());
    (!pair.0.is_empty() && !pair.1.is_empty()).then_some(pair)
}
