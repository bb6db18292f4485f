//! Defocus: every point becomes a disc, as with a lens that is out of focus.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::convolution::{Kernel, Tap};
use crate::rows::{clip_to_image, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Blur with a disc.
///
/// ```text
/// x̃ = x ∗ k,   k(d) ∝ 1 within the radius r, 1 − (d − r) up to r + 1
/// ```
///
/// The radius is in pixels. Pixels within it have full weight; for those up to one pixel further the weight
/// falls with the distance, so that the blur grows smoothly. The border is extended by the nearest pixel.
/// Only the level is random. It is the "defocus blur" of Hendrycks & Dietterich (2019), section 4.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defocus {
    level: Level,
}

impl Defocus {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "radius",
        meaning: "radius of the disc, in pixels",
        range: [0.0, 32.0],
        null: 0.0,
        severities: [0.4, 0.8, 1.3, 2.0, 3.0],
    };

    /// A disc of `radius` pixels, in `[0, 32]`.
    pub fn new(radius: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(radius)? })
    }
}

/// The taps within the radius, and those of the rim.
fn disc(radius: f32) -> Kernel {
    let reach = radius.ceil() as isize + 1;
    let taps = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dy, dx)));
    let inside = |(dy, dx): (isize, isize)| {
        let distance = ((dy * dy + dx * dx) as f32).sqrt();
        Tap { dy, dx, weight: (radius + 1.0 - distance).clamp(0.0, 1.0) }
    };
    Kernel::normalized(taps.map(inside).collect())
}

impl Corruption<4> for Defocus {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, radius, _| {
            disc(radius).convolve(image, out);
            clip_to_image(image, out);
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

    // Radius 0.5: the middle has full weight, its 4 neighbors half, the corners (at √2) 1.5 − √2.
    #[test]
    fn weighs_a_pixel_by_how_far_it_is_inside() {
        let kernel = disc(0.5);
        let corner = 1.5 - 2f32.sqrt();
        let sum = 1.0 + 4.0 * 0.5 + 4.0 * corner;
        let weight =
            |dy, dx| kernel.taps().iter().find(|t| (t.dy, t.dx) == (dy, dx)).unwrap().weight;
        assert!((weight(0, 0) - 1.0 / sum).abs() < 1e-6);
        assert!((weight(0, 1) - 0.5 / sum).abs() < 1e-6);
        assert!((weight(-1, 1) - corner / sum).abs() < 1e-6);
        assert_eq!(disc(0.25).taps().len(), 5);
        assert_eq!(disc(1.0).taps().len(), 9);
    }
}
