//! Banding: every line of pixels has its own offset, as in a sensor that is read out line by line.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::{clip, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Line noise.
///
/// ```text
/// x̃(y, x) = clip(x(y, x) + σ ε_y), to [0, 1],   ε_y ~ N(0, 1) for each line
/// ```
///
/// All channels of a line share its offset. EMVA 1288 ("Standard for Characterization of Image Sensors and
/// Cameras") calls it row noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Banding {
    level: Level,
}

impl Banding {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "sigma",
        meaning: "standard deviation of a line's offset, on the scale [0, 1]",
        range: [0.0, 10.0],
        null: 0.0,
        severities: [0.05, 0.1, 0.15, 0.25, 0.4],
    };

    /// Offsets of standard deviation `sigma`, in `[0, 10]`.
    pub fn new(sigma: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(sigma)? })
    }
}

/// The deterministic part of [`Banding`]: the lines of every plane get the same offsets.
fn shift(pixels: &mut [f32], width: usize, offsets: &[f32], sigma: f32) {
    for (line, offset) in pixels.chunks_exact_mut(width).zip(offsets.iter().cycle()) {
        line.iter_mut().for_each(|pixel| *pixel += sigma * offset);
    }
    clip(pixels);
}

impl Corruption<4> for Banding {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, sigma, draws| {
            let mut offsets = vec![0.0; image.height];
            draws.normal(&mut offsets);
            shift(out, image.width, &offsets, sigma);
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
    fn shifts_each_line_in_every_channel() {
        let mut pixels = [0.5; 8];
        shift(&mut pixels, 2, &[1.0, -4.0], 0.25);
        assert_eq!(pixels, [0.75, 0.75, 0.0, 0.0, 0.75, 0.75, 0.0, 0.0]);
    }
}
