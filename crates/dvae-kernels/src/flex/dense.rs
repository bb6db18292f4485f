//! Fully connected layers: product, bias and activation.

use super::buffer::unwritten;
use super::gemm::{Matrix, multiply_parallel};
use super::simd::vectorised;

vectorised! {
    /// Adds a bias to each row, and cuts off below 0 if asked; NaN stays NaN.
    fn add_bias(out: &mut [f32], bias: &[f32], relu: bool) {
        for row in out.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                let sum = *value + *bias;
                *value = if relu && sum <= 0.0 { 0.0 } else { sum };
            }
        }
    }
}

vectorised! {
    /// Sets the gradient to 0 where the activation cut off; NaN in the output lets it through.
    fn mask_gradient(gradient: &mut [f32], output: &[f32]) {
        for (gradient, output) in gradient.iter_mut().zip(output) {
            *gradient = if *output <= 0.0 { 0.0 } else { *gradient };
        }
    }
}

vectorised! {
    /// Adds the rows up.
    fn sum_rows(rows: &[f32], sum: &mut [f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += *value;
            }
        }
    }
}

/// `act(x W + b)` of `x` `[rows, inputs]` and `W` `[inputs, outputs]`: `[rows, outputs]`.
pub(crate) fn forward(
    x: Matrix,
    weight: Matrix,
    bias: &[f32],
    rows: usize,
    relu: bool,
) -> Vec<f32> {
    let mut out = unwritten(rows * bias.len());
    multiply_parallel(&mut out, x, weight);
    add_bias(&mut out, bias, relu);
    out
}
