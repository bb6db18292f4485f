//! Convolutions and transposed convolutions with bias and activation, forward and backward.
//!
//! Sixteen images at a time are interleaved, one per lane of a vector, and summed directly: there is no
//! column matrix. Gradients of weights are summed over a fixed number of shares of the batch, in order, so
//! they have the same bits on any number of threads.

use rayon::prelude::*;

use super::buffer::unwritten;
use super::geometry::{Geometry, runs};
use super::layout::{LANES, from_lanes, to_lanes, to_rows};
use super::simd::vectorized;
use super::sums::{Correlate, Gather, Packed};

/// The number of shares of a batch that sum gradients of weights separately.
const SHARES: usize = 8;
/// The number of weights for one thread to sum at a time.
const GRAIN: usize = 1 << 13;

impl Geometry {
    fn pixels(&self) -> usize {
        self.image[1] * self.image[2]
    }

    fn feature_places(&self) -> usize {
        self.features[1] * self.features[2]
    }

    /// Features, padded to whole vectors.
    fn padded_features(&self) -> usize {
        self.features[0].next_multiple_of(LANES)
    }

    fn packed(&self, weights: &[f32], reverse: bool) -> Packed {
        Packed::new(weights, self.features[0], self.image[0], self.taps(), reverse)
    }

    /// From image to features, or from features to image if `reverse`.
    fn gather<'a>(
        &self,
        weights: &'a Packed,
        reverse: bool,
        bias: &'a [f32],
        relu: bool,
    ) -> Gather<'a> {
        let [_, stride] = self.stride;
        let (rows, columns) = match reverse {
            false => (self.of_features(0), runs(&self.of_features(1), 1, stride)),
            true => (self.of_pixels(0), runs(&self.of_pixels(1), stride, 1)),
        };
        let (source, target) = match reverse {
            false => (self.image, self.features),
            true => (self.features, self.image),
        };
        let [_, height, width] = source;
        Gather {
            weights,
            rows,
            columns,
            kernel_width: self.kernel[1],
            source: [height, width],
            target_width: target[2],
            bias,
            relu,
        }
    }

    fn correlate(&self) -> Correlate {
        let through = |axis| (0..self.kernel[axis]).map(|tap| self.through(axis, tap)).collect();
        Correlate {
            through: [through(0), through(1)],
            image_width: self.image[2],
            features_width: self.features[2],
            channels: self.image[0],
            width: self.padded_features(),
        }
    }
}

/// Whether there are so few blocks or shares that each should be spread over threads. Both ways give the same
/// result, because each sum runs on one thread.
fn few(parts: usize) -> bool {
    parts < 2 * rayon::current_num_threads()
}

/// `features = act(conv(image) + b)`, or `image = act(convᵀ(features) + b)` if `transposed`.
pub(crate) fn forward(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    g: &Geometry,
    transposed: bool,
    relu: bool,
) -> Vec<f32> {
    let mut sides = [(g.image[0], g.pixels()), (g.features[0], g.feature_places())];
    if transposed {
        sides.reverse();
    }
    let [(inputs, sources), (outputs, targets)] = sides;
    let packed = g.packed(weight, transposed);
    let gather = g.gather(&packed, transposed, bias, relu);
    let mut y = unwritten(x.len() / (inputs * sources) * outputs * targets);
    let spread = few(y.len().div_ceil(LANES * outputs * targets));
    y.par_chunks_mut(LANES * outputs * targets)
        .zip(x.par_chunks(LANES * inputs * sources))
        .for_each_init(
            || [unwritten(inputs * sources * LANES), unwritten(outputs * targets * LANES)],
            |[source, target], (y, x)| {
                to_lanes(x, inputs, sources, source);
                gather.run(source, target, spread);
                from_lanes(target, outputs, targets, y);
            },
        );
    y
}

vectorized! {
    /// Sets the gradient to 0 where the activation was cut off, and adds each channel's gradient to that of
    /// its bias.
    fn mask_and_sum(gradient: &mut [f32], output: &[f32], len: usize, relu: bool, bias: &mut [f32]) {
        let channels = bias.len();
        let outputs = output.chunks_exact(len);
        for (i, (gradient, output)) in gradient.chunks_exact_mut(len).zip(outputs).enumerate() {
            if relu {
                for (gradient, output) in gradient.iter_mut().zip(output) {
                    *gradient = if *output <= 0.0 { 0.0 } else { *gradient };
                }
            }
            let mut lanes = [0.0f32; 16];
            let mut chunks = gradient.chunks_exact(16);
            for chunk in &mut chunks {
                for (lane, value) in lanes.iter_mut().zip(chunk) {
                    *lane += *value;
                }
            }
            let sum = lanes.iter().sum::<f32>() + chunks.remainder().iter().sum::<f32>();
            bias[i % channels] += sum;
        }
    }
}

/// Gradients of the input (if requested), of the weight, and of the bias.
pub(crate) struct Gradients {
    pub(crate) input: Option<Vec<f32>>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// The operands of a backward pass.
#[derive(Clone, Copy)]
pub(crate) struct Backward<'a> {
    /// From features to image rather than from image to features.
    pub(crate) transposed: bool,
    pub(crate) geometry: &'a Geometry,
    pub(crate) weight: &'a [f32],
    pub(crate) relu: bool,
}

