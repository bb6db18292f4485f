//! Every fused operation against the ordinary ones in double precision: values and gradients.
//!
//! The same function with `f64` tensors takes the ordinary path, so it is its own reference.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::optim::{AdamConfig, AdamWConfig, Optimizer};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, Device, Tensor, TensorData};
use dvae_kernels::{
    Activation, Adam, AdamW, Formula, GlobalNormClip, LogSoftmax, Mixture, Parameters, Scalar, math,
};
use proptest::prelude::*;

/// Of the largest entry of the reference.
const TOLERANCE: f64 = 1e-6;

/// A seed with this bit gives values whose sums are rounded.
const ROUNDED: u64 = 1 << 40;

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

/// `log σ(l) − (1 − x) l`, with derivatives of its own.
#[derive(Clone, Copy, Debug)]
struct Logit;

impl Formula<1, 1> for Logit {
    #[inline(always)]
    fn at<S: Scalar>(&self, [logit]: [S; 1], [x]: [S::Constant; 1]) -> S {
        logit.clone().log_sigmoid() - logit * (-x + 1.0)
    }

    #[inline(always)]
    fn with_slopes(&self, [logit]: [f32; 1], [x]: [f32; 1]) -> (f32, [f32; 1]) {
        let value = (logit.min(0.0) - (1.0 - x) * logit) - math::softplus(-logit.abs());
        (if logit.is_nan() { logit } else { value }, [x - math::sigmoid(logit)])
    }
}

/// A normal density with a fixed scale.
#[derive(Clone, Copy, Debug)]
struct Fixed(f64);

impl Formula<1, 1> for Fixed {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean]: [S; 1], [x]: [S::Constant; 1]) -> S {
        ((mean - x) / self.0).square() * -0.5 - self.0.ln()
    }
}

/// A normal density with a scale for each entry.
#[derive(Clone, Copy, Debug)]
struct Scaled;

impl Formula<2, 1> for Scaled {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean, raw]: [S; 2], [x]: [S::Constant; 1]) -> S {
        let scale = raw.square() + 0.5;
        ((mean - x) / scale.clone()).square() * -0.5 - scale.log()
    }
}

/// The same with the scale as a constant.
#[derive(Clone, Copy, Debug)]
struct Given;

impl Formula<1, 2> for Given {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean]: [S; 1], [x, scale]: [S::Constant; 2]) -> S {
        ((mean - x) * scale.clone().recip()).square() * -0.5 - scale.log()
    }
}

