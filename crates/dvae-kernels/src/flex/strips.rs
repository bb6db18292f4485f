//! Images cut into strips, with zeros around their pixels, so that a convolution is sums along whole planes.
//!
//! A strip is some rows of an image, or several small images below each other. In a plane of a strip each row of pixels
//! is followed by `pad` zeros, and there are `pad` rows of zeros (or of the image's own pixels) above, below and between
//! images. What a tap of the kernel reads is then the plane itself, from an offset on: positions of a strip that are not
//! pixels are computed as well, and dropped.

use std::ops::Range;

use super::simd::vectorized;
use crate::{Activation, Resize, math};

/// The number of positions that sums are computed for at once is a divisor of this.
pub(crate) const STEP: usize = 48;
/// Small images are joined until they have so many positions.
const FEW: usize = 768;
/// Larger images are cut into strips of about so many positions.
const MANY: usize = 6144;

/// Rows of one image, or some whole images.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    pub(crate) images: Range<usize>,
    pub(crate) rows: Range<usize>,
}

/// Pixels with zeros between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// 1 for a kernel of 3, 0 for one of 1.
    pub(crate) pad: usize,
}

impl Grid {
    /// From one pixel to the one below.
    pub(crate) fn stride(self) -> usize {
        self.width + self.pad
    }

    /// The strips of so many images: the same for any number of threads. All but the last of an image have an even
    /// number of rows.
    pub(crate) fn strips(self, images: usize) -> Vec<Strip> {
        let each = (self.height + self.pad) * self.stride();
        if each <= MANY {
            let joined = (FEW / each).max(1);
            let whole =
                |first| Strip { images: first..(first + joined).min(images), rows: 0..self.height };
            return (0..images).step_by(joined).map(whole).collect();
        }
        let rows = (MANY / self.stride() / 2 * 2).max(2);
        let cut = |image| {
            let part = move |first| Strip {
                images: image..image + 1,
                rows: first..(first + rows).min(self.height),
            };
            (0..self.height).step_by(rows).map(part)
        };
        (0..images).flat_map(cut).collect()
    }

    /// The number of rows of pixels and of zeros between images.
    fn rows(self, strip: &Strip) -> usize {
        (strip.images.len() - 1) * (self.height + self.pad) + strip.rows.len()
    }

    /// The positions of a strip, in whole steps.
    pub(crate) fn positions(self, strip: &Strip) -> usize {
        (self.rows(strip) * self.stride()).next_multiple_of(STEP)
    }

    /// The length of a plane.
    pub(crate) fn plane(self, strip: &Strip) -> usize {
        self.positions(strip) + 2 * self.first()
    }

    /// The position in a plane of a strip's first pixel.
    pub(crate) fn first(self) -> usize {
        self.pad * (self.stride() + 1)
    }

    /// The offset from a position to what a tap reads for it, which is the pixel itself for `[pad, pad]`.
    pub(crate) fn offset(self, [row, column]: [usize; 2]) -> usize {
        row * self.stride() + column
    }

    /// The position of the first pixel of a row of an image of the strip.
    pub(crate) fn position(self, image: usize, row: usize) -> usize {
        (image * (self.height + self.pad) + row) * self.stride()
    }

    /// The image of the strip and the row that are in each row of a plane; `None` for zeros.
    fn places(self, strip: &Strip) -> impl Iterator<Item = Option<(usize, usize)>> {
        let (joined, first) = (strip.images.len() > 1, strip.rows.start);
        (0..self.rows(strip) + 2 * self.pad).map(move |row| {
            let row = row.checked_sub(self.pad);
            let (image, row) = match row {
                Some(row) if joined => {
                    (row / (self.height + self.pad), row % (self.height + self.pad))
                }
                Some(row) => (0, first + row),
                None => (0, first.checked_sub(1)?),
            };
            (row < self.height).then_some((image, row))
        })
    }
}

/// The images that a convolution reads: activated, then resized.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// `[images, channels, height, width]`.
    pub(crate) values: &'a [f32],
    /// Channels, height and width.
    pub(crate) size: [usize; 3],
    pub(crate) activation: Activation,
    pub(crate) resize: Resize,
}

/// The number of planes of each channel: one, or one for each parity of row and column.
pub(crate) fn phases(resize: Resize) -> usize {
    if resize == Resize::Halve { 4 } else { 1 }
}

