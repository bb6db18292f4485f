//! Host-side draws that need a variable number of random numbers.

use burn::tensor::{Tensor, TensorData};
use dvae_random::{RowRng, RowStreams};
use rayon::prelude::*;

/// Draws each entry from its parameters, which have equal shapes; each row uses its own stream.
pub(crate) fn each_entry<const D: usize, const N: usize>(
    parameters: [Tensor<D>; N],
    draws: &mut RowStreams,
    law: impl Fn([f64; N], &mut RowRng) -> f64 + Sync,
) -> Tensor<D> {
    let (shape, device) = (parameters[0].shape(), parameters[0].device());
    let values = parameters.map(|p| p.into_data().iter::<f64>().collect::<Vec<f64>>());
    let streams = draws.branch();
    let width = shape.num_elements() / shape[0].max(1);
    let mut out = vec![0.0f32; shape.num_elements()];
    out.par_chunks_mut(width.max(1)).enumerate().for_each(|(row, out)| {
        let mut rng = streams.row(row).rng();
        for (i, out) in out.iter_mut().enumerate() {
            *out = law(values.each_ref().map(|v| v[row * width + i]), &mut rng) as f32;
        }
    });
    Tensor::from_data(TensorData::new(out, shape), &device)
}

/// Chooses, for each feature, one of `n` alternatives on axis 1 of `probabilities` `[batch, n, features]`:
/// `[batch, 1, features]`, whole numbers as floats.
pub(crate) fn choose(probabilities: Tensor<3>, draws: &mut RowStreams) -> Tensor<3> {
    let [rows, n, features] = probabilities.dims();
    if n == 1 {
        return probabilities.zeros_like();
    }
    let u = draws.uniform::<3>([rows, 1, features], &probabilities.device());
    // The last alternative takes the rest, whatever the sum rounds to.
    let below = probabilities.cumsum(1).narrow(1, 0, n - 1);
    below.lower_equal(u.expand([rows, n - 1, features])).float().sum_dim(1)
}