fn leaf<const D: usize>(shape: [usize; D], seed: u64, dtype: DType) -> Tensor<D> {
    let data = TensorData::new(values(shape.iter().product(), seed), shape);
    let device = Device::flex().autodiff();
    Tensor::<D>::from_data(data, &device).cast(dtype).detach().require_grad()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn assert_close(what: &str, got: &[f64], expected: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(1e-30f64, |max, x| max.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let gap = (got - expected).abs() / largest;
        prop_assert!(gap <= TOLERANCE, "{what}, entry {i}: {got}, not {expected}");
    }
    Ok(())
}

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

    #[test]
    fn formulas(
        (rows, features) in (1usize..40, 1usize..200), scale in 0.1f32..30.0,
        law in 0usize..5, weighted in any::<bool>(), seed in any::<u32>(),
    ) {
        let shape = [rows, features];
        let results = [DType::F32, DType::F64].map(|dtype| {
            let constant = |n| leaf(shape, u64::from(seed) + n, dtype).inner();
            let (x, weights) = (constant(1).abs(), weighted.then(|| constant(2)));
            // One graph for each way to sum.
            let graphs = [false, true].map(|by_row| {
                let (first, second) = (leaf(shape, seed.into(), dtype), leaf(shape, u64::from(seed) + 3, dtype));
                let parameter = first.clone() * scale;
                fn run<F: Formula<P, C>, const P: usize, const C: usize>(
                    formula: F, by_row: bool, parameters: Parameters<2, P>, constants: [Tensor<2>; C],
                    weights: Option<Tensor<2>>,
                ) -> Tensor<2> {
                    if by_row {
                        let rows = parameters.shape()[0];
                        formula.rows(&parameters, constants, weights).reshape([rows, 1])
                    } else {
                        formula.each(&parameters, constants)
                    }
                }
                let (x, weights) = (x.clone(), weights.clone());
                let out = match law {
                    0 => run(Logit, by_row, Parameters::Apart([parameter]), [x], weights),
                    1 => run(Fixed(scale.into()), by_row, Parameters::Apart([parameter]), [x], weights),
                    2 => run(Scaled, by_row, Parameters::Apart([parameter, second.clone()]), [x], weights),
                    3 => {
                        let both = Tensor::cat(vec![parameter, second.clone()], 1);
                        run(Scaled, by_row, Parameters::Beside(both), [x], weights)
                    }
                    _ => {
                        let given = constant(5).abs() + 0.5;
                        run(Given, by_row, Parameters::Beside(parameter), [x, given], weights)
                    }
                };
                let direction = leaf(out.dims(), u64::from(seed) + 4, dtype).inner();
                let gradients = (out.clone() * direction).sum().backward();
                let slope = |of: &Tensor<2>| of.grad(&gradients).map(read).unwrap_or_default();
                [read(out.inner()), slope(&first), slope(&second)]
            });
            graphs.concat()
        });
        let names = ["entries", "first", "second", "rows", "first by row", "second by row"];
        for (i, what) in names.into_iter().enumerate().filter(|(i, _)| *i != 3) {
            assert_close(what, &results[0][i], &results[1][i])?;
        }
        // A row's entries may cancel, and an entry its own normalizer, about 1: to 1e-6 of their sizes.
        let sizes = results[1][0].chunks(features).map(|row| row.iter().map(|x| x.abs() + 1.0));
        for ((fused, exact), size) in results[0][3].iter().zip(&results[1][3]).zip(sizes) {
            let size: f64 = size.sum();
            prop_assert!((fused - exact).abs() <= TOLERANCE * size, "{fused}, not {exact}");
        }
    }

    // Sums over components and classes, on axis 1 of rows with another axis behind it.
    #[test]
    fn mixtures_and_classes(
        (rows, columns, width) in (1usize..6, 1usize..4, 1usize..40), k in 1usize..6,
        mixture in any::<bool>(), weighted in any::<bool>(), seed in any::<u32>(),
    ) {
        let shape = [rows, columns, width];
        let results = [DType::F32, DType::F64].map(|dtype| {
            let constant = |n| leaf(shape, u64::from(seed) + n, dtype).inner();
            let (x, weights) = (constant(1).abs(), weighted.then(|| constant(2)));
            let parameters = if mixture { 3 * k } else { k };
            let graphs = [false, true].map(|by_row| {
                let outputs = leaf([rows, parameters * columns, width], seed.into(), dtype);
                let out: Tensor<1> = if mixture {
                    let of = Mixture { component: Scaled, components: k };
                    match by_row {
                        true => of.rows(&outputs, x.clone(), weights.clone()),
                        false => of.each(&outputs, x.clone()).reshape([-1]),
                    }
                } else {
                    let (of, class) = (LogSoftmax { classes: k }, (x.clone() * k as f64).floor());
                    match by_row {
                        true => of.rows(&outputs, class, weights.clone()),
                        false => of.each(&outputs, class).reshape([-1]),
                    }
                };
                let direction = leaf(out.dims(), u64::from(seed) + 4, dtype).inner();
                let gradients = (out.clone() * direction).sum().backward();
                [read(out.inner()), read(outputs.grad(&gradients).unwrap())]
            });
            graphs.concat()
        });
        for (fused, exact) in results[0].iter().flatten().zip(results[1].iter().flatten()) {
            // A row has up to 120 entries of about 1.
            prop_assert!((fused - exact).abs() <= 1e-5 * exact.abs().max(1.0), "{fused}, not {exact}");
        }
    }

    #[test]
    fn latents(
        shape in [1usize..40, 16usize..70], spread in 0.1f32..8.0, seed in any::<u32>(),
    ) {
        let results = [DType::F32, DType::F64].map(|dtype| {
            let leaf = |n| leaf(shape, u64::from(seed) + n, dtype);
            let noise = leaf(2).inner();
            let run = |function: &dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
                let (mean, spreads) = (leaf(0), leaf(1));
                let out = function(mean.clone(), spreads.clone() * spread);
                let gradients = (out.clone() * leaf(3).inner()).sum().backward();
                [out.inner(), mean.grad(&gradients).unwrap(), spreads.grad(&gradients).unwrap()]
                    .map(read)
            };
            let latent = run(&|mean, log_variance| {
                dvae_kernels::reparameterize(mean, log_variance, noise.clone())
            });
            [latent, run(&dvae_kernels::kl_to_standard_normal)].concat()
        });
        let names = ["latent", "its mean", "its variance", "KL", "KL in mean", "KL in variance"];
        for (i, what) in names.into_iter().enumerate() {
            assert_close(what, &results[0][i], &results[1][i])?;
        }
    }

    #[test]
    fn adam_and_adamw(
        len in 16usize..3000, steps in 1usize..6, rate in 1e-4f64..0.1, decay in 0.0f32..0.25,
        decoupled in any::<bool>(), seed in any::<u32>(),
    ) {
        let plain = |seed| leaf::<1>([len], seed, DType::F32).inner();
        let mut parameter = plain(u64::from(seed));
        let mut exact = [read(parameter.clone()), vec![0.0; len], vec![0.0; len]];
        let decays = if decoupled { [0.0, f64::from(decay)] } else { [f64::from(decay), 0.0] };
        let (mut coupled_state, mut decoupled_state) = (None, None);
        for step in 0..steps {
            // Not near 0 with the penalty: Adam divides a gradient by its own size, rounding included.
            let gradient = plain(u64::from(seed) + 1 + step as u64).abs() + 0.5;
            exact_adam(&mut exact, &read(gradient.clone()), rate, decays, step as i32 + 1);
            if decoupled {
                let adam = AdamW { weight_decay: decay, ..AdamW::default() };
                (parameter, decoupled_state) = adam.step(rate, parameter, gradient, decoupled_state);
            } else {
                let adam = Adam { weight_decay: decay, ..Adam::default() };
                (parameter, coupled_state) = adam.step(rate, parameter, gradient, coupled_state);
            }
        }
        let momentum = coupled_state.map(|s| s.momentum).or(decoupled_state.map(|s| s.momentum));
        let momentum = momentum.unwrap();
        prop_assert_eq!(momentum.time, steps);
        assert_close("parameter", &read(parameter), &exact[0])?;
        assert_close("first moment", &read(momentum.moment_1), &exact[1])?;
        assert_close("second moment", &read(momentum.moment_2), &exact[2])?;
    }
}

