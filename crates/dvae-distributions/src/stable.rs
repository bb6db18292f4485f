//! Tensor functions that stay accurate where a direct evaluation does not.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use dvae_kernels::ln_gamma;

/// `½ ln 2π`.
pub(crate) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// A positive parameter from a network's output: `floor + ln(1 + eʳ)`.
pub(crate) fn positive<const D: usize>(raw: Tensor<D>, floor: f64) -> Tensor<D> {
    softplus(raw, 1.0) + floor
}

/// `ln ln(1 + eʳ)`; below −15 it is `r` itself.
pub(crate) fn log_softplus<const D: usize>(raw: Tensor<D>) -> Tensor<D> {
    let low = raw.clone().lower_elem(-15.0);
    softplus(raw.clone().clamp_min(-15.0), 1.0).log().mask_where(low, raw)
}

/// `ln((1 − e⁻ʷ) / w)` for `w ≥ 0`; 0 at 0.
pub(crate) fn log_decay<const D: usize>(w: Tensor<D>) -> Tensor<D> {
    let near = w.clone().clamp_max(0.5);
    let square = near.clone().square();
    let series = (square.clone() * (1.0 / 181_440.0) - 1.0 / 2880.0) * square.clone() + 1.0 / 24.0;
    let series = series * square - near * 0.5;
    let far = w.clone().clamp_min(0.5);
    ((far.clone().neg().exp().neg()).log1p() - far.log()).mask_where(w.lower_elem(0.5), series)
}

/// The error of Stirling's formula, `ln Γ(x) − (x − ½) ln x + x − ½ ln 2π`, for `x > 0`.
///
/// Differences of `ln Γ` at large arguments lose all precision; differences of this do not. Loader (2000),
/// "Fast and Accurate Computation of Binomial Probabilities", section 2.
pub(crate) fn stirling_error<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const LARGE: f64 = 3.0;
    let small = x.clone().clamp_max(LARGE);
    let formula = (small.clone() - 0.5) * small.clone().log() - small.clone() + HALF_LN_TAU;
    let near = ln_gamma(small) - formula;
    let r = x.clone().clamp_min(LARGE).recip();
    let s = r.clone().square();
    let series = ((s.clone() * (-1.0 / 1680.0) + 1.0 / 1260.0) * s.clone() - 1.0 / 360.0) * s;
    ((series + 1.0 / 12.0) * r).mask_where(x.lower_elem(LARGE), near)
}

/// The deviance `x ln(x / m) + m − x` of `x ≥ 0` from `m > 0`, given `ln m` as well; at least 0.
///
/// Where the two are close it is computed as a series in `(x − m) / (x + m)`: Loader (2000), section 3.
pub(crate) fn deviance<const D: usize>(
    x: Tensor<D>,
    mean: Tensor<D>,
    log_mean: Tensor<D>,
) -> Tensor<D> {
    const TINY: f64 = 1e-15;
    let gap = x.clone() - mean.clone();
    let share = gap.clone() / (x.clone() + mean).clamp_min(TINY);
    let close = share.clone().abs().lower_elem(0.1);
    let v = share.clamp(-0.1, 0.1);
    let s = v.clone().square();
    let series = (s.clone() * (1.0 / 7.0) + 0.2) * s.clone() + 1.0 / 3.0;
    let near = gap.clone() * v.clone() + x.clone() * 2.0 * s * v * series;
    let far = x.clone() * (x.clamp_min(TINY).log() - log_mean) - gap;
    far.mask_where(close, near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn at(function: impl Fn(Tensor<1>) -> Tensor<1>, x: f32) -> f64 {
        function(Tensor::from_data([x], &Device::flex())).into_scalar::<f64>()
    }

    #[test]
    fn each_is_right_on_both_sides_of_where_it_changes_form() {
        for x in [-1e4f32, -80.0, -15.1, -14.9, 0.0, 3.0, 1e4] {
            let exact =
                if x < -15.0 { f64::from(x) } else { f64::from(x).exp().ln_1p().min(1e4).ln() };
            assert!((at(log_softplus, x) - exact).abs() < 1e-5, "ln softplus({x})");
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
