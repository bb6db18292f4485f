//! Measures of text repair.

use serde::Serialize;

use super::Proportion;
use super::distance::{alignment_within, levenshtein};

/// A row: a clean text, how it was given, and what a method made of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair<'a> {
    /// The clean text.
    pub clean: &'a str,
    /// The text that the method was given, which may be clean.
    pub damaged: &'a str,
    /// What the method made of it.
    pub repaired: &'a str,
}

/// How far texts are from clean ones, in edits for each character and each word of the clean ones.
///
/// An edit is an insertion, a deletion or a replacement (Levenshtein 1966, "Binary Codes Capable of Correcting Deletions,
/// Insertions, and Reversals"). Rates are sums of edits over sums of lengths, so that long rows weigh more; with many
/// insertions they exceed 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ErrorRates {
    /// Edits of characters (Unicode scalar values) over the characters of the clean texts; `None` if these have none.
    pub character_error_rate: Option<f64>,
    /// Edits of words (between white space) over the words of the clean texts; `None` if these have none.
    pub word_error_rate: Option<f64>,
}

/// Rows that were damaged by the same number of edits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EditGroup {
    /// The number of edits: `0`, `1`, `2` or `3+`.
    pub edits: &'static str,
    /// The rows whose repair is the clean text.
    pub exact: Proportion,
    /// The rows that the method changed.
    pub changed: Proportion,
}

/// How well a method repairs texts.
///
/// Texts are compared byte for byte, without normalization: an accent that is composed in one and not in the other is a
/// difference.
///
/// ```
/// use dvae_eval::{Repair, RepairMeasures};
///
/// let rows = [
///     Repair { clean: "Paris", damaged: "Pairs", repaired: "Paris" },
///     Repair { clean: "Rome", damaged: "Rome", repaired: "Rome" },
/// ];
/// let measures = RepairMeasures::of(rows);
/// assert_eq!(measures.exact.share, Some(1.0));
/// assert_eq!(measures.input.character_error_rate, Some(2.0 / 9.0));
/// assert_eq!((measures.right.count, measures.kept.count), (1, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepairMeasures {
    /// The number of rows.
    pub rows: usize,
    /// The rows whose repair is the clean text.
    pub exact: Proportion,
    /// The rates of the damaged texts.
    pub input: ErrorRates,
    /// The rates of the repaired ones.
    pub output: ErrorRates,
    /// Of the damaged rows, those whose repair is the clean text.
    pub right: Proportion,
    /// Of the damaged rows, those that were changed to something else than the clean text.
    pub wrong: Proportion,
    /// Of the damaged rows, those that were left as they were.
    pub missed: Proportion,
    /// Of the rows that were given clean, those that were changed.
    pub harmful: Proportion,
    /// Of the rows that were given clean, those that were left as they were.
    pub kept: Proportion,
    /// The rows by the number of edits between the clean and the damaged text, counting a transposition of neighbors as one:
    /// the optimal string alignment distance.
    pub by_edits: [EditGroup; 4],
}

impl RepairMeasures {
    /// Measures all rows. For each, memory is of the order of the lengths of its texts, and time of their product over 64 where
    /// they differ from beginning to end.
    pub fn of<'a>(rows: impl IntoIterator<Item = Repair<'a>>) -> Self {
        let (mut input, mut output) = (Edits::default(), Edits::default());
        let mut groups = [Counts::default(); 4];
        for Repair { clean, damaged, repaired } in rows {
            let clean_text = Units::of(clean);
            let damaged_text = Units::of(damaged);
            input.add(&clean_text, &damaged_text);
            output.add(&clean_text, &Units::of(repaired));
            let edits = alignment_within(&clean_text.characters, &damaged_text.characters, 2);
            let group = &mut groups[edits.unwrap_or(3)];
            group.rows += 1;
            group.exact += usize::from(repaired == clean);
            group.changed += usize::from(repaired != damaged);
        }
        Self::from_groups(groups, [input.rates(), output.rates()])
    }

    fn from_groups(groups: [Counts; 4], [input, output]: [ErrorRates; 2]) -> Self {
        let [clean, damaged @ ..] = groups;
        let damaged = damaged.into_iter().fold(Counts::default(), Counts::and);
        let all = clean.and(damaged);
        let of_damaged = |count| Proportion::of(count, damaged.rows);
        Self {
            rows: all.rows,
            exact: Proportion::of(all.exact, all.rows),
            input,
            output,
            right: of_damaged(damaged.exact),
            wrong: of_damaged(damaged.changed - damaged.exact),
            missed: of_damaged(damaged.rows - damaged.changed),
            harmful: Proportion::of(clean.changed, clean.rows),
            kept: Proportion::of(clean.rows - clean.changed, clean.rows),
            by_edits: [0, 1, 2, 3].map(|at| {
                let Counts { rows, exact, changed } = groups[at];
                EditGroup {
                    edits: ["0", "1", "2", "3+"][at],
                    exact: Proportion::of(exact, rows),
                    changed: Proportion::of(changed, rows),
                }
            }),
        }
    }
}