impl Source<'_> {
    /// The rows of the images that a strip of the grid reads, with those around it.
    fn rows(&self, grid: Grid, strip: &Strip) -> Range<usize> {
        let [_, height, _] = self.size;
        let (first, end) = (strip.rows.start.saturating_sub(grid.pad), strip.rows.end + grid.pad);
        match self.resize {
            Resize::Keep => first..end.min(height),
            Resize::Double { .. } => first / 2..end.div_ceil(2).min(height),
            Resize::Halve => 2 * first..(2 * end).min(height),
        }
    }
}

/// No row of an image.
const ZEROS: usize = usize::MAX;

impl Source<'_> {
    /// Where each row of a plane begins, from the first of `rows` of the first image on, if an image is so far from the
    /// next one; `odd` rows of the images if they are halved.
    fn starts(&self, grid: Grid, strip: &Strip, image_step: usize, odd: usize) -> Vec<usize> {
        let rows = self.rows(grid, strip);
        let start = |(image, row): (usize, usize)| {
            let row = match self.resize {
                Resize::Keep => row,
                Resize::Double { .. } => row / 2,
                Resize::Halve => 2 * row + odd,
            };
            let below = row.checked_sub(rows.start)?;
            rows.contains(&row).then_some(image * image_step + below * self.size[2])
        };
        grid.places(strip).map(|place| place.and_then(start).unwrap_or(ZEROS)).collect()
    }
}

vectorized! {
    /// Writes the planes `[channels, phases, plane]` of a strip; `room` is for the rows of one channel.
    fn fill_planes(source: &Source<'_>, grid: Grid, strip: &Strip, planes: &mut [f32], room: &mut Vec<f32>) {
        let [channels, height, width] = source.size;
        let (len, phases, stride) = (grid.plane(strip), phases(source.resize), grid.stride());
        let rows = source.rows(grid, strip);
        let (part, image) = (rows.len() * width, channels * height * width);
        let as_it_is = source.activation == Activation::Identity;
        let step = if as_it_is { image } else { part };
        let starts = [0, 1].map(|odd| source.starts(grid, strip, step, odd));
        if !as_it_is {
            room.resize(strip.images.len() * part, 0.0);
        }
        assert_eq!(planes.len(), channels * phases * len);
        for (channel, planes) in planes.chunks_exact_mut(phases * len).enumerate() {
            let first = strip.images.start * image + (channel * height + rows.start) * width;
            let from = if as_it_is {
                &source.values[first..]
            } else {
                for (i, room) in room.chunks_exact_mut(part).enumerate() {
                    let at = first + i * image;
                    activate(source.activation, &source.values[at..at + part], room);
                }
                &room[..]
            };
            for (phase, plane) in planes.chunks_exact_mut(len).enumerate() {
                plane[..grid.pad].fill(0.0);
                let starts = &starts[phase / 2];
                let (all, end) = plane[grid.pad..].split_at_mut(starts.len() * stride);
                end.fill(0.0);
                for (to, start) in all.chunks_exact_mut(stride).zip(starts) {
                    if *start == ZEROS {
                        to.fill(0.0);
                        continue;
                    }
                    let row = &from[*start..*start + width];
                    let (to, zeros) = to.split_at_mut(grid.width);
                    zeros.fill(0.0);
                    match source.resize {
                        Resize::Keep => to.copy_from_slice(row),
                        Resize::Double { .. } => {
                            for (pair, value) in to.chunks_mut(2).zip(row) {
                                pair.fill(*value);
                            }
                        }
                        Resize::Halve => {
                            let (pairs, odd) = row.as_chunks::<2>();
                            for (to, pair) in to.iter_mut().zip(pairs) {
                                *to = pair[phase % 2];
                            }
                            if let [last] = odd {
                                to[pairs.len()] = if phase % 2 == 0 { *last } else { 0.0 };
                            }
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn activate(activation: Activation, x: &[f32], y: &mut [f32]) {
    match activation {
        Activation::Identity => y.copy_from_slice(x),
        Activation::Relu => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = if *x <= 0.0 { 0.0 } else { *x };
            }
        }
        Activation::Silu => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = *x * math::sigmoid(*x);
            }
        }
    }
}

/// Multiplies the gradient of `activation(x)` by the derivative.
#[inline(always)]
fn multiply_slope(activation: Activation, x: &[f32], gradient: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => {
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient = if *x <= 0.0 { 0.0 } else { *gradient };
            }
        }
        Activation::Silu => {
            for (gradient, x) in gradient.iter_mut().zip(x) {
                let sigmoid = math::sigmoid(*x);
                *gradient *= sigmoid + *x * sigmoid * (1.0 - sigmoid);
            }
        }
    }
}

/// For each strip, the parts of images `[images, channels, height, width]` that it writes, image by image and channel by
/// channel. The images have the rows of the strips, or those before they are resized.
pub(crate) fn cut<'a>(
    values: &'a mut [f32],
    [channels, height, width]: [usize; 3],
    strips: &[Strip],
    resize: Resize,
) -> Vec<Vec<&'a mut [f32]>> {
    let mut rest = values;
    let mut parts: Vec<Vec<&'a mut [f32]>> = strips.iter().map(|_| Vec::new()).collect();
    let mut first = 0;
    while let Some(strip) = strips.get(first) {
        // The strips of the same images.
        let same = strips[first..].iter().take_while(|other| other.images == strip.images).count();
        for _ in 0..strip.images.len() * channels {
            let (mut plane, after) = std::mem::take(&mut rest).split_at_mut(height * width);
            rest = after;
            for (strip, parts) in strips[first..first + same].iter().zip(&mut parts[first..]) {
                let rows = written(strip, height, resize);
                let (part, after) = plane.split_at_mut(rows.len() * width);
                plane = after;
                parts.push(part);
            }
        }
        first += same;
    }
    parts
}

