//! The logarithm of the gamma function and its derivatives, for positive numbers.
//!
//! ```text
//! x < 1        ln Γ(x) = ln Γ(1 + x) − ln x           ψ(x) = ψ(1 + x) − 1/x
//! 1 ≤ x < 3    ln Γ(x) = (x − 1) (x − 2) P(x − 2)     ψ(x) = (x − x₀) Q(x − 2)
//! 3 ≤ x        Stirling's series
//! ```
//!
//! `P` and `Q` interpolate at Chebyshev points. The zeros, 1 and 2 for `ln Γ` and `x₀ = 1.4616…` for `ψ`, are
//! factors, so that values near them have a small relative error too. Stirling's series: Abramowitz & Stegun
//! (1964), equations 6.1.40, 6.3.18 and 6.4.12.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::covered;
#[cfg(feature = "flex")]
use crate::flex::{Function, FusedEntries, Inputs};
#[cfg(any(feature = "flex", test))]
use crate::math::ln;
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// `ln Γ` over `(x − 1) (x − 2)`, in powers of `x − 2`.
const LN_GAMMA: [f32; 12] = [
    0.422_784_33,
    -0.100_317_3,
    0.032_965_597,
    -0.012_384_473,
    0.004_991_792_7,
    -0.002_104_907_8,
    0.000_943_640_6,
    -0.000_419_005_84,
    0.000_131_388_34,
    -5.903_24e-5,
    7.787_132e-5,
    -3.631_552e-5,
];
/// `ψ` over `x − x₀`, in powers of `x − 2`.
const DIGAMMA: [f32; 13] = [
    0.785_307_5,
    -0.260_738_63,
    0.108_999_75,
    -0.049_560_1,
    0.023_451_842,
    -0.011_267_49,
    0.005_516_797,
    -0.002_972_851,
    0.001_474_731_7,
    -0.000_315_255_4,
    0.000_156_483_86,
    -0.000_412_536_44,
    0.000_206_076_8,
];
/// `ψ′`, in powers of `x − 2`.
const TRIGAMMA: [f32; 14] = [
    0.644_934_2,
    -0.404_113_85,
    0.246_961_45,
    -0.147_706_65,
    0.086_845_46,
    -0.050_164_52,
    0.027_783_09,
    -0.015_665_85,
    0.011_010_11,
    -0.006_031_636_6,
    -4.826_173e-5,
    -1.352_36e-5,
    0.002_447_954,
    -0.001_303_902_7,
];
/// `x₀ − 2`, in two parts: for a number close to it, subtracting the first is exact.
const ZERO: [f32; 2] = [-0.538_367_87, 1.243_815e-8];
/// `½ ln 2π`.
const HALF_LN_TAU: f32 = 0.918_938_5;
/// Stirling's series of `ln Γ`, `ψ` and `ψ′`, in powers of `1/x²`.
const LN_GAMMA_TAIL: [f32; 4] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0];
const DIGAMMA_TAIL: [f32; 4] = [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0];
const TRIGAMMA_TAIL: [f32; 4] = [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0];

#[cfg(any(feature = "flex", test))]
#[inline(always)]
fn series<const N: usize>(coefficients: &[f32; N], t: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum * t + coefficients[i];
    }
    sum
}

/// `ln Γ(x)` for `x > 0`, with a relative error of 10⁻⁶; NaN for other numbers.
#[cfg(any(feature = "flex", test))]
#[inline(always)]
pub(crate) fn ln_gamma_of(x: f32) -> f32 {
    let small = x < 1.0;
    // x, raised by one if below 1, minus 2 and minus 1: exact near a zero.
    let (t, u) = if small { (x - 1.0, x) } else { (x - 2.0, x - 1.0) };
    let near = t * u * series(&LN_GAMMA, t);
    let (log, reciprocal) = (ln(x), 1.0 / x);
    let tail = reciprocal * series(&LN_GAMMA_TAIL, reciprocal * reciprocal);
    let far = (x - 0.5) * (log - 1.0) + (HALF_LN_TAU - 0.5) + tail;
    let value = if x < 3.0 { near } else { far };
    if small { value - log } else { value }
}

/// `ψ(x) = d ln Γ(x)/dx` for `x > 0`, with a relative error of 10⁻⁶.
#[cfg(any(feature = "flex", test))]
#[inline(always)]
pub(crate) fn digamma_of(x: f32) -> f32 {
    let small = x < 1.0;
    let t = if small { x - 1.0 } else { x - 2.0 };
    let near = ((t - ZERO[0]) - ZERO[1]) * series(&DIGAMMA, t);
    let reciprocal = 1.0 / x;
    let square = reciprocal * reciprocal;
    let far = ln(x) - 0.5 * reciprocal - square * series(&DIGAMMA_TAIL, square);
    let value = if x < 3.0 { near } else { far };
    if small { value - reciprocal } else { value }
}

