//! Clipping: values that are too high or too low are cut off, as in a saturated sensor.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::entries::{EntryProcess, Noise, each_entry};
use crate::error::range;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Clipping of a range from both ends.
///
/// ```text
/// x̃ᵢ = min(max(xᵢ, low + c w), high − c w),   w = (high − low) / 2
/// ```
///
/// At `c = 1` only the middle of the range remains. The default range is `[0, 1]`. No noise is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    level: Level,
    range: [f32; 2],
}

impl Clipping {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "share",
        meaning: "share of the range that is cut off, half of it from each end",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.1, 0.25, 0.4, 0.6, 0.8],
    };

    /// Cuts off a `share` of the range, in `[0, 1]`, half of it from each end.
    pub fn new(share: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(share)?, range: [0.0, 1.0] })
    }

    /// Clips data in `[low, high]` instead.
    pub fn of_range(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { range: range("range", [low, high])?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Cut {
    range: [f32; 2],
}

impl EntryProcess for Cut {
    const NOISE: Noise = Noise::Nothing;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, share: S, _noise: S) -> (S, S::Mask) {
        let [low, high] = self.range;
        let cut = share * f64::from(0.5 * (high - low));
        let (floor, ceiling) = (cut.clone() + f64::from(low), -cut + f64::from(high));
        let raised = x.clone().mask_where(x.clone().lower(floor.clone()), floor);
        let out = raised.clone().mask_where(ceiling.clone().lower(raised), ceiling);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Clipping {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Cut { range: self.range }, Corruption::<D>::strength(self), clean, draws)
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

    // Half of [−1, 1] leaves [−½, ½].
    #[test]
    fn cuts_off_both_ends() {
        let out = by_hand(Cut { range: [-1.0, 1.0] }, 0.5, &[-0.8, -0.3, 0.5, 2.0], &[0.0; 4]);
        assert_eq!(out, [-0.5, -0.3, 0.5, 0.5]);
    }
}
