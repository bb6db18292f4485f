//! Convolutions as products of matrices: images laid out by phase, and back.
//!
//! With stride `s`, the pixels that one kernel tap meets are those of one *phase*, every `s`-th. So
//! each channel of a padded image is first split into `s_h × s_w` planes; then what a tap meets is
//! one contiguous stretch of one plane, and a column matrix is copies of such stretches. Rows of a
//! plane are a little longer than rows of features: the surplus columns are carried along and
//! ignored on the way out (features are 0 there on the way in).

use super::simd::vectorised;

/// Shapes of a convolution from an image to features.
///
/// A transposed convolution has the same geometry, used from features to image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Channels, height and width of the image.
    pub(crate) image: [usize; 3],
    /// Channels, height and width of the features.
    pub(crate) features: [usize; 3],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    /// Padding before the first row and the first column.
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

impl Geometry {
    pub(crate) fn image_len(&self) -> usize {
        self.image.iter().product()
    }

    pub(crate) fn features_len(&self) -> usize {
        self.features.iter().product()
    }

    /// Kernel taps over all channels: rows of the column matrix.
    pub(crate) fn taps(&self) -> usize {
        self.image[0] * self.kernel[0] * self.kernel[1]
    }

    /// Places of one image in a column matrix: features with the surplus columns.
    pub(crate) fn places(&self) -> usize {
        self.features[1] * self.plane()[1]
    }

    /// Height and width of a phase's plane.
    fn plane(&self) -> [usize; 2] {
        let side = |i: usize| {
            self.features[i + 1] + (self.kernel[i] - 1) * self.dilation[i] / self.stride[i]
        };
        [side(0), side(1)]
    }

    fn plane_len(&self) -> usize {
        self.plane().iter().product()
    }

    /// Values of one channel's planes.
    pub(crate) fn phases_len(&self) -> usize {
        self.plane_len() * self.stride[0] * self.stride[1]
    }

    /// Where the stretch of a tap begins in a channel's planes.
    fn tap_offset(&self, ky: usize, kx: usize) -> usize {
        let (y, x) = (ky * self.dilation[0], kx * self.dilation[1]);
        let [sy, sx] = self.stride;
        let phase = y % sy * sx + x % sx;
        phase * self.plane_len() + y / sy * self.plane()[1] + x / sx
    }

    /// Length of every tap's stretch: up to the last feature, without the last surplus.
    fn stretch(&self) -> usize {
        (self.features[1] - 1) * self.plane()[1] + self.features[2]
    }

    /// The pixels of image row `y` that lie in phase column `px`, if any: the first pixel, where it
    /// stands in the channel's planes, and how many there are.
    #[inline(always)]
    fn row_segment(&self, y: usize, px: usize) -> Option<(usize, usize, usize)> {
        let ([sy, sx], [py, p]) = (self.stride, self.padding);
        let [rows, columns] = self.plane();
        let (phase_row, row) = ((y + py) % sy, (y + py) / sy);
        // The first pixel x with (x + p) mod s = px.
        let first = (px + sx * p.div_ceil(sx) - p) % sx;
        let column = (first + p) / sx;
        if row >= rows || column >= columns || first >= self.image[2] {
            return None;
        }
        let count = (self.image[2] - first).div_ceil(sx).min(columns - column);
        let start = (phase_row * sx + px) * rows * columns + row * columns + column;
        Some((first, start, count))
    }
}

vectorised! {
    /// Lays out one image as its part of the column matrix `[taps, width]`, from column `offset`.
    ///
    /// `phases` is room for one channel, 0 wherever no pixel comes to stand.
    fn image_to_columns(
        image: &[f32],
        geometry: &Geometry,
        columns: &mut [f32],
        width: usize,
        offset: usize,
        phases: &mut [f32],
    ) {
        let g = geometry;
        let [channels, height, image_width] = g.image;
        let (stretch, places, sx) = (g.stretch(), g.places(), g.stride[1]);
        for channel in 0..channels {
            let pixels = &image[channel * height * image_width..][..height * image_width];
            for y in 0..height {
                let row = &pixels[y * image_width..][..image_width];
                for px in 0..sx {
                    if let Some((first, start, count)) = g.row_segment(y, px) {
                        take_every(&row[first..], sx, &mut phases[start..start + count]);
                    }
                }
            }
            for ky in 0..g.kernel[0] {
                for kx in 0..g.kernel[1] {
                    let tap = (channel * g.kernel[0] + ky) * g.kernel[1] + kx;
                    let to = &mut columns[tap * width + offset..][..places];
                    to[..stretch].copy_from_slice(&phases[g.tap_offset(ky, kx)..][..stretch]);
                    to[stretch..].fill(0.0);
                }
            }
        }
    }
}

