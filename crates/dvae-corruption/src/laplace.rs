//! Additive Laplace noise, optionally clipped to a range: heavier tails than Gaussian noise.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::clip::Clip;
use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Additive Laplace noise.
///
/// ```text
/// x̃ᵢ = clip(xᵢ + s eᵢ),   p(e) = ½ exp(−|e|),   eᵢ independently
/// ```
///
/// The scale `s` is in units of the data; the standard deviation is `√2 s`. Drawn by inversion of one
/// uniform of 24 bits (Devroye 1986, "Non-Uniform Random Variate Generation", section II.2.1), so
/// that `|e|` is at most 16.7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Laplace {
    level: Level,
    clip: Clip,
}

impl Laplace {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "scale",
        meaning: "mean absolute noise, in units of the data",
        range: [0.0, Scale::LARGEST],
        null: 0.0,
        severities: [0.05, 0.1, 0.2, 0.3, 0.4],
    };

    /// The largest noise, in scales.
    pub(crate) const REACH: f64 = 16.7;

    /// Noise of mean absolute value `scale`, in `[0, 10³⁰]`.
    pub fn new(scale: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(scale)?, clip: Clip::default() })
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

/// Half of the distance between two uniforms: keeps the logarithm finite at both ends.
const HALF_STEP: f32 = 1.0 / (1 << 25) as f32;

impl EntryProcess for Add {
    const NOISE: Noise = Noise::Uniform;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, scale: S, u: S) -> (S, S::Mask) {
        let centered = u - 0.5 + f64::from(HALF_STEP);
        let size = -(centered.clone().abs() * -2.0 + 1.0).log();
        let negative = centered.lower_elem(0.0);
        let noise = size.clone().mask_where(negative, -size);
        let noisy = x.clone() + noise * scale;
        let out = self.clip.of(noisy);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Laplace {
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

    // Quantiles of the law: −ln 2 at a quarter, ln 2 at three quarters, 0 in the middle (to the half
    // step), ln 10 at 95 %.
    #[test]
    fn adds_the_quantile_of_the_uniform() {
        let noise =
            by_hand(Add { clip: Clip::default() }, 1.0, &[0.0; 4], &[0.25, 0.75, 0.5, 0.95]);
        let ln_2 = std::f32::consts::LN_2;
        for (got, expected) in noise.iter().zip([-ln_2, ln_2, 0.0, std::f32::consts::LN_10]) {
            assert!((got - expected).abs() < 2e-6, "{noise:?}");
        }
        let ends = by_hand(
            Add { clip: Clip::default() },
            1.0,
            &[0.0; 2],
            &[0.0, 1.0 - f32::EPSILON / 2.0],
        );
        assert!(
            ends.iter().all(|v| v.abs() > 16.6 && f64::from(v.abs()) < Laplace::REACH),
            "{ends:?}"
        );
        assert_eq!(by_hand(Add { clip: Clip::to(0.0, 1.0).unwrap() }, 1.0, &[0.5], &[0.0]), [0.0]);
    }
}
