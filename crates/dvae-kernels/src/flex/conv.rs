//! Convolutions and transposed convolutions with bias and activation, forwards and backwards.
//!
//! A few images at a time become a column matrix, so that the products are large enough to be fast
//! and small enough to stay in the cache. Gradients of weights are summed over a fixed number of
//! shares of the batch, in order: the same bits on any number of threads.

use rayon::prelude::*;

use super::buffer::unwritten;
use super::gemm::{Matrix, Output, multiply};
use super::geometry::{
    Geometry, columns_to_image, features_to_matrix, image_to_columns, matrix_to_features,
};
use super::simd::vectorised;

/// Images that share a column matrix.
const BLOCK: usize = 8;
/// Shares of a batch that sum gradients of weights on their own.
const SHARES: usize = 8;

/// Room for one block of images.
struct Room {
    columns: Vec<f32>,
    matrix: Vec<f32>,
    phases: Vec<f32>,
}

impl Room {
    fn new(g: &Geometry) -> Self {
        let width = BLOCK * g.places();
        Self {
            columns: unwritten(g.taps() * width),
            matrix: unwritten(g.features[0] * width),
            phases: vec![0.0; g.phases_len()],
        }
    }

    /// Column matrix and feature matrix for this many images, and one channel's planes.
    fn of(&mut self, images: usize, g: &Geometry) -> (&mut [f32], &mut [f32], &mut [f32]) {
        let width = images * g.places();
        let columns = &mut self.columns[..g.taps() * width];
        (columns, &mut self.matrix[..g.features[0] * width], &mut self.phases)
    }
}

fn to_columns(images: &[f32], g: &Geometry, columns: &mut [f32], phases: &mut [f32]) {
    phases.fill(0.0);
    let width = images.len() / g.image_len() * g.places();
    for (i, image) in images.chunks_exact(g.image_len()).enumerate() {
        image_to_columns(image, g, columns, width, i * g.places(), phases);
    }
}

fn from_columns(
    columns: &[f32],
    g: &Geometry,
    images: &mut [f32],
    phases: &mut [f32],
    bias: &[f32],
    relu: bool,
) {
    let width = images.len() / g.image_len() * g.places();
    for (i, image) in images.chunks_exact_mut(g.image_len()).enumerate() {
        columns_to_image(columns, g, image, width, i * g.places(), phases, bias, relu);
    }
}

/// `features = act(conv(image) + b)`.
pub(crate) fn convolve(x: &[f32], w: &[f32], bias: &[f32], g: &Geometry, relu: bool) -> Vec<f32> {
    let (image, features) = (g.image_len(), g.features_len());
    let weight = Matrix::new(w, g.features[0], g.taps());
    let mut y = unwritten(x.len() / image * features);
    y.par_chunks_mut(BLOCK * features).zip(x.par_chunks(BLOCK * image)).for_each_init(
        || Room::new(g),
        |room, (y, x)| {
            let images = x.len() / image;
            let (columns, matrix, phases) = room.of(images, g);
            to_columns(x, g, columns, phases);
            let columns = Matrix::new(columns, g.taps(), images * g.places());
            multiply(matrix, weight, columns, Output::Overwrite);
            matrix_to_features(matrix, g, y, bias, relu);
        },
    );
    y
}

/// `image = act(convᵀ(features) + b)`.
pub(crate) fn transpose(f: &[f32], w: &[f32], bias: &[f32], g: &Geometry, relu: bool) -> Vec<f32> {
    let (image, features) = (g.image_len(), g.features_len());
    let weight = Matrix::new(w, g.features[0], g.taps()).transposed();
    let mut x = unwritten(f.len() / features * image);
    x.par_chunks_mut(BLOCK * image).zip(f.par_chunks(BLOCK * features)).for_each_init(
        || Room::new(g),
        |room, (x, f)| {
            let images = f.len() / features;
            let (columns, matrix, phases) = room.of(images, g);
            features_to_matrix(f, g, matrix);
            let matrix = Matrix::new(matrix, g.features[0], images * g.places());
            multiply(columns, weight, matrix, Output::Overwrite);
            from_columns(columns, g, x, phases, bias, relu);
        },
    );
    x
}

