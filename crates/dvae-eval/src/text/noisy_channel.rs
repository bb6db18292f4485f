//! A noisy channel: the most probable word, from counts and a model of edits.

use std::collections::HashSet;
use std::ops::Bound::Excluded;

use dvae_checks::{RangeError, non_negative, within};

use super::word_list::Neighbor;
use super::words::{Candidate, repair_words};
use super::{Corrector, WordByWord, WordList};

/// Repairs a text `x` by the most probable text `w` that it may have been, `argmax P(w) P(x | w)`.
///
/// ```text
/// P(w)     ∝ count(w) + 1
/// P(x | w) = exp(−λ) (λ / N)^d,   λ = ε n,   N = 2 A n + A + n − 1
/// ```
///
/// `d` is the optimal string alignment distance from `w` to `x`, `n` the length of `w` in characters (Unicode scalar
/// values), `A` the number of different characters in the list, and `ε` the expected edits for each character. `N` is the
/// number of single edits that can be made on `w`: `n` deletions, `n − 1` transpositions, `n (A − 1)` replacements and
/// `(n + 1) A` insertions. Each happens at the same rate, `λ / N`, independently of the others, so that there are `λ` of them
/// on average; `P(x | w)` is the probability of the `d` that are needed and of no other.
///
/// Candidates are the entries of the list within its distance, and `x` itself. If `x` is not an entry, it may still be
/// right: a word that the list lacks has a count of 0, so `P(w) ∝ 1`, and no edit, `P(x | x) = exp(−ε n)`.
///
/// After Kernighan, Church & Gale (1990), "A Spelling Correction Program Based on a Noisy Channel Model", with
/// these differences: they add one half to counts; they allow one edit, with a probability learned for each pair of letters,
/// where edits here are all equally likely and may be several; and they keep no word that their list lacks.
///
/// ```
/// use dvae_eval::{Corrector, NoisyChannel, WordList};
///
/// let corpus = "the cat and the hat ".repeat(2000);
/// let list = WordList::new(corpus.split_whitespace());
/// let channel = NoisyChannel::new(&list, 0.05)?;
/// assert_eq!(channel.repair("cta"), "cat");
/// assert_eq!(channel.repair_words("The Cta: and Zoe!"), "The Cat: and Zoe!");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What this gives up
///
/// - Add-one smoothing gives each word that the list lacks as much as half of a word seen once. One edit costs a factor
///   of about `2 A / ε`, 1,000 for 26 letters and `ε = 0.05`: with fewer occurrences than that, an entry repairs nothing that
///   the list lacks. For small lists choose a smaller [`unknown_count`](Self::unknown_count), by validation.
/// - The words around a word have no influence, and neither has the keyboard.
/// - Of several ways to make `x` of `w`, only one of the shortest counts.
#[derive(Clone, Debug)]
pub struct NoisyChannel<'a> {
    list: &'a WordList,
    edit_probability: f64,
    unknown_count: f64,
    /// The number of different characters in the list.
    alphabet: usize,
}

impl<'a> NoisyChannel<'a> {
    /// A channel with `edit_probability` expected edits for each character, between 0 and 1, both excluded. An error says
    /// that it is another number.
    pub fn new(list: &'a WordList, edit_probability: f64) -> Result<Self, RangeError> {
        let range = (Excluded(0.0), Excluded(1.0));
        let edit_probability = within("edit_probability", edit_probability, range)?;
        let letters: HashSet<char> = list.entries().flat_map(|(text, _)| text.chars()).collect();
        Ok(Self { list, edit_probability, unknown_count: 1.0, alphabet: letters.len() })
    }

    /// The same with another smoothed count for a word that the list lacks, in place of 1. With 0, such a word is never right
    /// if an entry is near, as in Norvig (2007), "How to Write a Spelling Corrector". An error says that it is negative or not
    /// finite.
    pub fn unknown_count(self, unknown_count: f64) -> Result<Self, RangeError> {
        Ok(Self { unknown_count: non_negative("unknown_count", unknown_count)?, ..self })
    }

    /// The same for each word of a line; what is between words stays as it is, byte for byte.
    ///
    /// Words and their capitals are those of [`WordList::repair_words`], where a word in lower case must be more probable than
    /// as it is.
    pub fn repair_words(&self, line: &str) -> String {
        repair_words(line, |form| self.best(form))
    }

