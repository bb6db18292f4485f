//! The sums of a convolution over blocks of sixteen images, with one image per lane.
//!
//! A lane computes only what its image needs: padding is not multiplied, for any kernel, stride, dilation and
//! size. Sums have the same order in every lane and on any number of threads. Fused multiply-adds are used if
//! the machine has them; the results then differ in the last bits from those of a machine without them.

#![allow(clippy::needless_range_loop)] // Arrays of registers are indexed by unrolled loops.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::geometry::{Meeting, Run};
use super::layout::LANES;
use super::simd::{dispatch, is_wide, multiply_add, wide};

/// The number of outputs that are summed at once, the largest first; wide with thirty-two registers.
pub(super) fn tile(wide: bool, left: usize) -> usize {
    match left {
        8.. if wide => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Weights in the order in which [`Gather`] reads them: `[tiles of outputs][taps][inputs][tile]`.
#[derive(Debug)]
pub(crate) struct Packed {
    values: Vec<f32>,
    inputs: usize,
    outputs: usize,
    taps: usize,
    wide: bool,
}

impl Packed {
    /// Packs weights `[features, channels, taps]` for sums over channels, or over features if
    /// `reverse`.
    pub(crate) fn new(
        weights: &[f32],
        features: usize,
        channels: usize,
        taps: usize,
        reverse: bool,
    ) -> Self {
        let (inputs, outputs) = if reverse { (features, channels) } else { (channels, features) };
        let (input_stride, output_stride) =
            if reverse { (channels * taps, taps) } else { (taps, channels * taps) };
        let wide = wide();
        let mut values = Vec::with_capacity(weights.len());
        let mut first = 0;
        while first < outputs {
            let tile = tile(wide, outputs - first);
            for tap in 0..taps {
                for input in 0..inputs {
                    let at = input * input_stride + first * output_stride + tap;
                    values.extend((0..tile).map(|o| weights[at + o * output_stride]));
                }
            }
            first += tile;
        }
        Self { values, inputs, outputs, taps, wide }
    }
}

/// Sums over the sources of a block's positions: `target = act(Σ source · weight + bias)`.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    pub(crate) weights: &'a Packed,
    /// The sources of each row of positions.
    pub(crate) rows: Vec<Vec<Meeting>>,
    /// Runs of positions in a row.
    pub(crate) columns: Vec<Run>,
    pub(crate) kernel_width: usize,
    /// Height and width.
    pub(crate) source: [usize; 2],
    pub(crate) target_width: usize,
    /// One for each output, or none.
    pub(crate) bias: &'a [f32],
    pub(crate) relu: bool,
}

impl Gather<'_> {
    /// From a block `[places, inputs, 16]` to a block `[places, outputs, 16]`, on several threads if
    /// `spread`.
    pub(crate) fn run(&self, source: &[f32], target: &mut [f32], spread: bool) {
        self.check(source);
        let row = self.target_width * self.weights.outputs * LANES;
        assert_eq!(target.len(), self.rows.len() * row);
        let rows = self.rows.par_iter().zip(target.par_chunks_exact_mut(row));
        let least = if spread { 1 } else { usize::MAX };
        rows.with_min_len(least).for_each(|(meetings, target)| {
            dispatch(GatherRow { gather: self, meetings, source, target });
        });
    }

    /// Panics unless every tap and every source lies in `weights` and `source`, which the unchecked reads of
    /// [`GatherTile`] rely on, and every position is in a run, so that all of the target is written.
    fn check(&self, source: &[f32]) {
        let Packed { values, inputs, outputs, taps, .. } = self.weights;
        let [height, width] = self.source;
        assert_eq!(values.len(), inputs * outputs * taps);
        assert_eq!(source.len(), height * width * inputs * LANES);
        assert_eq!(self.columns.iter().map(|run| run.count).sum::<usize>(), self.target_width);
        let tap_rows = taps / self.kernel_width;
        let fits = |&(tap, source): &Meeting, taps: usize, sources: usize, reach: usize| {
            tap < taps && source + reach < sources
        };
        assert!(self.rows.iter().flatten().all(|meeting| fits(meeting, tap_rows, height, 0)));
        for run in &self.columns {
            let reach = (run.count - 1) * run.source_step;
            assert!(run.meetings.iter().all(|m| fits(m, self.kernel_width, width, reach)));
        }
    }
}

struct GatherRow<'a> {
    gather: &'a Gather<'a>,
    meetings: &'a [Meeting],
    source: &'a [f32],
    target: &'a mut [f32],
}

impl WithSimd for GatherRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let weights = self.gather.weights;
        let (mut first, mut packed) = (0, &weights.values[..]);
        let mut this = self;
        while first < weights.outputs {
            let outputs = tile(weights.wide, weights.outputs - first);
            let here;
            (here, packed) = packed.split_at(outputs * weights.taps * weights.inputs);
            match outputs {
                8 => this.outputs::<S, 8>(simd, first, here),
                4 => this.outputs::<S, 4>(simd, first, here),
                2 => this.outputs::<S, 2>(simd, first, here),
                _ => this.outputs::<S, 1>(simd, first, here),
            }
            first += outputs;
        }
    }
}

