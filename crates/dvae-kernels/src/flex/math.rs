//! Elementary functions that the compiler vectorises: no branch, no table, no fused multiply-add.
//!
//! The exponential is the polynomial of Cephes (Moshier 1992, `expf`), the logarithm the power series
//! of 2 atanh.

/// 1.5 · 2²³: adding it rounds a small float to an integer, which stands in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// `eˣ` for `x ≤ 0`; relative error below 2 · 10⁻⁷ down to −87, and 0 below; NaN for NaN.
#[inline(always)]
pub(crate) fn exp_negative(x: f32) -> f32 {
    let vanishes = x < -87.0;
    let x = if vanishes { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    // x = n ln 2 + r, with ln 2 in two parts.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series =
        ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
            + 1.666_666_5e-1)
            * r
            + 0.5;
    let mantissa = series * r * r + r + 1.0;
    // 2ⁿ by its exponent bits: n is in [−126, 0].
    let power = f32::from_bits(rounded.to_bits().wrapping_sub(ROUNDER.to_bits() - 127) << 23);
    if vanishes { 0.0 } else { mantissa * power }
}

/// `ln(1 + e)` for `e` in `[0, 1]`; relative error below 2 · 10⁻⁷; NaN for NaN.
#[inline(always)]
pub(crate) fn ln_1p_unit(e: f32) -> f32 {
    // 2 atanh s with s = e / (2 + e), at most ⅓.
    let s = e / (2.0 + e);
    let w = s * s;
    let series =
        (((((w / 15.0 + 1.0 / 13.0) * w + 1.0 / 11.0) * w + 1.0 / 9.0) * w + 1.0 / 7.0) * w + 0.2)
            * w
            + 1.0 / 3.0;
    2.0 * s + 2.0 * s * w * series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Floats of every exponent in `[low, high]`, a thousand for each.
    fn floats(low: f32, high: f32) -> impl Iterator<Item = f32> {
        (low.to_bits()..=high.to_bits()).step_by(8191).map(f32::from_bits)
    }

    #[test]
    fn exp_negative_agrees_with_double_precision() {
        for x in floats(f32::MIN_POSITIVE, 87.0).map(|x| -x).chain([0.0]) {
            let exact = f64::from(x).exp();
            let got = f64::from(exp_negative(x));
            assert!((got - exact).abs() <= 2e-7 * exact, "{x}: {got}, not {exact}");
        }
        for x in [-88.0, -1e4, f32::NEG_INFINITY] {
            assert_eq!(exp_negative(x), 0.0, "{x}");
        }
        assert!(exp_negative(f32::NAN).is_nan());
    }

    #[test]
    fn ln_1p_unit_agrees_with_double_precision() {
        for e in floats(f32::MIN_POSITIVE, 1.0).chain([0.0]) {
            let exact = f64::from(e).ln_1p();
            let got = f64::from(ln_1p_unit(e));
            assert!((got - exact).abs() <= 2e-7 * exact, "{e}: {got}, not {exact}");
        }
        assert!(ln_1p_unit(f32::NAN).is_nan());
    }
}
