//! Masking noise `Mask(ν)`: each entry is erased with probability `ν`.

use burn::tensor::{Bool, Tensor};
use dvae_random::Draws;

use crate::error::probability;
use crate::{Corrupted, Corruption, CorruptionError};

/// Masking noise.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) · xᵢ,   mᵢ ~ Bernoulli(ν) independently
/// ```
///
/// Unlike dropout, survivors are not rescaled: `E[x̃ | x] = (1 − ν) x`. After Vincent et al. (2008),
/// "Extracting and Composing Robust Features with Denoising Autoencoders", section 2.3, but drawing
/// each entry independently rather than erasing a fixed count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    rate: f64,
}

impl Masking {
    /// Erases each entry with probability `rate`, in `[0, 1]`; 0 changes nothing.
    pub fn new(rate: f64) -> Result<Self, CorruptionError> {
        Ok(Self { rate: probability("rate", rate)? })
    }
}

/// The deterministic half of [`Masking`]: sets the `erased` entries to zero.
fn erase<const D: usize>(clean: Tensor<D>, erased: Tensor<D, Bool>) -> Tensor<D> {
    clean.mask_fill(erased, 0.0)
}

impl<const D: usize> Corruption<D> for Masking {
    /// `changed`: the erased entries, those that were zero already among them.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut Draws) -> Corrupted<D> {
        let erased = draws.bernoulli(self.rate, clean.shape(), &clean.device());
        Corrupted { input: erase(clean, erased.clone()), changed: erased }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn erases_what_is_drawn_and_keeps_the_rest_unscaled() {
        let device = Device::flex();
        let clean = Tensor::<1>::from_data([1.0, 0.5, -2.0], &device);
        let erased = Tensor::from_data([false, true, false], &device);
        let values = erase(clean, erased).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values, [1.0, 0.0, -2.0]);
    }

    #[test]
    fn refuses_what_is_no_probability() {
        for rate in [-0.1, 1.1, f64::NAN] {
            let error = Masking::new(rate).unwrap_err().to_string();
            assert!(error.contains("rate") && error.contains(&rate.to_string()), "{error}");
        }
    }
}
