//! Convolutions of images with small kernels; beyond the edges the nearest pixel counts.

use pulp::{Arch, Simd, WithSimd};

use crate::rows::Image;

/// One entry of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tap {
    pub(crate) dy: isize,
    pub(crate) dx: isize,
    pub(crate) weight: f32,
}

/// A kernel whose weights sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kernel(Vec<Tap>);

impl Kernel {
    /// Of taps with weights of at least 0, not all 0.
    pub(crate) fn normalised(mut taps: Vec<Tap>) -> Self {
        taps.retain(|tap| tap.weight > 0.0);
        let sum: f32 = taps.iter().map(|tap| tap.weight).sum();
        taps.iter_mut().for_each(|tap| tap.weight /= sum);
        Self(taps)
    }

    #[cfg(test)]
    pub(crate) fn taps(&self) -> &[Tap] {
        &self.0
    }

    /// Every plane of the image, convolved.
    pub(crate) fn convolve(&self, image: Image, out: &mut [f32]) {
        let reach = |size: fn(&Tap) -> isize| self.0.iter().map(|t| size(t).unsigned_abs()).max();
        let margin = [reach(|t| t.dy), reach(|t| t.dx)].map(|reach| reach.unwrap_or(0));
        for (plane, out) in image.planes().zip(out.chunks_exact_mut(image.area())) {
            let padded = Padded::new(plane, image.height, image.width, margin);
            Arch::new().dispatch(Sum { padded: &padded, taps: &self.0, out });
        }
    }
}

/// A plane with margins.
struct Padded {
    values: Vec<f32>,
    stride: usize,
    width: usize,
    margin: [usize; 2],
}

impl Padded {
    fn new(plane: &[f32], height: usize, width: usize, margin: [usize; 2]) -> Self {
        let [above, beside] = margin;
        let stride = width + 2 * beside;
        let mut values = Vec::with_capacity((height + 2 * above) * stride);
        for y in 0..height + 2 * above {
            let y = y.saturating_sub(above).min(height - 1);
            let row = &plane[y * width..(y + 1) * width];
            values.extend(std::iter::repeat_n(row[0], beside));
            values.extend_from_slice(row);
            values.extend(std::iter::repeat_n(row[width - 1], beside));
        }
        Self { values, stride, width, margin }
    }

    /// The row that a tap reads for row `y` of the output.
    #[inline(always)]
    fn row(&self, y: usize, tap: &Tap) -> &[f32] {
        let line = (y + self.margin[0]).wrapping_add_signed(tap.dy);
        let column = self.margin[1].wrapping_add_signed(tap.dx);
        &self.values[line * self.stride + column..][..self.width]
    }
}

struct Sum<'a> {
    padded: &'a Padded,
    taps: &'a [Tap],
    out: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (y, out) in self.out.chunks_exact_mut(self.padded.width).enumerate() {
            out.fill(0.0);
            for tap in self.taps {
                for (out, &value) in out.iter_mut().zip(self.padded.row(y, tap)) {
                    *out += tap.weight * value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A kernel that is 1 at (dy, dx) = (1, −1) reads the pixel below and to the left.
    #[test]
    fn a_tap_reads_its_neighbour_and_the_edge_counts_beyond() {
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let image = Image { pixels: &pixels, channels: 1, height: 2, width: 3 };
        let mut out = [0.0; 6];
        Kernel::normalised(vec![Tap { dy: 1, dx: -1, weight: 5.0 }]).convolve(image, &mut out);
        assert_eq!(out, [4.0, 4.0, 5.0, 4.0, 4.0, 5.0]);
        let both = [Tap { dy: 0, dx: 0, weight: 1.0 }, Tap { dy: 0, dx: 2, weight: 3.0 }];
        Kernel::normalised(both.into()).convolve(image, &mut out);
        assert_eq!(out, [2.5, 2.75, 3.0, 5.5, 5.75, 6.0]);
    }
}
