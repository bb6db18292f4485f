//! Operands, and comparisons with double precision. The same function with `f64` tensors takes the ordinary path, so it
//! is its own reference.

#![allow(dead_code)] // Each test uses a part.

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

/// Of the largest entry of the reference.
pub(crate) const TOLERANCE: f64 = 1e-6;

/// A seed with this bit gives values whose sums are rounded.
pub(crate) const ROUNDED: u64 = 1 << 40;

/// Values in `[-1, 1)` that look random, the same for the same seed: multiples of 2⁻⁶, so that sums of
/// products are exact and no activation is decided by rounding; or of 2⁻²³, if the seed is `ROUNDED`.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let bits = if seed & ROUNDED == 0 { 7 } else { 24 };
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> (64 - bits)) as f32 / (1u64 << (bits - 1)) as f32 - 1.0
        })
        .collect()
}

pub(crate) fn leaf<const D: usize>(shape: [usize; D], seed: u64, dtype: DType) -> Tensor<D> {
    let data = TensorData::new(values(shape.iter().product(), seed), shape);
    let device = Device::flex().autodiff();
    Tensor::<D>::from_data(data, &device).cast(dtype).detach().require_grad()
}

pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub(crate) fn assert_close(what: &str, got: &[f64], expected: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(1e-30f64, |max, x| max.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let gap = (got - expected).abs() / largest;
        prop_assert!(gap <= TOLERANCE, "{what}, entry {i}: {got}, not {expected}");
    }
    Ok(())
}

/// Central differences of `loss` in some entries of an operand.
fn differences(operand: &[f64], loss: impl Fn(Vec<f64>) -> f64) -> Vec<(usize, f64)> {
    let step = 1e-5;
    let some = (0..operand.len()).step_by(operand.len().div_ceil(12));
    some.map(|i| {
        let moved = |by: f64| {
            let mut operand = operand.to_vec();
            operand[i] += by;
            loss(operand)
        };
        (i, (moved(step) - moved(-step)) / (2.0 * step))
    })
    .collect()
}

/// Asserts that the fused gradient of an operand is that of differences in double precision.
pub(crate) fn assert_slope<const D: usize, const O: usize>(
    what: &str,
    shape: [usize; D],
    seed: u64,
    function: impl Fn(Tensor<D>) -> Tensor<O>,
) {
    let loss = |operand: Tensor<D>| {
        let out = function(operand);
        let direction = leaf(out.dims(), seed + 100, DType::F32).inner().cast(out.dtype());
        (out * direction).sum()
    };
    let operand = leaf(shape, seed, DType::F32);
    let gradient = read(operand.grad(&loss(operand.clone()).backward()).unwrap());
    let exact = differences(&read(operand.inner()), |values| {
        let device = Device::flex().autodiff();
        let operand = Tensor::<D>::from_data(TensorData::new(values, shape), (&device, DType::F64));
        loss(operand).into_scalar::<f64>()
    });
    let largest = exact.iter().fold(0.0f64, |max, (_, slope)| max.max(slope.abs()));
    for (i, slope) in exact {
        assert!(
            (gradient[i] - slope).abs() <= 1e-5 * largest,
            "{what} {i}: {}, not {slope}",
            gradient[i]
        );
    }
}

/// A constant, cast to the type of another operand.
pub(crate) fn like<const D: usize, const E: usize>(
    shape: [usize; D],
    seed: u64,
    of: &Tensor<E>,
) -> Tensor<D> {
    leaf(shape, seed, DType::F32).inner().cast(of.dtype())
}

/// Asserts that `run` gives the same bits on any number of threads.
pub(crate) fn assert_same_bits(run: impl Fn() -> Vec<Vec<f64>> + Sync) {
    let bits = || -> Vec<Vec<u64>> {
        run().into_iter().map(|all| all.into_iter().map(f64::to_bits).collect()).collect()
    };
    let expected = bits();
    for threads in [1, 2, 3, 7, 16] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(bits) == expected, "{threads} threads");
    }
}