/// The rows of an image of so many rows that a strip writes.
pub(crate) fn written(strip: &Strip, height: usize, resize: Resize) -> Range<usize> {
    let Range { start, end } = strip.rows;
    match resize {
        Resize::Keep => start..end,
        Resize::Double { .. } => start / 2..end.div_ceil(2),
        Resize::Halve => 2 * start..(2 * end).min(height),
    }
}

vectorized! {
    /// Writes the pixels of the sums `[channels, positions]`, with what is added to them, to the parts of images.
    fn write_pixels(sums: &[f32], add: Option<&[f32]>, grid: Grid, strip: &Strip, channels: usize, parts: &mut [&mut [f32]]) {
        let (positions, width) = (grid.positions(strip), grid.width);
        for (i, part) in parts.iter_mut().enumerate() {
            let (image, channel) = (i / channels, i % channels);
            let sums = &sums[channel * positions..][..positions];
            let all = strip.images.start * channels + i;
            let from = (all * grid.height + strip.rows.start) * width;
            for (row, to) in part.chunks_exact_mut(width).enumerate() {
                let sums = &sums[grid.position(image, row)..][..width];
                match add {
                    None => to.copy_from_slice(sums),
                    Some(add) => {
                        let add = &add[from + row * width..][..width];
                        for ((to, sum), add) in to.iter_mut().zip(sums).zip(add) {
                            *to = *sum + *add;
                        }
                    }
                }
            }
        }
    }
}

vectorized! {
    /// Writes the gradient of the images from that of what the convolution read, `[phases, channels, positions]`, to the
    /// strip's parts of images.
    fn write_gradients(source: &Source<'_>, sums: &[f32], grid: Grid, strip: &Strip, parts: &mut [&mut [f32]]) {
        let [channels, height, width] = source.size;
        let positions = grid.positions(strip);
        let rows = written(strip, height, source.resize);
        for (i, part) in parts.iter_mut().enumerate() {
            let (image, channel) = (i / channels, i % channels);
            let of = |phase: usize, row: usize| {
                let at = (phase * channels + channel) * positions + grid.position(image, row);
                &sums[at..at + grid.width]
            };
            for (row, to) in part.chunks_exact_mut(width).enumerate() {
                match source.resize {
                    Resize::Keep => to.copy_from_slice(of(0, row)),
                    Resize::Double { .. } => {
                        to.fill(0.0);
                        for row in (2 * row..2 * row + 2).take_while(|row| *row < strip.rows.len()) {
                            let (pairs, odd) = of(0, row).as_chunks::<2>();
                            for (to, [a, b]) in to.iter_mut().zip(pairs) {
                                *to += *a + *b;
                            }
                            if let [last] = odd {
                                to[pairs.len()] += *last;
                            }
                        }
                    }
                    Resize::Halve => {
                        let (even, odd) = (of(row % 2 * 2, row / 2), of(row % 2 * 2 + 1, row / 2));
                        let (pairs, last) = to.as_chunks_mut::<2>();
                        for ((to, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
                            *to = [*even, *odd];
                        }
                        if let [last] = last {
                            *last = even[pairs.len()];
                        }
                    }
                }
            }
            let at = ((strip.images.start * channels + i) * height + rows.start) * width;
            multiply_slope(source.activation, &source.values[at..at + part.len()], part);
        }
    }
}
