//! A list of words with counts, and the nearest of them.

use std::collections::HashMap;

use dvae_checks::{RangeError, within};

use super::deletions::DeletionIndex;
use super::distance::{MOST_EDITS, alignment_within};
use super::words::{Candidate, repair_words};
use super::{Corrector, WordByWord};

/// Different texts with their counts, the most frequent first, and an index that finds those near another.
///
/// As a corrector it gives the nearest entry, whatever its count: the baseline that knows the words and nothing of how often
/// they are used. Entries may be words of a corpus or whole values of a column.
///
/// ```
/// use dvae_eval::{Corrector, WordList};
///
/// let list = WordList::new(["Paris", "Rome", "Paris"]);
/// assert_eq!(list.nearest("Pairs"), Some("Paris"));
/// assert_eq!(list.repair("Berlin"), "Berlin");
/// assert_eq!(list.repair_words("rmoe, PAIRS!"), "Rome, PARIS!");
/// ```
///
/// # What this gives up
///
/// Distances count Unicode scalar values, and texts are taken as they are: a letter with its accent written apart is two,
/// and upper case differs from lower case. Whoever wants less difference normalizes texts before. An empty text is near
/// short entries, and becomes one of them. Memory is that of the
/// texts and at most 232 bytes of index for each entry (512 at a distance of 3), and a bit for each in a search.
#[derive(Clone, Debug, PartialEq)]
pub struct WordList {
    entries: Vec<Entry>,
    max_distance: usize,
    index: DeletionIndex,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    text: Box<str>,
    count: u64,
    /// The number of its characters.
    length: usize,
}

/// An entry near a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbor<'a> {
    /// The entry.
    pub(super) text: &'a str,
    /// How often it was seen.
    pub(super) count: u64,
    /// Its edits from the word.
    pub(super) distance: usize,
}

impl WordList {
    /// The distance of [`WordList::new`].
    pub const DEFAULT_MAX_DISTANCE: usize = 2;

    /// Counts texts; entries up to two edits away are found.
    ///
    /// # Panics
    ///
    /// If there are more than 2³² different texts.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::of(texts, Self::DEFAULT_MAX_DISTANCE)
    }

    /// Counts texts; entries up to `max_distance` edits away are found, from 0 to 3. An error names another number.
    ///
    /// # Panics
    ///
    /// If there are more than 2³² different texts.
    pub fn with_max_distance<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
        max_distance: usize,
    ) -> Result<Self, RangeError> {
        Ok(Self::of(texts, within("max_distance", max_distance, 0..=MOST_EDITS)?))
    }

    fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, max_distance: usize) -> Self {
        let mut counts = HashMap::<Box<str>, u64>::new();
        for text in texts {
            let text = text.as_ref();
            match counts.get_mut(text) {
                Some(count) => *count += 1,
                None => _ = counts.insert(text.into(), 1),
            }
        }
        let entry = |(text, count): (Box<str>, u64)| {
            let length = text.chars().count();
            Entry { text, count, length }
        };
        let mut entries: Vec<Entry> = counts.into_iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| (b.count, &a.text).cmp(&(a.count, &b.text)));
        let index = DeletionIndex::of(entries.iter().map(|entry| &*entry.text), max_distance);
        Self { entries, max_distance, index }
    }

    /// The entries and their counts: by count, descending, and then by text.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.entries.iter().map(|entry| (&*entry.text, entry.count))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry with the fewest edits from a word, if they are at most the list's `max_distance`: the word itself if it is
    /// an entry. An edit is an insertion, a deletion, a replacement or a transposition of neighbors (optimal string alignment
    /// distance). Of several, the one with the larger count, and then the first by text.
    pub fn nearest(&self, word: &str) -> Option<&str> {
        self.nearest_neighbor(word).map(|neighbor| neighbor.text)
    }

    /// Whether a text is an entry.
    pub fn contains(&self, text: &str) -> bool {
        self.nearest_neighbor(text).is_some_and(|neighbor| neighbor.distance == 0)
    }

    /// The entries that are at most the list's `max_distance` away from a word, by count and text, with the edits of each.
    pub fn within_reach(&self, word: &str) -> impl Iterator<Item = (&str, usize)> {
        self.neighbors(word).into_iter().map(|neighbor| (neighbor.text, neighbor.distance))
    }

    /// The same for each word of a line; what is between words stays as it is, byte for byte.
    ///
    /// A word is a letter and the letters, combining marks and apostrophes after it, but begins and ends with no apostrophe.
    /// It is looked up as it is and in lower case. If it is nearer in lower case, the entry takes on its capitals: all of
    /// them, or the first. Capitals themselves are not repaired: a word that is an entry in lower case stays.
    pub fn repair_words(&self, line: &str) -> String {
        repair_words(line, |form| {
            let Neighbor { text, distance, .. } = self.nearest_neighbor(form)?;
            Some(Candidate { text, score: -(distance as f64) })
        })
    }

    fn nearest_neighbor(&self, word: &str) -> Option<Neighbor<'_>> {
        let mut nearest: Option<Neighbor> = None;
        self.visit_near(word, |neighbor| {
            // Entries come by count and text: a later one must be nearer.
            nearest = Some(neighbor);
            neighbor.distance.checked_sub(1)
        });
        nearest
    }

    /// All entries within the distance, in the order of the list.
    pub(super) fn neighbors(&self, word: &str) -> Vec<Neighbor<'_>> {
        let mut neighbors = Vec::new();
        self.visit_near(word, |neighbor| {
            neighbors.push(neighbor);
            Some(self.max_distance)
        });
        neighbors
    }

    /// Visits entries within the distance, in the order of the list; each visit says how far the next may be, or that it was
    /// the last.
    fn visit_near<'a>(&'a self, word: &str, mut visit: impl FnMut(Neighbor<'a>) -> Option<usize>) {
        let (word, mut letters): (Vec<char>, Vec<char>) = (word.chars().collect(), Vec::new());
        let mut limit = self.max_distance;
        for place in self.index.near(&word) {
            let Entry { text, count, length } = &self.entries[place];
            if length.abs_diff(word.len()) > limit {
                continue;
            }
            letters.clear();
            letters.extend(text.chars());
            if let Some(distance) = alignment_within(&word, &letters, limit) {
                let Some(next) = visit(Neighbor { text, count: *count, distance }) else { return };
                limit = next;
            }
        }
    }
}

