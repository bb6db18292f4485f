//! Normal likelihood with the optimal scale of the batch.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar, math};
use dvae_random::RowStreams;

use crate::error::scale;
use crate::likelihood_config::FromOutputs;
use crate::stable::HALF_LN_TAU;
use crate::{DistributionError, Likelihood};

/// Independent normal entries with one standard deviation for a whole batch: the one that maximizes the
/// batch's likelihood, but at least `min_scale`.
///
/// ```text
/// σ*² = mean over rows and entries of (x − m)²
/// ```
///
/// Rybkin, Daniilidis & Levine (2021), "Simple and Effective VAE Training with Calibrated Decoders",
/// section 3.3 ("optimal σ-VAE"). No gradient flows through `σ*`: at an optimum there is none.
///
/// With importance weights each draw would have its own scale; the result would not be a bound.
///
/// The density of a row depends, through `σ*`, on the batch that contains it. For metrics to report, train a
/// shared scale ([`LikelihoodConfig::SharedNormal`](crate::LikelihoodConfig::SharedNormal)), or measure with
/// batches of one size.
#[derive(Clone, Debug)]
pub struct OptimalNormal<const D: usize> {
    mean: Tensor<D>,
    min_scale: f64,
}

impl<const D: usize> OptimalNormal<D> {
    /// From means of any shape `[batch, …]` and a finite lower limit above 0, in units of the data.
    pub fn new(mean: Tensor<D>, min_scale: f64) -> Result<Self, DistributionError> {
        Ok(Self { mean, min_scale: scale("min_scale", min_scale)? })
    }

    /// `σ*` for these rows: it has the shape of the means and is the same everywhere. Entries with weight 0
    /// are left out; all others count equally.
    pub fn scale(&self, x: Tensor<D>, weights: Option<&Tensor<D>>) -> Tensor<D> {
        let square = (x - self.mean.clone()).detach().square();
        let mean = match weights {
            Some(weights) => {
                let counted = weights.clone().not_equal_elem(0.0).float();
                (square * counted.clone()).sum() / counted.sum().clamp_min(1.0)
            }
            None => square.mean(),
        };
        mean.sqrt().clamp_min(self.min_scale).reshape([1; D]).expand(self.mean.dims())
    }
}

/// A normal entry by its mean, at `x` and with a scale that no gradient flows through.
#[derive(Clone, Copy, Debug)]
struct ScaledNormal;

impl Formula<1, 2> for ScaledNormal {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean]: [S; 1], [x, scale]: [S::Constant; 2]) -> S {
        let standard = (mean - x) / S::constant(scale.clone());
        standard.square() * -0.5 - scale.log() - HALF_LN_TAU
    }

    #[inline(always)]
    fn with_slopes(&self, [mean]: [f32; 1], [x, scale]: [f32; 2]) -> (f32, [f32; 1]) {
        let standard = (x - mean) / scale;
        let value = -0.5 * standard * standard - math::ln(scale) - HALF_LN_TAU as f32;
        (value, [standard / scale])
    }
}

impl<const D: usize> Likelihood<D> for OptimalNormal<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        let scale = self.scale(x.clone(), None);
        ScaledNormal.each(&Parameters::Apart([self.mean.clone()]), [x, scale])
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        let scale = self.scale(x.clone(), None);
        ScaledNormal.rows(&Parameters::Apart([self.mean.clone()]), [x, scale], None)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        let scale = self.scale(x.clone(), Some(&weights));
        ScaledNormal.rows(&Parameters::Apart([self.mean.clone()]), [x, scale], Some(weights))
    }

    fn mean(&self) -> Tensor<D> {
        self.mean.clone()
    }

    /// At the lower limit of the scale, as samples are.
    fn variance(&self) -> Tensor<D> {
        self.mean.full_like(self.min_scale * self.min_scale)
    }

    /// Samples at the lower limit of the scale, because the optimal scale is known only for given data.
    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let mean = self.mean.clone().detach();
        let noise = draws.normal(mean.shape(), &mean.device());
        mean + noise * self.min_scale
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", self.mean.clone())]
    }
}

/// [`OptimalNormal`] in a configuration.
pub(crate) struct Settings {
    pub(crate) min_scale: f64,
}

impl FromOutputs for Settings {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        scale("min_scale", self.min_scale)?;
        Ok(())
    }

    fn outputs(&self, columns: usize) -> usize {
        columns
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        _shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Ok(Box::new(OptimalNormal::new(outputs, self.min_scale)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    // Errors of 3 and 4: σ*² = 12.5, and no other σ makes the two more likely.
    #[test]
    fn the_scale_is_the_root_mean_square_of_the_errors_and_the_best() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[3.0], [-4.0]], &device);
        let law = OptimalNormal::new(Tensor::zeros([2, 1], &device), 0.1).unwrap();
        let scales: Vec<f32> = law.scale(x.clone(), None).into_data().try_to_vec().unwrap();
        assert!(scales.iter().all(|s| (s - 12.5f32.sqrt()).abs() < 1e-6), "{scales:?}");
        let best = law.log_likelihood(x.clone()).sum().into_scalar::<f32>();
        for scale in [3.0, 3.5, 3.6, 4.0] {
            let fixed = crate::Normal::new(Tensor::zeros([2, 1], &device), scale).unwrap();
            assert!(fixed.log_likelihood(x.clone()).sum().into_scalar::<f32>() <= best + 1e-6);
        }
        let exact = law.scale(Tensor::zeros([2, 1], &device), None).max().into_scalar::<f32>();
        assert_eq!(exact, 0.1);
        // An entry of weight 0 is left out, whatever its value; the size of other weights does not matter.
        let weights = Tensor::<2>::from_data([[0.5], [0.0]], &device);
        let first = law.scale(x, Some(&weights)).max().into_scalar::<f32>();
        assert_eq!(first, 3.0);
    }
}
