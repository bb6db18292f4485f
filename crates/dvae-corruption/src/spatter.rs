//! Spatter: drops on the lens.

use burn::tensor::Tensor;
use dvae_random::{RowStream, RowStreams};

use crate::gaussian_blur::blur;
use crate::rows::{Image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Bright drops.
///
/// ```text
/// x̃ = 1 where a smooth field is among its highest a · H · W values, x elsewhere
/// ```
///
/// The field is white Gaussian noise, drawn for each row, blurred with σ = a twentieth of the longer side,
/// and shared by all channels. The "spatter" of MNIST-C (Mu & Gilmer 2019) and of Hendrycks & Dietterich
/// (2019) thresholds such a field too; covering an exact share is specific to this crate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spatter {
    level: Level,
}

impl Spatter {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "share",
        meaning: "share of the image that drops cover",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.03, 0.07, 0.12, 0.2, 0.3],
    };

    /// Drops on a `share` of the image, in `[0, 1]`.
    pub fn new(share: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(share)? })
    }
}

/// The deterministic part of [`Spatter`], on all planes.
fn splash(pixels: &mut [f32], field: &[f32], share: f32) {
    let dry = field.len() - (share * field.len() as f32).round() as usize;
    let mut order = field.to_vec();
    if dry == field.len() {
        return;
    }
    let (_, &mut threshold, _) = order.select_nth_unstable_by(dry, f32::total_cmp);
    for (pixel, value) in pixels.iter_mut().zip(field.iter().cycle()) {
        if *value >= threshold {
            *pixel = 1.0;
        }
    }
}

/// Smooth noise on an area larger than the image, so that the edges have the same distribution as the middle.
fn field(image: Image, draws: &mut RowStream) -> Vec<f32> {
    let Image { height, width, .. } = image;
    let sigma = image.side() / 20.0;
    let margin = (3.0 * sigma).ceil() as usize;
    let (tall, wide) = (height + 2 * margin, width + 2 * margin);
    let mut noise = vec![0.0; tall * wide];
    draws.normal(&mut noise);
    let mut field = vec![0.0; tall * wide];
    let plane = Image { pixels: &noise, channels: 1, height: tall, width: wide };
    blur(plane, sigma, None, &mut field);
    let lines = field.chunks_exact(wide).skip(margin).take(height);
    lines.flat_map(|line| &line[margin..margin + width]).copied().collect()
}

impl Corruption<4> for Spatter {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, share, draws| {
            let field = field(image, draws);
            splash(out, &field, share);
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
    fn covers_the_highest_share() {
        let mut plane = [0.5; 4];
        splash(&mut plane, &[0.1, 3.0, -2.0, 0.2], 0.5);
        assert_eq!(plane, [0.5, 1.0, 0.5, 1.0]);
        splash(&mut plane, &[0.1, 3.0, -2.0, 0.2], 0.0);
        assert_eq!(plane, [0.5, 1.0, 0.5, 1.0]);
        splash(&mut plane, &[0.1, 3.0, -2.0, 0.2], 1.0);
        assert_eq!(plane, [1.0; 4]);
    }
}
