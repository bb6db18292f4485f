//! Convolutions of resized, activated images, with something added: forward and backward.
//!
//! Strips are independent of each other forward. Gradients of weights are summed over a fixed number of shares of the
//! strips, in order, so they have the same bits on any number of threads.

use rayon::prelude::*;

use super::along::{Products, Sums, Weights};
use super::buffer::unwritten;
use super::simd::vectorized;
use super::strips::{Grid, Source, Strip, cut, fill_planes, phases, write_gradients, write_pixels};
use crate::Resize;

/// The number of shares of strips that sum gradients of weights separately.
const SHARES: usize = 8;

/// The operands of a convolution of kernel 3 and padding 1, or of kernel 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapConv<'a> {
    pub(crate) source: Source<'a>,
    /// `[outputs, channels, kernel, kernel]`.
    pub(crate) weight: &'a [f32],
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
}

/// Buffers for a strip.
#[derive(Default)]
struct Room {
    planes: Vec<f32>,
    gradients: Vec<f32>,
    sums: Vec<f32>,
    rows: Vec<f32>,
}

/// Makes the buffer so long. What is in it is written before it is read.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        *buffer = unwritten(len);
    }
    &mut buffer[..len]
}

/// The offsets of all taps in each of so many inputs, which are so far from each other.
fn every(inputs: usize, step: usize, taps: impl Iterator<Item = usize> + Clone) -> Vec<usize> {
    (0..inputs).flat_map(|input| taps.clone().map(move |tap| input * step + tap)).collect()
}

vectorized! {
    /// The sum of whole steps, by lanes.
    fn sum(values: &[f32]) -> f32 {
        let mut lanes = [0.0f32; 16];
        for values in values.as_chunks::<16>().0 {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += *value;
            }
        }
        lanes.iter().sum()
    }
}

