//! Logarithm and sine of the normal generator, the same bits on every instruction set.
//!
//! Only `+ − × ÷ √` and bit operations, each correctly rounded by IEEE 754 and never fused: what a
//! vector register computes is what a scalar one computes. Sine and cosine are the polynomials of
//! Cephes (Moshier 1992, `sinf`, `cosf`), the logarithm the power series of 2 atanh.

use std::f32::consts::FRAC_PI_2;

/// Adding and taking away 1.5 · 2²³ rounds a small float to the nearest integer, and leaves that
/// integer in the low bits between the two.
const ROUNDER: f32 = 12_582_912.0;

/// `ln x` for normal, positive `x`; relative error below 2 · 10⁻⁷ on (0, 1).
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    const ONE_BITS: u32 = 0x3f80_0000;
    // x = 2ᵏ · m with m in [√½, √2), so that ln m is small.
    let shifted = x.to_bits().wrapping_add(ONE_BITS - SQRT_HALF_BITS);
    let k = ((shifted >> 23) as i32 - 127) as f32;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));
    // ln m = 2 atanh s with s = (m − 1) / (m + 1).
    let s = (m - 1.0) / (m + 1.0);
    let w = s * s;
    let series = (((w / 9.0 + 1.0 / 7.0) * w + 0.2) * w + 1.0 / 3.0) * w;
    // ln 2 in two parts, the first exact when multiplied by any k.
    k * 0.693_359_4 + (k * -2.121_944_4e-4 + (2.0 * s + 2.0 * s * series))
}

/// `(sin 2πu, cos 2πu)` for `u` in `[0, 1)`; absolute error below 2 · 10⁻⁷.
#[inline(always)]
pub(crate) fn sin_cos_turns(u: f32) -> (f32, f32) {
    let rounded = u * 4.0 + ROUNDER;
    let quadrant = rounded.to_bits();
    let angle = (u * 4.0 - (rounded - ROUNDER)) * FRAC_PI_2; // in [−π/4, π/4]
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
    use super::*;

    /// Every value a 24-bit uniform can take, thinned by a stride that meets all exponents.
    fn uniforms() -> impl Iterator<Item = u32> {
        (1..1u32 << 24).step_by(37).chain(1..2000)
    }

    #[test]
    fn ln_agrees_with_double_precision() {
        for i in uniforms() {
            let u = i as f32 / (1 << 24) as f32;
            let exact = f64::from(u).ln();
            assert!((f64::from(ln(u)) - exact).abs() <= 2e-7 * exact.abs(), "ln {u}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn sin_and_cos_agree_with_double_precision() {
        for i in uniforms() {
            let u = i as f32 / (1 << 24) as f32;
            let (sin, cos) = sin_cos_turns(u);
            let (exact_sin, exact_cos) = (std::f64::consts::TAU * f64::from(u)).sin_cos();
            assert!((f64::from(sin) - exact_sin).abs() < 2e-7, "sin {u}");
            assert!((f64::from(cos) - exact_cos).abs() < 2e-7, "cos {u}");
        }
        assert_eq!(sin_cos_turns(0.0), (0.0, 1.0));
    }
}
