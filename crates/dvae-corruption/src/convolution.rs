//! Convolutions of images with small kernels; the border is extended by the nearest pixel.

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
    /// Normalizes taps with weights of at least 0, not all 0.
    pub(crate) fn normalized(mut taps: Vec<Tap>) -> Self {
        taps.retain(|tap| tap.weight > 0.0);
        let sum: f32 = taps.iter().map(|tap| tap.weight).sum();
        taps.iter_mut().for_each(|tap| tap.weight /= sum);
        Self(taps)
    }

    #[cfg(test)]
    pub(crate) fn taps(&self) -> &[Tap] {
        &self.0
    }

    /// Convolves every plane of the image.
    pub(crate) fn convolve(&self, image: Image, out: &mut [f32]) {
        let reach = |size: fn(&Tap) -> isize| self.0.iter().map(|t| size(t).unsigned_abs()).max();
        let margin = [reach(|t| t.dy), reach(|t| t.dx)].map(|reach| reach.unwrap_or(0));
        let mut padded = Padded::new(image, margin);
        let mut sums = vec![0.0; (image.height * padded.stride).next_multiple_of(CHUNK)];
        for (plane, out) in image.planes().zip(out.chunks_exact_mut(image.area())) {
            padded.fill(plane, image.width);
            Arch::new().dispatch(Sum { padded: &padded, taps: &self.0, sums: &mut sums });
            let lines = out.chunks_exact_mut(image.width).zip(sums.chunks_exact(padded.stride));
            for (out, line) in lines {
                out.copy_from_slice(&line[..image.width]);
            }
        }
    }
}

/// The number of sums that stay in registers while all taps are added.
const CHUNK: usize = 64;

/// The relative rounding error of a sum. A result this close to the pixel itself is set to the pixel, so that
/// flat areas stay unchanged.
const ROUNDING: f32 = 1e-5;

/// A plane with margins, line by line. A tap is an offset; sums also run over the ends of lines, where they
/// are meaningless and are dropped.
struct Padded {
    values: Vec<f32>,
    lines: usize,
    stride: usize,
    margin: [usize; 2],
}

impl Padded {
    fn new(image: Image, margin: [usize; 2]) -> Self {
        let [above, beside] = margin;
        let (lines, stride) = (image.height + 2 * above, image.width + 2 * beside);
        // The last sums read beyond the last line.
        Self { values: vec![0.0; lines * stride + 2 * beside + CHUNK], lines, stride, margin }
    }

    fn fill(&mut self, plane: &[f32], width: usize) {
        let [above, beside] = self.margin;
        let height = self.lines - 2 * above;
        for (y, line) in self.values.chunks_exact_mut(self.stride).take(self.lines).enumerate() {
            let y = y.saturating_sub(above).min(height - 1);
            let row = &plane[y * width..(y + 1) * width];
            line[..beside].fill(row[0]);
            line[beside..beside + width].copy_from_slice(row);
            line[beside + width..].fill(row[width - 1]);
        }
    }
}

struct Sum<'a> {
    padded: &'a Padded,
    taps: &'a [Tap],
    sums: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Padded { values, stride, margin: [above, beside], .. } = self.padded;
        let (chunks, _) = self.sums.as_chunks_mut::<CHUNK>();
        for (i, out) in chunks.iter_mut().enumerate() {
            let mut sums = [0.0; CHUNK];
            for tap in self.taps {
                let line = above.wrapping_add_signed(tap.dy);
                let first = i * CHUNK + line * stride + beside.wrapping_add_signed(tap.dx);
                for (sum, &value) in sums.iter_mut().zip(&values[first..first + CHUNK]) {
                    *sum += tap.weight * value;
                }
            }
            let center = i * CHUNK + above * stride + beside;
            let center = &values[center..center + CHUNK];
            for ((out, sum), &center) in out.iter_mut().zip(sums).zip(center) {
                *out = if (sum - center).abs() <= ROUNDING * center.abs() { center } else { sum };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A kernel that is 1 at (dy, dx) = (1, −1) reads the pixel below and to the left.
    #[test]
    fn a_mean_of_equal_values_is_that_value() {
        let taps = (0..31).map(|i| Tap { dy: 0, dx: i - 15, weight: 1.0 + i as f32 });
        let kernel = Kernel::normalized(taps.collect());
        for value in [1.0, 0.3, 0.0] {
            let pixels = [value; 12];
            let mut out = [9.0; 12];
            kernel.convolve(Image { pixels: &pixels, channels: 3, height: 2, width: 2 }, &mut out);
            assert_eq!(out, pixels);
        }
    }

    #[test]
    fn a_tap_reads_its_neighbor_and_the_edge_counts_beyond() {
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let image = Image { pixels: &pixels, channels: 1, height: 2, width: 3 };
        let mut out = [0.0; 6];
        Kernel::normalized(vec![Tap { dy: 1, dx: -1, weight: 5.0 }]).convolve(image, &mut out);
        assert_eq!(out, [4.0, 4.0, 5.0, 4.0, 4.0, 5.0]);
        let both = [Tap { dy: 0, dx: 0, weight: 1.0 }, Tap { dy: 0, dx: 2, weight: 3.0 }];
        Kernel::normalized(both.into()).convolve(image, &mut out);
        assert_eq!(out, [2.5, 2.75, 3.0, 5.5, 5.75, 6.0]);
    }
}