/// Buffers for a block of images.
struct Room {
    /// The image, with one of sixteen images per lane.
    image: Vec<f32>,
    /// The features, with one of sixteen images per lane.
    features: Vec<f32>,
    /// The features, in rows of channels.
    rows: Vec<f32>,
}

impl Room {
    fn new(g: &Geometry) -> Self {
        Self {
            image: unwritten(g.image_len() * LANES),
            features: unwritten(g.features_len() * LANES),
            rows: unwritten(g.feature_places() * LANES * g.padded_features()),
        }
    }
}

impl Backward<'_> {
    /// Computes the gradients from the gradient of the output, which is overwritten by its masked form.
    pub(crate) fn run(
        &self,
        input: &[f32],
        output: &[f32],
        gradient: &mut [f32],
        need_input: bool,
    ) -> Gradients {
        let g = self.geometry;
        let (from, to, channels) = match self.transposed {
            false => (g.image_len(), g.features_len(), g.features[0]),
            true => (g.features_len(), g.image_len(), g.image[0]),
        };
        let images = input.len() / from;
        let share = images.div_ceil(SHARES).next_multiple_of(LANES);
        let spread = few(images.div_ceil(share));
        let mut input_gradient = unwritten(if need_input { input.len() } else { 0 });
        // If no input gradient is needed, each share gets an empty stretch.
        let mut stretches: Vec<&mut [f32]> = if need_input {
            input_gradient.chunks_mut(share * from).collect()
        } else {
            (0..images.div_ceil(share)).map(|_| Default::default()).collect()
        };
        // The gradient of the input goes in the opposite direction of the layer.
        let packed = g.packed(self.weight, !self.transposed);
        let gather = g.gather(&packed, !self.transposed, &[], false);
        let correlate = g.correlate();
        let sums = g.taps() * g.image[0] * g.padded_features();
        let shares: Vec<(Vec<f32>, Vec<f32>)> = stretches
            .par_iter_mut()
            .zip(input.par_chunks(share * from))
            .zip(output.par_chunks(share * to).zip(gradient.par_chunks_mut(share * to)))
            .map_init(
                || Room::new(g),
                |room, ((into, input), (output, gradient))| {
                    let (mut weight, mut bias) = (vec![0.0; sums], vec![0.0; channels]);
                    mask_and_sum(gradient, output, to / channels, self.relu, &mut bias);
                    let mut into = into.chunks_mut(LANES * from);
                    let blocks = input.chunks(LANES * from).zip(gradient.chunks(LANES * to));
                    for (input, gradient) in blocks {
                        self.block(room, &gather, input, gradient, into.next(), spread);
                        correlate.run(&room.image, &room.rows, &mut weight, spread);
                    }
                    (weight, bias)
                },
            )
            .collect();
        let mut shares = shares.into_iter();
        let (mut weight, mut bias) = shares.next().unwrap_or_default();
        for (w, b) in shares {
            weight.par_iter_mut().with_min_len(GRAIN).zip(&w).for_each(|(sum, w)| *sum += w);
            bias.iter_mut().zip(&b).for_each(|(sum, b)| *sum += b);
        }
        let input = need_input.then_some(input_gradient);
        Gradients { input, weight: self.unpadded(&weight), bias }
    }

    /// Converts a block's layout, and writes the gradient of its input if requested.
    fn block(
        &self,
        room: &mut Room,
        gather: &Gather,
        input: &[f32],
        gradient: &[f32],
        into: Option<&mut [f32]>,
        spread: bool,
    ) {
        let g = self.geometry;
        let (image, features) = if self.transposed { (gradient, input) } else { (input, gradient) };
        let ([channels, ..], pixels) = (g.image, g.pixels());
        let ([feature_channels, ..], places) = (g.features, g.feature_places());
        to_rows(features, feature_channels, places, g.padded_features(), &mut room.rows);
        if let Some(into) = into {
            if self.transposed {
                to_lanes(image, channels, pixels, &mut room.image);
                gather.run(&room.image, &mut room.features, spread);
                from_lanes(&room.features, feature_channels, places, into);
                return;
            }
            to_lanes(features, feature_channels, places, &mut room.features);
            gather.run(&room.features, &mut room.image, spread);
            from_lanes(&room.image, channels, pixels, into);
        }
        to_lanes(image, channels, pixels, &mut room.image);
    }

    /// Converts sums `[taps, channels, padded features]` to the weight's layout `[features, channels, taps]`.
    fn unpadded(&self, sums: &[f32]) -> Vec<f32> {
        let g = self.geometry;
        let (width, channels) = (g.padded_features(), g.image[0]);
        let mut weight = unwritten(self.weight.len());
        for (i, weight) in weight.chunks_exact_mut(g.taps()).enumerate() {
            let (feature, channel) = (i / channels, i % channels);
            for (tap, weight) in weight.iter_mut().enumerate() {
                *weight = sums[(tap * channels + channel) * width + feature];
            }
        }
        weight
    }
}
