//! Haze: low-frequency fog in front of the scene.

use burn::tensor::Tensor;
use dvae_random::{RowStream, RowStreams};

use crate::rows::{clip, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Fog-like haze.
///
/// ```text
/// x̃ = (1 − a t) x + a t,   t = a field of low frequency in [0, 1], one for all channels
/// ```
///
/// The field is value noise, drawn for each row: uniform numbers on grids of 3, 5 and 9 points per side,
/// interpolated bilinearly, weighted 4 : 2 : 1, and stretched to fill `[0, 1]` (Perlin 1985, "An Image
/// Synthesizer", adds octaves in this way). It replaces the "fog" of Hendrycks & Dietterich (2019), which
/// uses the diamond-square algorithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Haze {
    level: Level,
}

impl Haze {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "density",
        meaning: "opacity where the haze is thickest",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.25, 0.4, 0.55, 0.7, 0.85],
    };

    /// Haze whose thickest part hides `density` of the scene, in `[0, 1]`.
    pub fn new(density: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(density)? })
    }
}

/// The deterministic part of [`Haze`], on one plane.
fn veil(plane: &mut [f32], field: &[f32], density: f32) {
    for (pixel, t) in plane.iter_mut().zip(field) {
        *pixel += density * t * (1.0 - *pixel);
    }
    clip(plane);
}

/// Smooth noise that fills `[0, 1]`.
fn field(height: usize, width: usize, draws: &mut RowStream) -> Vec<f32> {
    let mut field = vec![0.0; height * width];
    for (points, weight) in [(3, 4.0), (5, 2.0), (9, 1.0)] {
        let mut grid = vec![0.0; points * points];
        draws.uniform(&mut grid);
        // The grid point before a pixel, and the distance to the next.
        let place = |i: usize, len: usize| {
            let place = (i as f32 + 0.5) / len as f32 * (points - 1) as f32;
            let first = (place as usize).min(points - 2);
            (first, place - first as f32)
        };
        let columns: Vec<_> = (0..width).map(|x| place(x, width)).collect();
        for (y, line) in field.chunks_exact_mut(width).enumerate() {
            let (above, v) = place(y, height);
            let at = |i: usize| {
                grid[above * points + i] * (1.0 - v) + grid[(above + 1) * points + i] * v
            };
            let across: Vec<f32> = (0..points).map(|i| weight * at(i)).collect();
            for (value, &(left, u)) in line.iter_mut().zip(&columns) {
                *value += across[left] + u * (across[left + 1] - across[left]);
            }
        }
    }
    let (low, high) = field.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    field.iter_mut().for_each(|value| *value = (*value - low) * scale);
    field
}

impl Corruption<4> for Haze {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, density, draws| {
            let field = field(image.height, image.width, draws);
            for out in out.chunks_exact_mut(image.area()) {
                veil(out, &field, density);
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

    use dvae_random::Key;

    #[test]
    fn whitens_by_the_field() {
        let mut plane = [0.0, 0.5, 1.0, 0.5];
        veil(&mut plane, &[1.0, 0.5, 1.0, 0.0], 0.5);
        assert_eq!(plane, [0.5, 0.625, 1.0, 0.5]);
    }

    // On 64 pixels the finest grid changes by at most (1 + …) · 8 / 64 of its range from pixel to pixel.
    #[test]
    fn the_field_fills_its_range_and_is_smooth() {
        let field = field(64, 64, &mut Key::new(1).rows(&[1]).row(0));
        let (low, high) =
            (field.iter().copied().fold(1.0, f32::min), field.iter().copied().fold(0.0, f32::max));
        assert_eq!((low, high), (0.0, 1.0));
        let step = field.windows(2).enumerate().filter(|(i, _)| i % 64 != 63);
        let steepest = step.map(|(_, pair)| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 0.25, "{steepest}");
    }
}