/// Algorithm 1 of Kingma & Ba (2015) in double precision, on parameter and both moments, and the two
/// ways to decay weights of Loshchilov & Hutter (2019), algorithm 2: coupled, then decoupled.
fn exact_adam(
    state: &mut [Vec<f64>; 3],
    gradient: &[f64],
    rate: f64,
    [coupled, decoupled]: [f64; 2],
    time: i32,
) {
    let (beta_1, beta_2) = (f64::from(0.9f32), f64::from(0.999f32));
    let [parameter, first, second] = state;
    for (i, g) in gradient.iter().enumerate() {
        let g = g + coupled * parameter[i];
        first[i] = beta_1 * first[i] + (1.0 - beta_1) * g;
        second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
        let (m, v) = (first[i] / (1.0 - beta_1.powi(time)), second[i] / (1.0 - beta_2.powi(time)));
        parameter[i] -= rate * (m / (v.sqrt() + 1e-8) + decoupled * parameter[i]);
    }
}

// Gradients (3, 0) and (0, 4) have norm 5: clipped to 1, both are a fifth.
#[test]
fn the_global_norm_is_that_of_all_gradients_and_clips_them_alike() {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;

    let device = Device::flex().autodiff();
    let zeros = || Param::from_tensor(Tensor::<2>::zeros([1, 2], &device).require_grad());
    let model = [zeros(), zeros()].map(|weight| burn::nn::Linear { weight, bias: None }).to_vec();
    let slopes = [[3.0, 0.0], [0.0, 4.0]].map(|s| Tensor::<2>::from_data([s], &device));
    let losses = model.iter().zip(slopes).map(|(layer, slope)| (layer.weight.val() * slope).sum());
    let loss = losses.reduce(|a, b| a + b).unwrap();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    for (max_norm, share) in [(1.0, 0.2f64), (10.0, 1.0)] {
        let clip = GlobalNormClip::new(max_norm).unwrap();
        assert!((clip.measure(&model, &gradients) - 5.0).abs() < 1e-6);
        let adam = Adam { clip: Some(clip.clone()), ..Adam::default() };
        let gradient = gradients.get::<2>(model[1].weight.id).unwrap();
        let (_, state) = adam.step(0.1, model[1].weight.val().inner(), gradient, None);
        // The first moment after one step is a tenth of the gradient.
        let moment = read(state.unwrap().momentum.moment_1);
        assert!((moment[1] - 0.1 * 4.0 * share).abs() < 1e-6, "{moment:?}");
        let adam = AdamW { clip: Some(clip), ..AdamW::default() };
        let gradient = gradients.get::<2>(model[1].weight.id).unwrap();
        let (_, state) = adam.step(0.1, model[1].weight.val().inner(), gradient, None);
        assert_eq!(read(state.unwrap().momentum.moment_1), moment);
    }
    for max_norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = GlobalNormClip::new(max_norm).unwrap_err().to_string();
        assert!(error.contains("`max_norm`") && error.contains(&max_norm.to_string()), "{error}");
    }
    assert_eq!(model.num_params(), 4);
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
fn assert_slope<const D: usize, const O: usize>(
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

// The other operands are constants, cast to the type of the one that is moved.
#[test]
fn gradients_are_those_of_finite_differences() {
    fn like<const D: usize, const E: usize>(
        shape: [usize; D],
        seed: u64,
        of: &Tensor<E>,
    ) -> Tensor<D> {
        leaf(shape, seed, DType::F32).inner().cast(of.dtype())
    }
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
    let shape = [6, 9];
    assert_slope("logit", shape, 1, |logits| {
        let x = like(shape, 2, &logits).abs();
        Logit.each(&Parameters::Apart([logits * 4.0]), [x])
    });
    assert_slope("fixed", shape, 1, |mean| {
        let (x, weights) = (like(shape, 2, &mean), like(shape, 3, &mean));
        Fixed(0.3).rows(&Parameters::Apart([mean]), [x], Some(weights))
    });
    assert_slope("scaled, scale", shape, 1, |raw| {
        let (x, mean) = (like(shape, 2, &raw), like(shape, 3, &raw));
        Scaled.rows(&Parameters::Apart([mean, raw]), [x], None)
    });
    assert_slope("scaled, mean", shape, 1, |mean| {
        let (x, raw) = (like(shape, 2, &mean), like(shape, 3, &mean));
        Scaled.each(&Parameters::Apart([mean, raw]), [x])
    });
    assert_slope("mixture", [6, 12], 1, |outputs| {
        let x = like([6, 2], 2, &outputs);
        Mixture { component: Scaled, components: 2 }.each(&outputs, x)
    });
    assert_slope("classes", [6, 12], 1, |outputs| {
        let classes = (like([6, 4], 2, &outputs).abs() * 3.0).floor();
        LogSoftmax { classes: 3 }.each(&outputs, classes)
    });
    assert_slope("latent, mean", shape, 1, |mean| {
        let (log_variance, noise) = (like(shape, 2, &mean), like(shape, 3, &mean));
        dvae_kernels::reparameterize(mean, log_variance, noise)
    });
    assert_slope("latent, log-variance", shape, 1, |log_variance| {
        let (mean, noise) = (like(shape, 2, &log_variance), like(shape, 3, &log_variance));
        dvae_kernels::reparameterize(mean, log_variance, noise)
    });
    assert_slope("KL, log-variance", shape, 1, |log_variance| {
        dvae_kernels::kl_to_standard_normal(like(shape, 2, &log_variance), log_variance)
    });
    assert_slope("sigmoid", shape, 1, |x| dvae_kernels::sigmoid(x * 5.0));
    assert_slope("KL, mean", shape, 1, |mean| {
        let log_variance = like(shape, 2, &mean);
        dvae_kernels::kl_to_standard_normal(mean, log_variance)
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
fn extremes_are_those_of_the_ordinary_path() {
    let logits = [1e4, -1e4, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, 88.0, -88.0];
    for x in [0.0f32, 1.0, 0.5, f32::NAN] {
        let results = [DType::F32, DType::F64].map(|dtype| {
            let device = Device::flex().autodiff();
            let logits =
                Tensor::<1>::from_data(logits, &device).cast(dtype).detach().require_grad();
            let target = Tensor::<1>::full([8], x, &device).cast(dtype);
            let out = Logit.each(&Parameters::Apart([logits.clone()]), [target]);
            let gradient = logits.grad(&out.clone().sum().backward()).unwrap();
            (read(out.inner()), read(gradient))
        });
        for (fused, plain) in [(&results[0].0, &results[1].0), (&results[0].1, &results[1].1)] {
            for (i, (fused, plain)) in fused.iter().zip(plain).enumerate() {
                let same = fused.is_nan() && plain.is_nan()
                    || fused == plain
                    || (fused - plain).abs() <= 1e-6 * plain.abs().max(1.0);
                assert!(same, "x {x}, logit {}: {fused}, not {plain}", logits[i]);
            }
        }
    }
    // The other functions of one number, at the same places.
    fn half(like: &Tensor<1>) -> Tensor<1> {
        like.ones_like() * 0.5
    }
    let functions: [fn(Tensor<1>) -> Tensor<1>; 6] = [
        dvae_kernels::sigmoid,
        |x| dvae_kernels::kl_to_standard_normal(x.clone(), half(&x)),
        |x| dvae_kernels::kl_to_standard_normal(half(&x), x),
        |x| dvae_kernels::reparameterize(x.clone(), half(&x), half(&x)),
        |x| Fixed(0.5).each(&Parameters::Apart([x.clone()]), [x.ones_like()]),
        |x| Given.each(&Parameters::Apart([x.clone()]), [x.ones_like(), half(&x)]),
    ];
    for (f, function) in functions.into_iter().enumerate() {
        let [fused, plain] = [DType::F32, DType::F64].map(|dtype| {
            read(function(Tensor::<1>::from_data(logits, &Device::flex()).cast(dtype)))
        });
        for (i, (fused, plain)) in fused.into_iter().zip(plain).enumerate() {
            let same = fused.is_nan() && plain.is_nan()
                || fused == plain
                || (fused - plain).abs() <= 1e-6 * plain.abs().max(1e-30);
            assert!(same, "function {f} at {}: {fused}, not {plain}", logits[i]);
        }
    }
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

/// Bits of a layer's output and of its gradients.
fn layer_bits<const X: usize, const W: usize, const O: usize>(
    (x, weight, bias): ([usize; X], [usize; W], usize),
    layer: impl Fn(Tensor<X>, Tensor<W>, Tensor<1>) -> Tensor<O>,
) -> Vec<Vec<u64>> {
    let (x, weight) = (leaf(x, 1, DType::F32), leaf(weight, 3, DType::F32));
    let bias = leaf([bias], 5, DType::F32);
    let out = layer(x.clone(), weight.clone(), bias.clone());
    let gradients = (out.clone() * leaf(out.dims(), 7, DType::F32).inner()).sum().backward();
    let gradient = [x.grad(&gradients).map(read), weight.grad(&gradients).map(read)];
    let all =
        [Some(read(out.inner())), bias.grad(&gradients).map(read)].into_iter().chain(gradient);
    all.map(|values| values.unwrap().into_iter().map(f64::to_bits).collect()).collect()
}

// Sums that are rounded, in shapes that a product's kernels treat differently: few entries in a panel,
// one column, depths beyond what is cached.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let run = || {
        let act = Activation::Relu;
        let mut all = Vec::new();
        let sizes =
            [(128, 16, 3136), (512, 400, 2), (3, 400, 784), (1024, 784, 1), (128, 1100, 70)];
        for (rows, inputs, outputs) in sizes {
            let shapes = ([rows, inputs], [inputs, outputs], outputs);
            all.extend(layer_bits(shapes, |x, w, b| dvae_kernels::linear(x, w, b, act)));
        }
        let options = || ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
        all.extend(layer_bits(([150, 3, 13, 15], [18, 3, 3, 3], 18), |x, w, b| {
            dvae_kernels::conv2d(x, w, b, options(), act)
        }));
        let options = || ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
        all.extend(layer_bits(([150, 18, 7, 8], [18, 3, 4, 4], 3), |x, w, b| {
            dvae_kernels::conv_transpose2d(x, w, b, options(), act)
        }));
        let data = |seed| leaf([50, 700], seed | ROUNDED, DType::F32).inner();
        let (x, weights) = (|| data(5), || Some(data(7)));
        let both = Parameters::Apart([data(1), data(3)]);
        let outputs = Tensor::cat((1..7).map(data).collect(), 1);
        let mixture = Mixture { component: Scaled, components: 2 };
        let sums = [
            Logit.rows(&Parameters::Apart([data(1)]), [x()], weights()),
            Scaled.rows(&both, [x()], weights()),
            Scaled.each(&both, [x()]).reshape([-1]),
            mixture.rows(&outputs, x(), weights()),
            LogSoftmax { classes: 6 }.rows(&outputs, (x() * 6.0).floor(), weights()),
        ];
        for sums in sums {
            all.push(read(sums).into_iter().map(f64::to_bits).collect());
        }
        let (parameter, state) = Adam::default().step(0.1, data(1), data(3), None);
        all.push(read(parameter).into_iter().map(f64::to_bits).collect());
        all.push(read(state.unwrap().momentum.moment_2).into_iter().map(f64::to_bits).collect());
        all
    };
    let expected = run();
    for threads in [1, 2, 3, 7, 16] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(run) == expected, "{threads} threads");
    }
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

#[test]
fn a_state_of_another_shape_is_refused() {
    let zeros = |n: usize| Tensor::<1>::zeros([n], &Device::flex());
    let (_, state) = Adam::default().step(0.1, zeros(3), zeros(3), None);
    let step = move || Adam::default().step(0.1, zeros(4), zeros(4), state);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)).is_err());
}

