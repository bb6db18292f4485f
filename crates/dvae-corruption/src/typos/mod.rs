//! Typing errors in text.

mod keyboard;
mod learned;
mod learned_alignment;
mod learned_model;
mod learned_rates;
mod look_alikes;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use dvae_checks::Vocabulary;
use dvae_random::{RowRng, RowStreams};
use rand_core::Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

pub use keyboard::Keyboard;
use keyboard::{lower, one, upper};
pub use learned::LearnedTypos;
pub use learned_model::TypoModel;
use look_alikes::look_alikes;
pub use tokens::TokenProcess;

use crate::{CorruptionError, Level, Scale, Strength, TextContext};

/// A kind of typing error. A character is one as people see it: a letter with its accents, a whole emoji (Unicode Standard Annex 29).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TypoKind {
    /// A character that cannot be read: U+FFFD in its place.
    Mask,
    /// Another letter of the alphabet in place of one.
    Replace,
    /// The key beside the right one.
    Neighbor,
    /// A character left out.
    Delete,
    /// A letter of the alphabet before a character.
    Insert,
    /// A character and the next one in the other order.
    Transpose,
    /// A character twice.
    Duplicate,
    /// An upper-case letter for a lower-case one, or the other way around.
    Case,
    /// What looks alike, as `rn` for `m`: an error of recognition of printed text.
    LookAlike,
    /// A letter without its accents.
    Accent,
    /// Two words run together.
    Join,
    /// A space within a word.
    Split,
}

/// A text with typing errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptedText {
    /// The text.
    pub text: String,
    /// For each character of the clean text (each Unicode scalar value), whether an error touched it: it was left out, replaced, moved or doubled,
    /// or something was put before it.
    pub changed: Vec<bool>,
}

/// A process on texts, `p(x̃ | x)`: as [`Corruption`](crate::Corruption), but what it gives has another length, so that it works on strings.
pub trait TextCorruption: Debug + Send + Sync {
    /// The strength: the level, its meaning, and the level that changes nothing.
    fn strength(&self) -> Strength;

    /// The same process at another strength; an error names a level out of range.
    fn at_level(&self, level: Level) -> Result<Box<dyn TextCorruption>, CorruptionError>;

    /// A text at this level, with random numbers of its own.
    fn corrupt_one(&self, text: &str, level: f64, rng: &mut RowRng) -> CorruptedText;

    /// Each text at the level of its row, with the noise of its row.
    ///
    /// # Panics
    ///
    /// If there are not as many rows as texts.
    fn corrupt(&self, texts: &[&str], draws: &mut RowStreams) -> Vec<CorruptedText> {
        assert_eq!(draws.ids().len(), texts.len(), "a row for each text");
        let levels = self.strength().of_rows(draws);
        let streams = draws.branch();
        let each = texts.par_iter().zip(levels).enumerate();
        each.map(|(place, (text, level))| {
            self.corrupt_one(text, level.into(), &mut streams.row(place).rng())
        })
        .collect()
    }
}

/// Typing errors of several kinds: at each character, with a probability of level / 100, one of the errors that can be made there, by
/// their weights.
///
/// Use it to train on names, titles and short texts, or to see how a model does as errors become more. Levels of 2 to 10 are an error in
/// every tenth word to one in every second.
///
/// # What this gives up
///
/// An error that takes up the next character too (`transpose`, and look-alikes of two letters) leaves it no error of its own. With these
/// kinds there are fewer errors than the level says: of the default ones 3.96 at a level of 4, 15.4 at 16. Nothing is put after the last
/// character. Errors do not depend on the word, as those of people do.
///
/// ```
/// use dvae_corruption::{TextCorruption, Typos};
/// use dvae_random::{Key, Purpose};
///
/// let mut draws = Key::new(1).purpose(Purpose::Corruption).rows(&[0, 1]);
/// let damaged = Typos::new(20.0)?.corrupt(&["Elizabeth Bennet", ""], &mut draws);
/// assert_ne!(damaged[0].text, "Elizabeth Bennet");
/// assert_eq!(damaged[0].changed.len(), 16);
/// assert_eq!(damaged[1].text, "");
/// # Ok::<(), dvae_corruption::CorruptionError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Typos {
    level: Level,
    kinds: Vec<(TypoKind, f64)>,
    keyboard: Keyboard,
    alphabet: Vec<char>,
}

