//! Pixelation: averaging over large square blocks.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::{Image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Averaging over square blocks.
///
/// ```text
/// x̃(p) = mean of x over the pixels whose centers lie in the same s × s square as p
/// ```
///
/// The side `s` is in pixels and need not be an integer: blocks then differ by one pixel. Only the level is
/// random. It is the "pixelate" of Hendrycks & Dietterich (2019), section 4.1, which scales down and up
/// again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixelate {
    level: Level,
}

impl Pixelate {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "side",
        meaning: "side of a block, in pixels",
        range: [1.0, 256.0],
        null: 1.0,
        severities: [1.5, 2.0, 3.0, 4.0, 6.0],
    };

    /// Blocks of `side` pixels, in `[1, 256]`; 1 changes nothing.
    pub fn new(side: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(side)? })
    }
}

/// The deterministic part of [`Pixelate`].
fn pixelate(image: Image, side: f32, out: &mut [f32]) {
    let Image { height, width, .. } = image;
    let ends = |len: usize| -> Vec<usize> {
        let blocks = 1..=(len as f32 / side).ceil() as usize;
        blocks.map(|i| ((i as f32 * side - 0.5).ceil() as usize).min(len)).collect()
    };
    let (rows, columns) = (ends(height), ends(width));
    let mut line = vec![0.0; width];
    for (plane, out) in image.planes().zip(out.chunks_exact_mut(height * width)) {
        let mut top = 0;
        for &bottom in &rows {
            let block = top * width..bottom * width;
            line.fill(0.0);
            for pixels in plane[block.clone()].chunks_exact(width) {
                line.iter_mut().zip(pixels).for_each(|(sum, pixel)| *sum += pixel);
            }
            let mut left = 0;
            for &right in &columns {
                let sum: f32 = line[left..right].iter().sum();
                line[left..right].fill(sum / ((bottom - top) * (right - left)) as f32);
                left = right;
            }
            out[block].chunks_exact_mut(width).for_each(|out| out.copy_from_slice(&line));
            top = bottom;
        }
    }
}

impl Corruption<4> for Pixelate {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, side, _| pixelate(image, side, out))
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)? }))
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        let longest = event.iter().skip(1).max().copied().unwrap_or(0);
        match self.level.largest() {
            Some(side) if side > longest as f64 => {
                let why = format!("a block of {side} pixels is larger than the image");
                Err(CorruptionError::Shape { name: "side", event: event.into(), why })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Blocks of 2 on 3 pixels: two and one.
    #[test]
    fn averages_over_blocks() {
        let pixels = [1.0, 3.0, 5.0, 5.0, 7.0, 9.0];
        let image = Image { pixels: &pixels, channels: 1, height: 2, width: 3 };
        let mut out = [0.0; 6];
        pixelate(image, 2.0, &mut out);
        assert_eq!(out, [4.0, 4.0, 7.0, 4.0, 4.0, 7.0]);
        pixelate(image, 100.0, &mut out);
        assert_eq!(out, [5.0; 6]);
        pixelate(Image { height: 1, width: 6, ..image }, 1.5, &mut out);
        assert_eq!(out, [1.0, 4.0, 4.0, 5.0, 8.0, 8.0]);
    }
}
