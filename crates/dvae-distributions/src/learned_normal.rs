//! Normal likelihood whose scale is a network output, bounded below.

use burn::tensor::Tensor;
use dvae_kernels::Law;
use dvae_random::RowStreams;

use crate::Likelihood;
use crate::error::{DistributionError, scale};
use crate::formula::{Formula, by_formula};
use crate::stable::{HALF_LN_TAU, positive};

/// Independent normal entries, each with its own standard deviation.
///
/// ```text
/// log p(x | m, r) = −½ ((x − m) / σ)² − ln σ − ½ ln 2π,   σ = σ₀ + softplus(r)
/// ```
///
/// The lower limit `σ₀` is needed: without one the likelihood is unbounded, and training exploits this
/// (Mattei & Frellsen 2018, "Leveraging the Exact Likelihood of Deep Latent Variable Models").
#[derive(Clone, Debug)]
pub struct LearnedNormal<const D: usize> {
    mean: Tensor<D>,
    raw_scale: Tensor<D>,
    min_scale: f64,
}

impl<const D: usize> LearnedNormal<D> {
    /// From means and raw scales of one shape `[batch, …]` and a finite lower limit above 0.
    pub fn new(
        mean: Tensor<D>,
        raw_scale: Tensor<D>,
        min_scale: f64,
    ) -> Result<Self, DistributionError> {
        Ok(Self { mean, raw_scale, min_scale: scale("min_scale", min_scale)? })
    }

    /// The standard deviation of every entry.
    pub fn scale(&self) -> Tensor<D> {
        positive(self.raw_scale.clone(), self.min_scale)
    }
}

impl<const D: usize> Formula<D> for LearnedNormal<D> {
    fn law(&self) -> Law {
        Law::Normal { min_scale: self.min_scale as f32 }
    }

    fn outputs(&self) -> Vec<&Tensor<D>> {
        vec![&self.mean, &self.raw_scale]
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        let scale = self.scale();
        let standard = (x - self.mean.clone()) / scale.clone();
        standard.square() * -0.5 - scale.log() - HALF_LN_TAU
    }
}

impl<const D: usize> Likelihood<D> for LearnedNormal<D> {
    by_formula!();

    fn mean(&self) -> Tensor<D> {
        self.mean.clone()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let mean = self.mean.clone().detach();
        let noise = draws.normal(mean.shape(), &mean.device());
        mean + noise * self.scale().detach()
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", self.mean.clone()), ("scale", self.scale())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn of(raw: f32) -> LearnedNormal<1> {
        let device = Device::flex();
        let mean = Tensor::from_data([1.0], &device);
        LearnedNormal::new(mean, Tensor::from_data([raw], &device), 0.01).unwrap()
    }

    // softplus(ln(e − 1)) = 1.
    #[test]
    fn agrees_with_the_fixed_scale_of_the_same_size() {
        let learned = of((std::f32::consts::E - 1.0).ln());
        let x = Tensor::<1>::from_data([3.0], &Device::flex());
        let fixed = crate::Normal::new(learned.mean(), 1.01).unwrap().log_prob(x.clone());
        let gap = (learned.log_prob(x) - fixed).abs().into_scalar::<f32>();
        assert!(gap < 1e-6, "{gap}");
    }

    #[test]
    fn extreme_raw_scales_stay_finite_and_above_the_floor() {
        let x = Tensor::<1>::from_data([1.5], &Device::flex());
        assert_eq!(of(-1e4).scale().into_scalar::<f32>(), 0.01);
        assert_eq!(of(1e4).scale().into_scalar::<f32>(), 10_000.01);
        for raw in [-1e4, 1e4] {
            assert!(of(raw).log_prob(x.clone()).into_scalar::<f32>().is_finite());
        }
    }
}