impl Typos {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "edits",
        meaning: "expected errors for 100 characters where one can be made",
        range: [0.0, 100.0],
        null: 0.0,
        severities: [1.0, 2.0, 4.0, 8.0, 16.0],
    };

    /// Four kinds of errors with equal weights: a character left out, a letter too many, the key beside the right one, and two characters in
    /// the other order. Damerau (1964), "A Technique for Computer Detection and Correction of Spelling Errors", finds one omission,
    /// insertion, wrong letter or transposition in most misspelled words; the neighboring key stands for the wrong letter. The alphabet
    /// is the lower-case Latin one, and the keyboard an English one. An error names a level out of `[0, 100]`.
    pub fn new(level: impl Into<Level>) -> Result<Self, CorruptionError> {
        let level = Self::SCALE.resolve(level)?;
        let kinds = [TypoKind::Delete, TypoKind::Insert, TypoKind::Neighbor, TypoKind::Transpose];
        Ok(Self {
            level,
            kinds: kinds.map(|kind| (kind, 1.0)).into(),
            keyboard: Keyboard::default(),
            alphabet: ('a'..='z').collect(),
        })
    }

    /// The same with these kinds, each with its weight. An error says that there is none, or that a weight is negative, or that their sum
    /// is 0 or not finite.
    pub fn kinds(self, kinds: &[(TypoKind, f64)]) -> Result<Self, CorruptionError> {
        let sum: f64 = kinds.iter().map(|(_, weight)| weight).sum();
        let are_right =
            kinds.iter().all(|(_, weight)| *weight >= 0.0) && sum.is_finite() && sum > 0.0;
        if !are_right {
            let weights = kinds.iter().map(|(_, weight)| *weight).collect();
            return Err(CorruptionError::Weights { processes: kinds.len(), weights });
        }
        Ok(Self { kinds: kinds.into(), ..self })
    }

    /// The same with another keyboard.
    pub fn keyboard(self, keyboard: Keyboard) -> Self {
        Self { keyboard, ..self }
    }

    /// The same with other letters for `replace` and `insert`, such as those of the training texts; each counts once, and combining marks are
    /// left out. They are written in the case of the letter at their place. An error says that there is no letter.
    pub fn alphabet(
        self,
        letters: impl IntoIterator<Item = char>,
    ) -> Result<Self, CorruptionError> {
        let letters = letters.into_iter().filter(|letter| !is_combining_mark(*letter));
        let letters: BTreeSet<char> = letters.map(lower).collect();
        if letters.is_empty() {
            return Err(CorruptionError::NoLetter);
        }
        Ok(Self { alphabet: letters.into_iter().collect(), ..self })
    }

    /// The same as a configuration has it, on rows of these tokens, whose letters are the alphabet, if there are any.
    pub(crate) fn configured(
        self,
        kinds: Option<&BTreeMap<TypoKind, f64>>,
        keyboard: Keyboard,
        texts: TextContext,
    ) -> Result<TokenProcess, CorruptionError> {
        let typos = self.keyboard(keyboard);
        let typos = match kinds {
            Some(kinds) => typos
                .kinds(&kinds.iter().map(|(&kind, &weight)| (kind, weight)).collect::<Vec<_>>())?,
            None => typos,
        };
        let letters: Vec<char> = texts
            .vocabulary
            .characters()
            .iter()
            .copied()
            .filter(|letter| letter.is_alphabetic())
            .collect();
        let typos = if letters.is_empty() { typos } else { typos.alphabet(letters)? };
        Ok(TokenProcess::new(typos, texts.vocabulary))
    }

    /// One of the errors that can be made at a place: how many bytes of the text there become what.
    fn error(&self, place: &Place, rng: &mut RowRng) -> Option<(usize, String)> {
        let pick = uniform(rng);
        let errors = self.kinds.iter().filter_map(|&(kind, weight)| {
            let error = match kind {
                TypoKind::Transpose | TypoKind::LookAlike | TypoKind::Join | TypoKind::Split => {
                    place.with_others(kind, pick)
                }
                _ => self.of_letter(kind, place, pick).map(|error| (place.letter.len(), error)),
            };
            error.map(|error| (weight, error))
        });
        let errors: Vec<(f64, (usize, String))> = errors.collect();
        let sum: f64 = errors.iter().map(|(weight, _)| weight).sum();
        let mut left = uniform(rng) * sum;
        let chosen = errors.into_iter().find(|(weight, _)| {
            left -= weight;
            left < 0.0
        });
        chosen.map(|(_, error)| error)
    }

    /// What an error of a kind makes of the letter at a place; `pick` chooses among several.
    fn of_letter(&self, kind: TypoKind, place: &Place, pick: f64) -> Option<String> {
        let &Place { letter, first, is_alone, .. } = place;
        let in_case = |other: char| if first.is_uppercase() { upper(other) } else { other };
        match kind {
            TypoKind::Replace if first.is_alphabetic() => {
                let others: Vec<char> = self
                    .alphabet
                    .iter()
                    .map(|&other| in_case(other))
                    .filter(|&other| other != first)
                    .collect();
                picked(others, pick).map(|other| other.to_string())
            }
            TypoKind::Neighbor if is_alone => {
                picked(self.keyboard.neighbors(first), pick).map(|other| other.to_string())
            }
            TypoKind::Delete => Some(String::new()),
            TypoKind::Mask => {
                let mask = Vocabulary::REPLACEMENT;
                (first != mask).then(|| mask.to_string())
            }
            TypoKind::Insert => {
                let other = self.alphabet[(pick * self.alphabet.len() as f64) as usize];
                Some(format!("{}{letter}", in_case(other)))
            }
            TypoKind::Duplicate => Some(format!("{letter}{letter}")),
            TypoKind::Case => {
                let own = letter.chars().next()?;
                let other = one(own.to_uppercase()).filter(|upper| *upper != own);
                let other = other.or(one(own.to_lowercase()).filter(|lower| *lower != own))?;
                Some(format!("{other}{}", &letter[own.len_utf8()..]))
            }
            TypoKind::Accent => {
                let is_accent = |mark: &char| ('\u{300}'..='\u{36f}').contains(mark);
                let bare: String = letter.nfd().filter(|mark| !is_accent(mark)).nfc().collect();
                let has_accent = letter.nfd().any(|mark| is_accent(&mark));
                (has_accent && !bare.is_empty()).then_some(bare)
            }
            _ => None,
        }
    }
}