impl MapConv<'_> {
    fn taps(&self) -> impl Iterator<Item = [usize; 2]> + Clone {
        let kernel = self.kernel;
        (0..kernel * kernel).map(move |tap| [tap / kernel, tap % kernel])
    }

    /// The sides of the output.
    pub(crate) fn grid(&self) -> Grid {
        let [_, height, width] = self.source.size;
        let [height, width] = self.source.resize.sides([height, width]);
        Grid { height, width, pad: self.kernel / 2 }
    }

    fn images(&self) -> usize {
        self.source.values.len() / self.source.size.iter().product::<usize>()
    }

    /// The offset of each channel and tap.
    fn offsets(&self, strip: &Strip) -> Vec<usize> {
        let grid = self.grid();
        let offset = |[row, column]: [usize; 2]| match self.source.resize {
            Resize::Halve => {
                let phase = (row + 1) % 2 * 2 + (column + 1) % 2;
                phase * grid.plane(strip) + grid.offset([row.min(1), column.min(1)])
            }
            _ => grid.offset([row, column]),
        };
        let channel = phases(self.source.resize) * grid.plane(strip);
        every(self.source.size[0], channel, self.taps().map(offset))
    }

    fn weight(&self, output: usize, channel: usize, tap: usize) -> f32 {
        let taps = self.kernel * self.kernel;
        self.weight[(output * self.source.size[0] + channel) * taps + tap]
    }

    /// `conv(resize(act(x))) + bias + add`.
    pub(crate) fn forward(&self, bias: &[f32], add: Option<&[f32]>) -> Vec<f32> {
        let (grid, outputs, [channels, ..]) = (self.grid(), self.outputs, self.source.size);
        let taps = self.kernel * self.kernel;
        let weights =
            Weights::new([outputs, channels, taps], |output, c, tap| self.weight(output, c, tap));
        let strips = grid.strips(self.images());
        let mut y = unwritten(self.images() * outputs * grid.height * grid.width);
        let parts = cut(&mut y, [outputs, grid.height, grid.width], &strips, Resize::Keep);
        strips.par_iter().zip(parts).for_each_init(Room::default, |room, (strip, mut parts)| {
            let channel = phases(self.source.resize) * grid.plane(strip);
            let planes = sized(&mut room.planes, channels * channel);
            fill_planes(&self.source, grid, strip, planes, &mut room.rows);
            let sums = sized(&mut room.sums, outputs * grid.positions(strip));
            let offsets = self.offsets(strip);
            Sums { weights: &weights, offsets: &offsets, bias }.run(planes, sums);
            write_pixels(sums, add, grid, strip, outputs, &mut parts);
        });
        y
    }

    /// The gradients of images (if requested), weight and bias from the gradient of the output.
    pub(crate) fn backward(
        &self,
        gradient: &[f32],
        need_input: bool,
    ) -> (Option<Vec<f32>>, Vec<f32>, Vec<f32>) {
        let grid = self.grid();
        let strips = grid.strips(self.images());
        let mut input = unwritten(if need_input { self.source.values.len() } else { 0 });
        let mut parts = match need_input {
            true => cut(&mut input, self.source.size, &strips, self.source.resize),
            false => strips.iter().map(|_| Vec::new()).collect(),
        };
        let share = strips.len().div_ceil(SHARES).max(1);
        let transposed = self.transposed();
        let shares: Vec<(Vec<f32>, Vec<f32>)> = strips
            .par_chunks(share)
            .zip(parts.par_chunks_mut(share))
            .map_init(Room::default, |room, (strips, parts)| {
                let (mut weight, mut bias) =
                    (vec![0.0; self.weight.len()], vec![0.0; self.outputs]);
                for (strip, parts) in strips.iter().zip(parts) {
                    self.strip_backward(
                        gradient,
                        &transposed,
                        strip,
                        parts,
                        room,
                        [&mut weight, &mut bias],
                    );
                }
                (weight, bias)
            })
            .collect();
        let mut shares = shares.into_iter();
        let (mut weight, mut bias) = shares.next().unwrap_or_default();
        for (w, b) in shares {
            weight.iter_mut().zip(&w).for_each(|(sum, w)| *sum += w);
            bias.iter_mut().zip(&b).for_each(|(sum, b)| *sum += b);
        }
        (need_input.then_some(input), weight, bias)
    }

    fn strip_backward(
        &self,
        gradient: &[f32],
        transposed: &[(Weights, Vec<[usize; 2]>)],
        strip: &Strip,
        parts: &mut [&mut [f32]],
        room: &mut Room,
        [weight, bias]: [&mut [f32]; 2],
    ) {
        let (grid, outputs, [channels, ..]) = (self.grid(), self.outputs, self.source.size);
        let (plane, positions) = (grid.plane(strip), grid.positions(strip));
        let of_output = Source {
            values: gradient,
            size: [outputs, grid.height, grid.width],
            activation: crate::Activation::Identity,
            resize: Resize::Keep,
        };
        let gradients = sized(&mut room.gradients, outputs * plane);
        fill_planes(&of_output, grid, strip, gradients, &mut room.rows);
        if !parts.is_empty() {
            let sums = sized(&mut room.sums, transposed.len() * channels * positions);
            let by_phase = sums.chunks_exact_mut(channels * positions);
            for (sums, (weights, taps)) in by_phase.zip(transposed) {
                let taps = taps.iter().map(|tap| grid.offset(*tap));
                let offsets = every(outputs, plane, taps);
                Sums { weights, offsets: &offsets, bias: &[] }.run(gradients, sums);
            }
            write_gradients(&self.source, sums, grid, strip, parts);
        }
        // What is below the strip belongs to another one.
        let pixels = grid.first() + grid.position(strip.images.len() - 1, strip.rows.len());
        for (plane, bias) in gradients.chunks_exact_mut(plane).zip(bias) {
            plane[pixels..].fill(0.0);
            *bias += sum(&plane[grid.first()..][..positions]);
        }
        let channel = phases(self.source.resize) * plane;
        let planes = sized(&mut room.planes, channels * channel);
        fill_planes(&self.source, grid, strip, planes, &mut room.rows);
        let offsets = self.offsets(strip);
        let products = Products {
            gradients,
            first: grid.first(),
            outputs,
            planes,
            offsets: &offsets,
            positions,
        };
        products.run(weight);
    }

    /// For each phase of the input, the weights from outputs to channels, and the tap of the output's gradient that each
    /// of them reads.
    fn transposed(&self) -> Vec<(Weights, Vec<[usize; 2]>)> {
        let (channels, outputs) = (self.source.size[0], self.outputs);
        let of_taps = |taps: Vec<[usize; 2]>, read: Vec<[usize; 2]>| {
            let weights = Weights::new([channels, outputs, taps.len()], |channel, output, tap| {
                let [row, column] = taps[tap];
                self.weight(output, channel, row * self.kernel + column)
            });
            (weights, read)
        };
        if self.source.resize != Resize::Halve {
            let last = self.kernel - 1;
            let read = self.taps().map(|[row, column]| [last - row, last - column]).collect();
            return vec![of_taps(self.taps().collect(), read)];
        }
        // An even row is read by the middle tap, an odd one by the last tap of the output's row and the first of the next.
        let through = |parity: usize| if parity == 0 { vec![[1, 1]] } else { vec![[2, 1], [0, 2]] };
        let pairs = |phase: usize| {
            let columns = through(phase % 2);
            let row = move |[tap, read]: [usize; 2]| {
                columns.clone().into_iter().map(move |[column, at]| ([tap, column], [read, at]))
            };
            through(phase / 2).into_iter().flat_map(row).unzip()
        };
        (0..phases(Resize::Halve))
            .map(|phase| {
                let (taps, read) = pairs(phase);
                of_taps(taps, read)
            })
            .collect()
    }
}