vectorised! {
    /// Sets the gradient to 0 where the activation cut off, and adds each channel's gradient to
    /// that of its bias.
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

/// Gradients of the input (if asked), of the weight, and of the bias.
pub(crate) struct Gradients {
    pub(crate) input: Option<Vec<f32>>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// What a backward pass works on.
#[derive(Clone, Copy)]
pub(crate) struct Backward<'a> {
    /// From features to image rather than from image to features.
    pub(crate) transposed: bool,
    pub(crate) geometry: &'a Geometry,
    pub(crate) weight: &'a [f32],
    pub(crate) relu: bool,
}

impl Backward<'_> {
    /// Gradients from that of the output, which is overwritten by its masked form.
    pub(crate) fn run(
        &self,
        input: &[f32],
        output: &[f32],
        gradient: &mut [f32],
        need_input: bool,
    ) -> Gradients {
        let g = self.geometry;
        let (from, to) = match self.transposed {
            false => (g.image_len(), g.features_len()),
            true => (g.features_len(), g.image_len()),
        };
        let images = input.len() / from;
        let share = images.div_ceil(SHARES).max(1);
        let mut input_gradient = unwritten(if need_input { input.len() } else { 0 });
        // Without a gradient to write, each share gets an empty stretch.
        let mut stretches: Vec<&mut [f32]> = if need_input {
            input_gradient.chunks_mut(share * from).collect()
        } else {
            (0..images.div_ceil(share)).map(|_| Default::default()).collect()
        };
        let shares: Vec<(Vec<f32>, Vec<f32>)> = stretches
            .par_iter_mut()
            .zip(input.par_chunks(share * from))
            .zip(output.par_chunks(share * to).zip(gradient.par_chunks_mut(share * to)))
            .map_init(
                || Room::new(g),
                |room, ((into, input), (output, gradient))| {
                    self.share(room, input, output, gradient, into)
                },
            )
            .collect();
        let mut shares = shares.into_iter();
        let (mut weight, mut bias) = shares.next().unwrap_or_default();
        for (w, b) in shares {
            weight.iter_mut().zip(&w).for_each(|(sum, w)| *sum += w);
            bias.iter_mut().zip(&b).for_each(|(sum, b)| *sum += b);
        }
        Gradients { input: need_input.then_some(input_gradient), weight, bias }
    }

    /// Gradients of weight and bias from one share of the batch, block by block.
    fn share(
        &self,
        room: &mut Room,
        input: &[f32],
        output: &[f32],
        gradient: &mut [f32],
        into: &mut [f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let g = self.geometry;
        let (from, to, channels) = match self.transposed {
            false => (g.image_len(), g.features_len(), g.features[0]),
            true => (g.features_len(), g.image_len(), g.image[0]),
        };
        let mut weight = vec![0.0; self.weight.len()];
        let mut bias = vec![0.0; channels];
        mask_and_sum(gradient, output, to / channels, self.relu, &mut bias);
        let blocks = input.chunks(BLOCK * from).zip(gradient.chunks(BLOCK * to)).enumerate();
        for (i, (input, gradient)) in blocks {
            let into = if into.is_empty() {
                None
            } else {
                Some(&mut into[i * BLOCK * from..][..input.len()])
            };
            self.block(room, input, gradient, into, &mut weight);
        }
        (weight, bias)
    }

    fn block(
        &self,
        room: &mut Room,
        input: &[f32],
        gradient: &[f32],
        into: Option<&mut [f32]>,
        weight_gradient: &mut [f32],
    ) {
        let g = self.geometry;
        let (image, features) = if self.transposed { (gradient, input) } else { (input, gradient) };
        let images = features.len() / g.features_len();
        let width = images * g.places();
        let (columns, matrix, phases) = room.of(images, g);
        to_columns(image, g, columns, phases);
        features_to_matrix(features, g, matrix);
        let by_tap = Matrix::new(columns, g.taps(), width);
        let by_feature = Matrix::new(matrix, g.features[0], width);
        multiply(weight_gradient, by_feature, by_tap.transposed(), Output::Add);
        let Some(into) = into else { return };
        let weight = Matrix::new(self.weight, g.features[0], g.taps());
        if self.transposed {
            multiply(matrix, weight, Matrix::new(columns, g.taps(), width), Output::Overwrite);
            matrix_to_features(matrix, g, into, &[], false);
        } else {
            let by_feature = Matrix::new(matrix, g.features[0], width);
            multiply(columns, weight.transposed(), by_feature, Output::Overwrite);
            from_columns(columns, g, into, phases, &[], false);
        }
    }
}
