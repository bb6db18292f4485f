//! Fused passes over entries against Burn's operations: values and gradients.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use burn::tensor::{DType, Device, Tensor};
use common::{ROUNDED, TOLERANCE, assert_close, assert_same_bits, assert_slope, leaf, like, read};
use dvae_kernels::{Formula, LogSoftmax, Mixture, Parameters, Scalar};
use proptest::prelude::*;

/// `log σ(l) − (1 − x) l`.
#[derive(Clone, Copy, Debug)]
struct Logit;

impl Formula<1, 1> for Logit {
    #[inline(always)]
    fn at<S: Scalar>(&self, [logit]: [S; 1], [x]: [S::Constant; 1]) -> S {
        logit.clone().log_sigmoid() - logit * (-x + 1.0)
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

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
}

// The other operands are constants, cast to the type of the one that is moved.
#[test]
fn gradients_are_those_of_finite_differences() {
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
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_bits(|| {
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
        sums.map(read).into()
    });
}
