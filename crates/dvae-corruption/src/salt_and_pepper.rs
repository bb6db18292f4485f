//! Salt-and-pepper noise: entries replaced by the ends of the range.

use burn::tensor::{Bool, Tensor};
use dvae_random::Draws;

use crate::error::probability;
use crate::{Corrupted, Corruption, CorruptionError};

/// How often a replacement is salt (1) rather than pepper (0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaltLaw {
    /// Salt and pepper equally often: Vincent et al. (2010), section 3.3.
    Symmetric,
    /// Salt with probability `ν` only, so that pepper prevails at small rates: what the published
    /// code of Im et al. (2017) does.
    MostlyPepper,
}

/// Salt-and-pepper noise on data in `[0, 1]`.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) xᵢ + mᵢ sᵢ,   mᵢ ~ Bernoulli(ν),   sᵢ ~ Bernoulli(½ or ν) independently
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SaltAndPepper {
    rate: f64,
    law: SaltLaw,
}

impl SaltAndPepper {
    /// Replaces each entry with probability `rate`, in `[0, 1]`; 0 changes nothing.
    pub fn new(rate: f64, law: SaltLaw) -> Result<Self, CorruptionError> {
        Ok(Self { rate: probability("rate", rate)?, law })
    }

    fn salt_probability(&self) -> f64 {
        match self.law {
            SaltLaw::Symmetric => 0.5,
            SaltLaw::MostlyPepper => self.rate,
        }
    }
}

/// The deterministic half of [`SaltAndPepper`]: the `replaced` entries become 1 where `salt`,
/// else 0.
fn replace<const D: usize>(
    clean: Tensor<D>,
    replaced: Tensor<D, Bool>,
    salt: Tensor<D, Bool>,
) -> Tensor<D> {
    clean.mask_where(replaced, salt.float())
}

impl<const D: usize> Corruption<D> for SaltAndPepper {
    /// `changed`: the replaced entries, those that had the new value already among them.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut Draws) -> Corrupted<D> {
        let replaced = draws.bernoulli(self.rate, clean.shape(), &clean.device());
        let salt = draws.bernoulli(self.salt_probability(), clean.shape(), &clean.device());
        Corrupted { input: replace(clean, replaced.clone(), salt), changed: replaced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn replaces_what_is_drawn_by_salt_or_pepper() {
        let device = Device::flex();
        let clean = Tensor::<1>::from_data([0.3, 0.4, 0.5, 0.6], &device);
        let replaced = Tensor::from_data([true, true, false, false], &device);
        let salt = Tensor::from_data([true, false, true, false], &device);
        let values = replace(clean, replaced, salt).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values, [1.0, 0.0, 0.5, 0.6]);
    }

    #[test]
    fn refuses_what_is_no_probability() {
        for rate in [-0.1, 1.1, f64::NAN] {
            let error = SaltAndPepper::new(rate, SaltLaw::Symmetric).unwrap_err().to_string();
            assert!(error.contains("rate") && error.contains(&rate.to_string()), "{error}");
        }
    }
}
