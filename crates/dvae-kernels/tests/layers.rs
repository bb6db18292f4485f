//! Fused layers against the ordinary ones: values and gradients.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{ROUNDED, TOLERANCE, assert_close, assert_same_bits, assert_slope, leaf, like, read};
use dvae_kernels::Activation;
use proptest::prelude::*;

/// Output and gradients of three operands of a layer.
fn run_layer<const X: usize, const W: usize, const O: usize>(
    (x, weight, bias): ([usize; X], [usize; W], usize),
    seed: u64,
    dtype: DType,
    absolute: bool,
    layer: impl Fn(Tensor<X>, Tensor<W>, Tensor<1>) -> Tensor<O>,
) -> [Vec<f64>; 4] {
    fn leaf_of<const D: usize>(
        shape: [usize; D],
        seed: u64,
        dtype: DType,
        absolute: bool,
    ) -> Tensor<D> {
        let leaf = leaf(shape, seed, dtype);
        if absolute { leaf.abs().detach().require_grad() } else { leaf }
    }
    let x = leaf_of(x, seed, dtype, absolute);
    let weight = leaf_of(weight, seed + 1, dtype, absolute);
    let bias = leaf_of([bias], seed + 2, dtype, absolute);
    let out = layer(x.clone(), weight.clone(), bias.clone());
    // A gradient that is another number for every entry.
    let direction = leaf_of(out.dims(), seed + 3, dtype, absolute).detach();
    let gradients = (out.clone() * direction).sum().backward();
    [
        read(out.inner()),
        read(x.grad(&gradients).unwrap()),
        read(weight.grad(&gradients).unwrap()),
        read(bias.grad(&gradients).unwrap()),
    ]
}

const PARTS: [&str; 4] = ["output", "input", "weight", "bias"];

/// Output and gradients by `f32` and by `f64`: where sums are exact, to 1e-6 of the largest entry.
fn check<const X: usize, const W: usize, const O: usize>(
    shapes: ([usize; X], [usize; W], usize),
    seed: u64,
    layer: impl Fn(Tensor<X>, Tensor<W>, Tensor<1>) -> Tensor<O>,
) -> Result<(), TestCaseError> {
    let fused = run_layer(shapes, seed, DType::F32, false, &layer);
    let exact = run_layer(shapes, seed, DType::F64, false, &layer);
    for (i, what) in PARTS.into_iter().enumerate() {
        assert_close(what, &fused[i], &exact[i])?;
    }
    Ok(())
}

