//! Student's t likelihood.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::RowStreams;
use rand_distr::{Distribution, StudentT as Draw};

use crate::error::scale;
use crate::sampling::each_entry;
use crate::stable::{HALF_LN_TAU, positive, stirling_error};
use crate::{DistributionError, Entries, EntryDistribution};

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
pub type StudentT<const D: usize> = Entries<StudentTEntry, D, 3>;

/// The entry of [`StudentT`].
#[derive(Clone, Copy, Debug)]
pub struct StudentTEntry {
    /// The lower limit of the scale, in units of the data.
    pub min_scale: f64,
    /// The lower limit of the degrees of freedom.
    pub min_degrees: f64,
}

impl Formula<3, 1> for StudentTEntry {
    #[inline(always)]
    fn at<S: Scalar>(
        &self,
        [location, raw_scale, raw_degrees]: [S; 3],
        [x]: [S::Constant; 1],
    ) -> S {
        let scale = positive(raw_scale, self.min_scale);
        let degrees = positive(raw_degrees, self.min_degrees);
        let half = degrees.clone() * 0.5;
        // ln Γ(a + ½) − ln Γ(a) − ½ ln a, by Stirling's formula and its errors.
        let gammas = half.clone() * degrees.clone().recip().log1p() - 0.5
            + stirling_error(half.clone() + 0.5)
            - stirling_error(half.clone());
        let t = (location - x) / scale.clone();
        let tail = (half + 0.5) * (t.square() / degrees).log1p();
        gammas - HALF_LN_TAU - scale.log() - tail
    }
}

impl<const D: usize> StudentT<D> {
    /// From locations, raw scales `r` and raw degrees of freedom `q` of one shape `[batch, …]`, and a lower
    /// limit for each of the latter two, finite and above 0.
    pub fn new(
        parameters: [Tensor<D>; 3],
        min_scale: f64,
        min_degrees: f64,
    ) -> Result<Self, DistributionError> {
        Self::of(StudentTEntry { min_scale, min_degrees }, Parameters::Apart(parameters))
    }
}

impl StudentTEntry {
    /// Location, scale and degrees of freedom.
    fn linked<const D: usize>(
        &self,
        [location, raw_scale, raw_degrees]: [Tensor<D>; 3],
    ) -> [Tensor<D>; 3] {
        [location, positive(raw_scale, self.min_scale), positive(raw_degrees, self.min_degrees)]
    }
}

impl EntryDistribution<3> for StudentTEntry {
    fn check(&self) -> Result<(), DistributionError> {
        scale("min_scale", self.min_scale)?;
        scale("min_degrees", self.min_degrees)?;
        Ok(())
    }

    /// The location, which is the mean where `ν > 1`.
    fn mean<const D: usize>(&self, [location, ..]: [Tensor<D>; 3]) -> Tensor<D> {
        location
    }

    /// `s² ν/(ν − 2)`; infinite where `ν ≤ 2`.
    fn variance<const D: usize>(&self, parameters: [Tensor<D>; 3]) -> Tensor<D> {
        let [_, scale, degrees] = self.linked(parameters);
        // Written so that many degrees of freedom, which may be infinite, leave the square of the scale.
        let excess = (degrees - 2.0).clamp_min(0.0);
        let times = excess.clone().recip() * 2.0 + 1.0;
        let variance = scale.square() * times;
        variance.mask_fill(excess.equal_elem(0.0), f32::INFINITY)
    }

    fn sample<const D: usize>(
        &self,
        parameters: [Tensor<D>; 3],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        each_entry(self.linked(parameters), draws, |[location, scale, degrees], rng| {
            let t = Draw::new(degrees).map_or(0.0, |law| law.sample(rng));
            location + scale * t
        })
    }

    fn named<const D: usize>(&self, parameters: [Tensor<D>; 3]) -> Vec<(&'static str, Tensor<D>)> {
        let [location, scale, degrees] = self.linked(parameters);
        vec![("location", location), ("scale", scale), ("degrees", degrees)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Likelihood;
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
