//! Quantization: entries rounded to multiples of a step, optionally clipped to a range.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::clip::Clip;
use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Rounding to multiples of a step `δ`.
///
/// ```text
/// x̃ᵢ = clip(δ ⌊xᵢ / δ + ½⌋)
/// ```
///
/// An image of `b` bits has `δ = 1 / (2ᵇ − 1)`. No noise is drawn: every row loses the same detail. With
/// steps wide enough to be visible it is called posterization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    level: Level,
    clip: Clip,
}

impl Quantization {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "step",
        meaning: "distance between two values that are left, in units of the data",
        range: [0.0, Scale::LARGEST],
        null: 0.0,
        severities: [0.07, 0.14, 0.25, 0.34, 0.5],
    };

    /// Rounds to multiples of `step`, in `[0, 10³⁰]`.
    pub fn new(step: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(step)?, clip: Clip::default() })
    }

    /// Clips the result to `[low, high]`.
    pub fn clipped(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { clip: Clip::to(low, high)?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Round {
    clip: Clip,
}

impl EntryProcess for Round {
    const NOISE: Noise = Noise::Nothing;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, step: S, _noise: S) -> (S, S::Mask) {
        // Never divided by 0: rows of step 0 are unchanged.
        let divisor = step.clone().clamp(f32::MIN_POSITIVE.into(), f32::MAX.into());
        let rounded = (x.clone() / divisor + 0.5).floor() * step;
        let out = self.clip.of(rounded);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Quantization {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Round { clip: self.clip }, Corruption::<D>::strength(self), clean, draws)
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

    // Of 0.4: 0.1 → 0, 0.25 → 0.4, 0.9 → 0.8, 1.0 → 1.2, which is clipped.
    #[test]
    fn rounds_to_the_nearest_multiple() {
        let out = by_hand(
            Round { clip: Clip::to(0.0, 1.0).unwrap() },
            0.4,
            &[0.1, 0.25, 0.9, 1.01],
            &[0.0; 4],
        );
        for (got, expected) in out.iter().zip([0.0, 0.4, 0.8, 1.0]) {
            assert!((got - expected).abs() < 1e-6, "{out:?}");
        }
    }
}
