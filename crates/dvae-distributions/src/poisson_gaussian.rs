//! The noise of a sensor: counted light and electronics.

use std::ops::Bound::{Included, Unbounded};

use burn::tensor::Tensor;
use dvae_checks::within_single;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::RowStreams;

use crate::stable::HALF_LN_TAU;
use crate::{DistributionError, Entries, EntryDistribution};

/// Independent normal entries whose variance is a line over the mean, as the noise of a sensor has it.
///
/// ```text
/// log p(x | m) = −½ (x − m)² / v − ½ ln v − ½ ln 2π,   v = max(a m + b, σ₀²)
/// ```
///
/// The mean is the signal without noise: a model of noisy pictures alone, with the noise known, explains each as a clean
/// signal and its noise (Prakash et al. 2021, "Fully Unsupervised Diversity Denoising with Convolutional Variational
/// Autoencoders", section 3). The gain `a` and the offset `b` are those of Foi et al. (2008), "Practical Poissonian-Gaussian
/// Noise Modeling and Fitting for Single-Image Raw-Data", equation 3, with the Poisson part as a normal of its variance.
pub type PoissonGaussian<const D: usize> = Entries<PoissonGaussianEntry, D, 1>;

/// The entry of [`PoissonGaussian`].
#[derive(Clone, Copy, Debug)]
pub struct PoissonGaussianEntry {
    /// The slope of the variance over the mean, in units of the data; at least 0.
    pub gain: f64,
    /// The variance of an entry whose mean is 0, in squared units of the data. It is below 0 where black is above 0.
    pub offset: f64,
    /// The lower limit of the standard deviation, in units of the data.
    pub min_scale: f64,
}

impl PoissonGaussianEntry {
    #[inline(always)]
    fn variance_at<S: Scalar>(&self, mean: S) -> S {
        (mean * self.gain + self.offset).clamp_min(self.min_scale * self.min_scale)
    }
}

impl Formula<1, 1> for PoissonGaussianEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean]: [S; 1], [x]: [S::Constant; 1]) -> S {
        let variance = self.variance_at(mean.clone());
        let squared = (mean - x).square() / variance.clone();
        (squared + variance.log()) * -0.5 - HALF_LN_TAU
    }
}

impl<const D: usize> PoissonGaussian<D> {
    /// From means `[batch, …]`; an error names a `gain` below 0, a `min_scale` that is not above 0, or one that is not finite.
    pub fn new(mean: Tensor<D>, entry: PoissonGaussianEntry) -> Result<Self, DistributionError> {
        Self::of(entry, Parameters::Apart([mean]))
    }
}

impl EntryDistribution<1> for PoissonGaussianEntry {
    fn check(&self) -> Result<(), DistributionError> {
        within_single("gain", self.gain, (Included(0.0), Unbounded))?;
        within_single("offset", self.offset, ..)?;
        // Its square has to be held too.
        within_single("min_scale", self.min_scale, (Included(1e-15), Unbounded))?;
        Ok(())
    }

    fn mean<const D: usize>(&self, [mean]: [Tensor<D>; 1]) -> Tensor<D> {
        mean
    }

    fn variance<const D: usize>(&self, [mean]: [Tensor<D>; 1]) -> Tensor<D> {
        self.variance_at(mean)
    }

    fn sample<const D: usize>(&self, [mean]: [Tensor<D>; 1], draws: &mut RowStreams) -> Tensor<D> {
        let noise = draws.normal(mean.shape(), &mean.device());
        mean.clone() + noise * self.variance_at(mean).sqrt()
    }

    fn named<const D: usize>(&self, [mean]: [Tensor<D>; 1]) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", mean.clone()), ("scale", self.variance_at(mean).sqrt())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Likelihood, Normal};
    use burn::tensor::Device;

    const ENTRY: PoissonGaussianEntry =
        PoissonGaussianEntry { gain: 0.5, offset: 0.25, min_scale: 0.1 };

    // A mean of 1.5 has the variance 0.75 + 0.25 = 1; one of −4 has the least, 0.01.
    #[test]
    fn agrees_with_the_normal_of_its_variance() {
        let device = Device::flex();
        let x = Tensor::<1>::from_data([3.0], &device);
        for (mean, scale) in [(1.5, 1.0), (-4.0, 0.1)] {
            let mean = Tensor::from_data([mean], &device);
            let sensor = PoissonGaussian::new(mean.clone(), ENTRY).unwrap().log_prob(x.clone());
            let normal = Normal::new(mean, scale).unwrap().log_prob(x.clone());
            let gap = ((sensor - normal.clone()) / normal).abs().into_scalar::<f32>();
            assert!(gap < 1e-6, "{scale}: {gap}");
        }
    }

    #[test]
    fn refuses_what_is_no_sensor() {
        let bad = [
            (PoissonGaussianEntry { gain: -1.0, ..ENTRY }, "`gain`"),
            (PoissonGaussianEntry { offset: f64::NAN, ..ENTRY }, "`offset`"),
            (PoissonGaussianEntry { min_scale: 0.0, ..ENTRY }, "`min_scale`"),
        ];
        for (entry, name) in bad {
            let mean = Tensor::<1>::zeros([1], &Device::flex());
            let error = PoissonGaussian::new(mean, entry).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