impl Corrector for WordList {
    fn repair(&self, text: &str) -> String {
        self.nearest(text).unwrap_or(text).to_owned()
    }
}

impl Corrector for WordByWord<'_, WordList> {
    fn repair(&self, text: &str) -> String {
        self.0.repair_words(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::Lcg;

    #[test]
    fn entries_are_ordered_by_count_and_text() {
        let list = WordList::new(["b", "c", "a", "c", "é"]);
        let entries: Vec<_> = list.entries().collect();
        assert_eq!(entries, [("c", 2), ("a", 1), ("b", 1), ("é", 1)]);
        assert_eq!((list.len(), list.is_empty()), (4, false));
    }

    #[test]
    fn the_nearest_entry_is_hand_worked() {
        let list = WordList::new(["cat", "car", "car", "bat", "house", "שלום", "😀😀😀"]);
        // Itself, though another is more frequent.
        assert_eq!(list.nearest("cat"), Some("cat"));
        // One edit from cat and car: car has the larger count.
        assert_eq!(list.nearest("caz"), Some("car"));
        // One edit from cat and bat, which were each seen once: bat is first by text.
        assert_eq!(list.nearest("zat"), Some("bat"));
        // A transposition is one edit, and so nearer than two for "car".
        assert_eq!(list.nearest("act"), Some("cat"));
        assert_eq!(list.nearest("huose"), Some("house"));
        assert_eq!(list.nearest("שולם"), Some("שלום"));
        assert_eq!(list.nearest("😀"), Some("😀😀😀"));
        assert_eq!(list.nearest("hxxxe"), None);
        assert_eq!(list.nearest(""), None);
        assert_eq!(WordList::new([""; 0]).nearest("a"), None);
        assert_eq!(WordList::new([""]).nearest("ab"), Some(""));
    }

    #[test]
    fn the_distance_is_limited() {
        let within = |distance| WordList::with_max_distance(["abcdef"], distance);
        for (distance, word) in [(0, "abcdef"), (1, "abcde"), (2, "abcd"), (3, "abc")] {
            let list = within(distance).unwrap();
            assert_eq!(list.nearest(word), Some("abcdef"));
            assert_eq!(list.nearest(&word[1..]), None, "{distance}");
        }
        let error = within(4).unwrap_err().to_string();
        assert_eq!(error, "`max_distance` must be between 0 and 3, but is 4");
    }

    // Of three letters, so that many words are near, and some longer than the seven characters of the index.
    #[test]
    fn the_index_finds_what_an_exhaustive_search_finds() {
        let mut random = Lcg(2);
        for max_distance in 0..=3 {
            let words: Vec<String> = (0..700).map(|_| random.word(3, 12)).collect();
            let list = WordList::with_max_distance(&words, max_distance).unwrap();
            for _ in 0..500 {
                let query = random.word(4, 13);
                let letters = crate::text::tests::chars(&query);
                let distance = |(place, (text, _)): (usize, (&'_ str, u64))| {
                    let text = crate::text::tests::chars(text);
                    Some((alignment_within(&letters, &text, max_distance)?, place))
                };
                let mut near: Vec<_> = list.entries().enumerate().filter_map(distance).collect();
                let found: Vec<&str> =
                    list.neighbors(&query).iter().map(|neighbor| neighbor.text).collect();
                let text = |&(_, place): &(usize, usize)| &*list.entries[place].text;
                assert_eq!(found, near.iter().map(text).collect::<Vec<_>>(), "{query}");
                near.sort_unstable();
                assert_eq!(list.nearest(&query), near.first().map(text), "{query}");
            }
        }
    }
}
