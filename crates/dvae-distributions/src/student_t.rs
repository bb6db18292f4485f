//! Student's t likelihood.

use burn::tensor::Tensor;
use dvae_kernels::Law;
use dvae_random::RowStreams;
use rand_distr::{Distribution, StudentT as Draw};

use crate::Likelihood;
use crate::error::{DistributionError, scale};
use crate::formula::{Formula, by_formula};
use crate::sampling::each_entry;
use crate::stable::{HALF_LN_TAU, positive, stirling_error};

/// Independent Student's t entries, each with its own location, scale and degrees of freedom.
///
/// ```text
/// log p(x | m, s, ν) = ln Γ((ν + 1)/2) − ln Γ(ν/2) − ½ ln πν − ln s − (ν + 1)/2 · ln(1 + t²/ν),   t = (x − m)/s
/// s = s₀ + ln(1 + eʳ),   ν = ν₀ + ln(1 + e^q)
/// ```
///
/// The tails decay like `|x|^−(ν + 1)`, so outliers cost little. Mattei & Frellsen (2019), "MIWAE", use
/// `s₀` = 10⁻³ and `ν₀` = 3; the variance is finite above 2. The first three terms are computed as one,
/// because their difference would lose precision.
#[derive(Clone, Debug)]
pub struct StudentT<const D: usize> {
    location: Tensor<D>,
    raw_scale: Tensor<D>,
    raw_degrees: Tensor<D>,
    min_scale: f64,
    min_degrees: f64,
}

impl<const D: usize> StudentT<D> {
    /// From locations, raw scales `r` and raw degrees of freedom `q` of one shape `[batch, …]`, and a lower
    /// limit for each of the latter two, finite and above 0.
    pub fn new(
        [location, raw_scale, raw_degrees]: [Tensor<D>; 3],
        min_scale: f64,
        min_degrees: f64,
    ) -> Result<Self, DistributionError> {
        scale("min_scale", min_scale)?;
        scale("min_degrees", min_degrees)?;
        Ok(Self { location, raw_scale, raw_degrees, min_scale, min_degrees })
    }

    fn scale(&self) -> Tensor<D> {
        positive(self.raw_scale.clone(), self.min_scale)
    }

    fn degrees(&self) -> Tensor<D> {
        positive(self.raw_degrees.clone(), self.min_degrees)
    }
}

impl<const D: usize> Formula<D> for StudentT<D> {
    fn law(&self) -> Law {
        let (min_scale, min_degrees) = (self.min_scale as f32, self.min_degrees as f32);
        Law::StudentT { min_scale, min_degrees }
    }

    fn outputs(&self) -> Vec<&Tensor<D>> {
        vec![&self.location, &self.raw_scale, &self.raw_degrees]
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        let (scale, degrees) = (self.scale(), self.degrees());
        let half = degrees.clone() * 0.5;
        // ln Γ(a + ½) − ln Γ(a) − ½ ln a, by Stirling's formula and its errors.
        let gammas = half.clone() * (half.clone() * 2.0).recip().log1p() - 0.5
            + stirling_error(half.clone() + 0.5)
            - stirling_error(half.clone());
        let t = (x - self.location.clone()) / scale.clone();
        let tail = (half + 0.5) * (t.square() / degrees).log1p();
        gammas - HALF_LN_TAU - scale.log() - tail
    }
}

impl<const D: usize> Likelihood<D> for StudentT<D> {
    by_formula!();

    /// The location, which is the mean where `ν > 1`.
    fn mean(&self) -> Tensor<D> {
        self.location.clone()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let parameters = [self.location.clone(), self.scale(), self.degrees()];
        each_entry(parameters.map(Tensor::detach), draws, |[location, scale, degrees], rng| {
            let t = Draw::new(degrees).map_or(0.0, |law| law.sample(rng));
            location + scale * t
        })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![
            ("location", self.location.clone()),
            ("scale", self.scale()),
            ("degrees", self.degrees()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    // ν = 1 is the Cauchy distribution: 1/π(1 + t²). For very many degrees of freedom it is the normal
    // distribution.
    #[test]
    fn log_prob_is_hand_worked() {
        let device = Device::flex();
        let at = |raw_degrees: f32, x: f32| {
            let tensor = |v: f32| Tensor::<1>::from_data([v], &device);
            let unit = (0.9f32.exp() - 1.0).ln();
            let law = StudentT::new([tensor(0.0), tensor(unit), tensor(raw_degrees)], 0.1, 0.5);
            law.unwrap().log_prob(tensor(x)).into_scalar::<f32>()
        };
        let one = (0.5f32.exp() - 1.0).ln();
        let cauchy = |x: f32| -(std::f32::consts::PI * (1.0 + x * x)).ln();
        for x in [0.0, 1.0, -30.0] {
            assert!((at(one, x) - cauchy(x)).abs() < 2e-6, "{x}");
        }
        assert!((at(1e7, 1.0) + 0.5 + HALF_LN_TAU as f32).abs() < 1e-5);
    }
}
