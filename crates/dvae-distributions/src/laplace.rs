//! Laplace likelihood.

use burn::tensor::Tensor;
use dvae_kernels::Law;
use dvae_random::RowStreams;

use crate::Likelihood;
use crate::error::{DistributionError, scale};
use crate::formula::{Formula, by_formula};
use crate::stable::positive;

/// Independent Laplace entries: errors are weighted by their size, not by their square.
///
/// ```text
/// log p(x | m) = −|x − m| / b − ln 2b
/// ```
///
/// The standard deviation is `√2 b`. Outliers have less influence than under a normal distribution.
#[derive(Clone, Debug)]
pub struct Laplace<const D: usize> {
    location: Tensor<D>,
    raw_scale: Tensor<D>,
    min_scale: f64,
}

impl<const D: usize> Laplace<D> {
    /// From locations `[batch, …]` and one finite `scale` `b` above 0, in units of the data.
    pub fn new(location: Tensor<D>, scale: f64) -> Result<Self, DistributionError> {
        // Far below 0 a raw scale adds nothing to the lower limit.
        let raw_scale = location.full_like(-1e4).detach();
        Ok(Self { location, raw_scale, min_scale: self::scale("scale", scale)? })
    }

    /// From locations and raw scales `r` of one shape: `b = min_scale + ln(1 + eʳ)`.
    pub fn learned(
        location: Tensor<D>,
        raw_scale: Tensor<D>,
        min_scale: f64,
    ) -> Result<Self, DistributionError> {
        Ok(Self { location, raw_scale, min_scale: scale("min_scale", min_scale)? })
    }

    fn scale(&self) -> Tensor<D> {
        positive(self.raw_scale.clone(), self.min_scale)
    }
}

impl<const D: usize> Formula<D> for Laplace<D> {
    fn law(&self) -> Law {
        Law::Laplace { min_scale: self.min_scale as f32 }
    }

    fn outputs(&self) -> Vec<&Tensor<D>> {
        vec![&self.location, &self.raw_scale]
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        let scale = self.scale();
        let standard = (x - self.location.clone()).abs() / scale.clone();
        standard.neg() - scale.log() - std::f64::consts::LN_2
    }
}

impl<const D: usize> Likelihood<D> for Laplace<D> {
    by_formula!();

    fn mean(&self) -> Tensor<D> {
        self.location.clone()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let location = self.location.clone().detach();
        // Uniform on [−½, ½) by sign and size; the size is at most 1 − 2⁻²³.
        let u = draws.uniform::<D>(location.shape(), &location.device()) - 0.5;
        let size = (u.clone().abs() * -2.0).clamp_min(-1.0 + 6e-8).log1p().neg();
        location + size * u.sign() * self.scale().detach()
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("location", self.location.clone()), ("scale", self.scale())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    // The density is 1/2b at the location, and e times smaller at a distance of b.
    #[test]
    fn log_prob_is_hand_worked() {
        let device = Device::flex();
        let laplace = Laplace::new(Tensor::<1>::from_data([1.0, 1.0], &device), 2.0).unwrap();
        let got = laplace.log_prob(Tensor::from_data([1.0, -1.0], &device));
        let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
        assert!((got[0] + 4f32.ln()).abs() < 1e-6 && (got[1] - got[0] + 1.0).abs() < 1e-6);
    }
}
