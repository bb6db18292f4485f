//! Occlusion: blocks or stripes in front of the image.

use burn::tensor::Tensor;
use dvae_checks::within;
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rows::{Image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// The shape of an occluder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Shape {
    /// Rectangles with the image's own proportions.
    #[default]
    Blocks,
    /// Stripes from one side to the other, each vertical or horizontal with probability ½.
    Stripes,
}

/// Occlusion by shapes of one value.
///
/// ```text
/// x̃ = f on n shapes of area a H W / n each, at places of each row's own, x elsewhere
/// ```
///
/// A shape lies entirely within the image, which limits its size. Shapes may overlap, and blocks are whole
/// rectangles, so together they hide at most the share `a`. If there are more shapes than pixels or lines to
/// hide, some are empty. The value `f` is 0 by default. One block is "cutout": DeVries & Taylor (2017),
/// "Improved Regularization of Convolutional Neural Networks with Cutout", whose square may extend beyond the
/// edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occlusion {
    level: Level,
    count: usize,
    shape: Shape,
    fill: f32,
}

impl Occlusion {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "share",
        meaning: "share of the image that is hidden, before overlaps",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.06, 0.12, 0.2, 0.3, 0.45],
    };

    /// One block that hides a `share` of the image, in `[0, 1]`.
    pub fn new(share: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(share)?, count: 1, shape: Shape::Blocks, fill: 0.0 })
    }

    /// Divides the same area into `count` shapes, 1 to 1000.
    pub fn count(self, count: usize) -> Result<Self, CorruptionError> {
        Ok(Self { count: within("count", count, 1..=1000)?, ..self })
    }

    /// Uses another shape for the same area.
    pub fn shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Uses another value instead of 0.
    pub fn fill(self, value: f64) -> Result<Self, CorruptionError> {
        Ok(Self { fill: within("fill", value, -Scale::LARGEST..=Scale::LARGEST)? as f32, ..self })
    }

    /// Shape `i`, if it has a pixel; `[line, column, vertical or horizontal]` on `[0, 1)`.
    ///
    /// The hidden area is divided into whole pixels, or into whole lines, so that rounding the shapes does
    /// not change the total.
    fn rectangle(&self, image: Image, share: f32, i: usize, [v, u, turn]: [f32; 3]) -> Rectangle {
        let Image { height, width, .. } = image;
        let part = |whole: usize| {
            let hidden = (share * whole as f32).round() as usize;
            hidden * (i + 1) / self.count - hidden * i / self.count
        };
        let [tall, wide] = match self.shape {
            Shape::Blocks => {
                let area = part(height * width);
                let tall = (area as f32 * height as f32 / width as f32).sqrt().round() as usize;
                let tall = tall.clamp(1, height);
                [tall, (area / tall).min(width)]
            }
            Shape::Stripes if turn < 0.5 => [part(height), width],
            Shape::Stripes => [height, part(width)],
        };
        let place = |size: usize, u: f32, len: usize| {
            let start = (u * (len - size + 1) as f32) as usize;
            start..start + size
        };
        [place(tall, v, height), place(wide, u, width)]
    }
}

/// Lines and columns.
type Rectangle = [std::ops::Range<usize>; 2];

/// The deterministic part of [`Occlusion`].
fn hide(image: Image, [lines, columns]: Rectangle, fill: f32, out: &mut [f32]) {
    for plane in out.chunks_exact_mut(image.area()) {
        for line in plane.chunks_exact_mut(image.width).take(lines.end).skip(lines.start) {
            line[columns.clone()].fill(fill);
        }
    }
}

impl Corruption<4> for Occlusion {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, share, draws| {
            for i in 0..self.count {
                let place = self.rectangle(image, share, i, draws.uniforms());
                hide(image, place, self.fill, out);
            }
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..*self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image<'static> {
        Image { pixels: &[], channels: 2, height: 2, width: 4 }
    }

    #[test]
    fn hides_a_rectangle_in_every_channel() {
        let mut out = [1.0; 16];
        hide(image(), [1..2, 1..3], 0.0, &mut out);
        let expected = [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        assert_eq!(out, [expected, expected].concat()[..]);
    }

    // A quarter of 2 × 4 pixels is 2: one line of two. The last uniform below 1 puts it at the end.
    #[test]
    fn a_rectangle_has_its_share_and_stays_inside() {
        let block = Occlusion::new(0.25).unwrap();
        assert_eq!(block.rectangle(image(), 0.25, 0, [0.0, 0.0, 0.0]), [0..1, 0..2]);
        assert_eq!(block.rectangle(image(), 0.25, 0, [0.999_999, 0.999_999, 0.0]), [1..2, 2..4]);
        assert_eq!(block.rectangle(image(), 1.0, 0, [0.999_999, 0.5, 0.0]), [0..2, 0..4]);
        let stripes = block.shape(Shape::Stripes);
        assert_eq!(stripes.rectangle(image(), 0.5, 0, [0.6, 0.6, 0.7]), [0..2, 1..3]);
        assert_eq!(stripes.rectangle(image(), 0.5, 0, [0.6, 0.6, 0.2]), [1..2, 0..4]);
    }

    // Any number of shapes together have the pixels that a single one would have, or a few less.
    #[test]
    fn many_shapes_share_what_one_would_hide() {
        let image = Image { pixels: &[], channels: 1, height: 28, width: 28 };
        for (shape, allowed) in [(Shape::Blocks, 0.35), (Shape::Stripes, 0.0)] {
            for count in [1, 3, 10, 64, 700, 1000] {
                let process = Occlusion::new(0.2).unwrap().count(count).unwrap().shape(shape);
                let areas = (0..count).map(|i| {
                    let [lines, columns] = process.rectangle(image, 0.2, i, [0.3, 0.7, 0.1]);
                    lines.len() * columns.len()
                });
                let hidden = areas.sum::<usize>() as f32;
                let whole = match shape {
                    Shape::Blocks => (0.2f32 * 784.0).round(),
                    Shape::Stripes => (0.2f32 * 28.0).round() * 28.0,
                };
                assert!(hidden <= whole && hidden >= (1.0 - allowed) * whole, "{count}: {hidden}");
            }
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let block = Occlusion::new(0.25).unwrap();
        assert!(block.count(0).is_err() && block.fill(f64::NAN).is_err());
    }
}
