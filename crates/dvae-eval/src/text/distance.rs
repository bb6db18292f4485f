//! Edit distances, in memory of the order of length.

use std::collections::HashMap;
use std::hash::Hash;

/// The Levenshtein distance: the fewest insertions, deletions and replacements that make one sequence of the other.
///
/// Myers (1999), "A Fast Bit-Vector Algorithm for Approximate String Matching Based on Dynamic Programming", with its
/// blocks and, for whole sequences, the border of Hyyrö (2003), "A Bit-Vector Algorithm for Computing Levenshtein and
/// Damerau Edit Distances". The matrix is filled in strips of 64 rows, of which only the last row is kept: time is of the
/// order of the product of lengths over 64, and memory of that of their sum.
pub(super) fn levenshtein<T: Eq + Hash>(a: &[T], b: &[T]) -> usize {
    let (a, b) = without_common_ends(a, b);
    let mut ids = HashMap::new();
    let mut id = |item| {
        let next = ids.len();
        *ids.entry(item).or_insert(next)
    };
    let a: Vec<usize> = a.iter().map(&mut id).collect();
    let b: Vec<usize> = b.iter().map(&mut id).collect();
    // For each item, the rows of the strip where it stands.
    let mut matches = vec![0_u64; ids.len()];
    // The first row is 0, 1, 2, …
    let mut steps = vec![Step { up: 1, down: 0 }; b.len()];
    for strip in a.chunks(64) {
        strip.iter().enumerate().for_each(|(row, &id)| matches[id] |= 1 << row);
        let mut column = Column { up: !0, down: 0, last: strip.len() - 1 };
        for (step, &id) in steps.iter_mut().zip(&b) {
            *step = column.advance(matches[id], *step);
        }
        strip.iter().for_each(|&id| matches[id] = 0);
    }
    let total = |part: fn(&Step) -> u64| steps.iter().map(part).sum::<u64>() as usize;
    a.len() + total(|step| step.up) - total(|step| step.down)
}

/// The difference of two neighbors in a row, the later one less the former: `up − down`, of which one is 0 and the other 0 or 1.
#[derive(Clone, Copy)]
struct Step {
    up: u64,
    down: u64,
}

/// The differences of neighbors in a column of a strip: bit `i` says whether row `i` is one more, or one less, than the row above.
struct Column {
    up: u64,
    down: u64,
    /// The last row of the strip.
    last: usize,
}

impl Column {
    /// Goes on to the next column, where `matches` are the rows of equal items and `above` is the step in the row above the
    /// strip; gives the step in its last row. The names of Myers are in the comments.
    fn advance(&mut self, matches: u64, above: Step) -> Step {
        let vertical = matches | self.down; // Xv
        let matches = matches | above.down;
        let horizontal = (matches & self.up).wrapping_add(self.up) ^ self.up | matches; // Xh
        let up = self.down | !(horizontal | self.up); // Ph
        let down = self.up & horizontal; // Mh
        let below = Step { up: up >> self.last & 1, down: down >> self.last & 1 };
        let (up, down) = (up << 1 | above.up, down << 1 | above.down);
        self.up = down | !(vertical | up); // Pv
        self.down = up & vertical; // Mv
        below
    }
}

/// The largest limit of [`alignment_within`].
pub(super) const MOST_EDITS: usize = 3;

/// A cell beyond the matrix or the band: more than any limit, and may grow.
const FAR: usize = usize::MAX / 2;

/// The optimal string alignment distance, if it is at most `limit`: the fewest insertions, deletions, replacements and
/// transpositions of neighbors, where nothing is edited twice.
///
/// After Damerau (1964), "A Technique for Computer Detection and Correction of Spelling Errors". Only the band of cells
/// `(i, j)` with `|i − j| ≤ limit` is filled, and the search ends at the first row that has none within the limit: time is of
/// the order of the length, and memory is that of three rows of the band. The cell of column `j` stands at `j − i + limit`.
///
/// # Panics
///
/// If the limit is above [`MOST_EDITS`].
pub(super) fn alignment_within<T: PartialEq>(a: &[T], b: &[T], limit: usize) -> Option<usize> {
    assert!(limit <= MOST_EDITS, "a limit of {limit}");
    let (a, b) = without_common_ends(a, b);
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    // A border on the right, where the row above has no cell.
    let mut rows = [[FAR; 2 * MOST_EDITS + 2]; 3];
    for i in 0..=a.len() {
        let [above, second_above, _] = rows;
        let mut row = [FAR; 2 * MOST_EDITS + 2];
        for j in i.saturating_sub(limit)..=(i + limit).min(b.len()) {
            let at = j + limit - i;
            let mut cell = if (i, j) == (0, 0) { 0 } else { above[at + 1] + 1 };
            if at > 0 {
                cell = cell.min(row[at - 1] + 1);
            }
            if i > 0 && j > 0 {
                cell = cell.min(above[at] + usize::from(a[i - 1] != b[j - 1]));
            }
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cell = cell.min(second_above[at] + 1);
            }
            row[at] = cell;
        }
        // No later cell is less: from where a transposition starts, a replacement leads here.
        if row.iter().all(|cell| *cell > limit) {
            return None;
        }
        rows = [row, above, second_above];
    }
    Some(rows[0][b.len() + limit - a.len()]).filter(|distance| *distance <= limit)
}

