//! Saturation: paler or stronger colors; gray images are unchanged.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::{Image, clip, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// A change of color relative to each pixel's gray.
///
/// ```text
/// x̃ = clip(g + c (x − g)), to [0, 1],   g = 0.299 R + 0.587 G + 0.114 B
/// ```
///
/// Images without three channels have no color: they are unchanged, and [`Corruption::check`] rejects them.
/// The weights are those of ITU-R BT.601. Only the level is random. Hendrycks & Dietterich (2019) change the
/// saturation of HSV instead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saturation {
    level: Level,
}

impl Saturation {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "factor",
        meaning: "what distances from gray are multiplied by",
        range: [0.0, 20.0],
        null: 1.0,
        severities: [0.6, 0.4, 0.2, 0.1, 0.0],
    };

    /// Multiplies distances from gray by `factor`, in `[0, 20]`; 1 changes nothing.
    pub fn new(factor: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(factor)? })
    }
}

/// The deterministic part of [`Saturation`], for three channels.
fn color(image: Image, factor: f32, out: &mut [f32]) {
    let area = image.area();
    for i in 0..area {
        let [red, green, blue] = [0, 1, 2].map(|channel| image.pixels[channel * area + i]);
        let gray = 0.299 * red + 0.587 * green + 0.114 * blue;
        for (channel, value) in [red, green, blue].into_iter().enumerate() {
            out[channel * area + i] = gray + factor * (value - gray);
        }
    }
    clip(out);
}

impl Corruption<4> for Saturation {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, factor, _| {
            if image.channels == 3 {
                color(image, factor, out);
            }
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)? }))
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        if event.first() == Some(&3) {
            return Ok(());
        }
        let why = "only three channels have a color".into();
        Err(CorruptionError::Shape { name: "saturation", event: event.into(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_the_distance_from_gray() {
        let image = Image { pixels: &[1.0, 0.5, 0.0], channels: 3, height: 1, width: 1 };
        let mut out = [0.0; 3];
        color(image, 0.0, &mut out);
        let gray = 0.299 + 0.2935;
        assert!(out.iter().all(|v| (v - gray).abs() < 1e-6), "{out:?}");
        color(image, 0.5, &mut out);
        assert!((out[0] - (1.0 + gray) / 2.0).abs() < 1e-6, "{out:?}");
    }
}