impl GatherRow<'_> {
    #[inline(always)]
    fn outputs<S: Simd, const O: usize>(&mut self, simd: S, first: usize, weights: &[f32]) {
        for run in &self.gather.columns {
            for place in (0..run.count).step_by(3) {
                for part in 0..LANES / S::F32_LANES {
                    match run.count - place {
                        1 => self.tile::<S, O, 1>(simd, first, weights, run, place, part),
                        2 => self.tile::<S, O, 2>(simd, first, weights, run, place, part),
                        _ => self.tile::<S, O, 3>(simd, first, weights, run, place, part),
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const O: usize, const P: usize>(
        &mut self,
        simd: S,
        first: usize,
        weights: &[f32],
        run: &Run,
        place: usize,
        part: usize,
    ) {
        let &mut Self { gather, meetings, source, ref mut target } = self;
        let tile = GatherTile::<O, P> {
            gather,
            meetings,
            source,
            target,
            first,
            weights,
            run,
            place,
            part,
        };
        // A separate function for each size, so that the sums stay in registers.
        Simd::vectorize(simd, tile);
    }
}

/// `P` places of a run, `O` outputs, one vector of lanes.
struct GatherTile<'a, const O: usize, const P: usize> {
    gather: &'a Gather<'a>,
    meetings: &'a [Meeting],
    source: &'a [f32],
    target: &'a mut [f32],
    first: usize,
    weights: &'a [f32],
    run: &'a Run,
    place: usize,
    part: usize,
}

impl<const O: usize, const P: usize> WithSimd for GatherTile<'_, O, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gather, meetings, run, place, part, first, .. } = self;
        let &Gather { kernel_width, source: [_, source_width], bias, relu, .. } = gather;
        let &Packed { inputs, outputs, taps, .. } = gather.weights;
        let vectors = LANES / S::F32_LANES;
        let (source, _) = S::as_simd_f32s(self.source);
        assert!(self.weights.len() == taps * inputs * O && part < vectors);
        // The offset from the sources of one position to those of the next.
        let step = run.source_step * inputs * vectors;
        let mut sums = [[simd.splat_f32s(0.0); P]; O];
        for &(tap_row, source_row) in meetings {
            for &(tap_column, source_column) in &run.meetings {
                let mut weight = (tap_row * kernel_width + tap_column) * inputs * O;
                let column = source_column + place * run.source_step;
                let mut from = (source_row * source_width + column) * inputs * vectors + part;
                for _ in 0..inputs {
                    // SAFETY: `Gather::check` has verified that the sources lie in `source`; the run has `P`
                    // places from `place` on.
                    let values: [S::f32s; P] =
                        std::array::from_fn(|p| unsafe { *source.get_unchecked(from + p * step) });
                    for o in 0..O {
                        // SAFETY: the tap is one of `taps`, as `Gather::check` has verified.
                        let weight = unsafe { *self.weights.get_unchecked(weight + o) };
                        let weight = simd.splat_f32s(weight);
                        for p in 0..P {
                            sums[o][p] = multiply_add(simd, weight, values[p], sums[o][p]);
                        }
                    }
                    weight += O;
                    from += vectors;
                }
            }
        }
        // These loops are short and simple enough to be unrolled, so that the sums stay in registers.
        let biases: [f32; O] = std::array::from_fn(|o| bias.get(first + o).copied().unwrap_or(0.0));
        for o in 0..O {
            let bias = simd.splat_f32s(biases[o]);
            for p in 0..P {
                sums[o][p] = simd.add_f32s(sums[o][p], bias);
            }
        }
        if relu {
            let zero = simd.splat_f32s(0.0);
            for o in 0..O {
                for p in 0..P {
                    let off = simd.less_than_or_equal_f32s(sums[o][p], zero);
                    sums[o][p] = simd.select_f32s(off, zero, sums[o][p]);
                }
            }
        }
        let (target, _) = S::as_mut_simd_f32s(self.target);
        let at = |o: usize, p: usize| {
            let column = run.first + (place + p) * run.step;
            (column * outputs + first + o) * vectors + part
        };
        assert!(at(O - 1, P - 1) < target.len());
        for o in 0..O {
            for p in 0..P {
                // SAFETY: `at` grows with both, and its last value is in range.
                unsafe { *target.get_unchecked_mut(at(o, p)) = sums[o][p] };
            }
        }
    }
}

/// Sums over images and positions: the gradient of the weights.
#[derive(Debug)]
pub(crate) struct Correlate {
    /// For each tap along an axis, feature and pixel of each meeting.
    pub(crate) through: [Vec<Vec<(usize, usize)>>; 2],
    pub(crate) image_width: usize,
    pub(crate) features_width: usize,
    pub(crate) channels: usize,
    /// Features, padded to a multiple of [`LANES`].
    pub(crate) width: usize,
}

impl Correlate {
    /// Adds to `sums` `[taps, channels, width]` the contributions of a block of the image
    /// `[places, channels, 16]` and one of the features `[places, 16, width]`, on several threads if
    /// `spread`.
    pub(crate) fn run(&self, image: &[f32], features: &[f32], sums: &mut [f32], spread: bool) {
        let len = self.channels * self.width;
        let columns = self.through[1].len();
        let least = if spread { 1 } else { usize::MAX };
        let taps = sums.par_chunks_exact_mut(len).enumerate().with_min_len(least);
        taps.for_each(|(tap, sums)| {
            let rows = &self.through[0][tap / columns];
            let columns = &self.through[1][tap % columns];
            dispatch(CorrelateTap { correlate: self, rows, columns, image, features, sums });
        });
    }
}

struct CorrelateTap<'a> {
    correlate: &'a Correlate,
    rows: &'a [(usize, usize)],
    columns: &'a [(usize, usize)],
    image: &'a [f32],
    features: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for CorrelateTap<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (wide, channels) = (is_wide::<S>(), self.correlate.channels);
        let mut this = self;
        let mut channel = 0;
        while channel < channels {
            let tile = tile(wide, channels - channel);
            match tile {
                8 => this.channels::<S, 8>(simd, channel),
                4 => this.channels::<S, 4>(simd, channel),
                2 => this.channels::<S, 2>(simd, channel),
                _ => this.channels::<S, 1>(simd, channel),
            }
            channel += tile;
        }
    }
}

