//! Normal likelihood with one fixed scale.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::RowStreams;

use crate::error::scale;
use crate::stable::HALF_LN_TAU;
use crate::{DistributionError, Entries, EntryDistribution};

/// Independent normal entries with one fixed standard deviation.
///
/// ```text
/// log p(x | m) = −½ ((x − m) / σ)² − ln σ − ½ ln 2π
/// ```
pub type Normal<const D: usize> = Entries<NormalEntry, D, 1>;

/// The entry of [`Normal`].
#[derive(Clone, Copy, Debug)]
pub struct NormalEntry {
    /// The standard deviation, in units of the data.
    pub scale: f64,
}

impl Formula<1, 1> for NormalEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean]: [S; 1], [x]: [S::Constant; 1]) -> S {
        ((mean - x) / self.scale).square() * -0.5 - (self.scale.ln() + HALF_LN_TAU)
    }

    #[inline(always)]
    fn with_slopes(&self, [mean]: [f32; 1], [x]: [f32; 1]) -> (f32, [f32; 1]) {
        let normalizer = (self.scale.ln() + HALF_LN_TAU) as f32;
        let standard = (x - mean) / self.scale as f32;
        (-0.5 * standard * standard - normalizer, [standard / self.scale as f32])
    }
}

impl<const D: usize> Normal<D> {
    /// From means of any shape `[batch, …]` and a finite `scale` above 0, in units of the data.
    pub fn new(mean: Tensor<D>, scale: f64) -> Result<Self, DistributionError> {
        Self::of(NormalEntry { scale }, Parameters::Apart([mean]))
    }

    /// The standard deviation of every entry.
    pub fn scale(&self) -> f64 {
        self.entry.scale
    }
}

impl EntryDistribution<1> for NormalEntry {
    fn check(&self) -> Result<(), DistributionError> {
        scale("scale", self.scale)?;
        Ok(())
    }

    fn mean<const D: usize>(&self, [mean]: [Tensor<D>; 1]) -> Tensor<D> {
        mean
    }

    fn variance<const D: usize>(&self, [mean]: [Tensor<D>; 1]) -> Tensor<D> {
        mean.full_like(self.scale * self.scale)
    }

    fn sample<const D: usize>(&self, [mean]: [Tensor<D>; 1], draws: &mut RowStreams) -> Tensor<D> {
        let noise = draws.normal(mean.shape(), &mean.device());
        mean + noise * self.scale
    }

    fn named<const D: usize>(&self, [mean]: [Tensor<D>; 1]) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", mean.clone()), ("scale", mean.full_like(self.scale))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Likelihood;
    use burn::tensor::Device;

    // At the mean of N(m, 2²) the density is 1/(2 √2π); at a distance of one σ it is lower by ½ nat.
    #[test]
    fn log_prob_is_hand_worked() {
        let device = Device::flex();
        let normal = Normal::new(Tensor::<1>::from_data([1.0, 1.0], &device), 2.0).unwrap();
        let got = normal.log_prob(Tensor::from_data([1.0, 3.0], &device));
        let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
        let peak = -(2.0 * std::f32::consts::TAU.sqrt()).ln();
        assert!((got[0] - peak).abs() < 1e-6 && (got[1] - (peak - 0.5)).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn refuses_what_is_no_scale() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mean = Tensor::<1>::zeros([1], &Device::flex());
            let error = Normal::new(mean, value).unwrap_err().to_string();
            assert!(error.contains("`scale`") && error.contains(&value.to_string()), "{error}");
        }
    }
}
