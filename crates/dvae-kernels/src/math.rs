//! Elementary functions that the compiler vectorizes: no branch, no table, no fused multiply-add.
//!
//! They use only `+ − × ÷`, conversions and bit operations, each correctly rounded by IEEE 754: a lane of any
//! vector register computes the same bits as a scalar. The exponential, sine and cosine are polynomials of
//! Cephes (Moshier 1992, `expf`, `sinf`, `cosf`); the logarithm is the power series of 2 atanh.
//!
//! | Function          | Error, over every `f32`                                                 |
//! |-------------------|-------------------------------------------------------------------------|
//! | [`exp`]           | 2 · 10⁻⁷ of the value; 0 where that is below the normal floats           |
//! | [`ln`]            | 2 · 10⁻⁷ of the value                                                    |
//! | [`ln_normal`]     | the same, for normal, positive floats                                   |
//! | [`ln_1p`]         | 3 · 10⁻⁷ of the value                                                    |
//! | [`ln_1p_unit`]    | the same, for numbers in `[0, 1]`                                        |
//! | [`sigmoid`]       | 3 · 10⁻⁷ of the value; 0 where that is below the normal floats           |
//! | [`softplus`]      | 3 · 10⁻⁷ of the value; 0 where that is below the normal floats           |
//! | [`sin_cos_turns`] | 2 · 10⁻⁷                                                                 |
//! | [`sin_cos_of_turn`] | the same, for at most one turn                                        |
//!
//! Infinities give the limit of the exact function, and NaN gives NaN.

use std::f32::consts::FRAC_PI_2;

/// Adding and subtracting 1.5 · 2²³ rounds a small float to the nearest integer; between the two steps, the
/// low bits hold that integer.
const ROUNDER: f32 = 12_582_912.0;

/// `eˣ`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // The range of arguments with a finite, normal result; NaN stays NaN.
    const LOWEST: f32 = -87.336_54;
    const HIGHEST: f32 = 88.722_84;
    let inside = if x < LOWEST { LOWEST } else { x };
    let inside = if inside > HIGHEST { HIGHEST } else { inside };
    let rounded = inside * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    // x = n ln 2 + r, with ln 2 in two parts.
    let r = inside - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series =
        ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
            + 1.666_666_5e-1)
            * r
            + 0.5;
    let mantissa = series * r * r + r + 1.0;
    // 2ⁿ in two factors, because n = 128 has no exponent bits of its own.
    let n = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()) as i32;
    let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
    let value = mantissa * power(n >> 1) * power(n - (n >> 1));
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f32::INFINITY } else { value }
}

/// `ln x`.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let value = ln_normal(if subnormal { x * 8_388_608.0 } else { x });
    let value = if subnormal { value - 23.0 * std::f32::consts::LN_2 } else { value };
    let value = if x == 0.0 { f32::NEG_INFINITY } else { value };
    // Negative numbers have no logarithm; infinity and NaN are returned unchanged.
    let value = if x < 0.0 { f32::NAN } else { value };
    if x < f32::INFINITY { value } else { x }
}

/// `ln x` of a normal, positive `x`.
#[inline(always)]
pub fn ln_normal(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    const ONE_BITS: u32 = 0x3f80_0000;
    // x = 2ᵏ · m with m in [√½, √2), so that ln m is small.
    let shifted = x.to_bits().wrapping_add(ONE_BITS - SQRT_HALF_BITS);
    let k = ((shifted >> 23) as i32 - 127) as f32;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));
    // ln m = 2 atanh s with s = (m − 1) / (m + 1).
    let s = (m - 1.0) / (m + 1.0);
    let w = s * s;
    let series = (((w * (1.0 / 9.0) + 1.0 / 7.0) * w + 0.2) * w + 1.0 / 3.0) * w;
    // ln 2 in two parts, the first exact when multiplied by any k.
    k * 0.693_359_4 + (k * -2.121_944_4e-4 + (2.0 * s + 2.0 * s * series))
}

/// `ln(1 + x)`.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    // ln u · x / (u − 1) with u the rounded 1 + x: both factors have the same error (Kahan).
    let u = 1.0 + x;
    let value = ln(u) * (x / (u - 1.0));
    let value = if u == 1.0 { x } else { value };
    let value = if x == -1.0 { f32::NEG_INFINITY } else { value };
    if x < f32::INFINITY { value } else { x }
}

/// `ln(1 + e)` for `e` in `[0, 1]`, in fewer steps than [`ln_1p`].
#[inline(always)]
pub fn ln_1p_unit(e: f32) -> f32 {
    // 2 atanh s with s = e / (2 + e), at most ⅓.
    let s = e / (2.0 + e);
    let w = s * s;
    let series = (((((w * (1.0 / 15.0) + 1.0 / 13.0) * w + 1.0 / 11.0) * w + 1.0 / 9.0) * w
        + 1.0 / 7.0)
        * w
        + 0.2)
        * w
        + 1.0 / 3.0;
    2.0 * s + 2.0 * s * w * series
}

