//! Functions of entries: values and derivatives in one pass.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::buffer::unwritten;
use super::simd::{dispatch, vectorized};
use crate::math::{exp, ln, ln_1p_unit, sigmoid};
use crate::special::{digamma_of, ln_gamma_of, trigamma_of};

/// The number of entries for one thread at a time.
const GRAIN: usize = 1 << 13;
/// `½ ln 2π`, the normalizer of a unit normal.
const HALF_LN_TAU: f32 = 0.918_938_5;
/// The number of entries that are computed in parallel lanes.
const LANES: usize = 16;

/// A function of `I` numbers with derivatives with respect to `N` of them.
pub(crate) trait Entry<const I: usize, const N: usize>: Copy + Send + Sync {
    fn at(self, inputs: [f32; I]) -> (f32, [f32; N]);
}

/// `log p(x | l) = log σ(l) − (1 − x) l` of a Bernoulli entry: logit and `x`; derivative with respect to the
/// logit.
#[derive(Clone, Copy)]
pub(crate) struct Bernoulli;

impl Entry<2, 1> for Bernoulli {
    #[inline(always)]
    fn at(self, [logit, x]: [f32; 2]) -> (f32, [f32; 1]) {
        let e = exp(-logit.abs());
        let reciprocal = 1.0 / (1.0 + e);
        let sigmoid = if logit >= 0.0 { reciprocal } else { e * reciprocal };
        let negative = if logit < 0.0 { logit } else { 0.0 };
        // In this order the first difference is exact for x of 0 and 1.
        (negative - (1.0 - x) * logit - ln_1p_unit(e), [x - sigmoid])
    }
}

/// `log N(x; m, σ²)` with one σ for all: mean and `x`; derivative with respect to the mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedNormal {
    pub(crate) scale: f32,
    /// `ln σ + ½ ln 2π`.
    pub(crate) normalizer: f32,
}

impl Entry<2, 1> for FixedNormal {
    #[inline(always)]
    fn at(self, [mean, x]: [f32; 2]) -> (f32, [f32; 1]) {
        let standard = (x - mean) / self.scale;
        (-0.5 * standard * standard - self.normalizer, [standard / self.scale])
    }
}

/// `log N(x; m, σ²)`: mean, σ and `x`; derivatives with respect to mean and σ.
#[derive(Clone, Copy)]
pub(crate) struct Normal;

impl Entry<3, 2> for Normal {
    #[inline(always)]
    fn at(self, [mean, scale, x]: [f32; 3]) -> (f32, [f32; 2]) {
        let standard = (x - mean) / scale;
        let value = -0.5 * standard * standard - ln(scale) - HALF_LN_TAU;
        (value, [standard / scale, (standard * standard - 1.0) / scale])
    }
}

/// A function times a weight, which is its last input.
#[derive(Clone, Copy)]
pub(crate) struct Weighted<E>(pub(crate) E);

impl<E: Entry<3, 2>> Entry<4, 2> for Weighted<E> {
    #[inline(always)]
    fn at(self, [mean, scale, x, weight]: [f32; 4]) -> (f32, [f32; 2]) {
        let (value, derivatives) = self.0.at([mean, scale, x]);
        (value * weight, derivatives.map(|derivative| derivative * weight))
    }
}

impl<E: Entry<4, 3>> Entry<5, 3> for Weighted<E> {
    #[inline(always)]
    fn at(self, [first, second, third, x, weight]: [f32; 5]) -> (f32, [f32; 3]) {
        let (value, derivatives) = self.0.at([first, second, third, x]);
        (value * weight, derivatives.map(|derivative| derivative * weight))
    }
}

impl<E: Entry<2, 1>> Entry<3, 1> for Weighted<E> {
    #[inline(always)]
    fn at(self, [parameter, x, weight]: [f32; 3]) -> (f32, [f32; 1]) {
        let (value, [derivative]) = self.0.at([parameter, x]);
        (value * weight, [derivative * weight])
    }
}

/// `μ + σ ε`: mean, log-variance and noise; derivative with respect to the log-variance. For the mean it is
/// 1.
#[derive(Clone, Copy)]
pub(crate) struct Reparameterize;

impl Entry<3, 1> for Reparameterize {
    #[inline(always)]
    fn at(self, [mean, log_variance, noise]: [f32; 3]) -> (f32, [f32; 1]) {
        let step = exp(0.5 * log_variance) * noise;
        (mean + step, [0.5 * step])
    }
}

/// `½ (μ² + σ² − 1 − ln σ²)`: mean and log-variance; derivative with respect to the log-variance. For the
/// mean it is `μ`.
#[derive(Clone, Copy)]
pub(crate) struct Kl;

impl Entry<2, 1> for Kl {
    #[inline(always)]
    fn at(self, [mean, log_variance]: [f32; 2]) -> (f32, [f32; 1]) {
        let variance = exp(log_variance);
        (0.5 * (mean * mean + variance - 1.0 - log_variance), [0.5 * (variance - 1.0)])
    }
}

/// `σ(x)`.
#[derive(Clone, Copy)]
pub(crate) struct Sigmoid;

impl Entry<1, 1> for Sigmoid {
    #[inline(always)]
    fn at(self, [x]: [f32; 1]) -> (f32, [f32; 1]) {
        let value = sigmoid(x);
        (value, [value * (1.0 - value)])
    }
}

/// `ln Γ(x)`.
#[derive(Clone, Copy)]
pub(crate) struct LnGamma;

