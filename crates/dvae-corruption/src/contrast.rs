//! Contrast: values closer to the image's mean, or further from it.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::{clip, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A change of contrast around each image's mean.
///
/// ```text
/// x̃ᵢ = clip(m + c (xᵢ − m)), to [0, 1],   m = mean of x
/// ```
///
/// All channels share one mean. Only the level is random. It is the "contrast" of Hendrycks & Dietterich
/// (2019), section 4.1, whose code uses one mean per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    level: Level,
}

impl Contrast {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "factor",
        meaning: "what distances from the mean are multiplied by",
        range: [0.0, 10.0],
        null: 1.0,
        severities: [0.7, 0.5, 0.35, 0.2, 0.1],
    };

    /// Multiplies distances from the mean by `factor`, in `[0, 10]`; 1 changes nothing.
    pub fn new(factor: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(factor)? })
    }
}

/// Computed in double precision, because an image can have more pixels than a float can count.
fn mean(pixels: &[f32]) -> f32 {
    let sum: f64 = pixels.iter().map(|&pixel| f64::from(pixel)).sum();
    (sum / pixels.len() as f64) as f32
}

/// The deterministic part of [`Contrast`].
fn stretch(pixels: &mut [f32], mean: f32, factor: f32) {
    for pixel in &mut *pixels {
        *pixel = mean + factor * (*pixel - mean);
    }
    clip(pixels);
}

impl Corruption<4> for Contrast {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, factor, _| {
            stretch(out, mean(image.pixels), factor);
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
    fn pulls_towards_the_mean_or_away_from_it() {
        let mut pixels = [0.25, 0.5, 0.75];
        stretch(&mut pixels, 0.5, 0.5);
        assert_eq!(pixels, [0.375, 0.5, 0.625]);
        stretch(&mut pixels, 0.5, 8.0);
        assert_eq!(pixels, [0.0, 0.5, 1.0]);
    }
}
