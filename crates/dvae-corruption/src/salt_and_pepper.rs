//! Salt-and-pepper noise: entries replaced by the ends of the range.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::entries::{EntryProcess, Noise, each_entry};
use crate::error::range;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Salt-and-pepper noise.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) xᵢ + mᵢ (low + sᵢ (high − low)),   mᵢ ~ Bernoulli(ν),   sᵢ ~ Bernoulli(½ or ν) independently
/// ```
///
/// Both are derived from one uniform: salt where it is below `P(s = 1) ν`, pepper up to `ν`. By default salt
/// and pepper are equally frequent, and are 1 and 0, as in Vincent et al. (2010), "Stacked Denoising Autoencoders", section
/// 3.3; see also [`mostly_pepper`](Self::mostly_pepper).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SaltAndPepper {
    level: Level,
    salt: SaltRate,
    /// Pepper and salt.
    values: [f32; 2],
}

/// How often a replacement is salt (high) rather than pepper (low).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SaltRate {
    /// Half of the time.
    Half,
    /// With the probability `ν` of a replacement.
    Level,
}

impl SaltAndPepper {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "rate",
        meaning: "probability that an entry is replaced",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.05, 0.1, 0.2, 0.35, 0.5],
    };

    /// Replaces each entry with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(rate)?, salt: SaltRate::Half, values: [0.0, 1.0] })
    }

    /// Makes only a share `ν` of the replacements salt, so that pepper prevails at small rates, as in the
    /// published code of Im et al. (2017), "Denoising Criterion for Variational Auto-Encoding Framework".
    pub fn mostly_pepper(self) -> Self {
        Self { salt: SaltRate::Level, ..self }
    }

    /// Replaces entries by `low` (pepper) and `high` (salt) instead.
    pub fn values(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { values: range("values", [low, high])?, ..self })
    }
}

#[derive(Clone, Copy)]
struct Replace {
    salt: SaltRate,
    values: [f32; 2],
}

impl EntryProcess for Replace {
    const NOISE: Noise = Noise::Uniform;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, rate: S, u: S) -> (S, S::Mask) {
        let salted = match self.salt {
            SaltRate::Half => rate.clone() * 0.5,
            SaltRate::Level => rate.clone() * rate.clone(),
        };
        let [low, high] = self.values.map(f64::from);
        let peppered = x.mask_fill(u.clone().lower(rate.clone()), low);
        (peppered.mask_fill(u.clone().lower(salted), high), u.lower(rate))
    }
}

impl<const D: usize> Corruption<D> for SaltAndPepper {
    /// `changed`: the replaced entries, including those that already had the new value.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let Self { salt, values, .. } = *self;
        each_entry(Replace { salt, values }, Corruption::<D>::strength(self), clean, draws)
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

    // Half of 0.5 is salt by one law, and 0.5² by the other too; half of 0.25 and 0.25² are not.
    #[test]
    fn replaces_what_is_drawn_by_salt_or_pepper() {
        let (clean, u) = ([0.3; 4], [0.05, 0.1, 0.2, 0.25]);
        let values = [0.0, 1.0];
        let by = |salt| by_hand(Replace { salt, values }, 0.25, &clean, &u);
        assert_eq!(by(SaltRate::Half), [1.0, 1.0, 0.0, 0.3]);
        assert_eq!(by(SaltRate::Level), [1.0, 0.0, 0.0, 0.3]);
        let other = Replace { salt: SaltRate::Half, values: [-5.0, 7.0] };
        assert_eq!(by_hand(other, 0.25, &clean, &u), [7.0, 7.0, -5.0, 0.3]);
    }

    #[test]
    fn refuses_what_is_no_probability() {
        for rate in [-0.1, 1.1, f64::NAN] {
            let error = SaltAndPepper::new(rate).unwrap_err().to_string();
            assert!(error.contains("rate") && error.contains(&rate.to_string()), "{error}");
        }
    }
}
