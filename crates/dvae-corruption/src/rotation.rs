//! Rotation about the middle, by an angle of each row's own.

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
/// In degrees, bilinear; beyond the edges the nearest pixel counts.
///
/// This is no noise: the pixels move, and a model that is asked for the clean image has to move them
/// back, which it cannot know how to. Use it to measure, or for invariance of features; not to denoise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    level: Level,
}

impl Rotation {
    /// What the level means.
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

/// The deterministic half of [`Rotation`].
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

    // A quarter of a turn: what was on the right comes up.
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
