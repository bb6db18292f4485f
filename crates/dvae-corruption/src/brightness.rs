//! Brightness: everything lighter or darker by the same amount, optionally clipped to a range.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::clip::Clip;
use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A shift of brightness.
///
/// ```text
/// x̃ᵢ = clip(xᵢ + b)
/// ```
///
/// No noise is drawn: give a range ([`Level::Uniform`]) for lighting that differs between rows. Hendrycks &
/// Dietterich (2019), section 4.1, shift the value of HSV; this shifts all channels equally.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brightness {
    level: Level,
    clip: Clip,
}

impl Brightness {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "offset",
        meaning: "what is added, in units of the data",
        range: [-1.0, 1.0],
        null: 0.0,
        severities: [0.1, 0.2, 0.3, 0.4, 0.5],
    };

    /// Adds `offset`, in `[−1, 1]`.
    pub fn new(offset: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(offset)?, clip: Clip::default() })
    }

    /// Clips the result to `[low, high]`.
    pub fn clipped(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { clip: Clip::to(low, high)?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Shift {
    clip: Clip,
}

impl EntryProcess for Shift {
    const NOISE: Noise = Noise::Nothing;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, offset: S, _noise: S) -> (S, S::Mask) {
        let out = self.clip.of(x.clone() + offset);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Brightness {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Shift { clip: self.clip }, Corruption::<D>::strength(self), clean, draws)
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
    use crate::clip::Clip;
    use crate::entries::by_hand;

    #[test]
    fn adds_and_clips() {
        let clean = [0.0, 0.5, 1.0];
        let shift = Shift { clip: Clip::to(0.0, 1.0).unwrap() };
        assert_eq!(by_hand(shift, 0.25, &clean, &[0.0; 3]), [0.25, 0.75, 1.0]);
        assert_eq!(by_hand(shift, -0.25, &clean, &[0.0; 3]), [0.0, 0.25, 0.75]);
        let shift = Shift { clip: Clip::default() };
        assert_eq!(by_hand(shift, -0.25, &clean, &[0.0; 3]), [-0.25, 0.25, 0.75]);
    }
}
