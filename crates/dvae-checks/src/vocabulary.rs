//! Texts as numbers: the characters that a model knows.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The characters that a model knows, each a Unicode scalar value, and their numbers, which are called tokens.
///
/// Token 0 is the end of a text, and what follows it; token 1 stands for any character that is not known; those that are known have the
/// numbers from 2 on, in the order of their code points. A row of tokens is a text with its end, filled up with ends.
///
/// ```
/// use dvae_checks::Vocabulary;
///
/// let known = Vocabulary::of(["ada", "bea", "q"], 2);
/// assert_eq!(known.tokens("abc"), [2, 1, 1]); // only `a` is there twice
/// assert_eq!(known.len(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Vocabulary {
    characters: Vec<char>,
    numbers: HashMap<char, u16>,
}

impl Vocabulary {
    /// The token at the end of a text.
    pub const END: u16 = 0;
    /// The token of a character that is not known.
    pub const UNKNOWN: u16 = 1;
    /// What stands for such a character in a text.
    pub const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
    /// The most characters.
    pub const MOST: usize = u16::MAX as usize - 1;

    /// The characters that occur so often at least in these texts. Of more than [`Self::MOST`], the most frequent ones.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>, least: usize) -> Self {
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        for letter in texts.into_iter().flat_map(str::chars) {
            *counts.entry(letter).or_default() += 1;
        }
        counts.remove(&Self::REPLACEMENT);
        let mut known: Vec<(usize, char)> = counts
            .into_iter()
            .filter(|&(_, count)| count >= least)
            .map(|(letter, count)| (count, letter))
            .collect();
        known.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        known.truncate(Self::MOST);
        let mut characters: Vec<char> = known.into_iter().map(|(_, letter)| letter).collect();
        characters.sort_unstable();
        Self::new(characters)
    }

    fn new(characters: Vec<char>) -> Self {
        let numbers = (2..).zip(&characters).map(|(number, &letter)| (letter, number)).collect();
        Self { characters, numbers }
    }

    /// The characters, ascending.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// The number of tokens: the characters, the end and the unknown one.
    #[allow(clippy::len_without_is_empty)] // There are two at least.
    pub fn len(&self) -> usize {
        self.characters.len() + 2
    }

    /// The tokens of a text, without an end.
    pub fn tokens(&self, text: &str) -> Vec<u16> {
        let number = |letter| self.numbers.get(&letter).copied().unwrap_or(Self::UNKNOWN);
        text.chars().map(number).collect()
    }

    /// The text of tokens up to the first end, or all of them. What is no token counts as unknown, for which
    /// [`Self::REPLACEMENT`] stands.
    pub fn text(&self, tokens: impl IntoIterator<Item = u16>) -> String {
        let letter = |token: u16| {
            let known = usize::from(token).checked_sub(2);
            known.and_then(|at| self.characters.get(at)).copied().unwrap_or(Self::REPLACEMENT)
        };
        tokens.into_iter().take_while(|&token| token != Self::END).map(letter).collect()
    }
}

impl TryFrom<String> for Vocabulary {
    type Error = String;

    /// An error says that characters are not ascending, or that there are too many.
    fn try_from(text: String) -> Result<Self, String> {
        let characters: Vec<char> = text.chars().collect();
        if characters.len() > Self::MOST {
            return Err(format!("a vocabulary has {} characters at most", Self::MOST));
        }
        if characters.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("the characters of a vocabulary must be ascending, none twice".to_owned());
        }
        Ok(Self::new(characters))
    }
}

impl From<Vocabulary> for String {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.characters.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_unknown_characters_are_marked() {
        let known = Vocabulary::of(["née Aš", "🙂\u{301}"], 1);
        for text in ["née Aš", "", "🙂\u{301}"] {
            assert_eq!(known.text(known.tokens(text)), text);
        }
        assert_eq!(known.text(known.tokens("nöé")), "n\u{fffd}é");
        assert_eq!(known.text([9999, 0, 3]), "\u{fffd}");
        assert_eq!(known.tokens("\u{fffd}"), [Vocabulary::UNKNOWN]);
    }

    #[test]
    fn rare_characters_are_unknown_and_a_file_must_be_in_order() {
        let known = Vocabulary::of(["aab", "c"], 2);
        assert_eq!(known.characters(), ['a']);
        let text = String::from(Vocabulary::of(["ba"], 1));
        assert_eq!(text, "ab");
        assert_eq!(Vocabulary::try_from(text).unwrap(), Vocabulary::of(["ba"], 1));
        assert!(Vocabulary::try_from("ba".to_owned()).is_err());
        assert!(Vocabulary::try_from("aa".to_owned()).is_err());
        assert_eq!(Vocabulary::of([], 1).len(), 2);
    }
}
