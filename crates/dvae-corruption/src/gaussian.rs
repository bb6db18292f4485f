//! Additive Gaussian noise `N(0, σ²)`, clipped to a range if asked.

use burn::tensor::Tensor;
use dvae_random::Draws;

use crate::{Corrupted, Corruption, CorruptionError};

/// Additive isotropic Gaussian noise.
///
/// ```text
/// x̃ᵢ = clip(xᵢ + σ εᵢ),   εᵢ ~ N(0, 1) independently
/// ```
///
/// `σ` is in units of the data. Without a range nothing is clipped, and `x̃` leaves `[0, 1]`; with
/// one, the noise of entries at its ends is one-sided. After Vincent et al. (2010), "Stacked
/// Denoising Autoencoders", section 3.3, and Im et al. (2017), "Denoising Criterion for Variational
/// Auto-Encoding Framework".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    sigma: f64,
    range: Option<(f64, f64)>,
}

impl Gaussian {
    /// Noise of standard deviation `sigma`, finite and at least 0; 0 changes nothing.
    pub fn new(sigma: f64) -> Result<Self, CorruptionError> {
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(CorruptionError::Scale { name: "sigma", value: sigma });
        }
        Ok(Self { sigma, range: None })
    }

    /// The same noise, clipped to `[low, high]` afterwards.
    pub fn clipped(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(CorruptionError::Range { name: "clip", low, high });
        }
        Ok(Self { range: Some((low, high)), ..self })
    }
}

/// The deterministic half of [`Gaussian`]: adds `sigma` times `noise` and clips.
fn add<const D: usize>(process: &Gaussian, clean: Tensor<D>, noise: Tensor<D>) -> Tensor<D> {
    let noisy = clean + noise * process.sigma;
    match process.range {
        Some((low, high)) => noisy.clamp(low, high),
        None => noisy,
    }
}

impl<const D: usize> Corruption<D> for Gaussian {
    /// `changed`: where `x̃ᵢ ≠ xᵢ`.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut Draws) -> Corrupted<D> {
        let noise = draws.normal(clean.shape(), &clean.device());
        if self.sigma == 0.0 {
            return crate::Clean.corrupt(clean, draws);
        }
        let input = add(self, clean.clone(), noise);
        Corrupted { changed: input.clone().not_equal(clean), input }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};

    // 0.5 + 0.25 · 1 = 0.75; 0.5 − 0.25 · 4 = −0.5, clipped to 0; 0.5 + 0 stays.
    #[test]
    fn adds_sigma_times_the_draw_and_clips() {
        let device = Device::flex();
        let clean = Tensor::<1>::from_data([0.5, 0.5, 0.5], &device);
        let noise = Tensor::<1>::from_data([1.0, -4.0, 0.0], &device);
        let free = Gaussian::new(0.25).unwrap();
        let clipped = free.clipped(0.0, 1.0).unwrap();
        let values = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(add(&free, clean.clone(), noise.clone())), [0.75, -0.5, 0.5]);
        assert_eq!(values(add(&clipped, clean, noise)), [0.75, 0.0, 0.5]);
    }

    #[test]
    fn refuses_what_is_no_scale_or_range() {
        for sigma in [-0.1, f64::NAN, f64::INFINITY] {
            let error = Gaussian::new(sigma).unwrap_err().to_string();
            assert!(error.contains("sigma") && error.contains(&sigma.to_string()), "{error}");
        }
        for (low, high) in [(1.0, 0.0), (0.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(Gaussian::new(0.1).unwrap().clipped(low, high).is_err());
        }
    }
}
