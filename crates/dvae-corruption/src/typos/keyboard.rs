//! Which keys are beside each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The layout of a keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Keyboard {
    /// English.
    #[default]
    Qwerty,
    /// German.
    Qwertz,
    /// French.
    Azerty,
}

/// How far the rows of keys are shifted to the right, in keys, from the top.
const SHIFTS: [f64; 4] = [0.0, 0.5, 0.75, 1.25];
/// The distance of keys that a finger may miss by: those of a row, and four in the rows above and below.
const REACH: f64 = 1.3;

impl Keyboard {
    /// The keys of letters and digits, row by row.
    fn rows(self) -> [&'static str; 4] {
        match self {
            Self::Qwerty => ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"],
            Self::Qwertz => ["1234567890ß", "qwertzuiopü", "asdfghjklöä", "yxcvbnm"],
            Self::Azerty => ["&é\"'(-è_çà", "azertyuiop", "qsdfghjklm", "wxcvbn"],
        }
    }

    /// What is typed by the keys beside that of a character, in its case; nothing for one that is on no key. Beside that of a capital are
    /// letters alone, as the upper row types others with Shift.
    pub fn neighbors(self, letter: char) -> Vec<char> {
        let keys =
            self.rows().into_iter().zip(SHIFTS).enumerate().flat_map(|(row, (keys, shift))| {
                keys.chars()
                    .enumerate()
                    .map(move |(at, key)| (key, [at as f64 + shift, row as f64]))
            });
        let lower = lower(letter);
        let Some((_, own)) = keys.clone().find(|(key, _)| *key == lower) else {
            return vec![];
        };
        let is_upper = lower != letter;
        let beside = keys.filter(|(key, [x, y])| {
            let is_typed = !is_upper || *y > 0.0;
            is_typed && *key != lower && (x - own[0]).hypot(y - own[1]) < REACH
        });
        beside.map(|(key, _)| if is_upper { upper(key) } else { key }).collect()
    }
}

/// The only character of a change of case, if it is one.
pub(super) fn one(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next()?;
    letters.next().is_none().then_some(first)
}

/// The lower case of a character, if that is one character, or else itself.
pub(super) fn lower(letter: char) -> char {
    one(letter.to_lowercase()).unwrap_or(letter)
}

/// The upper case of a character, if that is one character, or else itself.
pub(super) fn upper(letter: char) -> char {
    one(letter.to_uppercase()).unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_are_the_keys_around_a_key() {
        let of = |keyboard: Keyboard, letter| -> String {
            let mut keys = keyboard.neighbors(letter);
            keys.sort_unstable();
            keys.into_iter().collect()
        };
        assert_eq!(of(Keyboard::Qwerty, 's'), "adewxz");
        assert_eq!(of(Keyboard::Qwerty, 'S'), "ADEWXZ");
        assert_eq!(of(Keyboard::Qwerty, '1'), "2q");
        assert_eq!(of(Keyboard::Qwerty, 'q') + &of(Keyboard::Qwerty, 'Q'), "12awAW");
        assert_eq!(of(Keyboard::Qwertz, 'y'), "asx");
        assert_eq!(of(Keyboard::Azerty, 'a'), "&qzé");
        assert_eq!(of(Keyboard::Qwerty, 'ж') + &of(Keyboard::Qwerty, ' '), "");
        // Who is beside whom holds both ways.
        for keyboard in [Keyboard::Qwerty, Keyboard::Qwertz, Keyboard::Azerty] {
            for key in keyboard.rows().concat().chars() {
                for beside in keyboard.neighbors(key) {
                    assert!(keyboard.neighbors(beside).contains(&key), "{key} and {beside}");
                }
            }
        }
    }
}
