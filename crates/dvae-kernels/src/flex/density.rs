//! Log-densities and their derivatives in one pass.

use rayon::prelude::*;

use super::buffer::unwritten;
use super::math::{exp_negative, ln_1p_unit};
use super::simd::vectorised;

/// Entries that a thread takes at once.
const GRAIN: usize = 1 << 13;

/// `log p(x | l)` of a Bernoulli entry, and its derivative in the logit, `x − σ(l)`.
#[inline(always)]
fn bernoulli(logit: f32, x: f32) -> (f32, f32) {
    let e = exp_negative(-logit.abs());
    let reciprocal = 1.0 / (1.0 + e);
    let sigmoid = if logit >= 0.0 { reciprocal } else { e * reciprocal };
    let negative = if logit < 0.0 { logit } else { 0.0 };
    // log σ(l) − (1 − x) l.
    (negative - ln_1p_unit(e) - (1.0 - x) * logit, x - sigmoid)
}

vectorised! {
    fn bernoulli_entries(logits: &[f32], x: &[f32], out: &mut [f32], derivative: &mut [f32]) {
        let inputs = logits.iter().zip(x);
        for ((out, derivative), (logit, x)) in out.iter_mut().zip(derivative).zip(inputs) {
            (*out, *derivative) = bernoulli(*logit, *x);
        }
    }
}

vectorised! {
    /// The sum over one row, in sixteen partial sums.
    fn bernoulli_row(logits: &[f32], x: &[f32], derivative: &mut [f32]) -> f32 {
        const LANES: usize = 16;
        let mut sums = [0.0f32; LANES];
        let (mut logits, mut x) = (logits.chunks_exact(LANES), x.chunks_exact(LANES));
        let mut derivatives = derivative.chunks_exact_mut(LANES);
        for ((logits, x), derivative) in (&mut logits).zip(&mut x).zip(&mut derivatives) {
            for lane in 0..LANES {
                let (value, slope) = bernoulli(logits[lane], x[lane]);
                sums[lane] += value;
                derivative[lane] = slope;
            }
        }
        let rest = logits.remainder().iter().zip(x.remainder());
        for (lane, ((logit, x), slope)) in rest.zip(derivatives.into_remainder()).enumerate() {
            let value;
            (value, *slope) = bernoulli(*logit, *x);
            sums[lane] += value;
        }
        sums.iter().sum()
    }
}

vectorised! {
    fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

/// Element-wise log-density and derivative.
pub(crate) fn bernoulli_log_prob(logits: &[f32], x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut out, mut derivative) = (unwritten(logits.len()), unwritten(logits.len()));
    out.par_chunks_mut(GRAIN)
        .zip(derivative.par_chunks_mut(GRAIN))
        .zip(logits.par_chunks(GRAIN).zip(x.par_chunks(GRAIN)))
        .for_each(|((out, derivative), (logits, x))| {
            bernoulli_entries(logits, x, out, derivative);
        });
    (out, derivative)
}

/// Log-density of each row, and the element-wise derivative.
pub(crate) fn bernoulli_log_likelihood(
    logits: &[f32],
    x: &[f32],
    rows: usize,
) -> (Vec<f32>, Vec<f32>) {
    let features = logits.len() / rows.max(1);
    let (mut out, mut derivative) = (vec![0.0; rows], unwritten(logits.len()));
    if features == 0 {
        return (out, derivative);
    }
    let per_task = (GRAIN / features).max(1);
    out.par_iter_mut()
        .with_min_len(per_task)
        .zip(derivative.par_chunks_mut(features))
        .zip(logits.par_chunks(features).zip(x.par_chunks(features)))
        .for_each(|((out, derivative), (logits, x))| *out = bernoulli_row(logits, x, derivative));
    (out, derivative)
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::flex::simd::{Level, cap};

    // The cap is the process's, so this is one test of all element-wise code in this module.
    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let logits: Vec<f32> = (0..999).map(|i| (i as f32 - 500.0) * 0.17).collect();
        let x: Vec<f32> = (0..999).map(|i| (i % 11) as f32 / 10.0).collect();
        let results = [Level::Baseline, Level::Avx2, Level::Avx512].map(|level| {
            cap(level);
            let (entries, derivative) = bernoulli_log_prob(&logits, &x);
            let (rows, _) = bernoulli_log_likelihood(&logits, &x, 3);
            let all = entries.into_iter().chain(derivative).chain(rows);
            all.map(f32::to_bits).collect::<Vec<_>>()
        });
        assert!(results[0] == results[1] && results[1] == results[2]);
    }
}
