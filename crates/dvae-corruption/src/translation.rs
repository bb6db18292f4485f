//! Translation by a shift drawn for each row.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::{Image, each_image, warp};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A shift.
///
/// ```text
/// x̃(y, x) = x(y − v H, x − u W),   u, v ~ U[−d, d] for each row
/// ```
///
/// The distance `d` is a share of the image's sides. Bilinear; the border is extended by the nearest pixel.
///
/// This is not noise: the pixels move. To recover the clean image, a model would have to move them back, and
/// it cannot know how. Use it for evaluation or for invariant features, not for denoising.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Translation {
    level: Level,
}

impl Translation {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "distance",
        meaning: "largest shift either way, as a share of the side",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.03, 0.06, 0.1, 0.15, 0.25],
    };

    /// Shifts of up to `distance` of the sides, in `[0, 1]`.
    pub fn new(distance: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(distance)? })
    }
}

/// The deterministic part of [`Translation`], by pixels down and to the right.
fn shift(image: Image, [down, right]: [f32; 2], out: &mut [f32]) {
    warp(image, out, |[y, x]| [y - down, x - right]);
}

impl Corruption<4> for Translation {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, distance, draws| {
            let [v, u] = draws.uniforms::<2>().map(|u| distance * (2.0 * u - 1.0));
            shift(image, [v * image.height as f32, u * image.width as f32], out);
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

    #[test]
    fn moves_down_and_to_the_right() {
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let image = Image { pixels: &pixels, channels: 1, height: 2, width: 3 };
        let mut out = [0.0; 6];
        shift(image, [0.0, 1.0], &mut out);
        assert_eq!(out, [1.0, 1.0, 2.0, 4.0, 4.0, 5.0]);
        shift(image, [0.5, 0.0], &mut out);
        assert_eq!(out, [1.0, 2.0, 3.0, 2.5, 3.5, 4.5]);
    }
}