impl Entry<1, 1> for LnGamma {
    #[inline(always)]
    fn at(self, [x]: [f32; 1]) -> (f32, [f32; 1]) {
        (ln_gamma_of(x), [digamma_of(x)])
    }
}

/// `ψ(x)`.
#[derive(Clone, Copy)]
pub(crate) struct Digamma;

impl Entry<1, 1> for Digamma {
    #[inline(always)]
    fn at(self, [x]: [f32; 1]) -> (f32, [f32; 1]) {
        (digamma_of(x), [trigamma_of(x)])
    }
}

/// The destination of the values.
enum Values<'a> {
    /// One value for each entry.
    Each(&'a mut [f32]),
    /// Summed over rows.
    Rows(&'a mut [f32]),
}

/// A stretch of entries, or some rows.
struct Stretch<'a, E, const I: usize, const N: usize> {
    entry: E,
    inputs: [&'a [f32]; I],
    values: Values<'a>,
    derivatives: [&'a mut [f32]; N],
}

impl<E: Entry<I, N>, const I: usize, const N: usize> WithSimd for Stretch<'_, E, I, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { entry, inputs, values, mut derivatives } = self;
        match values {
            Values::Each(values) => {
                let mut at = 0;
                for values in values.chunks_mut(LANES) {
                    let out = block(entry, &inputs, &mut derivatives, at, values.len());
                    values.copy_from_slice(&out[..values.len()]);
                    at += LANES;
                }
            }
            // Sixteen partial sums for each row.
            Values::Rows(values) => {
                let features = inputs[0].len() / values.len();
                for (row, value) in values.iter_mut().enumerate() {
                    let mut sums = [0.0f32; LANES];
                    for first in (0..features).step_by(LANES) {
                        let len = LANES.min(features - first);
                        let at = row * features + first;
                        let out = block(entry, &inputs, &mut derivatives, at, len);
                        for (sum, out) in sums.iter_mut().zip(&out[..len]) {
                            *sum += *out;
                        }
                    }
                    *value = sums.iter().sum();
                }
            }
        }
    }
}

/// The values of at most sixteen entries from `at` on; their derivatives are written.
#[inline(always)]
fn block<E: Entry<I, N>, const I: usize, const N: usize>(
    entry: E,
    inputs: &[&[f32]; I],
    derivatives: &mut [&mut [f32]; N],
    at: usize,
    len: usize,
) -> [f32; LANES] {
    let mut lanes = [[0.0f32; LANES]; I];
    for (lanes, input) in lanes.iter_mut().zip(inputs) {
        match <&[f32; LANES]>::try_from(&input[at..at + len]) {
            Ok(whole) => *lanes = *whole,
            Err(_) => lanes[..len].copy_from_slice(&input[at..at + len]),
        }
    }
    let (mut out, mut slopes) = ([0.0f32; LANES], [[0.0f32; LANES]; N]);
    for lane in 0..LANES {
        let (value, slope) = entry.at(std::array::from_fn(|i| lanes[i][lane]));
        out[lane] = value;
        for n in 0..N {
            slopes[n][lane] = slope[n];
        }
    }
    for (derivative, slopes) in derivatives.iter_mut().zip(&slopes) {
        match <&mut [f32; LANES]>::try_from(&mut derivative[at..at + len]) {
            Ok(whole) => *whole = *slopes,
            Err(_) => derivative[at..at + len].copy_from_slice(&slopes[..len]),
        }
    }
    out
}

/// The value of each entry, or the sum over each of `rows`, and the derivatives of each entry.
pub(crate) fn run<E: Entry<I, N>, const I: usize, const N: usize>(
    entry: E,
    inputs: [&[f32]; I],
    rows: Option<usize>,
) -> (Vec<f32>, [Vec<f32>; N]) {
    let len = inputs[0].len();
    // Values of one entry, or of one row.
    let step = rows.map_or(1, |rows| len / rows.max(1));
    let mut values = match rows {
        None => unwritten(len),
        Some(rows) => vec![0.0; rows],
    };
    let mut derivatives: [Vec<f32>; N] = std::array::from_fn(|_| unwritten(len));
    if step == 0 || len == 0 {
        return (values, derivatives);
    }
    let per_task = (GRAIN / step).max(1);
    let mut slopes = derivatives.each_mut().map(|all| all.chunks_mut(per_task * step));
    let stretches: Vec<_> = values
        .chunks_mut(per_task)
        .enumerate()
        .map(|(i, values)| {
            let range = i * per_task * step..len.min((i + 1) * per_task * step);
            Stretch {
                entry,
                inputs: inputs.map(|input| &input[range.clone()]),
                values: if rows.is_some() { Values::Rows(values) } else { Values::Each(values) },
                derivatives: slopes.each_mut().map(|all| all.next().unwrap_or_default()),
            }
        })
        .collect();
    stretches.into_par_iter().for_each(dispatch);
    (values, derivatives)
}

vectorized! {
    fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

/// Multiplies each row by its factor.
pub(crate) fn scale_rows(values: &mut [f32], factors: &[f32]) {
    let features = values.len() / factors.len().max(1);
    if features == 0 {
        return;
    }
    let per_task = (GRAIN / features).max(1);
    values
        .par_chunks_mut(features)
        .with_min_len(per_task)
        .zip(factors)
        .for_each(|(values, factor)| scale(values, *factor));
}
