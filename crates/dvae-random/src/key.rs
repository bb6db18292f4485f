//! Keys: 64 bits that name a family of random streams.

use crate::{RowStreams, philox};

/// The purpose of a stream of random numbers. Streams with different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights of a network.
    Weights = 1,
    /// The order of the training rows in an epoch.
    Shuffle = 2,
    /// Which rows are held out for validation.
    Split = 3,
    /// Corruption of the training input, `x̃ ~ p(x̃ | x)`.
    Corruption = 4,
    /// Reparameterization noise of the latent, `z ~ q(z | x̃)`.
    Latent = 5,
    /// Corruption of rows that a model is measured on.
    EvaluationCorruption = 6,
    /// Latent noise of rows that a model is measured on.
    EvaluationLatent = 7,
    /// Samples from a trained model's prior.
    Sampling = 8,
    /// Draws of a value `x ~ p(x | z)`, and binarization of data.
    Data = 9,
    /// The fixed pattern of one sensor, the same in all its images.
    Sensor = 10,
}

/// A 64-bit name for a family of random streams.
///
/// A key is derived step by step; each step is a Philox block of the previous key:
///
/// ```text
/// key' = Philox(counter = (value, step, 2³² − 1), key)[0..2]
/// ```
///
/// No draw uses that last counter word, so keys and draws never share a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u32; 2]);

/// The last counter word of a derivation; draws are numbered from 0 and stop before it.
pub(crate) const DERIVATION: u32 = u32::MAX;

#[derive(Clone, Copy)]
enum Step {
    Purpose = 1,
    Epoch = 2,
    Branch = 3,
}

impl Key {
    /// The root key of a seed.
    pub const fn new(seed: u64) -> Self {
        Self([seed as u32, (seed >> 32) as u32])
    }

    /// The key for a purpose.
    pub fn purpose(self, purpose: Purpose) -> Self {
        self.derive(purpose as u64, Step::Purpose)
    }

    /// The key for an epoch (or for a step, or another counter).
    pub fn epoch(self, epoch: u64) -> Self {
        self.derive(epoch, Step::Epoch)
    }

    /// The key for a part of a whole: a process in a mixture, one of several latent samples.
    pub fn branch(self, branch: u64) -> Self {
        self.derive(branch, Step::Branch)
    }

    /// One stream for each of these data rows.
    pub fn rows(self, ids: &[u64]) -> RowStreams {
        RowStreams::new(self, ids.into())
    }

    /// A random order of `0..n`.
    ///
    /// Each index gets 64 random bits (the first two words of its own counter in draw 0), and the indices are
    /// sorted by them: the order depends only on the key and `n`. Use the key of an order for nothing else:
    /// its rows would draw from the same words.
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut tagged: Vec<(u64, usize)> = (0..n)
            .map(|i| {
                let [a, b, ..] = philox::one([0, i as u32, (i as u64 >> 32) as u32, 0], self.0);
                (u64::from(a) << 32 | u64::from(b), i)
            })
            .collect();
        tagged.sort_unstable();
        tagged.into_iter().map(|(_, i)| i).collect()
    }

    pub(crate) const fn words(self) -> [u32; 2] {
        self.0
    }

    fn derive(self, value: u64, step: Step) -> Self {
        let counter = [value as u32, (value >> 32) as u32, step as u32, DERIVATION];
        let [a, b, ..] = philox::one(counter, self.0);
        Self([a, b])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_way_to_derive_a_key_gives_another_key() {
        let root = Key::new(1);
        let mut keys = HashSet::from([root, Key::new(2), Key::new(1 << 32)]);
        for i in 0..1000 {
            keys.insert(root.epoch(i));
            keys.insert(root.branch(i));
            keys.insert(root.purpose(Purpose::Corruption).epoch(i));
            keys.insert(root.purpose(Purpose::Latent).epoch(i));
        }
        assert_eq!(keys.len(), 4003);
    }

    #[test]
    fn a_permutation_holds_every_index_once_and_is_not_the_identity() {
        let order = Key::new(3).permutation(1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        assert_ne!(order, Key::new(4).permutation(1000));
    }

    // Fixed points of a uniform permutation are close to Poisson(1): over 400 permutations their mean has a
    // standard deviation of 1/20.
    #[test]
    fn a_permutation_has_one_fixed_point_on_average() {
        let fixed: usize = (0..400)
            .map(|seed| {
                let order = Key::new(seed).permutation(50);
                order.iter().enumerate().filter(|(i, j)| i == *j).count()
            })
            .sum();
        assert!((fixed as f64 / 400.0 - 1.0).abs() < 0.25, "{fixed} fixed points");
    }
}