impl TextCorruption for Typos {
    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn TextCorruption>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..self.clone() }))
    }

    fn corrupt_one(&self, text: &str, level: f64, rng: &mut RowRng) -> CorruptedText {
        let mut corrupted = CorruptedText { text: String::new(), changed: vec![] };
        let (mut before, mut rest) = (None, text);
        while let Some(place) = Place::at(before, rest) {
            let is_chosen = uniform(rng) < level / 100.0;
            let error = if is_chosen { self.error(&place, rng) } else { None };
            let (part, after) = rest.split_at(error.as_ref().map_or(place.letter.len(), |of| of.0));
            let is_changed = error.is_some();
            corrupted.text.push_str(error.as_ref().map_or(part, |(_, replacement)| replacement));
            corrupted.changed.extend(part.chars().map(|_| is_changed));
            before = part.graphemes(true).next_back().and_then(|letter| letter.chars().next());
            rest = after;
        }
        corrupted
    }
}

/// A place of a text.
struct Place<'a> {
    /// The beginning of the character before it.
    before: Option<char>,
    /// The text from there on, and its first character.
    text: &'a str,
    letter: &'a str,
    /// The beginning of that character, composed, and whether it has no more.
    first: char,
    is_alone: bool,
}

impl<'a> Place<'a> {
    /// The beginning of a text; `None` at its end.
    fn at(before: Option<char>, text: &'a str) -> Option<Self> {
        let letter = text.graphemes(true).next()?;
        let mut composed = letter.nfc();
        let first = composed.next()?;
        Some(Self { before, text, letter, first, is_alone: composed.next().is_none() })
    }

    /// The next character.
    fn next(&self) -> Option<&'a str> {
        self.text[self.letter.len()..].graphemes(true).next()
    }

    /// What an error of a kind makes here that looks at other characters too, and of how many bytes; `pick` chooses among several.
    fn with_others(&self, kind: TypoKind, pick: f64) -> Option<(usize, String)> {
        let &Self { before, text, letter, first, .. } = self;
        let next = self.next();
        match kind {
            TypoKind::Transpose => {
                let (pair, swapped) = (format!("{letter}{}", next?), format!("{}{letter}", next?));
                (pair != swapped).then_some((pair.len(), swapped))
            }
            TypoKind::LookAlike => {
                // Not a letter whose accent stands after it.
                let whole = [letter.len(), letter.len() + next.map_or(0, str::len)];
                let alike = look_alikes(text).into_iter();
                let alike = alike.filter(|(taken, _)| whole.contains(taken)).collect();
                picked(alike, pick).map(|(taken, other)| (taken, other.to_owned()))
            }
            TypoKind::Join => {
                let is_of_word =
                    |letter: Option<char>| letter.is_some_and(|letter| !letter.is_whitespace());
                let is_between =
                    is_of_word(before) && is_of_word(next.and_then(|next| next.chars().next()));
                (is_between && first.is_whitespace()).then(|| (letter.len(), String::new()))
            }
            TypoKind::Split => {
                let is_within = first.is_alphabetic() && before.is_some_and(char::is_alphabetic);
                is_within.then(|| (letter.len(), format!(" {letter}")))
            }
            _ => None,
        }
    }
}

/// The one of several that a number in `[0, 1)` chooses.
fn picked<T>(mut of: Vec<T>, pick: f64) -> Option<T> {
    (!of.is_empty()).then(|| of.swap_remove((pick * of.len() as f64) as usize))
}

/// A number in `[0, 1)`.
fn uniform(rng: &mut RowRng) -> f64 {
    f64::from(rng.next_u32()) / (f64::from(u32::MAX) + 1.0)
}
