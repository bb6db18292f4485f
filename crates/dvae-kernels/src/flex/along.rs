//! The sums of a convolution along the positions of a strip: lanes are neighboring positions of one image.
//!
//! The sums of a position have the same order on any number of threads. Fused multiply-adds are used if the machine has
//! them.

#![allow(clippy::needless_range_loop)] // Arrays of registers are indexed by unrolled loops.

use pulp::{Simd, WithSimd};

use super::simd::{dispatch, is_wide, multiply_add, wide};
use super::strips::STEP;
use super::sums;

/// The number of positions whose products are summed before they are added to a gradient of weights.
const STRETCH: usize = 960;

/// The number of outputs that are summed at once, the largest first; wide with thirty-two registers.
fn tile(wide: bool, left: usize) -> usize {
    match left {
        // With sixteen registers, six outputs at two vectors: eight are twice four rather than six and two.
        6 | 7 | 9.. if !wide => 6,
        _ => sums::tile(wide, left),
    }
}

/// Weights in the order in which [`Sums`] reads them: `[tiles of outputs][inputs][taps][tile]`.
#[derive(Debug)]
pub(crate) struct Weights {
    values: Vec<f32>,
    outputs: usize,
    /// Inputs times taps.
    terms: usize,
    wide: bool,
}

impl Weights {
    /// The weight of each output, input and tap.
    pub(crate) fn new(
        [outputs, inputs, taps]: [usize; 3],
        at: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let wide = wide();
        let mut values = Vec::with_capacity(outputs * inputs * taps);
        let mut first = 0;
        while first < outputs {
            let tile = tile(wide, outputs - first);
            for input in 0..inputs {
                for tap in 0..taps {
                    values.extend((first..first + tile).map(|output| at(output, input, tap)));
                }
            }
            first += tile;
        }
        Self { values, outputs, terms: inputs * taps, wide }
    }
}

/// `sum[position] = Σ weight · plane[offset + position] + bias` over inputs and taps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums<'a> {
    pub(crate) weights: &'a Weights,
    /// The offset of each input and tap.
    pub(crate) offsets: &'a [usize],
    /// One for each output, or none.
    pub(crate) bias: &'a [f32],
}

impl Sums<'_> {
    /// From planes to sums `[outputs, positions]`, whole steps.
    pub(crate) fn run(&self, planes: &[f32], sums: &mut [f32]) {
        let &Weights { outputs, terms, ref values, .. } = self.weights;
        let positions = sums.len() / outputs;
        assert!(sums.len() == outputs * positions && positions.is_multiple_of(STEP));
        assert!(self.offsets.len() == terms && values.len() == outputs * terms);
        let reach = self.offsets.iter().max().map_or(0, |offset| offset + positions);
        assert!(reach <= planes.len());
        dispatch(Strip { job: self, planes, sums, positions });
    }
}

struct Strip<'a> {
    job: &'a Sums<'a>,
    planes: &'a [f32],
    sums: &'a mut [f32],
    positions: usize,
}

impl WithSimd for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as there are registers for, beside what they are made of.
        if is_wide::<S>() { self.run::<S, 3>(simd) } else { self.run::<S, 2>(simd) }
    }
}

impl Strip<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        assert!(STEP.is_multiple_of(V * S::F32_LANES), "whole tiles");
        let Self { job, planes, sums, positions } = self;
        let &Weights { outputs, terms, wide, ref values } = job.weights;
        for position in (0..positions).step_by(V * S::F32_LANES) {
            let (mut first, mut rest) = (0, &values[..]);
            while first < outputs {
                let tile = tile(wide, outputs - first);
                let weights;
                (weights, rest) = rest.split_at(tile * terms);
                let place =
                    Place { job, planes, sums: &mut *sums, positions, position, first, weights };
                match tile {
                    8 => Simd::vectorize(simd, Tile::<8, V>(place)),
                    6 => Simd::vectorize(simd, Tile::<6, V>(place)),
                    4 => Simd::vectorize(simd, Tile::<4, V>(place)),
                    2 => Simd::vectorize(simd, Tile::<2, V>(place)),
                    _ => Simd::vectorize(simd, Tile::<1, V>(place)),
                }
                first += tile;
            }
        }
    }
}

/// Some outputs at some positions.
struct Place<'a> {
    job: &'a Sums<'a>,
    planes: &'a [f32],
    sums: &'a mut [f32],
    positions: usize,
    position: usize,
    first: usize,
    weights: &'a [f32],
}

/// `O` outputs at `V` vectors of positions.
struct Tile<'a, const O: usize, const V: usize>(Place<'a>);