/// Counts of a group of rows.
#[derive(Clone, Copy, Default)]
struct Counts {
    rows: usize,
    exact: usize,
    changed: usize,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            exact: self.exact + other.exact,
            changed: self.changed + other.changed,
        }
    }
}

/// A text, and what edits are counted in.
struct Units<'a> {
    characters: Vec<char>,
    words: Vec<&'a str>,
}

impl<'a> Units<'a> {
    fn of(text: &'a str) -> Self {
        Self { characters: text.chars().collect(), words: text.split_whitespace().collect() }
    }
}

/// Sums over rows: edits, and lengths of the clean texts.
#[derive(Default)]
struct Edits {
    characters: [usize; 2],
    words: [usize; 2],
}

impl Edits {
    fn add(&mut self, clean: &Units, other: &Units) {
        self.characters[0] += levenshtein(&clean.characters, &other.characters);
        self.characters[1] += clean.characters.len();
        self.words[0] += levenshtein(&clean.words, &other.words);
        self.words[1] += clean.words.len();
    }

    fn rates(&self) -> ErrorRates {
        let rate = |[edits, length]: [usize; 2]| (length > 0).then(|| edits as f64 / length as f64);
        ErrorRates {
            character_error_rate: rate(self.characters),
            word_error_rate: rate(self.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(rows: &[[&str; 3]]) -> RepairMeasures {
        let rows = rows.iter();
        RepairMeasures::of(rows.map(|&[clean, damaged, repaired]| Repair {
            clean,
            damaged,
            repaired,
        }))
    }

    // One row for each outcome. Edits of characters before the repair: 2 (a transposition), 1, 2; after it 0, 2, 2, 3.
    // Clean texts have 3 + 4 + 5 + 3 + 3 = 18 characters and 1 + 1 + 1 + 1 + 2 = 6 words.
    #[test]
    fn measures_are_hand_worked() {
        let found = measures(&[
            ["hat", "aht", "hat"],
            ["word", "wrd", "wild"],
            ["seven", "svn", "svn"],
            ["cat", "cat", "dog"],
            ["a b", "a b", "a b"],
        ]);
        assert_eq!((found.rows, found.exact.count, found.exact.of), (5, 2, 5));
        assert_eq!(found.input.character_error_rate, Some(5.0 / 18.0));
        assert_eq!(found.output.character_error_rate, Some(7.0 / 18.0));
        assert_eq!(found.input.word_error_rate, Some(3.0 / 6.0));
        assert_eq!(found.output.word_error_rate, Some(3.0 / 6.0));
        let outcomes = [found.right, found.wrong, found.missed, found.harmful, found.kept];
        assert_eq!(outcomes.map(|of| (of.count, of.of)), [(1, 3), (1, 3), (1, 3), (1, 2), (1, 2)]);
        let groups = found.by_edits.map(|of| (of.edits, of.exact.of, of.exact.count));
        // A transposition is one edit here, and so is a missing letter.
        assert_eq!(groups, [("0", 2, 1), ("1", 2, 1), ("2", 1, 0), ("3+", 0, 0)]);
        assert_eq!(found.by_edits.map(|of| of.changed.count), [1, 2, 0, 0]);
    }

    #[test]
    fn rates_may_exceed_one_and_have_no_value_without_characters() {
        let found = measures(&[["a", "a", "a b c"]]);
        assert_eq!(found.output.character_error_rate, Some(4.0));
        assert_eq!(found.output.word_error_rate, Some(2.0));
        let found = measures(&[["", "abc", ""]]);
        assert_eq!((found.input, found.right.count), (ErrorRates::default(), 1));
        assert_eq!((found.by_edits[3].exact.count, found.kept.share), (1, None));
        let found = measures(&[["  ", " ", " "]]);
        assert_eq!(found.input.character_error_rate, Some(0.5));
        assert_eq!(found.input.word_error_rate, None);
        assert_eq!(measures(&[]).exact.share, None);
    }

    // Two characters for the eye, three scalar values; an emoji is one; Hebrew is read from the right and counted the same.
    #[test]
    fn characters_are_scalar_values() {
        let found = measures(&[["e\u{301}t", "et", "ét"], ["😀 hi", "😃 hi", "😀 hi"]]);
        assert_eq!(found.input.character_error_rate, Some(2.0 / 7.0));
        // One character in place of two.
        assert_eq!((found.output.character_error_rate, found.wrong.count), (Some(2.0 / 7.0), 1));
        let found = measures(&[["שלום עולם", "שולם עולם", "שלום עולם"]]);
        assert_eq!((found.by_edits[1].exact.count, found.input.word_error_rate), (1, Some(0.5)));
    }

    #[test]
    fn measures_are_written_as_json() {
        let json = serde_json::to_string(&measures(&[["a", "b", "a"]]).by_edits[1].exact).unwrap();
        assert!(json.starts_with(r#"{"count":1,"of":1,"share":1.0,"interval":[0.2"#), "{json}");
    }
}
