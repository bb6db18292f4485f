//! Shear along the lines, with a strength and direction drawn for each row.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::{Image, each_image, warp};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Shear.
///
/// ```text
/// x̃(y, x) = x(y, x + k y),   k ~ U[−s, s] for each row, y and x from the middle
/// ```
///
/// Bilinear; the border is extended by the nearest pixel.
///
/// This is not noise: the pixels move. To recover the clean image, a model would have to move them back, and
/// it cannot know how. Use it for evaluation or for invariant features, not for denoising.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shear {
    level: Level,
}

impl Shear {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "slope",
        meaning: "largest shift of a line by one pixel of height, either way, in pixels",
        range: [0.0, 5.0],
        null: 0.0,
        severities: [0.1, 0.2, 0.3, 0.45, 0.6],
    };

    /// Slopes of up to `slope` either way, in `[0, 5]`.
    pub fn new(slope: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(slope)? })
    }
}

/// The deterministic part of [`Shear`].
fn shear(image: Image, slope: f32, out: &mut [f32]) {
    warp(image, out, |[y, x]| [y, x + slope * y]);
}

impl Corruption<4> for Shear {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, slope, draws| {
            let [u] = draws.uniforms();
            shear(image, slope * (2.0 * u - 1.0), out);
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

    // The upper line reads one pixel to the left, the lower one to the right.
    #[test]
    fn shifts_lines_by_their_height() {
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let image = Image { pixels: &pixels, channels: 1, height: 3, width: 3 };
        let mut out = [0.0; 9];
        shear(image, 1.0, &mut out);
        assert_eq!(out, [1.0, 1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 9.0, 9.0]);
    }
}
