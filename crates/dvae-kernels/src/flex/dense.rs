//! Fully connected layers: product, bias and activation, forward and backward.

use rayon::prelude::*;

use super::buffer::unwritten;
use super::gemm::{Matrix, multiply};
use super::simd::vectorized;

/// The number of shares of a batch that sum gradients of biases separately.
const SHARES: usize = 8;

vectorized! {
    /// Adds a bias, and cuts off below 0 if `relu`; NaN stays NaN.
    fn add_bias(values: &mut [f32], bias: &[f32], relu: bool) {
        for (value, bias) in values.iter_mut().zip(bias) {
            let sum = *value + *bias;
            *value = if relu && sum <= 0.0 { 0.0 } else { sum };
        }
    }
}

vectorized! {
    /// Sets the gradient to 0 where the activation was cut off (but not where the output is NaN), and sums
    /// its rows.
    fn mask_and_sum(gradient: &mut [f32], output: &[f32], relu: bool, sum: &mut [f32]) {
        let width = sum.len();
        for (gradient, output) in gradient.chunks_exact_mut(width).zip(output.chunks_exact(width)) {
            for ((gradient, output), sum) in gradient.iter_mut().zip(output).zip(sum.iter_mut()) {
                *gradient = if relu && *output <= 0.0 { 0.0 } else { *gradient };
                *sum += *gradient;
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
    multiply(&mut out, x, weight, |values, columns| add_bias(values, &bias[columns], relu));
    out
}

/// Masks the gradient `[rows, outputs]` of the output, and returns that of the bias.
pub(crate) fn backward(gradient: &mut [f32], output: &[f32], width: usize, relu: bool) -> Vec<f32> {
    let share = (gradient.len() / width).div_ceil(SHARES).max(1) * width;
    let mut shares = gradient
        .par_chunks_mut(share)
        .zip(output.par_chunks(share))
        .map(|(gradient, output)| {
            let mut sum = vec![0.0; width];
            mask_and_sum(gradient, output, relu, &mut sum);
            sum
        })
        .collect::<Vec<_>>()
        .into_iter();
    let mut bias = shares.next().unwrap_or_else(|| vec![0.0; width]);
    for share in shares {
        bias.iter_mut().zip(&share).for_each(|(sum, share)| *sum += share);
    }
    bias
}

/// `a · b`.
pub(crate) fn product(a: Matrix, b: Matrix, len: usize) -> Vec<f32> {
    let mut out = unwritten(len);
    multiply(&mut out, a, b, |_, _| {});
    out
}
