//! Dropout `Drop(ν)`: entries are erased with probability `ν`, and the others are scaled up to compensate.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Dropout of inputs.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) xᵢ / (1 − ν),   mᵢ ~ Bernoulli(ν) independently
/// ```
///
/// Surviving entries are rescaled, so that `E[x̃ | x] = x`; they leave `[0, 1]`. At `ν = 1` everything is
/// erased. [`Masking`](crate::Masking) does not rescale. Srivastava et al. (2014), "Dropout", section 10, in
/// its "inverted" form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    level: Level,
}

impl Dropout {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "rate",
        meaning: "probability that an entry is erased",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.1, 0.2, 0.3, 0.5, 0.7],
    };

    /// Erases each entry with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(rate)? })
    }
}

#[derive(Clone, Copy)]
struct Drop;

impl EntryProcess for Drop {
    const NOISE: Noise = Noise::Uniform;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, rate: S, u: S) -> (S, S::Mask) {
        // A word below the rate erases; at a rate of 1 all entries are erased, and nothing is divided by 0.
        let kept = -rate.clone() + 1.0;
        let scaled = x.clone() / kept.clamp(f32::MIN_POSITIVE.into(), 1.0);
        let out = scaled.mask_fill(u.lower(rate), 0.0);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Dropout {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let damaged = each_entry(Drop, Corruption::<D>::strength(self), clean, draws);
        let hidden = damaged.input.clone().equal_elem(0.0).bool_and(damaged.changed.clone());
        CorruptedInput { hidden: Some(hidden), ..damaged }
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

    // 0.6 / (1 − 0.25) = 0.8.
    #[test]
    fn erases_or_rescales() {
        assert_eq!(by_hand(Drop, 0.25, &[0.6, 0.6, 0.6], &[0.2, 0.25, 0.9]), [0.0, 0.8, 0.8]);
        assert_eq!(by_hand(Drop, 1.0, &[0.6, -3.0], &[0.2, 1.0 - f32::EPSILON / 2.0]), [0.0, 0.0]);
    }
}
