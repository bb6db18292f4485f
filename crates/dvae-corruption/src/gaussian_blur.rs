//! Gaussian blur: a soft loss of focus.

use burn::tensor::Tensor;
use dvae_checks::within;
use dvae_kernels::math::exp;
use dvae_random::RowStreams;

use crate::convolution::{Kernel, Tap};
use crate::rows::{Image, clip_to_image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Blur by a Gaussian kernel.
///
/// ```text
/// x̃ = x ∗ k,   k(dy, dx) ∝ exp(−(dy² + dx²) / 2σ²),   |dy|, |dx| ≤ ⌈3σ⌉
/// ```
///
/// `σ` is in pixels; the kernel sums to 1, and the border is extended by the nearest pixel. Only the level is
/// random. Hendrycks & Dietterich (2019), "Benchmarking Neural Network Robustness to Common Corruptions and
/// Perturbations", use it as an extra corruption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianBlur {
    level: Level,
    /// Taps on each side, if given.
    reach: Option<usize>,
}

impl GaussianBlur {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "sigma",
        meaning: "standard deviation of the kernel, in pixels",
        range: [0.0, 32.0],
        null: 0.0,
        severities: [0.5, 0.8, 1.2, 1.8, 2.5],
    };

    /// A kernel of standard deviation `sigma` pixels, in `[0, 32]`.
    pub fn new(sigma: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(sigma)?, reach: None })
    }

    /// Uses a kernel of `size × size` taps, odd and at most 255, instead of 3σ on each side.
    pub fn kernel(self, size: usize) -> Result<Self, CorruptionError> {
        let size = within("kernel", size, 1..=255)?;
        if size.is_multiple_of(2) {
            return Err(CorruptionError::EvenKernel { name: "kernel", value: size });
        }
        Ok(Self { reach: Some(size / 2), ..self })
    }
}

/// The deterministic part of [`GaussianBlur`]; `reach` is 3σ unless given.
pub(crate) fn blur(image: Image, sigma: f32, reach: Option<usize>, out: &mut [f32]) {
    let reach = reach.unwrap_or((3.0 * sigma).ceil() as usize) as isize;
    let weight = |d: isize| exp(-0.5 * (d as f32 / sigma).powi(2));
    let along = |tap: fn(isize, f32) -> Tap| {
        Kernel::normalized((-reach..=reach).map(|d| tap(d, weight(d))).collect())
    };
    let mut across = vec![0.0; out.len()];
    along(|dx, weight| Tap { dy: 0, dx, weight }).convolve(image, &mut across);
    along(|dy, weight| Tap { dy, dx: 0, weight }).convolve(Image { pixels: &across, ..image }, out);
}

impl Corruption<4> for GaussianBlur {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, sigma, _| {
            blur(image, sigma, self.reach, out);
            clip_to_image(image, out);
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..*self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // At σ = 1 and 3 taps a pixel keeps 1 / (1 + 2 e^−½) of itself along each axis.
    #[test]
    fn spreads_a_point_as_the_kernel_says() {
        let mut pixels = [0.0; 25];
        pixels[12] = 1.0;
        let image = Image { pixels: &pixels, channels: 1, height: 5, width: 5 };
        let mut out = [0.0; 25];
        blur(image, 1.0, Some(1), &mut out);
        let kept = 1.0 / (1.0 + 2.0 * (-0.5f32).exp());
        let side = kept * (-0.5f32).exp();
        for (place, expected) in [(12, kept * kept), (13, kept * side), (6, side * side), (10, 0.0)]
        {
            assert!((out[place] - expected).abs() < 1e-6, "{place}: {out:?}");
        }
    }

    #[test]
    fn refuses_a_kernel_without_a_middle() {
        let blur = GaussianBlur::new(1.0).unwrap();
        let error = blur.kernel(4).unwrap_err().to_string();
        assert!(error.contains("`kernel` must be odd") && error.contains("is 4"), "{error}");
        assert!(blur.kernel(5).is_ok() && blur.kernel(0).is_err() && blur.kernel(301).is_err());
    }
}
