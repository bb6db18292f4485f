//! The logarithm of the gamma function and its derivative, for positive numbers.
//!
//! ```text
//! x < 1        ln Γ(x) = ln Γ(1 + x) − ln x           ψ(x) = ψ(1 + x) − 1/x
//! 1 ≤ x < 3    ln Γ(x) = (x − 1) (x − 2) P(x − 2)     ψ(x) = (x − x₀) Q(x − 2)
//! 3 ≤ x        Stirling's series
//! ```
//!
//! `P` and `Q` interpolate at Chebyshev points. The zeros, 1 and 2 for `ln Γ` and `x₀ = 1.4616…` for `ψ`, are
//! factors, so that values near them have a small relative error too. Stirling's series: Abramowitz & Stegun
//! (1964), equations 6.1.40 and 6.3.18.

use burn::tensor::Tensor;

use crate::math::ln;

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
/// `x₀ − 2`, in two parts: for a number close to it, subtracting the first is exact.
const ZERO: [f32; 2] = [-0.538_367_87, 1.243_815e-8];
/// `½ ln 2π`.
const HALF_LN_TAU: f32 = 0.918_938_5;
/// Stirling's series of `ln Γ` and `ψ`, in powers of `1/x²`.
const LN_GAMMA_TAIL: [f32; 4] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0];
const DIGAMMA_TAIL: [f32; 4] = [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0];

#[inline(always)]
fn series<const N: usize>(coefficients: &[f32; N], t: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum * t + coefficients[i];
    }
    sum
}

/// `ln Γ(x)` for `x > 0`, with a relative error of 10⁻⁶; NaN for other numbers.
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

/// `ln Γ(x)` of every entry, which must be positive: shape of `x`, with a relative error of 10⁻⁶, as Burn's
/// operations.
pub(crate) fn ln_gamma<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let constant = x.clone().detach();
    with_derivative(x, plain_ln_gamma(constant.clone()), || plain_digamma(constant))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `ln Γ` and `ψ` in double precision: raised to 15 and more, then Stirling's series.
    fn exact(x: f64) -> [f64; 2] {
        let (mut y, mut lift) = (x, [0.0; 2]);
        while y < 15.0 {
            lift = [lift[0] - y.ln(), lift[1] - 1.0 / y];
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
        [ln_gamma + lift[0], digamma + lift[1]]
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
            let [ln_gamma, digamma] = exact(f64::from(x));
            assert_close("ln_gamma", x, ln_gamma_of(x), ln_gamma);
            assert_close("digamma", x, digamma_of(x), digamma);
        }
    }

    // Γ(½) = √π; ψ(1) = −γ. Tiny: −ln x, −1/x. Negative numbers give NaN.
    #[test]
    fn known_values() {
        assert!((ln_gamma_of(0.5) - 0.5 * std::f32::consts::PI.ln()).abs() < 1e-6);
        assert_eq!((ln_gamma_of(1.0), ln_gamma_of(2.0)), (0.0, 0.0));
        assert!((digamma_of(1.0) + 0.577_215_7).abs() < 1e-6);
        assert!((ln_gamma_of(1e-30) - 69.077_55).abs() < 1e-4);
        assert!(ln_gamma_of(-0.5).is_nan() && ln_gamma_of(f32::NAN).is_nan());
        assert_eq!(ln_gamma_of(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    #[cfg(feature = "flex")]
    fn tensors_are_right_and_differentiate_to_digamma() {
        use burn::tensor::Device;
        let x: Vec<f32> = arguments();
        let values = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().expect("floats");
        let device = Device::flex().autodiff();
        let tensor = Tensor::<1>::from_data(x.as_slice(), &device).require_grad();
        let value = ln_gamma(tensor.clone());
        let gradient = tensor.grad(&value.clone().sum().backward()).expect("a gradient");
        let got = values(value.inner()).into_iter().zip(values(gradient));
        for (x, (value, slope)) in x.iter().zip(got) {
            let [ln_gamma, digamma] = exact(f64::from(*x));
            assert_close("ln_gamma", *x, value, ln_gamma);
            assert_close("its gradient", *x, slope, digamma);
        }
    }
}