/// Both without their common beginning and end, which some least distance leaves alone.
fn without_common_ends<'a, T: PartialEq>(a: &'a [T], b: &'a [T]) -> (&'a [T], &'a [T]) {
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    (&a[..a.len() - end], &b[..b.len() - end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::{Lcg, chars};

    fn alignment(a: &str, b: &str, limit: usize) -> Option<usize> {
        alignment_within(&chars(a), &chars(b), limit)
    }

    #[test]
    fn distances_are_those_of_the_literature() {
        let levenshtein = |a: &str, b: &str| super::levenshtein(&chars(a), &chars(b));
        // k → s, e → i, and a g at the end.
        assert_eq!(levenshtein("kitten", "sitting"), 3);
        assert_eq!(levenshtein("", ""), 0);
        assert_eq!(levenshtein("", "abc"), 3);
        assert_eq!(levenshtein("ab", "ba"), 2);
        assert_eq!(alignment("ab", "ba", 3), Some(1));
        // A transposition, and then nothing between: the unrestricted distance would be 2.
        assert_eq!(alignment("ca", "abc", 3), Some(3));
    }

    #[test]
    fn characters_are_scalar_values() {
        // A combining acute accent, a Hebrew letter, and a family of emoji that loses a joiner and a member.
        assert_eq!(alignment("cafe\u{301}", "cafe", 2), Some(1));
        assert_eq!(alignment("שלום", "שולם", 2), Some(1));
        assert_eq!(alignment("👩\u{200d}👧", "👩", 2), Some(2));
    }

    #[test]
    fn a_limit_ends_the_search() {
        assert_eq!(alignment("kitten", "sitting", 3), Some(3));
        assert_eq!(alignment("kitten", "sitting", 2), None);
        assert_eq!(alignment("", "", 0), Some(0));
        assert_eq!(alignment("a", "b", 0), None);
        assert_eq!(alignment("a", "abcd", 2), None);
    }

    // The crate strsim fills the whole matrix, without a band.
    #[test]
    fn distances_equal_those_of_another_implementation() {
        let mut random = Lcg(1);
        for _ in 0..5000 {
            let (a, b) = (random.word(3, 12), random.word(3, 12));
            let expected = strsim::osa_distance(&a, &b);
            for limit in 0..=MOST_EDITS {
                let found = alignment(&a, &b, limit);
                assert_eq!(found, Some(expected).filter(|it| *it <= limit), "{a} {b} {limit}");
            }
            assert_eq!(super::levenshtein(&chars(&a), &chars(&b)), strsim::levenshtein(&a, &b));
        }
    }

    // Two strips and more of 64 rows, and the lengths at their ends.
    #[test]
    fn strips_join() {
        let mut random = Lcg(3);
        for length in [1, 2, 63, 64, 65, 127, 128, 129, 200] {
            let a: Vec<u64> = (0..length).map(|_| random.below(3)).collect();
            for other in [0, 1, 64, 65, 150] {
                let b: Vec<u64> = (0..other).map(|_| random.below(4)).collect();
                let expected = strsim::generic_levenshtein(&a, &b);
                assert_eq!(super::levenshtein(&a, &b), expected, "{length} {other}");
                assert_eq!(super::levenshtein(&b, &a), expected, "{length} {other}");
            }
        }
    }

    // The whole matrix would have 10¹⁰ cells.
    #[test]
    fn long_lines_take_little_memory() {
        let clean: Vec<usize> = (0..100_000).map(|at| at % 7).collect();
        let mut damaged = clean.clone();
        damaged[99_990] = 9;
        damaged.remove(50_000);
        damaged.swap(10, 11);
        assert_eq!(super::levenshtein(&clean, &damaged), 4);
        assert_eq!(alignment_within(&clean, &damaged, 3), Some(3));
        assert_eq!(alignment_within(&clean, &damaged, 2), None);
    }
}
