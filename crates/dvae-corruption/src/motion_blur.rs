//! Motion blur: every point becomes a line, in a direction drawn for each row.

use burn::tensor::Tensor;
use dvae_kernels::math::sin_cos_of_turn;
use dvae_random::RowStreams;

use crate::convolution::{Kernel, Tap};
use crate::rows::{clip_to_image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Blur along a line.
///
/// ```text
/// x̃(p) = mean of x(p + t d),   −ℓ/2 ≤ t ≤ ℓ/2,   d = (sin θ, cos θ),   θ ~ U[0, π) for each row
/// ```
///
/// The length `ℓ` is in pixels. The line is sampled four times per pixel, bilinearly; the border is extended
/// by the nearest pixel. As in Hendrycks & Dietterich (2019), section 4.1, but with equal weights along the
/// line, and centered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MotionBlur {
    level: Level,
}

impl MotionBlur {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "length",
        meaning: "length of the line, in pixels",
        range: [0.0, 64.0],
        null: 0.0,
        severities: [1.5, 3.0, 5.0, 7.0, 10.0],
    };

    /// A line of `length` pixels, in `[0, 64]`.
    pub fn new(length: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(length)? })
    }
}

/// Samples per pixel of the line.
const DENSITY: f32 = 4.0;

/// A line at an angle in turns from the horizontal.
fn line(length: f32, turn: f32) -> Kernel {
    let (sin, cos) = sin_cos_of_turn(turn);
    let reach = (0.5 * length).ceil() as isize + 1;
    let side = (2 * reach + 1) as usize;
    let mut weights = vec![0.0; side * side];
    let last = (DENSITY * length).ceil().max(1.0) as usize;
    for sample in 0..=last {
        let t = length * (sample as f32 / last as f32 - 0.5);
        let (y, x) = (t * sin + reach as f32, t * cos + reach as f32);
        let (y0, x0) = (y as usize, x as usize);
        let (v, u) = (y - y0 as f32, x - x0 as f32);
        weights[y0 * side + x0] += (1.0 - v) * (1.0 - u);
        weights[y0 * side + x0 + 1] += (1.0 - v) * u;
        weights[(y0 + 1) * side + x0] += v * (1.0 - u);
        weights[(y0 + 1) * side + x0 + 1] += v * u;
    }
    let tap = |(place, weight)| {
        let (y, x) = (place / side, place % side);
        Tap { dy: y as isize - reach, dx: x as isize - reach, weight }
    };
    Kernel::normalized(weights.into_iter().enumerate().map(tap).collect())
}

impl Corruption<4> for MotionBlur {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, length, draws| {
            let [turn] = draws.uniforms();
            line(length, 0.5 * turn).convolve(image, out);
            clip_to_image(image, out);
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A horizontal line of 2 pixels, sampled at −1, −¾, … 1: the middle gets 1 + 2 (¾ + ½ + ¼) = 4 of 9
    // samples, each end 1 + ¾ + ½ + ¼ = 2.5.
    #[test]
    fn spreads_a_point_along_the_line() {
        let taps = line(2.0, 0.0);
        let taps = taps.taps();
        assert!(taps.iter().all(|tap| tap.dy == 0), "{taps:?}");
        let weights: Vec<f32> = taps.iter().map(|tap| tap.weight * 9.0).collect();
        for (got, expected) in weights.iter().zip([2.5, 4.0, 2.5]) {
            assert!((got - expected).abs() < 1e-5, "{weights:?}");
        }
        let upright = line(2.0, 0.25);
        let off =
            upright.taps().iter().filter(|tap| tap.dx != 0).map(|tap| tap.weight).sum::<f32>();
        assert!(off < 1e-6);
    }
}