impl CorrelateTap<'_> {
    #[inline(always)]
    fn channels<S: Simd, const C: usize>(&mut self, simd: S, channel: usize) {
        let vectors = self.correlate.width / S::F32_LANES;
        let mut first = 0;
        while first < vectors {
            match vectors - first {
                1 => self.tile::<S, C, 1>(simd, channel, first),
                _ => self.tile::<S, C, 2>(simd, channel, first),
            }
            first += 2;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const C: usize, const V: usize>(
        &mut self,
        simd: S,
        channel: usize,
        first: usize,
    ) {
        let &mut Self { correlate, rows, columns, image, features, ref mut sums } = self;
        let tile = CorrelateTile::<C, V> {
            correlate,
            rows,
            columns,
            image,
            features,
            sums,
            channel,
            first,
        };
        Simd::vectorize(simd, tile);
    }
}

/// `C` channels, `V` vectors of features.
struct CorrelateTile<'a, const C: usize, const V: usize> {
    correlate: &'a Correlate,
    rows: &'a [(usize, usize)],
    columns: &'a [(usize, usize)],
    image: &'a [f32],
    features: &'a [f32],
    sums: &'a mut [f32],
    channel: usize,
    first: usize,
}

impl<const C: usize, const V: usize> WithSimd for CorrelateTile<'_, C, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { channel, first, .. } = self;
        let Correlate { image_width, features_width, channels, width, .. } = *self.correlate;
        let vectors = width / S::F32_LANES;
        assert!(first + V <= vectors);
        let (features, _) = S::as_simd_f32s(self.features);
        let zero = simd.splat_f32s(0.0);
        let mut total = [[zero; V]; C];
        for &(feature_row, image_row) in self.rows {
            // Each row is summed separately: adding thousands of terms one by one loses precision.
            let mut sums = [[zero; V]; C];
            for &(feature_column, image_column) in self.columns {
                let place = feature_row * features_width + feature_column;
                let features = &features[place * LANES * vectors..][..LANES * vectors];
                let place = image_row * image_width + image_column;
                let image = &self.image[(place * channels + channel) * LANES..][..C * LANES];
                for n in 0..LANES {
                    // SAFETY: there are `LANES` rows of `vectors`, and `first + V` is at most that.
                    let features: [S::f32s; V] = std::array::from_fn(|v| unsafe {
                        *features.get_unchecked(n * vectors + first + v)
                    });
                    for c in 0..C {
                        let pixel = simd.splat_f32s(image[c * LANES + n]);
                        for v in 0..V {
                            sums[c][v] = multiply_add(simd, pixel, features[v], sums[c][v]);
                        }
                    }
                }
            }
            for c in 0..C {
                for v in 0..V {
                    total[c][v] = simd.add_f32s(total[c][v], sums[c][v]);
                }
            }
        }
        let (target, _) = S::as_mut_simd_f32s(self.sums);
        for c in 0..C {
            let target = &mut target[(channel + c) * vectors + first..][..V];
            for v in 0..V {
                target[v] = simd.add_f32s(target[v], total[c][v]);
            }
        }
    }
}
