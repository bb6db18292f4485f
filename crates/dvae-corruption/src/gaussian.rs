//! Additive Gaussian noise `N(0, σ²)`, optionally clipped to a range.

use burn::tensor::Tensor;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;

use crate::clip::Clip;
use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Additive isotropic Gaussian noise.
///
/// ```text
/// x̃ᵢ = clip(xᵢ + σ εᵢ),   εᵢ ~ N(0, 1) independently
/// ```
///
/// `σ` is in units of the data. Without a range nothing is clipped, and `x̃` leaves `[0, 1]`; with one, the
/// noise of entries at its ends is one-sided. After Vincent et al. (2010), "Stacked Denoising Autoencoders",
/// section 3.3, and Im et al. (2017), "Denoising Criterion for Variational Auto-Encoding Framework".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    level: Level,
    clip: Clip,
}

impl Gaussian {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "sigma",
        meaning: "standard deviation, in units of the data",
        range: [0.0, Scale::LARGEST],
        null: 0.0,
        severities: [0.1, 0.2, 0.3, 0.4, 0.5],
    };

    /// Noise of standard deviation `sigma`, in `[0, 10³⁰]`.
    pub fn new(sigma: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(sigma)?, clip: Clip::default() })
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

impl EntryProcess for Add {
    const NOISE: Noise = Noise::Normal;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, sigma: S, noise: S) -> (S, S::Mask) {
        let noisy = x.clone() + noise * sigma;
        let out = self.clip.of(noisy);
        (out.clone(), out.not_equal(x))
    }
}

impl<const D: usize> Corruption<D> for Gaussian {
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

    // 0.5 + 0.25 · 1 = 0.75; 0.5 − 0.25 · 4 = −0.5, clipped to 0; 0.5 + 0 stays.
    #[test]
    fn adds_sigma_times_the_draw_and_clips() {
        let (clean, noise) = ([0.5; 3], [1.0, -4.0, 0.0]);
        assert_eq!(by_hand(Add { clip: Clip::default() }, 0.25, &clean, &noise), [0.75, -0.5, 0.5]);
        let clip = Clip::to(0.0, 1.0).unwrap();
        assert_eq!(by_hand(Add { clip }, 0.25, &clean, &noise), [0.75, 0.0, 0.5]);
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
