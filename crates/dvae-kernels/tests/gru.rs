//! Fused recurrent units against the ordinary ones: values and gradients.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{ROUNDED, assert_close, assert_same_bits, assert_slope, leaf, like, read};
use dvae_kernels::{Direction, gru};
use proptest::prelude::*;

/// States, and the gradients of all operands.
fn run(
    [steps, rows, hidden]: [usize; 3],
    direction: Direction,
    seed: u64,
    dtype: DType,
) -> [Vec<f64>; 5] {
    let inputs = leaf([steps, rows, 3 * hidden], seed, dtype);
    let start = leaf([rows, hidden], seed + 1, dtype);
    let weight = leaf([hidden, 3 * hidden], seed + 2, dtype);
    let bias = leaf([hidden], seed + 3, dtype);
    let states = gru(inputs.clone(), start.clone(), weight.clone(), bias.clone(), direction);
    let toward = leaf(states.dims(), seed + 4, dtype).detach();
    let gradients = (states.clone() * toward).sum().backward();
    [
        read(states.inner()),
        read(inputs.grad(&gradients).unwrap()),
        read(start.grad(&gradients).unwrap()),
        read(weight.grad(&gradients).unwrap()),
        read(bias.grad(&gradients).unwrap()),
    ]
}

/// By `f32` and by `f64`, which takes the ordinary path.
fn check(sizes: [usize; 3], direction: Direction, seed: u64) -> Result<(), TestCaseError> {
    let (fused, exact) =
        (run(sizes, direction, seed, DType::F32), run(sizes, direction, seed, DType::F64));
    let names = ["states", "inputs", "start", "weight", "bias"];
    for (what, (fused, exact)) in names.into_iter().zip(fused.iter().zip(&exact)) {
        // Rounding grows from step to step, as the state does.
        let scale = |values: &[f64]| values.iter().map(|v| v / 20.0).collect::<Vec<_>>();
        let largest = exact.iter().fold(1.0f64, |max, x| max.max(x.abs()));
        let with = |mut values: Vec<f64>| {
            values.push(largest);
            values
        };
        assert_close(what, &with(scale(fused)), &with(scale(exact)))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sequence(
        sizes in [1usize..12, 1usize..80, 1usize..40], back in any::<bool>(), seed in any::<u32>(),
    ) {
        let direction = if back { Direction::Backward } else { Direction::Forward };
        check(sizes, direction, u64::from(seed) | ROUNDED)?;
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for direction in [Direction::Forward, Direction::Backward] {
        assert_slope("inputs", [3, 2, 12], 1, |x: Tensor<3>| {
            let (start, weight, bias) =
                (like([2, 4], 2, &x), like([4, 12], 3, &x), like([4], 4, &x));
            gru(x, start, weight, bias, direction)
        });
        assert_slope("start", [2, 4], 1, |start: Tensor<2>| {
            let (x, weight, bias) =
                (like([3, 2, 12], 2, &start), like([4, 12], 3, &start), like([4], 4, &start));
            gru(x, start, weight, bias, direction)
        });
        assert_slope("weight", [4, 12], 1, |weight: Tensor<2>| {
            let (x, start, bias) =
                (like([3, 2, 12], 2, &weight), like([2, 4], 3, &weight), like([4], 4, &weight));
            gru(x, start, weight, bias, direction)
        });
        assert_slope("bias", [4], 1, |bias: Tensor<1>| {
            let (x, start, weight) =
                (like([3, 2, 12], 2, &bias), like([2, 4], 3, &bias), like([4, 12], 4, &bias));
            gru(x, start, weight, bias, direction)
        });
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    assert_same_bits(|| run([7, 130, 48], Direction::Forward, ROUNDED, DType::F32).into());
}

#[test]
fn an_update_gate_of_one_keeps_the_state_to_the_bit() {
    let device = Device::flex();
    let start = Tensor::<2>::from_data([[0.123_456_79, -3.5e-7]], &device);
    let gates = Tensor::<3>::from_data([[[9.0, -9.0, 40.0, 60.0, 1e9, -5.0]]], &device);
    let weight = leaf([2, 6], 1, DType::F32).inner();
    let states = gru(gates, start.clone(), weight, Tensor::ones([2], &device), Direction::Forward);
    assert_eq!(read(states), read(start));
}
