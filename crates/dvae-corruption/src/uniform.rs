//! Additive uniform noise, optionally clipped to a range.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::clip::Clip;
use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Additive uniform noise.
///
/// ```text
/// x̃ᵢ = clip(xᵢ + a (2uᵢ − 1)),   uᵢ ~ U[0, 1) independently
/// ```
///
/// The half width `a` is in units of the data; the standard deviation is `a / √3`. It models the noise of an
/// ideal quantizer of step `2a` (Widrow & Kollár 2008, "Quantization Noise").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uniform {
    level: Level,
    clip: Clip,
}

impl Uniform {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "half-width",
        meaning: "largest noise either way, in units of the data",
        range: [0.0, Scale::LARGEST],
        null: 0.0,
        severities: [0.15, 0.3, 0.5, 0.7, 0.9],
    };

    /// Noise between `−half_width` and `half_width`, which is in `[0, 10³⁰]`.
    pub fn new(half_width: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(half_width)?, clip: Clip::default() })
    }

    /// Clips the result to `[low, high]`.
    pub fn clipped(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { clip: Clip::to(low, high)?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Add {
    clip: Clip,
}

impl EntryProcess for Add {
    const NOISE: Noise = Noise::Uniform;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, half_width: S, u: S) -> (S, S::Mask) {
        let noisy = x.clone() + half_width * (u * 2.0 - 1.0);
        let out = self.clip.of(noisy);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Uniform {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Add { clip: self.clip }, Corruption::<D>::strength(self), clean, draws)
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

    // 2 · 0 − 1 = −1 and 2 · 0.75 − 1 = 0.5 times a quarter.
    #[test]
    fn adds_up_to_half_the_width_and_clips() {
        let (clean, u) = ([0.125, 0.5, 0.5], [0.0, 0.75, 0.5]);
        assert_eq!(by_hand(Add { clip: Clip::default() }, 0.25, &clean, &u), [-0.125, 0.625, 0.5]);
        let clip = Clip::to(0.0, 0.6).unwrap();
        assert_eq!(by_hand(Add { clip }, 0.25, &clean, &u), [0.0, 0.6, 0.5]);
    }
}
