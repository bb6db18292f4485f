//! Text repair: measures of it, and baselines that know words and their counts.
//!
//! | Piece              | What it is                                                                  |
//! |--------------------|-----------------------------------------------------------------------------|
//! | [`RepairMeasures`] | exact repairs, error rates and harm, by the number of edits                  |
//! | [`Proportion`]     | a share of rows with its 95 % interval                                       |
//! | [`WordList`]       | words with counts, and the one nearest to a text                             |
//! | [`NoisyChannel`]   | the most probable word, from counts and a model of edits                     |
//! | [`WordByWord`]     | one of the two for the words of a line, where they take texts as a whole     |

mod deletions;
mod distance;
mod noisy_channel;
mod proportion;
mod repair;
mod word_list;
mod words;

pub use noisy_channel::NoisyChannel;
pub use proportion::Proportion;
pub use repair::{EditGroup, ErrorRates, Repair, RepairMeasures};
pub use word_list::WordList;

/// A method that repairs texts.
pub trait Corrector {
    /// The text as it should be; the text itself if the method knows nothing better.
    fn repair(&self, text: &str) -> String;
}

/// A corrector for lines: each word is repaired by itself, and what is between words stays.
///
/// ```
/// use dvae_eval::{Corrector, WordByWord, WordList};
///
/// let list = WordList::new(["new", "york"]);
/// assert_eq!(WordByWord(&list).repair("New Yrok, 1999"), "New York, 1999");
/// assert_eq!(list.repair("New Yrok, 1999"), "New Yrok, 1999");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WordByWord<'a, C>(pub &'a C);

#[cfg(test)]
mod tests {
    pub(super) fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    /// A linear congruential generator: the same words on every machine.
    pub(super) struct Lcg(pub(super) u64);

    impl Lcg {
        /// A number below `end`.
        pub(super) fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % end
        }

        /// A word of the first few letters, up to so long.
        pub(super) fn word(&mut self, letters: u8, longest: u64) -> String {
            let length = self.below(longest + 1);
            (0..length).map(|_| char::from(b'a' + self.below(letters.into()) as u8)).collect()
        }
    }
}
