//! Random-valued impulse noise: entries replaced by random values in a range.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::entries::{EntryProcess, Noise, each_entry};
use crate::error::range;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Random-valued impulse noise.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) xᵢ + mᵢ vᵢ,   mᵢ ~ Bernoulli(ν),   vᵢ ~ U[low, high) independently
/// ```
///
/// Both are derived from one uniform, which is again uniform when it is below `ν`. The uniform has 24 bits,
/// so there are `2²⁴ ν` different values. The default range is `[0, 1]`. The name comes from image
/// restoration, as in Chan, Ho & Nikolova (2005), "Salt-and-Pepper Noise Removal by Median-Type Noise
/// Detectors and Detail-Preserving Regularization".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impulse {
    level: Level,
    values: [f32; 2],
}

impl Impulse {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "rate",
        meaning: "probability that an entry is replaced",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.05, 0.1, 0.2, 0.35, 0.5],
    };

    /// Replaces each entry with probability `rate`, in `[0, 1]`, by a value in `[0, 1)`.
    pub fn new(rate: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(rate)?, values: [0.0, 1.0] })
    }

    /// Draws values from `[low, high)` instead.
    pub fn values(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { values: range("values", [low, high])?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Replace {
    values: [f32; 2],
}

impl EntryProcess for Replace {
    const NOISE: Noise = Noise::Uniform;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, rate: S, u: S) -> (S, S::Mask) {
        let [low, high] = self.values;
        let within = u.clone() / rate.clone().clamp(f32::MIN_POSITIVE.into(), 1.0);
        let value = within * f64::from(high - low) + f64::from(low);
        (x.mask_where(u.clone().lower(rate.clone()), value), u.lower(rate))
    }
}

impl<const D: usize> Corruption<D> for Impulse {
    /// `changed`: the replaced entries.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Replace { values: self.values }, Corruption::<D>::strength(self), clean, draws)
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

    // 0.1 of 0.4 is a quarter of the way from −1 to 1.
    #[test]
    fn replaces_what_is_drawn_by_a_value_of_the_range() {
        let out = by_hand(Replace { values: [-1.0, 1.0] }, 0.4, &[0.3; 3], &[0.1, 0.0, 0.4]);
        assert_eq!(out, [-0.5, -1.0, 0.3]);
    }
}