/// `ψ′(x)` for `x > 0`, with a relative error of 10⁻⁶.
#[cfg(any(feature = "flex", test))]
#[inline(always)]
pub(crate) fn trigamma_of(x: f32) -> f32 {
    let small = x < 1.0;
    let near = series(&TRIGAMMA, if small { x - 1.0 } else { x - 2.0 });
    let reciprocal = 1.0 / x;
    let square = reciprocal * reciprocal;
    let far = reciprocal + 0.5 * square + reciprocal * square * series(&TRIGAMMA_TAIL, square);
    let value = if x < 3.0 { near } else { far };
    if small { value + square } else { value }
}

/// `ln Γ(x)` of every entry, which must be positive: shape of `x`, with a relative error of 10⁻⁶.
pub fn ln_gamma<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if covered!(x) {
        return fused(x, Function::LnGamma);
    }
    let constant = x.clone().detach();
    with_derivative(x, plain_ln_gamma(constant.clone()), || plain_digamma(constant))
}

/// `ψ(x) = d ln Γ(x)/dx` of every entry, which must be positive: shape of `x`, with a relative error of 10⁻⁶.
pub fn digamma<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if covered!(x) {
        return fused(x, Function::Digamma);
    }
    let constant = x.clone().detach();
    with_derivative(x, plain_digamma(constant.clone()), || plain_trigamma(constant))
}

#[cfg(feature = "flex")]
fn fused<const D: usize>(x: Tensor<D>, function: Function) -> Tensor<D> {
    let inputs = Inputs::One(x.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_entries(inputs, function, false))
}

/// `value`, a constant, with a derivative with respect to `x`: the added term is 0 and carries the gradient.
fn with_derivative<const D: usize>(
    x: Tensor<D>,
    value: Tensor<D>,
    derivative: impl FnOnce() -> Tensor<D>,
) -> Tensor<D> {
    if !x.is_tracked() {
        return value;
    }
    let nothing = x.clone() - x.detach();
    value + nothing * derivative()
}

fn plain_series<const D: usize>(coefficients: &[f32], t: &Tensor<D>) -> Tensor<D> {
    let (last, rest) = coefficients.split_last().expect("a series has terms");
    rest.iter().rev().fold(t.zeros_like() + *last, |sum, &term| sum * t.clone() + term)
}

/// `x`, raised by one if below 1, minus 2.
fn offset<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone() - 1.0 - x.clone().greater_equal_elem(1.0).float()
}

/// `near` below 3 and `far` from there on; below 1 `lift` is added.
fn by_size<const D: usize>(
    x: Tensor<D>,
    near: Tensor<D>,
    far: Tensor<D>,
    lift: Tensor<D>,
) -> Tensor<D> {
    let value = far.mask_where(x.clone().lower_elem(3.0), near);
    value.clone().mask_where(x.lower_elem(1.0), value + lift)
}

fn plain_ln_gamma<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let t = offset(&x);
    let near = t.clone() * (t.clone() + 1.0) * plain_series(&LN_GAMMA, &t);
    let (log, reciprocal) = (x.clone().log(), x.clone().recip());
    let tail = plain_series(&LN_GAMMA_TAIL, &reciprocal.clone().square()) * reciprocal;
    let far = (x.clone() - 0.5) * (log.clone() - 1.0) + (HALF_LN_TAU - 0.5) + tail;
    by_size(x, near, far, log.neg())
}

fn plain_digamma<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let t = offset(&x);
    let near = (t.clone() - ZERO[0] - ZERO[1]) * plain_series(&DIGAMMA, &t);
    let reciprocal = x.clone().recip();
    let square = reciprocal.clone().square();
    let tail = plain_series(&DIGAMMA_TAIL, &square) * square;
    let far = x.clone().log() - reciprocal.clone() * 0.5 - tail;
    by_size(x, near, far, reciprocal.neg())
}

