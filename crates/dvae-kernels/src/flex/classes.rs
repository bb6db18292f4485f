//! Log-sum-exp over the classes of an entry, under flex and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use rayon::prelude::*;

use super::buffer::unwritten;
use super::ops::{contiguous, tensor, values};
use super::simd::vectorized;
use crate::math::{exp, ln};

/// The number of entries that are computed in parallel lanes.
const LANES: usize = 16;

/// A fused log-sum-exp with a gradient.
///
/// Callers check [`covers`](crate::covers) first: no other back end has it.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedClasses: Backend {
    /// `ln Σₖ eˣ` of `[rows, classes, entries]`, no axis empty: `[rows, 1, entries]`.
    fn fused_log_sum_exp(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedClasses for Flex {
    fn fused_log_sum_exp(x: FlexTensor) -> FlexTensor {
        Self::log_sum_exp(x).0
    }
}

/// The gradient functions of a back end: implemented for flex alone.
pub(crate) trait ClassGradients: Backend {
    /// The sums, and each class's share of its sum.
    fn log_sum_exp(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The shares times the factor of their sum.
    fn scale_shares(shares: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl ClassGradients for Flex {
    fn log_sum_exp(x: FlexTensor) -> (FlexTensor, FlexTensor) {
        let x = contiguous(x);
        let shape = x.shape();
        let (rows, classes, entries) = (shape[0], shape[1], shape[2]);
        let mut sums = unwritten(rows * entries);
        let mut shares = unwritten(rows * classes * entries);
        let width = classes * entries;
        let of_rows = values(&x).par_chunks(width).zip(shares.par_chunks_mut(width));
        of_rows
            .zip(sums.par_chunks_mut(entries))
            .for_each(|((x, shares), sums)| row(x, shares, sums));
        (tensor(sums, [rows, 1, entries]), tensor(shares, shape))
    }

    fn scale_shares(shares: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let (mut shares, factors) = (contiguous(shares), contiguous(factors));
        let shape = shares.shape();
        let (classes, entries) = (shape[1], shape[2]);
        shares
            .storage_mut::<f32>()
            .par_chunks_mut(classes * entries)
            .zip(values(&factors).par_chunks(entries))
            .for_each(|(shares, factors)| scale(shares, factors));
        shares
    }
}

vectorized! {
    /// The sums of one row, and the shares of its classes.
    fn row(x: &[f32], shares: &mut [f32], sums: &mut [f32]) {
        let entries = sums.len();
        for start in (0..entries).step_by(LANES) {
            let len = LANES.min(entries - start);
            let mut largest = [f32::NEG_INFINITY; LANES];
            for x in x.chunks(entries) {
                let x = load(&x[start..start + len]);
                for lane in 0..LANES {
                    largest[lane] = if x[lane] > largest[lane] { x[lane] } else { largest[lane] };
                }
            }
            let mut total = [0.0f32; LANES];
            for (x, shares) in x.chunks(entries).zip(shares.chunks_mut(entries)) {
                let mut e = load(&x[start..start + len]);
                for lane in 0..LANES {
                    e[lane] = exp(e[lane] - largest[lane]);
                    total[lane] += e[lane];
                }
                shares[start..start + len].copy_from_slice(&e[..len]);
            }
            let mut sum = [0.0f32; LANES];
            for lane in 0..LANES {
                sum[lane] = largest[lane] + ln(total[lane]);
                total[lane] = 1.0 / total[lane];
            }
            sums[start..start + len].copy_from_slice(&sum[..len]);
            for shares in shares.chunks_mut(entries) {
                for (share, factor) in shares[start..start + len].iter_mut().zip(&total) {
                    *share *= *factor;
                }
            }
        }
    }
}

#[inline(always)]
fn load(values: &[f32]) -> [f32; LANES] {
    match <[f32; LANES]>::try_from(values) {
        Ok(whole) => whole,
        Err(_) => {
            let mut lanes = [0.0; LANES];
            lanes[..values.len()].copy_from_slice(values);
            lanes
        }
    }
}

vectorized! {
    /// Every class of one row times the factors of its entries.
    fn scale(shares: &mut [f32], factors: &[f32]) {
        for shares in shares.chunks_mut(factors.len()) {
            for (share, factor) in shares.iter_mut().zip(factors) {
                *share *= *factor;
            }
        }
    }
}

#[derive(Debug)]
struct LogSumExp;

impl<B: ClassGradients> Backward<B, 1> for LogSumExp {
    /// The shares.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::scale_shares(ops.state, gradient));
        }
    }
}

impl<B: ClassGradients + FusedClasses, C: CheckpointStrategy> FusedClasses for Autodiff<B, C> {
    fn fused_log_sum_exp(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = FloatTensor::<Self>::into_parts(x);
        let (sums, shares) = B::log_sum_exp(x);
        match LogSumExp.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(shares, sums),
            OpsKind::UnTracked(prepared) => prepared.finish(sums),
        }
    }
}