impl<const O: usize, const V: usize> WithSimd for Tile<'_, O, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Place { job, planes, sums, positions, position, first, weights } = self.0;
        let biases: [f32; O] =
            std::array::from_fn(|o| job.bias.get(first + o).copied().unwrap_or(0.0));
        let mut totals: [[S::f32s; V]; O] =
            std::array::from_fn(|o| [simd.splat_f32s(biases[o]); V]);
        let planes = planes.as_ptr().wrapping_add(position);
        let (weights, _) = weights.as_chunks::<O>();
        for (offset, weights) in job.offsets.iter().zip(weights) {
            // SAFETY: `Sums::run` has verified that every offset has all positions in `planes`, whole steps, which tiles
            // divide.
            let values: [S::f32s; V] = unsafe {
                let from = planes.wrapping_add(*offset).cast::<S::f32s>();
                std::array::from_fn(|v| from.add(v).read_unaligned())
            };
            for o in 0..O {
                let weight = simd.splat_f32s(weights[o]);
                for v in 0..V {
                    totals[o][v] = multiply_add(simd, weight, values[v], totals[o][v]);
                }
            }
        }
        for o in 0..O {
            let to = &mut sums[(first + o) * positions + position..][..V * S::F32_LANES];
            let (to, _) = S::as_mut_simd_f32s(to);
            for (to, total) in to.iter_mut().zip(totals[o]) {
                *to = total;
            }
        }
    }
}

/// The gradient of weights: for each output and each offset, the sum over positions of the products of the output's
/// gradient and what the offset reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products<'a> {
    /// Planes `[outputs, plane]` of gradients, 0 where a position is not a pixel of the strip.
    pub(crate) gradients: &'a [f32],
    /// The position of the first pixel.
    pub(crate) first: usize,
    pub(crate) outputs: usize,
    pub(crate) planes: &'a [f32],
    /// The offset of each input and tap.
    pub(crate) offsets: &'a [usize],
    pub(crate) positions: usize,
}

impl Products<'_> {
    /// Adds to `sums` `[outputs, offsets]`.
    pub(crate) fn run(&self, sums: &mut [f32]) {
        let plane = self.gradients.len() / self.outputs;
        assert!(self.positions.is_multiple_of(STEP) && self.first + self.positions <= plane);
        assert_eq!(sums.len(), self.outputs * self.offsets.len());
        let reach = self.offsets.iter().max().map_or(0, |offset| offset + self.positions);
        assert!(reach <= self.planes.len());
        dispatch(Gradient { job: self, sums });
    }
}

struct Gradient<'a> {
    job: &'a Products<'a>,
    sums: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut this = self;
        for start in (0..this.job.positions).step_by(STRETCH) {
            let end = this.job.positions.min(start + STRETCH);
            let mut first = 0;
            while first < this.job.outputs {
                let tile = sums::tile(is_wide::<S>(), this.job.outputs - first);
                match tile {
                    8 => this.outputs::<S, 8>(simd, first, [start, end]),
                    4 => this.outputs::<S, 4>(simd, first, [start, end]),
                    2 => this.outputs::<S, 2>(simd, first, [start, end]),
                    _ => this.outputs::<S, 1>(simd, first, [start, end]),
                }
                first += tile;
            }
        }
    }
}

impl Gradient<'_> {
    #[inline(always)]
    fn outputs<S: Simd, const O: usize>(&mut self, simd: S, first: usize, range: [usize; 2]) {
        let &mut Self { job, ref mut sums } = self;
        let offsets = job.offsets.len();
        for at in (0..offsets).step_by(3) {
            let sums = &mut **sums;
            match offsets - at {
                1 => {
                    Simd::vectorize(simd, GradientTile::<O, 1> { job, sums, first, at, range });
                }
                2 => {
                    Simd::vectorize(simd, GradientTile::<O, 2> { job, sums, first, at, range });
                }
                _ => {
                    Simd::vectorize(simd, GradientTile::<O, 3> { job, sums, first, at, range });
                }
            }
        }
    }
}

/// `O` outputs and `T` offsets.
struct GradientTile<'a, const O: usize, const T: usize> {
    job: &'a Products<'a>,
    sums: &'a mut [f32],
    first: usize,
    at: usize,
    range: [usize; 2],
}

impl<const O: usize, const T: usize> WithSimd for GradientTile<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, sums, first, at, range: [start, end] } = self;
        let plane = job.gradients.len() / job.outputs;
        let gradients = job.gradients[first * plane..].as_ptr().wrapping_add(job.first);
        let planes: [*const f32; T] =
            std::array::from_fn(|t| job.planes.as_ptr().wrapping_add(job.offsets[at + t]));
        assert!(STEP.is_multiple_of(S::F32_LANES), "whole vectors");
        let mut totals = [[simd.splat_f32s(0.0); T]; O];
        let mut position = start;
        while position < end {
            // SAFETY: `Products::run` has verified that all positions of every output and offset are in the planes, whole
            // steps, which vectors divide; `first + O` is at most the number of outputs.
            unsafe {
                let values: [S::f32s; T] = std::array::from_fn(|t| {
                    planes[t].wrapping_add(position).cast::<S::f32s>().read_unaligned()
                });
                for o in 0..O {
                    let from = gradients.wrapping_add(o * plane + position);
                    let gradient = from.cast::<S::f32s>().read_unaligned();
                    for t in 0..T {
                        totals[o][t] = multiply_add(simd, gradient, values[t], totals[o][t]);
                    }
                }
            }
            position += S::F32_LANES;
        }
        for o in 0..O {
            for t in 0..T {
                sums[(first + o) * job.offsets.len() + at + t] +=
                    simd.reduce_sum_f32s(totals[o][t]);
            }
        }
    }
}