fn plain_trigamma<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let near = plain_series(&TRIGAMMA, &offset(&x));
    let reciprocal = x.clone().recip();
    let square = reciprocal.clone().square();
    let tail = plain_series(&TRIGAMMA_TAIL, &square) * square.clone() * reciprocal.clone();
    let far = reciprocal + square.clone() * 0.5 + tail;
    by_size(x, near, far, square)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ln Γ`, `ψ` and `ψ′` in double precision: raised to 15 and more, then Stirling's series.
    fn exact(x: f64) -> [f64; 3] {
        let (mut y, mut lift) = (x, [0.0; 3]);
        while y < 15.0 {
            lift = [lift[0] - y.ln(), lift[1] - 1.0 / y, lift[2] + 1.0 / (y * y)];
            y += 1.0;
        }
        let (r, s) = (1.0 / y, 1.0 / (y * y));
        let ln_gamma = (y - 0.5) * y.ln() - y
            + 0.5 * std::f64::consts::TAU.ln()
            + r * (1.0 / 12.0
                - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0))));
        let digamma = y.ln()
            - 0.5 * r
            - s * (1.0 / 12.0
                - s * (1.0 / 120.0 - s * (1.0 / 252.0 - s * (1.0 / 240.0 - s / 132.0))));
        let trigamma =
            r + 0.5 * s + r * s * (1.0 / 6.0 - s * (1.0 / 30.0 - s * (1.0 / 42.0 - s / 30.0)));
        [ln_gamma + lift[0], digamma + lift[1], trigamma + lift[2]]
    }

    /// From 10⁻³ to 10⁶ evenly by logarithm, and densely around the zeros 1, 1.46163… and 2.
    fn arguments() -> Vec<f32> {
        let wide = (0..200_000).map(|i| 10f64.powf(f64::from(i) * 9.0 / 200_000.0 - 3.0) as f32);
        let about =
            |zero: f32| (0..2000u32).map(move |i| f32::from_bits(zero.to_bits() + i - 1000));
        wide.chain(about(1.0)).chain(about(1.461_632_1)).chain(about(2.0)).collect()
    }

    fn assert_close(name: &str, x: f32, got: f32, exact: f64) {
        // The double-precision value is itself accurate to 10⁻¹⁴ of the terms that it sums.
        let gap = (f64::from(got) - exact).abs();
        assert!(gap <= 1e-6 * exact.abs() + 1e-13, "{name}({x}) = {got}, not {exact}");
    }

    #[test]
    fn scalars_are_within_their_bound_from_a_thousandth_to_a_million() {
        for x in arguments() {
            let [ln_gamma, digamma, trigamma] = exact(f64::from(x));
            assert_close("ln_gamma", x, ln_gamma_of(x), ln_gamma);
            assert_close("digamma", x, digamma_of(x), digamma);
            assert_close("trigamma", x, trigamma_of(x), trigamma);
        }
    }

    // Γ(½) = √π; ψ(1) = −γ; ψ′(1) = π²/6. Tiny: −ln x, −1/x. Negative numbers give NaN.
    #[test]
    fn known_values() {
        assert!((ln_gamma_of(0.5) - 0.5 * std::f32::consts::PI.ln()).abs() < 1e-6);
        assert_eq!((ln_gamma_of(1.0), ln_gamma_of(2.0)), (0.0, 0.0));
        assert!((digamma_of(1.0) + 0.577_215_7).abs() < 1e-6);
        assert!((trigamma_of(1.0) - std::f32::consts::PI.powi(2) / 6.0).abs() < 2e-6);
        assert!((ln_gamma_of(1e-30) - 69.077_55).abs() < 1e-4);
        assert!(ln_gamma_of(-0.5).is_nan() && ln_gamma_of(f32::NAN).is_nan());
        assert_eq!(ln_gamma_of(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    #[cfg(feature = "flex")]
    fn tensors_are_the_same_fused_and_plain_and_differentiate_to_the_next_function() {
        use burn::tensor::Device;
        let device = Device::flex();
        let x: Vec<f32> = arguments();
        let tensor = Tensor::<1>::from_data(x.as_slice(), &device);
        let values = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().expect("floats");
        for (what, got, index) in [
            ("fused ln_gamma", values(ln_gamma(tensor.clone())), 0),
            ("fused digamma", values(digamma(tensor.clone())), 1),
            ("plain ln_gamma", values(plain_ln_gamma(tensor.clone())), 0),
            ("plain digamma", values(plain_digamma(tensor.clone())), 1),
            ("plain trigamma", values(plain_trigamma(tensor.clone())), 2),
        ] {
            for (x, got) in x.iter().zip(got) {
                assert_close(what, *x, got, exact(f64::from(*x))[index]);
            }
        }
        let leaf = || tensor.clone().into_data();
        let gradient = |function: fn(Tensor<1>) -> Tensor<1>| {
            let x = Tensor::<1>::from_data(leaf(), &device.clone().autodiff()).require_grad();
            let gradients = function(x.clone()).sum().backward();
            values(x.grad(&gradients).expect("a gradient"))
        };
        let plain: fn(Tensor<1>) -> Tensor<1> = |x| {
            let constant = x.clone().detach();
            with_derivative(x, plain_ln_gamma(constant.clone()), || plain_digamma(constant))
        };
        for (function, index) in [(ln_gamma as fn(_) -> _, 1), (digamma, 2), (plain, 1)] {
            for (x, got) in x.iter().zip(gradient(function)) {
                assert_close("gradient", *x, got, exact(f64::from(*x))[index]);
            }
        }
    }
}