#[test]
fn records_go_from_burns_adam_to_this_one_and_back() {
    use burn::module::{Module, Param};
    use burn::optim::{GradientsParams, ModuleOptimizer};

    let model =
        || burn::nn::Linear { weight: Param::from_tensor(leaf([3, 4], 1, DType::F32)), bias: None };
    let model = model();
    let step = |mut adam: ModuleOptimizer, model: burn::nn::Linear| {
        let x = leaf([5, 3], 7, DType::F32).inner();
        let loss = model.forward(x).square().sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let model = adam.step(0.01, model, gradients);
        (adam, model)
    };
    let fused = || Adam::default().init();
    let burns = || AdamConfig::new().with_epsilon(1e-8).init();
    let fused_w = || AdamW::default().init();
    let burns_w = || AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(1e-2).init();
    let weights = |model: &burn::nn::Linear| read(model.clone().valid().weight.val());
    let pairs: [[&dyn Fn() -> ModuleOptimizer; 2]; 2] = [[&fused, &burns], [&fused_w, &burns_w]];
    for [fused, burns] in pairs {
        let (saved_fused, after_one) = step(fused(), model.clone());
        let (saved_burn, _) = step(burns(), model.clone());
        let second = |adam: ModuleOptimizer| weights(&step(adam, after_one.clone()).1);
        let expected = second(burns().load_record(saved_burn.to_record()));
        for (what, got) in [
            ("fused to burn", second(burns().load_record(saved_fused.to_record()))),
            ("burn to fused", second(fused().load_record(saved_burn.to_record()))),
            ("fused to fused", second(fused().load_record(saved_fused.to_record()))),
        ] {
            assert_close(what, &got, &expected).unwrap();
        }
    }
}
