//! Random orders of any length in constant memory.

use crate::{Key, philox};

/// A random order of `0..n`, of which any place is computed by itself: in memory that does not depend on `n`.
///
/// A Feistel network of six rounds (Luby & Rackoff 1988, "How to Construct Pseudorandom Permutations from Pseudorandom
/// Functions") permutes the numbers below a power of four; what falls beyond `n` is permuted again until it does not (Black & Rogaway
/// 2002, "Ciphers with Arbitrary Finite Domains", section 3). Use the key of an order for nothing else. It is for long orders: of five numbers,
/// some orders come twice as often as others. [`Key::permutation`] is another one, and takes memory for each place.
///
/// ```
/// use dvae_random::{Key, Shuffle};
///
/// let order = Shuffle::new(Key::new(1), 5);
/// let mut all: Vec<u64> = (0..5).map(|place| order.at(place)).collect();
/// all.sort_unstable();
/// assert_eq!(all, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shuffle {
    key: [u32; 2],
    n: u64,
    /// The bits of one half of a number.
    half: u32,
}

const ROUNDS: u32 = 6;

impl Shuffle {
    /// The order of `0..n` with this key, for `n` up to 2⁶².
    ///
    /// # Panics
    ///
    /// If `n` is larger.
    pub fn new(key: Key, n: u64) -> Self {
        assert!(n <= 1 << 62, "an order of {n} numbers");
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        Self { key: key.words(), n, half: bits.div_ceil(2).max(1) }
    }

    /// The number at a place.
    ///
    /// # Panics
    ///
    /// If the order is not so long.
    pub fn at(&self, place: u64) -> u64 {
        assert!(place < self.n, "place {place} of {}", self.n);
        let mut number = self.permuted(place);
        while number >= self.n {
            number = self.permuted(number);
        }
        number
    }

    fn permuted(&self, number: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 0..ROUNDS {
            let word = philox::one([round, right as u32, 0, 0], self.key)[0];
            (left, right) = (right, left ^ (u64::from(word) & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(key: u64, n: u64) -> Vec<u64> {
        let order = Shuffle::new(Key::new(key), n);
        (0..n).map(|place| order.at(place)).collect()
    }

    #[test]
    fn every_number_comes_once() {
        for n in [0, 1, 2, 3, 4, 5, 63, 64, 65, 1000, 4097] {
            let mut sorted = order(3, n);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<u64>>());
        }
        assert_ne!(order(3, 1000), order(4, 1000));
        let far = Shuffle::new(Key::new(1), 1 << 62);
        assert!(far.at((1 << 62) - 1) < 1 << 62 && far.at(0) != far.at(1));
    }

    // Where a number comes, in twenty parts of an order: over 20,000 keys each part 1,000 times, with a standard deviation of 31.
    #[test]
    fn a_number_comes_at_every_place_as_often() {
        for number in [0, 1, 777] {
            let mut counts = [0; 20];
            for key in 0..20_000 {
                let found = Shuffle::new(Key::new(key), 1000).at(number);
                counts[found as usize / 50] += 1;
            }
            assert!(counts.iter().all(|count| (840..1160).contains(count)), "{number}: {counts:?}");
        }
    }

    // Fixed points, and neighbors that stay neighbors, are close to Poisson(1) and Poisson(2).
    #[test]
    fn numbers_are_moved_as_by_a_uniform_order() {
        let (mut fixed, mut neighbors) = (0, 0);
        for key in 0..400 {
            let order = order(key, 3000);
            fixed += order.iter().zip(0..).filter(|(number, place)| *number == place).count();
            neighbors += order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
        }
        assert!((fixed as f64 / 400.0 - 1.0).abs() < 0.25, "{fixed} fixed points");
        assert!((neighbors as f64 / 400.0 - 2.0).abs() < 0.35, "{neighbors} neighbors");
    }
}