    /// The most probable entry; `None` if it is more probable that the text is right and the list lacks it. Of several, the
    /// first in the order of the list.
    fn best(&self, text: &str) -> Option<Candidate<'a>> {
        let mut best: Option<Candidate> = None;
        let neighbors = self.list.neighbors(text);
        let is_known = neighbors.iter().any(|neighbor| neighbor.distance == 0);
        for neighbor in neighbors {
            let (text, score) = (neighbor.text, self.log_probability(neighbor));
            if best.is_none_or(|best| score > best.score) {
                best = Some(Candidate { text, score });
            }
        }
        let keep = self.unknown_count.ln() - self.expected_edits(text);
        best.filter(|best| is_known || best.score > keep)
    }

    /// `ln P(w) P(x | w)`, up to a constant.
    fn log_probability(&self, Neighbor { text, count, distance }: Neighbor) -> f64 {
        let expected = self.expected_edits(text);
        let (n, a) = (text.chars().count(), self.alphabet);
        let edits = (2 * a * n + a + n).saturating_sub(1).max(1);
        // No letter of an empty text can be wrong: of 0 · ln 0 for no edit, 0 is meant.
        let of_edits = match distance {
            0 => 0.0,
            _ => distance as f64 * (expected / edits as f64).ln(),
        };
        (count as f64 + 1.0).ln() - expected + of_edits
    }

    /// `λ` of a text.
    fn expected_edits(&self, text: &str) -> f64 {
        self.edit_probability * text.chars().count() as f64
    }
}

impl Corrector for NoisyChannel<'_> {
    fn repair(&self, text: &str) -> String {
        self.best(text).map_or(text, |best| best.text).to_owned()
    }
}

impl Corrector for WordByWord<'_, NoisyChannel<'_>> {
    fn repair(&self, text: &str) -> String {
        self.0.repair_words(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(counts: &[(&'static str, usize)]) -> WordList {
        WordList::new(counts.iter().flat_map(|&(word, count)| std::iter::repeat_n(word, count)))
    }

    // Of "ab" and "ac", with the letters a, b and c: n = 2, A = 3, N = 12 + 3 + 2 − 1 = 16, λ = 0.2, and so one edit is a factor
    // of 0.2 / 16 = 1/80.
    #[test]
    fn probabilities_are_hand_worked() {
        let list = list(&[("ab", 99), ("ac", 1)]);
        let channel = NoisyChannel::new(&list, 0.1).unwrap();
        let probability =
            |distance| channel.log_probability(Neighbor { text: "ab", count: 99, distance }).exp();
        for (distance, expected) in [(0, 100.0), (1, 100.0 / 80.0), (2, 100.0 / 6400.0)] {
            let expected = expected * (-0.2f64).exp();
            assert!((probability(distance) - expected).abs() < 1e-12, "{distance}");
        }
        // "ax" may be "ab" (100 / 80), "ac" (2 / 80) or right (1).
        assert_eq!(channel.repair("ax"), "ab");
        // "ac" is an entry: 2 against 100 / 80.
        assert_eq!(channel.repair("ac"), "ac");
        // With 78 of "ab", it is 79 / 80 against 1.
        let fewer = self::list(&[("ab", 78), ("ac", 1)]);
        let channel = NoisyChannel::new(&fewer, 0.1).unwrap();
        assert_eq!(channel.repair("ax"), "ax");
        assert_eq!(channel.unknown_count(0.9).unwrap().repair("ax"), "ab");
    }

    // 160 and more of "ab" outweigh the 2 of "ac", which is then taken for an error.
    #[test]
    fn an_entry_may_be_an_error() {
        for (count, expected) in [(158, "ac"), (160, "ab")] {
            let list = list(&[("ab", count), ("ac", 1)]);
            assert_eq!(NoisyChannel::new(&list, 0.1).unwrap().repair("ac"), expected);
        }
    }

    #[test]
    fn without_a_candidate_a_text_stays() {
        let list = list(&[("house", 1_000_000), ("", 1)]);
        let channel = NoisyChannel::new(&list, 0.05).unwrap().unknown_count(0.0).unwrap();
        for text in ["", "hx", "houseboat", "😀😀😀", "שלום"] {
            assert_eq!(channel.repair(text), text);
        }
        let empty = WordList::new([""; 0]);
        assert_eq!(NoisyChannel::new(&empty, 0.05).unwrap().repair("a"), "a");
    }

    // 7,000 of each outweigh one edit, but not two.
    #[test]
    fn lines_are_repaired_word_by_word() {
        let list = list(&[("don't", 7000), ("go", 7000), ("house", 7000), ("café", 7000)]);
        let channel = NoisyChannel::new(&list, 0.1).unwrap();
        let line = "  Dno't\tGO ‘huose’, CAEFÉ…\n";
        assert_eq!(channel.repair_words(line), "  Don't\tGO ‘house’, CAFÉ…\n");
        let by_word: &dyn Corrector = &WordByWord(&channel);
        assert_eq!(by_word.repair(line), channel.repair_words(line));
        assert_eq!(channel.repair_words("hxxse"), "hxxse");
        assert_eq!(channel.repair_words("שלום 😀"), "שלום 😀");
    }

    #[test]
    fn parameters_are_checked() {
        let list = list(&[("a", 1)]);
        for wrong in [0.0, 1.0, -0.1, f64::NAN] {
            let error = NoisyChannel::new(&list, wrong).unwrap_err().to_string();
            let expected =
                format!("`edit_probability` must be above 0 and below 1, but is {wrong}");
            assert_eq!(error, expected);
        }
        let channel = NoisyChannel::new(&list, 0.1).unwrap();
        assert!(channel.clone().unknown_count(f64::NAN).is_err());
        assert!(channel.unknown_count(-1.0).is_err());
    }
}
