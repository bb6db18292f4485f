//! Gamma: a power law applied to values, as by a wrongly calibrated display.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A power law of brightness, for data in `[0, 1]`.
///
/// ```text
/// x̃ᵢ = xᵢ^γ, of xᵢ within [0, 1]
/// ```
///
/// Values above 1 darken, values below 1 lighten; the ends of the range are unchanged. No noise is drawn.
/// Gonzalez & Woods (2018), "Digital Image Processing", section 3.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gamma {
    level: Level,
}

impl Gamma {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "gamma",
        meaning: "exponent",
        range: [0.05, 20.0],
        null: 1.0,
        severities: [1.3, 1.7, 2.2, 3.0, 4.5],
    };

    /// Raises to the power `gamma`, in `[0.05, 20]`; 1 changes nothing.
    pub fn new(gamma: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(gamma)? })
    }
}

#[derive(Clone, Copy)]
struct Power;

impl EntryProcess for Power {
    const NOISE: Noise = Noise::Nothing;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, gamma: S, _noise: S) -> (S, S::Mask) {
        let base = x.clone().clamp(f32::MIN_POSITIVE.into(), 1.0);
        let power = (base.log() * gamma).exp();
        // The power of 0 is 0, not that of the smallest number.
        let zero = x.clone().lower_elem(f32::MIN_POSITIVE.into());
        let out = power.mask_fill(zero, 0.0).clamp(0.0, 1.0);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Gamma {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        each_entry(Power, Corruption::<D>::strength(self), clean, draws)
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::by_hand;

    #[test]
    fn raises_to_the_power() {
        let out = by_hand(Power, 2.0, &[0.0, 0.5, 1.0, 0.1], &[0.0; 4]);
        for (got, expected) in out.iter().zip([0.0, 0.25, 1.0, 0.01]) {
            assert!((got - expected).abs() < 1e-6, "{out:?}");
        }
    }
}
