//! Laplace likelihoods.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::RowStreams;

use crate::error::scale;
use crate::stable::positive;
use crate::{DistributionError, Entries, EntryDistribution};

/// Independent Laplace entries with one fixed scale: errors are weighted by their size, not by their square.
///
/// ```text
/// log p(x | m) = −|x − m| / b − ln 2b
/// ```
///
/// The standard deviation is `√2 b`. Outliers have less influence than under a normal distribution.
pub type Laplace<const D: usize> = Entries<LaplaceEntry, D, 1>;

/// Independent Laplace entries, each with its own scale `b = b₀ + ln(1 + eʳ)`.
pub type LearnedLaplace<const D: usize> = Entries<LearnedLaplaceEntry, D, 2>;

/// The entry of [`Laplace`].
#[derive(Clone, Copy, Debug)]
pub struct LaplaceEntry {
    /// The scale, in units of the data.
    pub scale: f64,
}

/// The entry of [`LearnedLaplace`].
#[derive(Clone, Copy, Debug)]
pub struct LearnedLaplaceEntry {
    /// The lower limit of the scale, in units of the data.
    pub min_scale: f64,
}

impl Formula<1, 1> for LaplaceEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [location]: [S; 1], [x]: [S::Constant; 1]) -> S {
        -((location - x).abs() / self.scale) - (2.0 * self.scale).ln()
    }
}

impl Formula<2, 1> for LearnedLaplaceEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [location, raw_scale]: [S; 2], [x]: [S::Constant; 1]) -> S {
        let scale = positive(raw_scale, self.min_scale);
        -((location - x).abs() / scale.clone()) - scale.log() - std::f64::consts::LN_2
    }
}

impl<const D: usize> Laplace<D> {
    /// From locations `[batch, …]` and one finite `scale` `b` above 0, in units of the data.
    pub fn new(location: Tensor<D>, scale: f64) -> Result<Self, DistributionError> {
        Self::of(LaplaceEntry { scale }, Parameters::Apart([location]))
    }
}

impl<const D: usize> LearnedLaplace<D> {
    /// From locations and raw scales `r` of one shape, and a finite lower limit `b₀` above 0.
    pub fn new(
        location: Tensor<D>,
        raw_scale: Tensor<D>,
        min_scale: f64,
    ) -> Result<Self, DistributionError> {
        Self::of(LearnedLaplaceEntry { min_scale }, Parameters::Apart([location, raw_scale]))
    }
}

impl EntryDistribution<1> for LaplaceEntry {
    fn check(&self) -> Result<(), DistributionError> {
        scale("scale", self.scale)?;
        Ok(())
    }

    fn mean<const D: usize>(&self, [location]: [Tensor<D>; 1]) -> Tensor<D> {
        location
    }

    fn variance<const D: usize>(&self, [location]: [Tensor<D>; 1]) -> Tensor<D> {
        location.full_like(2.0 * self.scale * self.scale)
    }

    fn sample<const D: usize>(
        &self,
        [location]: [Tensor<D>; 1],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        location.clone() + standard_draw(&location, draws) * self.scale
    }

    fn named<const D: usize>(&self, [location]: [Tensor<D>; 1]) -> Vec<(&'static str, Tensor<D>)> {
        vec![("location", location.clone()), ("scale", location.full_like(self.scale))]
    }
}

impl EntryDistribution<2> for LearnedLaplaceEntry {
    fn check(&self) -> Result<(), DistributionError> {
        scale("min_scale", self.min_scale)?;
        Ok(())
    }

    fn mean<const D: usize>(&self, [location, _]: [Tensor<D>; 2]) -> Tensor<D> {
        location
    }

    fn variance<const D: usize>(&self, [_, raw_scale]: [Tensor<D>; 2]) -> Tensor<D> {
        positive(raw_scale, self.min_scale).square() * 2.0
    }

    fn sample<const D: usize>(
        &self,
        [location, raw_scale]: [Tensor<D>; 2],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        location.clone() + standard_draw(&location, draws) * positive(raw_scale, self.min_scale)
    }

    fn named<const D: usize>(
        &self,
        [location, raw_scale]: [Tensor<D>; 2],
    ) -> Vec<(&'static str, Tensor<D>)> {
        vec![("location", location), ("scale", positive(raw_scale, self.min_scale))]
    }
}

/// A draw of location 0 and scale 1 for each entry of `like`.
fn standard_draw<const D: usize>(like: &Tensor<D>, draws: &mut RowStreams) -> Tensor<D> {
    // Uniform on [−½, ½) by sign and size; the size is at most 1 − 2⁻²³.
    let u = draws.uniform::<D>(like.shape(), &like.device()) - 0.5;
    let size = (u.clone().abs() * -2.0).clamp_min(-1.0 + 6e-8).log1p().neg();
    size * u.sign()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Likelihood;
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
