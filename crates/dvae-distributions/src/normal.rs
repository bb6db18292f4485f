//! Normal likelihood with one fixed scale.

use burn::tensor::Tensor;
use dvae_kernels::Density;
use dvae_random::RowStreams;

use crate::Likelihood;
use crate::error::{DistributionError, scale};

/// Independent normal entries with one fixed standard deviation.
///
/// ```text
/// log p(x | m) = −½ ((x − m) / σ)² − ln σ − ½ ln 2π
/// ```
#[derive(Clone, Debug)]
pub struct Normal<const D: usize> {
    mean: Tensor<D>,
    scale: f64,
}

impl<const D: usize> Normal<D> {
    /// From means of any shape `[batch, …]` and a finite `scale` above 0, in units of the data.
    pub fn new(mean: Tensor<D>, scale: f64) -> Result<Self, DistributionError> {
        Ok(Self { mean, scale: self::scale("scale", scale)? })
    }

    /// The standard deviation of every entry.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    fn density(&self) -> Density<D> {
        Density::Normal { mean: self.mean.clone(), scale: self.scale }
    }
}

impl<const D: usize> Likelihood<D> for Normal<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.density().log_prob(x, None)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.density().log_likelihood(x, None)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.density().log_likelihood(x, Some(weights))
    }

    fn mean(&self) -> Tensor<D> {
        self.mean.clone()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let mean = self.mean.clone().detach();
        let noise = draws.normal(mean.shape(), &mean.device());
        mean + noise * self.scale
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", self.mean.clone()), ("scale", self.mean.full_like(self.scale))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
