//! Fused convolutions of maps against the ordinary ones: values and gradients.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{ROUNDED, assert_same_bits, assert_slope, leaf, like, read};
use dvae_kernels::{Activation, MapConv, Resize};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    sides: [usize; 2],
    kernel: usize,
    conv: MapConv,
    /// Whether something is added.
    add: bool,
}

/// Output, and gradients of `x`, weight and bias. What is added is made of the bias, so that its gradient is in that.
fn run(case: Case, seed: u64, dtype: DType) -> [Vec<f64>; 4] {
    let Case { rows, inputs, outputs, sides: [height, width], kernel, conv, add } = case;
    let x = leaf([rows, inputs, height, width], seed, dtype);
    let weight = leaf([outputs, inputs, kernel, kernel], seed + 1, dtype);
    let bias = leaf([outputs], seed + 2, dtype);
    let [height, width] = conv.resize.sides([height, width]);
    let add = add.then(|| {
        let shape = [rows, outputs, height, width];
        let like = leaf(shape, seed + 3, dtype).detach();
        like * bias.clone().reshape([1, outputs, 1, 1]).expand(shape)
    });
    let y = conv.forward(x.clone(), weight.clone(), bias.clone(), add);
    let direction = leaf(y.dims(), seed + 4, dtype).detach();
    let gradients = (y.clone() * direction).sum().backward();
    [
        read(y.inner()),
        read(x.grad(&gradients).unwrap()),
        read(weight.grad(&gradients).unwrap()),
        read(bias.grad(&gradients).unwrap()),
    ]
}

/// By `f32` and by `f64`, which takes the ordinary path: to 1e-6 of the largest entry, or of the square root of the
/// number of terms where they cancel, since `f32` rounds each. For SiLU, whose values are rounded before they are summed,
/// to ten times as much.
fn check(case: Case, seed: u64) -> Result<(), TestCaseError> {
    let (fused, exact) = (run(case, seed, DType::F32), run(case, seed, DType::F64));
    let tolerance = if case.conv.activation == Activation::Silu { 1e-5 } else { 1e-6 };
    let window = case.kernel * case.kernel;
    let positions = case.rows * case.conv.resize.sides(case.sides).iter().product::<usize>();
    let terms = [window * case.inputs, window * case.outputs, positions, positions];
    for (i, what) in ["output", "input", "weight", "bias"].into_iter().enumerate() {
        let size = exact[i].iter().fold((terms[i] as f64).sqrt(), |max, x| max.max(x.abs()));
        prop_assert_eq!(fused[i].len(), exact[i].len());
        for (fused, exact) in fused[i].iter().zip(&exact[i]) {
            prop_assert!((fused - exact).abs() < tolerance * size, "{what}: {fused}, not {exact}");
        }
    }
    Ok(())
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu), Just(Activation::Silu)]
}

fn resize(kind: usize, sides: [usize; 2], odd: [usize; 2]) -> Resize {
    let [height, width] = [0, 1].map(|i| 2 * sides[i] - odd[i]);
    [Resize::Keep, Resize::Halve, Resize::Double { height, width }][kind]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_map(
        (rows, inputs, outputs) in (1usize..40, 1usize..12, 1usize..20),
        sides in [1usize..20, 1usize..20], odd in [0usize..2, 0usize..2], kind in 0usize..3,
        wide in any::<bool>(), activation in activations(), add in any::<bool>(), seed in any::<u32>(),
    ) {
        let kernel = if wide || kind == 1 { 3 } else { 1 };
        let conv = MapConv { activation, resize: resize(kind, sides, odd) };
        check(Case { rows, inputs, outputs, sides, kernel, conv, add }, seed.into())?;
        check(Case { rows, inputs, outputs, sides, kernel, conv, add }, u64::from(seed) | ROUNDED)?;
    }
}

/// Images that are cut into several strips, also wider than a strip is meant to be.
#[test]
fn large_maps() {
    for (sides, kind, odd) in [
        ([101, 97], 0, [0, 0]),
        ([3, 7000], 0, [0, 0]),
        ([7000, 1], 0, [0, 0]),
        ([151, 173], 1, [0, 0]),
        ([60, 71], 2, [1, 0]),
        ([61, 70], 2, [0, 1]),
    ] {
        for kernel in if kind == 1 { vec![3] } else { vec![1, 3] } {
            let conv = MapConv { activation: Activation::Relu, resize: resize(kind, sides, odd) };
            let case = Case { rows: 2, inputs: 3, outputs: 5, sides, kernel, conv, add: true };
            check(case, 7).unwrap();
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (kind, odd) in [(0, [0, 0]), (1, [0, 0]), (2, [1, 0])] {
        let conv = MapConv { activation: Activation::Silu, resize: resize(kind, [5, 4], odd) };
        let (x, w) = ([3, 2, 5, 4], [4, 2, 3, 3]);
        let [height, width] = conv.resize.sides([5, 4]);
        let add = [3, 4, height, width];
        assert_slope("x", x, 1, |x| {
            conv.forward(x.clone(), like(w, 2, &x), like([4], 3, &x), None)
        });
        assert_slope("weight", w, 1, |w| {
            conv.forward(like(x, 2, &w), w.clone(), like([4], 3, &w), None)
        });
        assert_slope("bias", [4], 1, |b| {
            conv.forward(like(x, 2, &b), like(w, 3, &b), b.clone(), None)
        });
        assert_slope("add", add, 1, |add| {
            let (x, w, b) = (like(x, 2, &add), like(w, 3, &add), like([4], 4, &add));
            conv.forward(x, w, b, Some(add))
        });
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    for (sides, rows) in [([28, 28], 70), ([7, 9], 70), ([200, 180], 1)] {
        for kind in 0..3 {
            let conv =
                MapConv { activation: Activation::Silu, resize: resize(kind, sides, [1, 0]) };
            let case = Case { rows, inputs: 5, outputs: 9, sides, kernel: 3, conv, add: true };
            assert_same_bits(|| run(case, ROUNDED, DType::F32).to_vec());
        }
    }
}

#[test]
#[should_panic(expected = "what is added")]
fn what_is_added_must_have_the_shape_of_the_output() {
    let device = Device::flex();
    let conv = MapConv { activation: Activation::Identity, resize: Resize::Halve };
    let (x, w) = (Tensor::ones([1, 2, 5, 5], &device), Tensor::ones([3, 2, 3, 3], &device));
    conv.forward(x.clone(), w, Tensor::zeros([3], &device), Some(x));
}

#[test]
#[should_panic(expected = "Double")]
fn doubled_sides_are_twice_those_before_or_one_less() {
    let device = Device::flex();
    let conv = MapConv {
        activation: Activation::Identity,
        resize: Resize::Double { height: 8, width: 9 },
    };
    let (x, w) = (Tensor::ones([1, 2, 5, 5], &device), Tensor::ones([3, 2, 3, 3], &device));
    conv.forward(x, w, Tensor::zeros([3], &device), None);
}
