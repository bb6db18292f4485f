//! Which errors make a wrong text of a right one.

/// An error, by its places in the right and in the wrong text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// The letter of the right text is left out.
    Delete { right: usize },
    /// The letter of the wrong text is put before that of the right text, or at its end.
    Insert { right: usize, wrong: usize },
    /// The letter of the wrong text is in place of that of the right text.
    Substitute { right: usize, wrong: usize },
    /// The letter of the right text and the next one are in the other order.
    Transpose { right: usize },
}

/// The most errors of a pair whose right text has this many letters: a third, but at least 3 and at most 30.
pub(super) fn limit(letters: usize) -> usize {
    (letters / 3).clamp(3, 30)
}

/// The fewest errors that make `wrong` of `right`, in the order of the text; `None` if they are more than the limit.
///
/// Optimal string alignment: deletions, insertions, substitutions and transpositions of neighbors, of which none touches another one's
/// letters. Of several alignments it is the one that has, at the first letter where they differ, the first of: no error, transposition,
/// substitution, deletion, insertion. So of a double letter the second is the one left out, or the one too many.
pub(super) fn align<T: PartialEq>(right: &[T], wrong: &[T]) -> Option<Vec<Edit>> {
    let distances = Distances::new(right, wrong)?;
    let (mut i, mut j) = (0, 0);
    let mut edits = vec![];
    while i < right.len() || j < wrong.len() {
        let here = distances.at(i, j);
        let is = |cost: u8, di: usize, dj: usize| here == distances.at(i + di, j + dj) + cost;
        let both = i < right.len() && j < wrong.len();
        let (edit, di, dj) = if both && right[i] == wrong[j] && is(0, 1, 1) {
            (None, 1, 1)
        } else if is_swapped(&right[i..], &wrong[j..]) && is(1, 2, 2) {
            (Some(Edit::Transpose { right: i }), 2, 2)
        } else if both && is(1, 1, 1) {
            (Some(Edit::Substitute { right: i, wrong: j }), 1, 1)
        } else if i < right.len() && is(1, 1, 0) {
            (Some(Edit::Delete { right: i }), 1, 0)
        } else {
            (Some(Edit::Insert { right: i, wrong: j }), 0, 1)
        };
        edits.extend(edit);
        (i, j) = (i + di, j + dj);
    }
    Some(edits)
}

/// Whether two texts begin with the same two letters in the other order.
fn is_swapped<T: PartialEq>(right: &[T], wrong: &[T]) -> bool {
    matches!((right, wrong), ([a, b, ..], [c, d, ..]) if a == d && b == c)
}

/// How many errors there are from a place in each text to the ends, near the diagonal: where the places differ by more than the limit, so
/// do the texts.
struct Distances {
    letters: usize,
    limit: usize,
    /// A row for each place in the right text, the last first.
    rows: Vec<u8>,
}

impl Distances {
    /// More than any limit, and far from overflow.
    const FAR: u8 = 100;

    /// `None` if the whole texts differ by more than the limit.
    fn new<T: PartialEq>(right: &[T], wrong: &[T]) -> Option<Self> {
        let limit = limit(right.len());
        let mut distances = Self { letters: right.len(), limit, rows: vec![] };
        if right.len().abs_diff(wrong.len()) > limit {
            return None;
        }
        // Each row needs the two before it: once both are beyond the limit, so is all that follows.
        let mut near = [true; 2];
        for i in (0..=right.len()).rev() {
            if near == [false; 2] {
                return None;
            }
            let start = distances.rows.len();
            distances.rows.resize(start + 2 * limit + 1, Self::FAR);
            let mut least = Self::FAR;
            for j in (i.saturating_sub(limit)..=(i + limit).min(wrong.len())).rev() {
                let value = distances.next(&right[i..], &wrong[j..], i, j);
                distances.rows[start + j + limit - i] = value;
                least = least.min(value);
            }
            near = [near[1], usize::from(least) <= limit];
        }
        (usize::from(distances.at(0, 0)) <= limit).then_some(distances)
    }

    /// The distance at two places, from those after them.
    fn next<T: PartialEq>(&self, right: &[T], wrong: &[T], i: usize, j: usize) -> u8 {
        let one_more = |di: usize, dj: usize| self.at(i + di, j + dj) + 1;
        let least = match (right.first(), wrong.first()) {
            (None, None) => 0,
            (Some(_), None) => one_more(1, 0),
            (None, Some(_)) => one_more(0, 1),
            (Some(own), Some(other)) if own == other => self.at(i + 1, j + 1),
            _ => one_more(1, 1).min(one_more(1, 0)).min(one_more(0, 1)),
        };
        let swapped = if is_swapped(right, wrong) { one_more(2, 2) } else { Self::FAR };
        least.min(swapped).min(Self::FAR)
    }

    fn at(&self, i: usize, j: usize) -> u8 {
        let column = (j + self.limit).checked_sub(i).filter(|column| *column <= 2 * self.limit);
        let place = column.map(|column| (self.letters - i) * (2 * self.limit + 1) + column);
        place.and_then(|place| self.rows.get(place)).copied().unwrap_or(Self::FAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(right: &str, wrong: &str) -> Option<Vec<Edit>> {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        align(&letters(right), &letters(wrong))
    }

    #[test]
    fn each_kind_of_error_is_found_at_its_place() {
        let one = |right, wrong, edit| assert_eq!(edits(right, wrong), Some(vec![edit]), "{wrong}");
        one("the", "teh", Edit::Transpose { right: 1 });
        one("the", "he", Edit::Delete { right: 0 });
        one("the", "them", Edit::Insert { right: 3, wrong: 3 });
        one("the", "tha", Edit::Substitute { right: 2, wrong: 2 });
        // The second of two.
        one("accommodate", "accomodate", Edit::Delete { right: 5 });
        one("occur", "occurr", Edit::Insert { right: 5, wrong: 5 });
        assert_eq!(edits("", ""), Some(vec![]));
        assert_eq!(edits("the", "the"), Some(vec![]));
    }

    #[test]
    fn of_several_alignments_the_order_of_preference_chooses() {
        // Two substitutions, not a deletion and an insertion.
        let two =
            vec![Edit::Substitute { right: 0, wrong: 0 }, Edit::Substitute { right: 1, wrong: 1 }];
        assert_eq!(edits("abx", "bcx"), Some(two));
        // A transposition leaves its letters alone: ca → abc takes three errors, although swapping and putting in would be two.
        assert_eq!(edits("ca", "abc").map(|edits| edits.len()), Some(3));
    }

    #[test]
    fn texts_that_are_too_different_are_no_pair() {
        assert_eq!(limit(0), 3);
        assert_eq!(limit(14), 4);
        assert_eq!(limit(1_000_000), 30);
        assert_eq!(edits("abc", "xyz").map(|edits| edits.len()), Some(3));
        assert_eq!(edits("abcd", "wxyz"), None);
        assert_eq!(edits("a", "abcdef"), None);
        // Long ones are cheap: a band of the limit, and no more rows than it takes to see.
        let (a, b) = ("a".repeat(1_000_000), "b".repeat(1_000_000));
        assert_eq!(edits(&a, &b), None);
        let long = "abcdefghij".repeat(10_000);
        let wrong = long.replacen("cd", "dc", 20);
        assert_eq!(edits(&long, &wrong).map(|edits| edits.len()), Some(20));
    }
}
