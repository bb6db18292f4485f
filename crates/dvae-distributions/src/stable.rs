//! Functions that stay accurate where a direct evaluation does not.

use std::ops::{Add, Mul, Sub};

use dvae_kernels::Scalar;

/// `½ ln 2π`.
pub(crate) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// A positive parameter from a network's output: `floor + ln(1 + eʳ)`.
#[inline(always)]
pub(crate) fn positive<S: Scalar>(raw: S, floor: f64) -> S {
    raw.softplus() + floor
}

/// `ln s` of `s = ln(1 + eʳ)`, given both; below −15 it is `r` itself.
#[inline(always)]
pub(crate) fn log_softplus<S: Scalar>(raw: S, softplus: S) -> S {
    // At −15, s is 3 · 10⁻⁷; where it would be 0, its logarithm has no derivative.
    let low = raw.clone().lower_elem(-15.0);
    softplus.clamp_min(1e-7).log().mask_where(low, raw)
}

/// `ln((1 − e⁻ʷ) / w)` for `w ≥ 0`; 0 at 0.
#[inline(always)]
pub(crate) fn log_decay<S: Scalar>(w: S) -> S {
    let near = w.clone().clamp_max(0.5);
    let square = near.clone().square();
    let series = (square.clone() * (1.0 / 181_440.0) - 1.0 / 2880.0) * square.clone() + 1.0 / 24.0;
    let series = series * square - near * 0.5;
    let far = w.clone().clamp_min(0.5);
    let direct = (-(-far.clone()).exp()).log1p() - far.log();
    direct.mask_where(w.lower_elem(0.5), series)
}

/// The error of Stirling's formula, `ln Γ(x) − (x − ½) ln x + x − ½ ln 2π`, for `x > 0`.
///
/// Differences of `ln Γ` at large arguments lose all precision; differences of this do not. Loader (2000),
/// "Fast and Accurate Computation of Binomial Probabilities", section 2.
#[inline(always)]
pub(crate) fn stirling_error<S: Scalar>(x: S) -> S {
    const LARGE: f64 = 3.0;
    let small = x.clone().clamp_max(LARGE);
    let formula = (small.clone() - 0.5) * small.clone().log() - small.clone() + HALF_LN_TAU;
    let near = small.ln_gamma() - formula;
    let r = x.clone().clamp_min(LARGE).recip();
    let s = r.clone().square();
    let series = ((s.clone() * (-1.0 / 1680.0) + 1.0 / 1260.0) * s.clone() - 1.0 / 360.0) * s;
    ((series + 1.0 / 12.0) * r).mask_where(x.lower_elem(LARGE), near)
}

/// The deviance `x ln(x / m) + m − x` of `x ≥ 0` from `m > 0`, given `ln m` as well; at least 0. `x` is a scalar or
/// a constant.
///
/// Where the two are close it is computed as a series in `(m − x) / (m + x)`: Loader (2000), section 3.
#[inline(always)]
pub(crate) fn deviance<S, X>(x: X, mean: S, log_mean: S) -> S
where
    S: Scalar + Add<X, Output = S> + Sub<X, Output = S> + Mul<X, Output = S>,
    X: Scalar,
{
    const TINY: f64 = 1e-15;
    let gap = mean.clone() - x.clone();
    let share = gap.clone() / (mean + x.clone()).clamp_min(TINY);
    let close = share.clone().abs().lower_elem(0.1);
    let v = share.clamp(-0.1, 0.1);
    let s = v.clone().square();
    let series = (s.clone() * (1.0 / 7.0) + 0.2) * s.clone() + 1.0 / 3.0;
    let near = gap.clone() * v.clone() - s * (x.clone() * 2.0) * v * series;
    let far = gap - (log_mean - x.clone().clamp_min(TINY).log()) * x;
    far.mask_where(close, near)
}

/// `−ln x! + x ln x − x` of a count, by Stirling's formula and its error; 0 at 0.
#[inline(always)]
pub(crate) fn log_base<S: Scalar>(x: S) -> S {
    let positive = x.clone().clamp_min(1.0);
    let value = -(stirling_error(positive.clone()) + positive.log() * 0.5 + HALF_LN_TAU);
    value.mask_fill(x.lower_elem(0.5), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};

    fn at(function: impl Fn(Tensor<1>) -> Tensor<1>, x: f32) -> f64 {
        function(Tensor::from_data([x], &Device::flex())).into_scalar::<f64>()
    }

    #[test]
    fn each_is_right_on_both_sides_of_where_it_changes_form() {
        for x in [-1e4f32, -80.0, -15.1, -14.9, 0.0, 3.0, 1e4] {
            let exact =
                if x < -15.0 { f64::from(x) } else { f64::from(x).exp().ln_1p().min(1e4).ln() };
            assert!(
                (at(|raw| log_softplus(raw.clone(), raw.softplus()), x) - exact).abs() < 1e-5,
                "ln softplus({x})"
            );
        }
        for w in [0.0f32, 1e-6, 0.1, 0.49, 0.51, 3.0, 100.0, 1e4] {
            let wide = f64::from(w);
            let exact = if w == 0.0 { 0.0 } else { (-(-wide).exp_m1() / wide).ln() };
            assert!((at(log_decay, w) - exact).abs() < 1e-6, "log_decay({w})");
        }
        // ln Γ(½) = ½ ln π, ln Γ(4) = ln 6; 1/12x for large x.
        let half = 0.5 * std::f64::consts::PI.ln() + 0.5 - HALF_LN_TAU;
        assert!((at(stirling_error, 0.5) - half).abs() < 1e-6);
        let four = 6f64.ln() - 3.5 * 4f64.ln() + 4.0 - HALF_LN_TAU;
        assert!((at(stirling_error, 4.0) - four).abs() < 1e-7);
        assert!((at(stirling_error, 1e6) - 1.0 / 12e6).abs() < 1e-12);
    }

    #[test]
    fn the_deviance_keeps_its_digits_where_the_two_are_close() {
        for (x, m) in [(1e6f64, 1.001e6), (1e6, 1e6), (10.0, 10.5), (3.0, 40.0), (0.0, 2.5)] {
            let tensor = |v: f64| Tensor::<1>::from_data([v as f32], &Device::flex());
            let got = deviance(tensor(x), tensor(m), tensor(m.ln())).into_scalar::<f64>();
            let (x, m) = (f64::from(x as f32), f64::from(m as f32));
            let exact = if x > 0.0 { x * (x / m).ln() + m - x } else { m };
            assert!((got - exact).abs() <= 1e-5 * exact.max(1e-3), "{x} {m}: {got}, not {exact}");
        }
    }
}