/// The same where sums are rounded: to 1e-6 of the sum of the terms' sizes, which the layer computes of
/// absolute values.
fn check_rounded<const X: usize, const W: usize, const O: usize>(
    shapes: ([usize; X], [usize; W], usize),
    seed: u64,
    layer: impl Fn(Tensor<X>, Tensor<W>, Tensor<1>) -> Tensor<O>,
) -> Result<(), TestCaseError> {
    let seed = seed | ROUNDED;
    let fused = run_layer(shapes, seed, DType::F32, false, &layer);
    let exact = run_layer(shapes, seed, DType::F64, false, &layer);
    let sizes = run_layer(shapes, seed, DType::F64, true, &layer);
    for (part, what) in PARTS.into_iter().enumerate() {
        for (i, fused) in fused[part].iter().enumerate() {
            let (exact, size) = (exact[part][i], sizes[part][i]);
            let gap = (fused - exact).abs();
            prop_assert!(gap <= TOLERANCE * size, "{what}, entry {i}: {fused}, not {exact}");
        }
    }
    Ok(())
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn linear(
        (rows, inputs, outputs) in (1usize..70, 1usize..90, 1usize..90),
        act in activations(), seed in any::<u32>(),
    ) {
        let shapes = ([rows, inputs], [inputs, outputs], outputs);
        check(shapes, seed.into(), |x, w, b| dvae_kernels::linear(x, w, b, act))?;
        let act = Activation::Identity;
        check_rounded(shapes, seed.into(), |x, w, b| dvae_kernels::linear(x, w, b, act))?;
    }

    #[test]
    fn convolution(
        (rows, channels, outputs) in (1usize..40, 1usize..12, 1usize..40),
        kernel in [1usize..5, 1usize..5], stride in [1usize..4, 1usize..4],
        padding in [0usize..3, 0usize..3], end in [0usize..2, 0usize..2],
        dilation in [1usize..3, 1usize..3], extra in [0usize..9, 0usize..9],
        act in activations(), seed in any::<u32>(),
    ) {
        // At least as large as one reach of the kernel.
        let side = |i: usize| {
            let reach = dilation[i] * (kernel[i] - 1) + 1;
            reach.saturating_sub(2 * padding[i] + end[i]).max(1) + extra[i]
        };
        let pairs = [0, 1].map(|i| (padding[i], padding[i] + end[i]));
        let options = ConvOptions { stride, padding: pairs, dilation, groups: 1 };
        let x = [rows, channels, side(0), side(1)];
        let weight = [outputs, channels, kernel[0], kernel[1]];
        check((x, weight, outputs), seed.into(), |x, w, b| {
            dvae_kernels::conv2d(x, w, b, options.clone(), act)
        })?;
        check_rounded((x, weight, outputs), seed.into(), |x, w, b| {
            dvae_kernels::conv2d(x, w, b, options.clone(), Activation::Identity)
        })?;
    }

    #[test]
    fn transposed_convolution(
        (rows, channels, outputs) in (1usize..40, 1usize..12, 1usize..40),
        kernel in [1usize..5, 1usize..5], stride in [1usize..4, 1usize..4],
        padding in [0usize..3, 0usize..3], out in [0usize..2, 0usize..2],
        dilation in [1usize..3, 1usize..3], size in [1usize..8, 1usize..8],
        act in activations(), seed in any::<u32>(),
    ) {
        // Padding takes away no more than there is, and the surplus is less than the stride.
        let padding = [0, 1].map(|i| {
            let full = (size[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1);
            padding[i].min(full / 2)
        });
        let out = [0, 1].map(|i| out[i].min(stride[i].max(dilation[i]) - 1));
        let options = ConvTransposeOptions::new(stride, padding, out, dilation, 1);
        let x = [rows, channels, size[0], size[1]];
        let weight = [channels, outputs, kernel[0], kernel[1]];
        check((x, weight, outputs), seed.into(), |x, w, b| {
            dvae_kernels::conv_transpose2d(x, w, b, options.clone(), act)
        })?;
        check_rounded((x, weight, outputs), seed.into(), |x, w, b| {
            dvae_kernels::conv_transpose2d(x, w, b, options.clone(), Activation::Identity)
        })?;
    }
}

// The other operands are constants, cast to the type of the one that is moved.
#[test]
fn gradients_are_those_of_finite_differences() {
    let act = Activation::Identity;
    let options = || ConvOptions::new([2, 1], [1, 2], [1, 2], 1);
    let reverse = || ConvTransposeOptions::new([2, 3], [1, 0], [1, 0], [1, 1], 1);
    let (x, w, t) = ([5, 2, 7, 6], [3, 2, 3, 2], [2, 3, 3, 2]);
    assert_slope("linear, x", [4, 5], 1, |x| {
        let (w, b) = (like([5, 3], 2, &x), like([3], 3, &x));
        dvae_kernels::linear(x, w, b, act)
    });
    assert_slope("linear, weight", [5, 3], 1, |w| {
        let (x, b) = (like([4, 5], 2, &w), like([3], 3, &w));
        dvae_kernels::linear(x, w, b, act)
    });
    assert_slope("linear, bias", [3], 1, |b| {
        let (x, w) = (like([4, 5], 2, &b), like([5, 3], 3, &b));
        dvae_kernels::linear(x, w, b, act)
    });
    assert_slope("conv, bias", [3], 1, |b| {
        let (x, w) = (like(x, 2, &b), like(w, 3, &b));
        dvae_kernels::conv2d(x, w, b, options(), act)
    });
    assert_slope("transposed, bias", [3], 1, |b| {
        let (x, w) = (like(x, 2, &b), like(t, 3, &b));
        dvae_kernels::conv_transpose2d(x, w, b, reverse(), act)
    });
    assert_slope("conv, x", x, 1, |x| {
        let (w, b) = (like(w, 2, &x), like([3], 3, &x));
        dvae_kernels::conv2d(x, w, b, options(), act)
    });
    assert_slope("conv, weight", w, 1, |w| {
        let (x, b) = (like(x, 2, &w), like([3], 3, &w));
        dvae_kernels::conv2d(x, w, b, options(), act)
    });
    assert_slope("transposed, x", x, 1, |x| {
        let (w, b) = (like(t, 2, &x), like([3], 3, &x));
        dvae_kernels::conv_transpose2d(x, w, b, reverse(), act)
    });
    assert_slope("transposed, weight", t, 1, |w| {
        let (x, b) = (like(x, 2, &w), like([3], 3, &w));
        dvae_kernels::conv_transpose2d(x, w, b, reverse(), act)
    });
}

#[test]
fn groups_take_the_ordinary_path_with_the_same_result() {
    let options =
        ConvOptions { stride: [1, 1], padding: [(1, 1), (1, 1)], dilation: [1, 1], groups: 2 };
    check(([3, 4, 5, 6], [6, 2, 3, 3], 6), 1, |x, w, b| {
        dvae_kernels::conv2d(x, w, b, options.clone(), Activation::Relu)
    })
    .unwrap();
}

// A bias or a weight of another size is a bug in the caller, fused or not.
#[test]
fn shapes_that_do_not_fit_panic_fused_or_not() {
    let zeros = |n: usize| Tensor::<1>::zeros([n], &Device::flex());
    let x = |n: usize| Tensor::<4>::ones([2, n, 5, 5], &Device::flex());
    let weight = || Tensor::<4>::ones([3, 4, 2, 2], &Device::flex());
    let conv = |channels: usize, bias: usize| {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        dvae_kernels::conv2d(x(channels), weight(), zeros(bias), options, Activation::Relu)
    };
    let transposed = |channels: usize, bias: usize| {
        let options = ConvTransposeOptions::new([1, 1], [0, 0], [0, 0], [1, 1], 1);
        dvae_kernels::conv_transpose2d(
            x(channels),
            weight(),
            zeros(bias),
            options,
            Activation::Relu,
        )
    };
    let linear = |inputs: usize, outputs: usize, bias: usize| {
        let x = Tensor::<2>::ones([2, 4], &Device::flex());
        let weight = Tensor::<2>::ones([inputs, outputs], &Device::flex());
        dvae_kernels::linear(x, weight, zeros(bias), Activation::Relu)
    };
    assert_eq!(conv(4, 3).dims(), [2, 3, 4, 4]);
    assert_eq!(transposed(3, 4).dims(), [2, 4, 6, 6]);
    assert_eq!(linear(4, 3, 3).dims(), [2, 3]);
    let panics =
        |call: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err();
    assert!(panics(&|| _ = conv(4, 2)) && panics(&|| _ = conv(5, 3)));
    assert!(panics(&|| _ = transposed(3, 3)) && panics(&|| _ = transposed(4, 4)));
    assert!(panics(&|| _ = linear(4, 3, 2)) && panics(&|| _ = linear(5, 3, 3)));
}

// Operands that are not contiguous, and ones on the plain device beside tracked ones.
#[test]
fn views_and_constants_are_operands_like_any_other() {
    check(([7, 5], [9, 5], 9), 3, |x, w, b| {
        dvae_kernels::linear(x, w.transpose(), b, Activation::Relu)
    })
    .unwrap();
    let weight = leaf([2, 1, 3, 3], 1, DType::F32);
    let bias = leaf([2], 2, DType::F32);
    let x = leaf([4, 1, 6, 6], 3, DType::F32).inner();
    let options = || ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    let out = dvae_kernels::conv2d(x, weight.clone(), bias, options(), Activation::Relu);
    assert!(weight.grad(&out.sum().backward()).is_some());
}

#[test]
fn nan_reaches_what_it_meets_and_nothing_else() {
    let nan = leaf([1, 2], 1, DType::F32) * f32::NAN;
    let out = dvae_kernels::linear(
        nan,
        leaf([2, 3], 2, DType::F32),
        leaf([3], 3, DType::F32),
        Activation::Relu,
    );
    assert!(read(out.inner()).iter().all(|v| v.is_nan()));
    // One pixel reaches the features that meet it and no other.
    let mut pixels = vec![1.0f32; 4 * 36];
    pixels[0] = f32::NAN;
    let x = Tensor::<4>::from_data(TensorData::new(pixels, [4, 1, 6, 6]), &Device::flex());
    let (weight, bias) =
        (Tensor::ones([2, 1, 3, 3], &Device::flex()), Tensor::zeros([2], &Device::flex()));
    let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    let out = read(dvae_kernels::conv2d(x, weight, bias, options, Activation::Relu));
    let nans: Vec<usize> = (0..out.len()).filter(|i| out[*i].is_nan()).collect();
    assert_eq!(nans, [0, 9]);
}

/// A layer's output and gradients, of sums that are rounded or not.
fn results<const X: usize, const W: usize, const O: usize>(
    (x, weight, bias): ([usize; X], [usize; W], usize),
    layer: impl Fn(Tensor<X>, Tensor<W>, Tensor<1>) -> Tensor<O>,
) -> Vec<Vec<f64>> {
    let (x, weight) = (leaf(x, 1, DType::F32), leaf(weight, 3, DType::F32));
    let bias = leaf([bias], 5, DType::F32);
    let out = layer(x.clone(), weight.clone(), bias.clone());
    let gradients = (out.clone() * leaf(out.dims(), 7, DType::F32).inner()).sum().backward();
    let gradient = [x.grad(&gradients).map(read), weight.grad(&gradients).map(read)];
    let all =
        [Some(read(out.inner())), bias.grad(&gradients).map(read)].into_iter().chain(gradient);
    all.map(Option::unwrap).collect()
}

// Sums that are rounded, in shapes that a product's kernels treat differently: few entries in a panel,
// one column, depths beyond what is cached.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_bits(|| {
        let act = Activation::Relu;
        let mut all = Vec::new();
        let sizes =
            [(128, 16, 3136), (512, 400, 2), (3, 400, 784), (1024, 784, 1), (128, 1100, 70)];
        for (rows, inputs, outputs) in sizes {
            let shapes = ([rows, inputs], [inputs, outputs], outputs);
            all.extend(results(shapes, |x, w, b| dvae_kernels::linear(x, w, b, act)));
        }
        let options = || ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
        all.extend(results(([150, 3, 13, 15], [18, 3, 3, 3], 18), |x, w, b| {
            dvae_kernels::conv2d(x, w, b, options(), act)
        }));
        let options = || ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
        all.extend(results(([150, 18, 7, 8], [18, 3, 4, 4], 3), |x, w, b| {
            dvae_kernels::conv_transpose2d(x, w, b, options(), act)
        }));
        all
    });
}

// Literal options are not checked by Burn's constructors.
#[test]
fn a_stride_of_0_is_not_computed_from_memory_that_nothing_wrote() {
    let options = ConvTransposeOptions {
        stride: [1, 0],
        padding: [0, 0],
        padding_out: [0, 0],
        dilation: [1, 1],
        groups: 1,
    };
    let ones = |shape| Tensor::<4>::ones(shape, &Device::flex());
    let (x, weight, bias) =
        (ones([4, 1, 1, 1]), ones([1, 1, 1, 2]), Tensor::zeros([1], &Device::flex()));
    let call = || {
        let out = dvae_kernels::conv_transpose2d(x, weight, bias, options, Activation::Identity);
        read(out)
    };
    if let Ok(out) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        assert!(out.iter().all(|value| [0.0, 1.0, 2.0].contains(value)), "{out:?}");
    }
}
