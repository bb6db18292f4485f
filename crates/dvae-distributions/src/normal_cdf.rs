//! The logarithm of the normal distribution function.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar};

use crate::stable::HALF_LN_TAU;

/// `ln Φ(u)` of every entry.
pub(crate) fn log_cdf<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    LogCdf.each(&Parameters::Apart([u]), [])
}

/// `ln Φ(u)`, the logarithm of the normal distribution function.
#[derive(Clone, Copy, Debug)]
struct LogCdf;

/// `φ(u) / Φ(u)` of every entry.
pub(crate) fn hazard<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    LogHazard.each(&Parameters::Apart([u]), []).exp()
}

/// `1 − h (h + u)` of the hazard `h` of every entry, in `[0, 1]`: the variance of a unit normal of mean `u` above 0.
pub(crate) fn variance_above<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    let h = hazard(u.clone());
    let direct = (h.clone() * (h + u.clone())).neg() + 1.0;
    // Far below 0 the difference has no digits left: the first terms of its series.
    let far = u.clone().clamp_max(-8.0).square().recip();
    let series = (((far.clone() * -518.0 + 50.0) * far.clone() - 6.0) * far.clone() + 1.0) * far;
    direct.mask_where(u.lower_elem(-8.0), series).clamp(0.0, 1.0)
}

/// `ln(φ(u) / Φ(u))`.
#[derive(Clone, Copy, Debug)]
struct LogHazard;

impl Formula<1, 0> for LogHazard {
    #[inline(always)]
    fn at<S: Scalar>(&self, [u]: [S; 1], []: [S::Constant; 0]) -> S {
        // Below 0 the squares of both would cancel.
        let below = -log_tail(u.clone()) - HALF_LN_TAU;
        let above = u.clone().square() * -0.5 - HALF_LN_TAU - LogCdf.at([u.clone()], []);
        above.mask_where(u.lower_elem(0.0), below)
    }
}

impl Formula<1, 0> for LogCdf {
    #[inline(always)]
    fn at<S: Scalar>(&self, [u]: [S; 1], []: [S::Constant; 0]) -> S {
        let tail = log_tail(u.clone()) - u.clone().square() * 0.5;
        let rest = (-tail.clone().exp()).log1p();
        rest.mask_where(u.lower_elem(0.0), tail)
    }
}

/// `ln(½ erfc(|u| / √2)) + u²/2`, by the approximation of `erfc` with a relative error below 1.2 · 10⁻⁷ everywhere: Press et al.
/// (1992), "Numerical Recipes in C", second edition, section 6.2.
#[inline(always)]
fn log_tail<S: Scalar>(u: S) -> S {
    const SERIES: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    // |u|, with a slope at 0, where weights start.
    let size = u.clone().mask_where(u.clone().lower_elem(0.0), -u);
    let t = (size * (0.5 * std::f64::consts::FRAC_1_SQRT_2) + 1.0).recip();
    let mut sum = t.clone() * SERIES[9] + SERIES[8];
    for &term in SERIES[..8].iter().rev() {
        sum = sum * t.clone() + term;
    }
    sum + t.log() - std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn number(tensor: Tensor<1>) -> f64 {
        tensor.into_scalar::<f32>().into()
    }

    // Values of ln Φ by SciPy 1.17, `scipy.special.log_ndtr`.
    #[test]
    fn log_cdf_keeps_its_digits_in_both_tails() {
        let known = [
            (-100.0, -5_005.524_208_694_205),
            (-10.0, -53.231_285_150_512_48),
            (-1.0, -1.841_021_645_009_263_4),
            (0.0, -std::f64::consts::LN_2),
            (0.5, -0.368_946_415_288_656_35),
            (3.0, -0.001_350_809_964_748_202),
            (5.0, -2.866_516_129_637_629_4e-7),
        ];
        for (u, expected) in known {
            let of = Tensor::<1>::full([1], u, &Device::flex());
            let found = number(log_cdf(of));
            assert!((found - expected).abs() < 1e-6 * expected.abs() + 1e-13, "{u}: {found}");
        }
    }

    // The slope of ln Φ is φ/Φ: at 0 it is 2 φ(0), and at 2 and −2 by SciPy 0.055247862678989 and 2.373215532822840.
    #[test]
    fn log_cdf_has_a_slope_everywhere() {
        for (u, expected) in [(0.0f32, 0.797_884_6_f32), (2.0, 0.055_247_863), (-2.0, 2.373_215_5)]
        {
            let (_, [slope]) = LogCdf.with_slopes([u], []);
            assert!((slope - expected).abs() < 1e-5, "{u}: {slope}");
            let device = Device::flex().autodiff();
            let parameter = Tensor::<1>::from_data([u], &device).require_grad();
            let gradients = LogCdf.at([parameter.clone()], []).sum().backward();
            let found = number(parameter.grad(&gradients).unwrap()) as f32;
            assert!((found - expected).abs() < 1e-5, "{u}: {found}");
        }
    }

    // By mpmath, with 50 digits.
    #[test]
    fn hazards_keep_their_digits_far_out() {
        let known = [
            (-10_000.0f32, 10_000.000_1f64, 1e-8f64),
            (-1000.0, 1_000.000_999_998, 9.999_94e-7),
            (-50.7, 50.719_708_55, 3.881_257_5e-4),
            (-30.0, 30.033_259_667, 1.103_771_5e-3),
            (-9.0, 9.108_523_1, 1.151_479_1e-2),
            (0.0, 0.797_884_56, 0.363_380_23),
            (3.0, 4.437_839e-3, 0.986_666_8),
            (10_000.0, 0.0, 1.0),
        ];
        for (u, expected, variance) in known {
            let of = Tensor::<1>::full([1], u, &Device::flex());
            let (found, rest) = (number(hazard(of.clone())), number(variance_above(of)));
            assert!((found - expected).abs() <= 3e-6 * expected + 1e-30, "{u}: {found}");
            assert!((rest / variance - 1.0).abs() < 3e-3, "{u}: {rest}");
        }
    }
}