/// `σ(x) = 1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let reciprocal = 1.0 / (1.0 + e);
    if x < 0.0 { e * reciprocal } else { reciprocal }
}

/// `ln(1 + eˣ)`.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + ln_1p_unit(exp(-x.abs()))
}

/// `(sin 2πt, cos 2πt)`.
#[inline(always)]
pub fn sin_cos_turns(t: f32) -> (f32, f32) {
    // Subtracting whole turns is exact; beyond 2²⁴ there are only whole turns.
    let whole = if t.abs() < 16_777_216.0 { t as i32 as f32 } else { t };
    sin_cos_of_turn(t - whole)
}

/// `(sin 2πt, cos 2πt)` for `t` in `[−1, 1]`.
#[inline(always)]
pub fn sin_cos_of_turn(t: f32) -> (f32, f32) {
    let rounded = t * 4.0 + ROUNDER;
    let quadrant = rounded.to_bits();
    let angle = (t * 4.0 - (rounded - ROUNDER)) * FRAC_PI_2; // in [−π/4, π/4]
    let w = angle * angle;
    let sin = ((-1.951_529_6e-4 * w + 8.332_161e-3) * w - 1.666_665_5e-1) * w * angle + angle;
    let cos = ((2.443_315_7e-5 * w - 1.388_731_6e-3) * w + 4.166_664_6e-2) * w * w - 0.5 * w + 1.0;
    let (sin, cos) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let sin_sign = (quadrant & 2) << 30;
    let cos_sign = (quadrant.wrapping_add(1) & 2) << 30;
    (f32::from_bits(sin.to_bits() ^ sin_sign), f32::from_bits(cos.to_bits() ^ cos_sign))
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// Every 997th float, of every sign and exponent, including infinities and NaN; all floats if
    /// `DVAE_EVERY_FLOAT` is set, which takes minutes.
    fn floats() -> impl ParallelIterator<Item = f32> {
        let step = if std::env::var_os("DVAE_EVERY_FLOAT").is_some() { 1 } else { 997 };
        let corners = [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, f32::NAN];
        let edges = [f32::MAX, f32::MIN, f32::MIN_POSITIVE, 88.722_84, -87.336_54, -87.336_55];
        let listed = corners.into_par_iter().chain(edges);
        (0..u32::MAX / step).into_par_iter().map(move |i| f32::from_bits(i * step)).chain(listed)
    }

    /// Whether a result is within the relative error `bound` of the exact one; below the normal floats it may
    /// be 0.
    fn close(got: f32, exact: f64, bound: f64) -> bool {
        if exact.is_nan() || got.is_nan() {
            return exact.is_nan() && got.is_nan();
        }
        if exact.abs() > f64::from(f32::MAX) {
            return f64::from(got) == exact.signum() * f64::INFINITY;
        }
        let normal = exact.abs() >= f64::from(f32::MIN_POSITIVE);
        let gap = (f64::from(got) - exact).abs();
        gap <= bound * exact.abs() || !normal && gap <= f64::from(f32::MIN_POSITIVE)
    }

    fn check(name: &str, bound: f64, function: fn(f32) -> f32, exact: fn(f64) -> f64) {
        let wrong = floats().find_any(|x| !close(function(*x), exact(f64::from(*x)), bound));
        if let Some(x) = wrong {
            panic!("{name}({x}) = {}, not {}", function(x), exact(f64::from(x)));
        }
    }

    #[test]
    fn exp_is_within_its_bound() {
        check("exp", 2e-7, exp, f64::exp);
    }

    #[test]
    fn ln_is_within_its_bound() {
        check("ln", 2e-7, ln, f64::ln);
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn ln_1p_is_within_its_bound() {
        check("ln_1p", 3e-7, ln_1p, f64::ln_1p);
    }

    #[test]
    fn ln_1p_unit_is_within_its_bound() {
        let unit = floats().filter(|e| (0.0..=1.0).contains(e));
        let exact = |e: f32| f64::from(e).ln_1p();
        assert_eq!(unit.find_any(|e| !close(ln_1p_unit(*e), exact(*e), 3e-7)), None);
    }

    #[test]
    fn sigmoid_is_within_its_bound() {
        check("sigmoid", 3e-7, sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
    }

    #[test]
    fn softplus_is_within_its_bound() {
        check("softplus", 3e-7, softplus, |x| if x > 700.0 { x } else { x.exp().ln_1p() });
    }

    #[test]
    fn sin_and_cos_are_within_their_bound() {
        let wrong = floats().filter(|t| t.is_finite()).find_any(|t| {
            let (sin, cos) = sin_cos_turns(*t);
            let turns = f64::from(*t);
            let (exact_sin, exact_cos) =
                (std::f64::consts::TAU * (turns - turns.round())).sin_cos();
            (f64::from(sin) - exact_sin).abs() > 2e-7 || (f64::from(cos) - exact_cos).abs() > 2e-7
        });
        assert_eq!(wrong, None);
        assert_eq!(sin_cos_turns(0.0), (0.0, 1.0));
    }
}
