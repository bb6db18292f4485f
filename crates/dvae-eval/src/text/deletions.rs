//! An index of words by what is left of them after deletions.

/// The characters of a word that are indexed.
const PREFIX: usize = 7;

/// Finds the words that may be within some edits of another: those that share with it what is left of their first seven
/// characters after as many deletions.
///
/// An insertion in one word is a deletion in the other; a replacement, and a transposition, are a deletion in each. So words
/// within `n` edits have something in common after at most `n` deletions in each. So have their beginnings: an insertion in one
/// pushes a character across its end, and both beginnings are equal again without the inserted character in one and the
/// character pushed out of the other. After Garbe (2012), "1000x Faster Spelling Correction
/// Algorithm" (SymSpell).
///
/// # What this gives up
///
/// Words that begin alike are all found together, and whoever asks compares each: a list of addresses that begin with
/// `Street` takes time of the order of its length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DeletionIndex {
    /// The number of words.
    words: usize,
    /// The most deletions.
    deletions: usize,
    /// A hash of what is left, and the place of a word in the list; ascending. Eight bytes each, and at most 29 of a word
    /// for two deletions, 64 for three.
    places: Vec<(u32, u32)>,
}

impl DeletionIndex {
    /// Indexes words, in the order of their places.
    ///
    /// # Panics
    ///
    /// If there are more than 2³² words.
    pub(super) fn of<'a>(words: impl ExactSizeIterator<Item = &'a str>, deletions: usize) -> Self {
        let (count, mut places) = (words.len(), Vec::new());
        for (place, word) in words.enumerate() {
            let place = u32::try_from(place).expect("at most 2³² words");
            let left = hashes(&word.chars().take(PREFIX).collect::<Vec<_>>(), deletions);
            places.extend(left.into_iter().map(|hash| (hash, place)));
        }
        places.sort_unstable();
        places.shrink_to_fit();
        Self { words: count, deletions, places }
    }

    /// The places of all words within the edits, and of some others, ascending.
    pub(super) fn near(&self, word: &[char]) -> impl Iterator<Item = usize> {
        // A bit for each place: most places are found several times.
        let mut found = vec![0_u64; self.words.div_ceil(64)];
        for hash in hashes(&word[..word.len().min(PREFIX)], self.deletions) {
            let from = self.places.partition_point(|(other, _)| *other < hash);
            let same = self.places[from..].iter().take_while(|(other, _)| *other == hash);
            same.for_each(|(_, place)| found[*place as usize / 64] |= 1 << (place % 64));
        }
        found.into_iter().enumerate().filter(|(_, bits)| *bits > 0).flat_map(|(at, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| 64 * at + bit)
        })
    }
}

/// A hash of each sequence that is left of a prefix after at most so many deletions, ascending. Sequences of one hash only
/// make the index find more words.
fn hashes(prefix: &[char], deletions: usize) -> Vec<u32> {
    let every_subset = 0_u32..1 << prefix.len();
    let few = every_subset.filter(|deleted| deleted.count_ones() as usize <= deletions);
    let mut hashes: Vec<u32> = few
        .map(|deleted| {
            let left = prefix.iter().enumerate().filter(|(at, _)| deleted >> at & 1 == 0);
            hash(left.map(|(_, letter)| *letter))
        })
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The upper half of FNV-1a (Fowler, Noll & Vo) over scalar values, the same on every machine.
fn hash(letters: impl Iterator<Item = char>) -> u32 {
    let step = |hash: u64, letter: char| {
        (hash ^ u64::from(u32::from(letter))).wrapping_mul(0x0000_0100_0000_01b3)
    };
    (letters.fold(0xcbf2_9ce4_8422_2325, step) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::chars;

    // Of seven different letters: 1 + 7 + 21 for two deletions, and 35 more for three. Of "aab", after one: aab, ab, aa.
    #[test]
    fn what_is_left_is_counted_once() {
        assert_eq!(hashes(&chars("abcdefg"), 2).len(), 29);
        assert_eq!(hashes(&chars("abcdefg"), 3).len(), 64);
        assert_eq!(hashes(&chars("aab"), 1).len(), 3);
        assert_eq!(hashes(&[], 2).len(), 1);
    }

    #[test]
    fn words_are_found_by_their_beginnings() {
        let index = DeletionIndex::of(["", "abcdefgh", "abcdefgxyz", "zzzzzzz"].into_iter(), 1);
        let near = |word: &str| index.near(&chars(word)).collect::<Vec<_>>();
        assert_eq!(near("abdefgh"), [1, 2]);
        assert_eq!(near("q"), [0]);
        assert_eq!(near(""), [0]);
        assert_eq!(DeletionIndex::of([].into_iter(), 1).near(&[]).count(), 0);
    }
}
