//! Processes of whole rows, on the host.
//!
//! The result for a row is a pure function of its clean values, its level and its own stream; rows are
//! computed in parallel. Rows on a GPU are read, corrupted and sent back: the result is the same, bit for
//! bit, on every back end.

use burn::tensor::{Tensor, TensorData};
use dvae_kernels::with_values;
use dvae_random::{RowStream, RowStreams};
use rayon::prelude::*;

use crate::entries::levels;
use crate::{CorruptedInput, Strength};

/// Corrupts every row by `damage(clean, damaged, level, draws)`, where `damaged` starts as a copy of `clean`.
/// Rows at the null level are unchanged.
///
/// `changed`: where `x̃ᵢ ≠ xᵢ`.
pub(crate) fn each_row<const D: usize>(
    strength: Strength,
    clean: Tensor<D>,
    draws: &mut RowStreams,
    damage: impl Fn(&[f32], &mut [f32], f32, &mut RowStream) + Sync,
) -> CorruptedInput<D> {
    let levels = levels(strength, clean.dims()[0], draws);
    let null = strength.scale.null as f32;
    let own = draws.branch();
    damaged_rows(&levels, null, clean, 1, |place, clean, input, changed, level| {
        input.copy_from_slice(clean);
        damage(clean, input, level, &mut own.row(place));
        for (changed, (input, clean)) in changed.iter_mut().zip(input.iter().zip(clean)) {
            *changed = input != clean;
        }
    })
}

/// Corrupts every row on the host by `damage(place, clean, input, changed, level)`; rows run in parallel,
/// with at least `grain` entries per task. Rows at the level `null` are unchanged.
pub(crate) fn damaged_rows<const D: usize>(
    levels: &[f32],
    null: f32,
    clean: Tensor<D>,
    grain: usize,
    damage: impl Fn(usize, &[f32], &mut [f32], &mut [bool], f32) + Sync,
) -> CorruptedInput<D> {
    let (shape, device) = (clean.shape(), clean.device());
    let entries = shape.num_elements();
    if entries == 0 || levels.iter().all(|&level| level == null) {
        return CorruptedInput::unchanged(clean);
    }
    let (mut input, mut changed) = (vec![0.0; entries], vec![false; entries]);
    let row_len = entries / levels.len();
    with_values(&clean, |clean| {
        let made = input.par_chunks_mut(row_len).zip(changed.par_chunks_mut(row_len));
        let rows = made.zip(clean.par_chunks(row_len).zip(levels)).enumerate();
        rows.with_min_len(grain.div_ceil(row_len)).for_each(|(place, (made, (clean, &level)))| {
            let (input, changed) = made;
            if level == null {
                input.copy_from_slice(clean);
            } else {
                damage(place, clean, input, changed, level);
            }
        });
    });
    let input = Tensor::from_data(TensorData::new(input, shape.clone()), &device);
    CorruptedInput::touched(input, Tensor::from_data(TensorData::new(changed, shape), &device))
}

/// One image: a plane of `height × width` for each channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image<'a> {
    pub(crate) pixels: &'a [f32],
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Image<'_> {
    /// The pixels of one plane.
    pub(crate) fn area(&self) -> usize {
        self.height * self.width
    }

    /// The longer side, in pixels.
    pub(crate) fn side(&self) -> f32 {
        self.height.max(self.width) as f32
    }

    pub(crate) fn planes(&self) -> std::slice::ChunksExact<'_, f32> {
        self.pixels.chunks_exact(self.area())
    }

    /// The value at a position between pixels: bilinear, with the border extended by the nearest pixel.
    pub(crate) fn between(&self, plane: &[f32], y: f32, x: f32) -> f32 {
        let axis = |place: f32, len: usize| {
            let place = place.clamp(0.0, (len - 1) as f32);
            let first = (place as usize).min(len - 1);
            (first, (first + 1).min(len - 1), place - first as f32)
        };
        let (y0, y1, v) = axis(y, self.height);
        let (x0, x1, u) = axis(x, self.width);
        let at = |y: usize, x: usize| plane[y * self.width + x];
        let upper = at(y0, x0) + u * (at(y0, x1) - at(y0, x0));
        let lower = at(y1, x0) + u * (at(y1, x1) - at(y1, x0));
        upper + v * (lower - upper)
    }
}

/// [`each_row`] for images `[batch, channels, height, width]`.
pub(crate) fn each_image(
    strength: Strength,
    clean: Tensor<4>,
    draws: &mut RowStreams,
    damage: impl Fn(Image, &mut [f32], f32, &mut RowStream) + Sync,
) -> CorruptedInput<4> {
    let [_, channels, height, width] = clean.dims();
    each_row(strength, clean, draws, |clean, damaged, level, draws| {
        damage(Image { pixels: clean, channels, height, width }, damaged, level, draws);
    })
}

/// Clips to `[0, 1]`; NaN stays NaN.
pub(crate) fn clip(values: &mut [f32]) {
    for value in values {
        *value = value.clamp(0.0, 1.0);
    }
}

/// Clips means of pixels to the range of the image, which rounding can leave; NaN stays NaN.
pub(crate) fn clip_to_image(image: Image, means: &mut [f32]) {
    let ends = (f32::INFINITY, f32::NEG_INFINITY);
    let (low, high) = image.pixels.iter().fold(ends, |(l, h), &v| (l.min(v), h.max(v)));
    // An image of NaN has no range.
    if low <= high {
        means.iter_mut().for_each(|value| *value = value.clamp(low, high));
    }
}

/// Reads every pixel of `out` from another position of the image; `from` maps positions, `[y, x]` relative to
/// the center, in pixels.
pub(crate) fn warp(image: Image, out: &mut [f32], from: impl Fn([f32; 2]) -> [f32; 2]) {
    let Image { height, width, .. } = image;
    let middle = [height, width].map(|len| 0.5 * (len - 1) as f32);
    for y in 0..height {
        for x in 0..width {
            let [v, u] = from([y as f32 - middle[0], x as f32 - middle[1]]);
            let planes = image.planes().zip(out.chunks_exact_mut(image.area()));
            for (plane, out) in planes {
                out[y * width + x] = image.between(plane, v + middle[0], u + middle[1]);
            }
        }
    }
}
