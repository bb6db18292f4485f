//! Multiplicative Gaussian noise, optionally clipped to a range: bright entries change most.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::clip::Clip;
use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Speckle: multiplicative Gaussian noise.
///
/// ```text
/// x̃ᵢ = clip(xᵢ (1 + σ εᵢ)),   εᵢ ~ N(0, 1) independently
/// ```
///
/// `σ` is relative to the entry: zeros are unchanged. It is the "speckle noise" of Hendrycks & Dietterich
/// (2019), "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", an extra
/// corruption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speckle {
    level: Level,
    clip: Clip,
}

impl Speckle {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "sigma",
        meaning: "standard deviation, relative to the entry",
        range: [0.0, Scale::LARGEST],
        null: 0.0,
        severities: [0.15, 0.3, 0.45, 0.6, 0.8],
    };

    /// Noise of relative standard deviation `sigma`, in `[0, 10³⁰]`.
    pub fn new(sigma: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(sigma)?, clip: Clip::default() })
    }

    /// Clips the result to `[low, high]`.
    pub fn clipped(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { clip: Clip::to(low, high)?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Multiply {
    clip: Clip,
}

impl EntryProcess for Multiply {
    const NOISE: Noise = Noise::Normal;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, sigma: S, noise: S) -> (S, S::Mask) {
        let noisy = x.clone() + x.clone() * (noise * sigma);
        let out = self.clip.of(noisy);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Speckle {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Multiply { clip: self.clip }, Corruption::<D>::strength(self), clean, draws)
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..*self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::by_hand;

    // 0.5 · (1 + 0.5 · 1) = 0.75, 0.5 · (1 − 0.5 · 4) = −0.5, and a zero stays.
    #[test]
    fn multiplies_each_entry_and_clips() {
        let (clean, noise) = ([0.5, 0.5, 0.0], [1.0, -4.0, 3.0]);
        assert_eq!(
            by_hand(Multiply { clip: Clip::default() }, 0.5, &clean, &noise),
            [0.75, -0.5, 0.0]
        );
        let clip = Clip::to(0.0, 0.7).unwrap();
        assert_eq!(by_hand(Multiply { clip }, 0.5, &clean, &noise), [0.7, 0.0, 0.0]);
    }
}
