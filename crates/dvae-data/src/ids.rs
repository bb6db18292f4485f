//! Which rows of a buffer a view has.

use std::sync::Arc;

use dvae_random::{Key, Shuffle};

/// Rows of a buffer, by their numbers in it, in stored order.
#[derive(Clone, Debug)]
pub(crate) enum Ids {
    /// The first ones, so many.
    First(usize),
    /// These.
    Listed(Arc<[u64]>),
    /// Those of blocks of adjacent rows, so many rows in all: what is held grows with the blocks. All blocks but the last one are whole.
    Blocks { blocks: Arc<[u32]>, len: usize },
}

/// Rows of a block.
const BLOCK: usize = 1024;

impl Ids {
    /// The same rows, which are held out by blocks, if they are the first ones.
    pub(crate) fn in_blocks(self) -> Self {
        match self {
            Self::First(len) => {
                Self::Blocks { blocks: (0..len.div_ceil(BLOCK) as u32).collect(), len }
            }
            other => other,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::First(rows) => *rows,
            Self::Listed(ids) => ids.len(),
            Self::Blocks { len, .. } => *len,
        }
    }

    /// The row at a place.
    ///
    /// # Panics
    ///
    /// If there are not so many rows.
    pub(crate) fn at(&self, place: usize) -> u64 {
        match self {
            Self::First(rows) => {
                assert!(place < *rows, "place {place} of {rows}");
                place as u64
            }
            Self::Listed(ids) => ids[place],
            Self::Blocks { blocks, len } => {
                assert!(place < *len, "place {place} of {len}");
                u64::from(blocks[place / BLOCK]) * BLOCK as u64 + (place % BLOCK) as u64
            }
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = u64> + Clone + '_ {
        (0..self.len()).map(|place| self.at(place))
    }

    /// The places in a random order.
    pub(crate) fn shuffled(&self, key: Key) -> Places {
        match self {
            Self::First(_) | Self::Listed(_) => Places::Listed(key.permutation(self.len())),
            Self::Blocks { len, .. } => Places::Shuffled(Shuffle::new(key, *len as u64)),
        }
    }

    /// The first `n` rows, or all if there are fewer.
    pub(crate) fn take(&self, n: usize) -> Self {
        let n = n.min(self.len());
        match self {
            Self::First(_) => Self::First(n),
            Self::Listed(ids) => Self::Listed(ids[..n].into()),
            Self::Blocks { blocks, .. } => {
                Self::Blocks { blocks: blocks[..n.div_ceil(BLOCK)].into(), len: n }
            }
        }
    }

    /// The rows at these places.
    pub(crate) fn view(&self, places: &[usize]) -> Self {
        Self::Listed(places.iter().map(|&place| self.at(place)).collect())
    }

    /// Holds out random rows, fewer than there are: (the others, the held-out ones). Of blocks, whole ones are held out, with so many
    /// rows at least if that leaves one.
    pub(crate) fn split(&self, held_out: usize, key: Key) -> (Self, Self) {
        let chosen = |n: usize, held_out: usize| {
            let mut places = key.permutation(n);
            let mut held: Vec<usize> = places.drain(..held_out).collect();
            places.sort_unstable();
            held.sort_unstable();
            (places, held)
        };
        match self {
            Self::First(_) | Self::Listed(_) => {
                let (rest, held) = chosen(self.len(), held_out);
                (self.view(&rest), self.view(&held))
            }
            Self::Blocks { blocks, len } if blocks.len() > 1 => {
                // The last block, which may be shorter, stays with the others.
                let whole = blocks.len() - 1;
                let (rest, held) = chosen(whole, held_out.div_ceil(BLOCK).min(whole));
                let held: Arc<[u32]> = held.iter().map(|&place| blocks[place]).collect();
                let rest = rest.iter().chain([&whole]).map(|&place| blocks[place]);
                let rest: Arc<[u32]> = rest.collect();
                let held_rows = held.len() * BLOCK;
                (
                    Self::Blocks { blocks: rest, len: len - held_rows },
                    Self::Blocks { blocks: held, len: held_rows },
                )
            }
            Self::Blocks { .. } => {
                self.view(&(0..self.len()).collect::<Vec<_>>()).split(held_out, key)
            }
        }
    }
}

/// An order of places.
#[derive(Debug)]
pub(crate) enum Places {
    Stored,
    Listed(Vec<usize>),
    Shuffled(Shuffle),
}

impl Places {
    /// The place that comes as this one.
    pub(crate) fn at(&self, place: usize) -> usize {
        match self {
            Self::Stored => place,
            Self::Listed(places) => places[place],
            Self::Shuffled(order) => order.at(place as u64) as usize,
        }
    }
}

impl From<Vec<u64>> for Ids {
    fn from(ids: Vec<u64>) -> Self {
        Self::Listed(ids.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_rows_side_by_side_and_are_held_out_whole() {
        let all = Ids::First(5 * BLOCK + 7).in_blocks();
        assert_eq!(all.iter().collect::<Vec<u64>>(), (0..5 * 1024 + 7).collect::<Vec<u64>>());
        let (rest, held) = all.split(BLOCK + 1, Key::new(1));
        assert_eq!((held.len(), rest.len()), (2 * BLOCK, 3 * BLOCK + 7));
        let mut ids: Vec<u64> = rest.iter().chain(held.iter()).collect();
        assert!(rest.iter().is_sorted() && held.iter().is_sorted());
        ids.sort_unstable();
        assert_eq!(ids, all.iter().collect::<Vec<u64>>());
        // What is left can be split again, and cut off.
        let (others, test) = rest.split(1, Key::new(2));
        assert_eq!((others.len(), test.len()), (2 * BLOCK + 7, BLOCK));
        let few = others.take(BLOCK + 3);
        assert_eq!(
            few.iter().collect::<Vec<u64>>(),
            others.iter().take(BLOCK + 3).collect::<Vec<u64>>()
        );
        let (rest, held) = few.split(5, Key::new(3));
        assert_eq!((rest.len(), held.len()), (3, BLOCK));
        assert_eq!(others.at(others.len() - 1), 5 * BLOCK as u64 + 6);
        // One block is split by rows, and one of several stays.
        let (rest, held) = Ids::First(10).in_blocks().split(3, Key::new(1));
        assert_eq!((rest.len(), held.len()), (7, 3));
        let (rest, held) = Ids::First(2 * BLOCK).in_blocks().split(2 * BLOCK - 1, Key::new(1));
        assert_eq!((rest.len(), held.len()), (BLOCK, BLOCK));
    }
}
