//! Rotation around the center, by an angle drawn for each row.

use burn::tensor::Tensor;
use dvae_kernels::math::sin_cos_of_turn;
use dvae_random::RowStreams;

use crate::rows::{Image, each_image, warp};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Rotation.
///
/// ```text
/// x̃(p) = x(R(φ) p),   φ ~ U[−α, α] for each row, about the middle
/// ```
///
/// In degrees, bilinear; the border is extended by the nearest pixel.
///
/// This is not noise: the pixels move. To recover the clean image, a model would have to move them back, and
/// it cannot know how. Use it for evaluation or for invariant features, not for denoising.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    level: Level,
}

impl Rotation {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "angle",
        meaning: "largest angle either way, in degrees",
        range: [0.0, 180.0],
        null: 0.0,
        severities: [4.0, 8.0, 15.0, 25.0, 40.0],
    };

    /// Angles of up to `angle` degrees either way, in `[0, 180]`.
    pub fn new(angle: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(angle)? })
    }
}

/// The deterministic part of [`Rotation`].
fn rotate(image: Image, degrees: f32, out: &mut [f32]) {
    let (sin, cos) = sin_cos_of_turn(degrees / 360.0);
    warp(image, out, |[y, x]| [cos * y + sin * x, cos * x - sin * y]);
}

impl Corruption<4> for Rotation {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, angle, draws| {
            let [u] = draws.uniforms();
            rotate(image, angle * (2.0 * u - 1.0), out);
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

    // A quarter of a turn: the right side moves to the top.
    #[test]
    fn turns_about_the_middle() {
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let image = Image { pixels: &pixels, channels: 1, height: 3, width: 3 };
        let mut out = [0.0; 9];
        rotate(image, 90.0, &mut out);
        let expected = [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0];
        let opposite = [7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0];
        let close = |to: [f32; 9]| out.iter().zip(to).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(expected) && !close(opposite), "{out:?}");
    }
}
