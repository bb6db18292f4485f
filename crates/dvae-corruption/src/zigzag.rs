//! Zigzag: a bright zigzag line across the image.

use burn::tensor::Tensor;
use dvae_kernels::math::sin_cos_of_turn;
use dvae_random::RowStreams;

use crate::rows::{Image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A zigzag line through the image.
///
/// ```text
/// x̃ = max(x, a ℓ),   ℓ = 1 on the line, 0 off it, less than 1 on the line's rim
/// ```
///
/// The line passes through a point of the middle half of the image, in any direction. Its teeth are an eighth
/// of the longer side high and a quarter long; its width is a twenty-fifth of the longer side, and at least
/// one pixel. It follows the "zigzag" of MNIST-C (Mu & Gilmer 2019, "MNIST-C: A Robustness Benchmark for
/// Computer Vision"), whose description gives no numbers; these are our own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zigzag {
    level: Level,
}

impl Zigzag {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "opacity",
        meaning: "brightness of the line",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.2, 0.4, 0.6, 0.8, 1.0],
    };

    /// A line of brightness `opacity`, in `[0, 1]`.
    pub fn new(opacity: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(opacity)? })
    }
}

/// How much of each pixel the line covers; `[y, x, direction]` on `[0, 1)`.
fn line(image: Image, [y, x, turn]: [f32; 3]) -> Vec<f32> {
    let Image { height, width, .. } = image;
    let (tooth, period) = (image.side() / 8.0, image.side() / 4.0);
    let half = (image.side() / 50.0).max(0.5);
    let middle = |u: f32, len: usize| (0.25 + 0.5 * u) * len as f32 - 0.5;
    let (sin, cos) = sin_cos_of_turn(turn);
    let mut covered = Vec::with_capacity(height * width);
    for line in 0..height {
        for column in 0..width {
            let (dy, dx) = (line as f32 - middle(y, height), column as f32 - middle(x, width));
            let (along, across) = (cos * dx + sin * dy, cos * dy - sin * dx);
            // A triangle wave between −½ and ½ of a tooth.
            let phase = along / period;
            let wave = tooth * (2.0 * (phase - (phase + 0.5).floor()).abs() - 0.5);
            // Teeth have a slope of 1, so a line is 1/√2 as thick as it is high.
            let distance = (across - wave).abs() * std::f32::consts::FRAC_1_SQRT_2;
            covered.push((half + 0.5 - distance).clamp(0.0, 1.0));
        }
    }
    covered
}

impl Corruption<4> for Zigzag {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, opacity, draws| {
            let line = line(image, draws.uniforms());
            for plane in out.chunks_exact_mut(image.area()) {
                for (pixel, covered) in plane.iter_mut().zip(&line) {
                    *pixel = pixel.max(opacity * covered);
                }
            }
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

    // Through the middle of 33 × 33, which is (16, 16), in the direction of the lines: the wave is half a
    // tooth of 33 / 8 above it, in line 14, and back at the same height a period later.
    #[test]
    fn draws_one_line_that_repeats() {
        let image = Image { pixels: &[], channels: 1, height: 33, width: 33 };
        let line = line(image, [0.5, 0.5, 0.0]);
        let column = |x: usize| -> Vec<f32> { (0..33).map(|y| line[y * 33 + x]).collect() };
        let top = column(16).iter().position(|&c| c == 1.0).unwrap();
        assert_eq!(top, 14);
        for x in 0..33 {
            let sum: f32 = column(x).iter().sum();
            assert!((1.0..5.0).contains(&sum), "column {x}: {sum}");
        }
        let gap = column(0).iter().zip(column(33 / 4)).map(|(a, b)| (a - b).abs()).sum::<f32>();
        assert!(gap < 1.0, "{gap}");
    }
}
