//! Zoom: enlarged or reduced around the center, by a factor drawn for each row.

use burn::tensor::Tensor;
use dvae_kernels::math::{exp, ln};
use dvae_random::RowStreams;

use crate::rows::{Image, each_image, warp};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A change of scale.
///
/// ```text
/// x̃(p) = x(p / f),   ln f ~ U[−ln s, ln s] for each row, p from the middle
/// ```
///
/// Bilinear; the border is extended by the nearest pixel.
///
/// This is not noise: the pixels move. To recover the clean image, a model would have to move them back, and
/// it cannot know how. Use it for evaluation or for invariant features, not for denoising.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    level: Level,
}

impl Zoom {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "factor",
        meaning: "largest factor of size, and the inverse of the smallest",
        range: [1.0, 8.0],
        null: 1.0,
        severities: [1.08, 1.15, 1.25, 1.4, 1.7],
    };

    /// Factors between `1 / factor` and `factor`, which is in `[1, 8]`; 1 changes nothing.
    pub fn new(factor: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(factor)? })
    }
}

/// The deterministic part of [`Zoom`].
fn zoom(image: Image, factor: f32, out: &mut [f32]) {
    warp(image, out, |[y, x]| [y / factor, x / factor]);
}

impl Corruption<4> for Zoom {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, factor, draws| {
            let [u] = draws.uniforms();
            zoom(image, exp(ln(factor) * (2.0 * u - 1.0)), out);
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

    // At twice the size the outer pixels show what was halfway to the middle.
    #[test]
    fn reads_closer_to_the_middle() {
        let image = Image { pixels: &[1.0, 2.0, 5.0], channels: 1, height: 1, width: 3 };
        let mut out = [0.0; 3];
        zoom(image, 2.0, &mut out);
        assert_eq!(out, [1.5, 2.0, 3.5]);
        zoom(image, 0.25, &mut out);
        assert_eq!(out, [1.0, 2.0, 5.0]);
    }
}