vectorised! {
    /// Adds one image's part of the column matrix up into the image, adds each channel's bias (if
    /// there are any), and cuts off below 0 if asked.
    fn columns_to_image(
        columns: &[f32],
        geometry: &Geometry,
        image: &mut [f32],
        width: usize,
        offset: usize,
        phases: &mut [f32],
        bias: &[f32],
        relu: bool,
    ) {
        let g = geometry;
        let [channels, height, image_width] = g.image;
        let (stretch, sx) = (g.stretch(), g.stride[1]);
        for channel in 0..channels {
            phases.fill(0.0);
            for ky in 0..g.kernel[0] {
                for kx in 0..g.kernel[1] {
                    let tap = (channel * g.kernel[0] + ky) * g.kernel[1] + kx;
                    let from = &columns[tap * width + offset..][..stretch];
                    let to = &mut phases[g.tap_offset(ky, kx)..][..stretch];
                    for (to, from) in to.iter_mut().zip(from) {
                        *to += *from;
                    }
                }
            }
            let bias = bias.get(channel).copied().unwrap_or(0.0);
            let pixels = &mut image[channel * height * image_width..][..height * image_width];
            // Pixels that no tap meets have the bias alone.
            pixels.fill(if relu && bias <= 0.0 { 0.0 } else { bias });
            for y in 0..height {
                let row = &mut pixels[y * image_width..][..image_width];
                for px in 0..sx {
                    if let Some((first, start, count)) = g.row_segment(y, px) {
                        let sums = &phases[start..start + count];
                        put_every(sums, sx, &mut row[first..], bias, relu);
                    }
                }
            }
        }
    }
}

/// Every `step`-th value.
#[inline(always)]
fn take_every(from: &[f32], step: usize, to: &mut [f32]) {
    match step {
        1 => to.copy_from_slice(&from[..to.len()]),
        2 => {
            let pairs = from.chunks_exact(2);
            if let ([.., last], Some(odd)) = (&mut *to, pairs.remainder().first()) {
                *last = *odd;
            }
            for (to, pair) in to.iter_mut().zip(pairs) {
                *to = pair[0];
            }
        }
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from),
    }
}

/// The reverse: each value, with bias and activation, to every `step`-th place.
#[inline(always)]
fn put_every(from: &[f32], step: usize, to: &mut [f32], bias: f32, relu: bool) {
    let act = |sum: f32| {
        let sum = sum + bias;
        if relu && sum <= 0.0 { 0.0 } else { sum }
    };
    for (from, to) in from.iter().zip(to.iter_mut().step_by(step)) {
        *to = act(*from);
    }
}

vectorised! {
    /// Features of some images `[images, channels, h·w]` as a matrix `[channels, width]`, 0 in the
    /// surplus columns.
    fn features_to_matrix(features: &[f32], geometry: &Geometry, matrix: &mut [f32]) {
        let [channels, rows, columns] = geometry.features;
        let (places, plane) = (geometry.places(), geometry.plane()[1]);
        let images = features.len() / geometry.features_len();
        let width = images * places;
        for image in 0..images {
            for channel in 0..channels {
                let from = &features[(image * channels + channel) * rows * columns..];
                let to = &mut matrix[channel * width + image * places..][..places];
                for (to, from) in to.chunks_exact_mut(plane).zip(from.chunks_exact(columns)) {
                    to[..columns].copy_from_slice(from);
                    to[columns..].fill(0.0);
                }
            }
        }
    }
}

vectorised! {
    /// The reverse, with each channel's bias (if there are any) and the activation.
    fn matrix_to_features(
        matrix: &[f32],
        geometry: &Geometry,
        features: &mut [f32],
        bias: &[f32],
        relu: bool,
    ) {
        let [channels, rows, columns] = geometry.features;
        let (places, plane) = (geometry.places(), geometry.plane()[1]);
        let images = features.len() / geometry.features_len();
        let width = images * places;
        for image in 0..images {
            for channel in 0..channels {
                let bias = bias.get(channel).copied().unwrap_or(0.0);
                let from = &matrix[channel * width + image * places..][..places];
                let to = &mut features[(image * channels + channel) * rows * columns..];
                for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks_exact(plane)) {
                    for (to, from) in to.iter_mut().zip(from) {
                        let sum = *from + bias;
                        *to = if relu && sum <= 0.0 { 0.0 } else { sum };
                    }
                }
            }
        }
    }
}
