//! Normal likelihood whose scale is a network output, bounded below.

use std::ops::Bound::{Excluded, Included, Unbounded};

use burn::tensor::Tensor;
use dvae_checks::within_single;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::RowStreams;

use crate::error::scale;
use crate::likelihood_config::FromOutputs;
use crate::stable::{HALF_LN_TAU, positive};
use crate::{DistributionError, Entries, EntryDistribution, Likelihood};

/// Independent normal entries, each with its own standard deviation.
///
/// ```text
/// log p(x | m, r) = −½ ((x − m) / σ)² − ln σ − ½ ln 2π,   σ = σ₀ + softplus(r)
/// ```
///
/// The lower limit `σ₀` is needed: without one the likelihood is unbounded, and training exploits this
/// (Mattei & Frellsen 2018, "Leveraging the Exact Likelihood of Deep Latent Variable Models").
pub type LearnedNormal<const D: usize> = Entries<LearnedNormalEntry, D, 2>;

/// The entry of [`LearnedNormal`].
#[derive(Clone, Copy, Debug)]
pub struct LearnedNormalEntry {
    min_scale: f64,
    /// The scale of a raw scale of 0, if it is not `min_scale + ln 2`.
    initial_scale: Option<f64>,
    /// What is added to raw scales for it.
    offset: f64,
    /// The scale that weighs errors of means in their gradients, if it is not each entry's own.
    mean_scale: Option<f64>,
}

impl LearnedNormalEntry {
    /// A normal whose standard deviation is above `min_scale`, in units of the data, and is `initial_scale` where the raw
    /// scale is 0 (by default `min_scale + ln 2`): `σ = σ₀ + softplus(r + c)`.
    pub fn new(min_scale: f64, initial_scale: Option<f64>) -> Self {
        let offset = initial_scale.map_or(0.0, |initial| {
            let above = initial - min_scale;
            above + (-(-above).exp_m1()).ln()
        });
        Self { min_scale, initial_scale, offset, mean_scale: None }
    }

    /// The same density, with another gradient: that of a mean is `(x − m) / s²`, with this scale `s` for all entries in place
    /// of their own `σ`, and that of a scale is its own.
    ///
    /// A mean that is learned with its own scale learns little where it is wrong, because the scale is large there: Seitzer
    /// et al. (2022), "On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks",
    /// section 3. With one scale for all, means are learned as by squared errors, and scales of what is left of them, as in
    /// Stirn et al. (2023), "Faithful Heteroscedastic Regression with Neural Networks", section 3, except that both share
    /// their layers. `None` is the density's own gradient.
    pub fn with_mean_scale(self, mean_scale: Option<f64>) -> Self {
        Self { mean_scale, ..self }
    }

    #[inline(always)]
    fn scale<S: Scalar>(&self, raw_scale: S) -> S {
        positive(raw_scale + self.offset, self.min_scale)
    }
}

impl Formula<2, 1> for LearnedNormalEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [mean, raw_scale]: [S; 2], [x]: [S::Constant; 1]) -> S {
        let scale = self.scale(raw_scale);
        let log_prob = |mean: S, scale: S| {
            let standard = (mean - x.clone()) / scale.clone();
            standard.square() * -0.5 - scale.log() - HALF_LN_TAU
        };
        let Some(mean_scale) = self.mean_scale else { return log_prob(mean, scale) };
        let fixed = mean.clone().detached();
        // This is 0, and its slope is that of the mean.
        let pull = (mean - fixed.clone()) * (S::constant(x.clone()) - fixed.clone());
        log_prob(fixed, scale) + pull * mean_scale.powi(-2)
    }
}

impl<const D: usize> LearnedNormal<D> {
    /// From means and raw scales of one shape `[batch, …]` and a finite lower limit above 0.
    pub fn new(
        mean: Tensor<D>,
        raw_scale: Tensor<D>,
        min_scale: f64,
    ) -> Result<Self, DistributionError> {
        Self::of(LearnedNormalEntry::new(min_scale, None), Parameters::Apart([mean, raw_scale]))
    }

    /// The standard deviation of every entry.
    pub fn scale(&self) -> Tensor<D> {
        self.entry.scale(self.parameters.get(1))
    }
}

impl EntryDistribution<2> for LearnedNormalEntry {
    fn check(&self) -> Result<(), DistributionError> {
        scale("min_scale", self.min_scale)?;
        if let Some(initial) = self.initial_scale {
            // Just above the limit, the slope of the softplus is so small that the scale would stay there.
            let least = 1.01 * self.min_scale;
            within_single("initial_scale", initial, (Excluded(least), Unbounded))?;
        }
        if let Some(mean_scale) = self.mean_scale {
            // Its square is a number of single precision.
            within_single("mean_scale", mean_scale, (Included(1e-15), Unbounded))?;
        }
        Ok(())
    }

    fn mean<const D: usize>(&self, [mean, _]: [Tensor<D>; 2]) -> Tensor<D> {
        mean
    }

    fn variance<const D: usize>(&self, [_, raw_scale]: [Tensor<D>; 2]) -> Tensor<D> {
        self.scale(raw_scale).square()
    }

    fn sample<const D: usize>(
        &self,
        [mean, raw_scale]: [Tensor<D>; 2],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        let noise = draws.normal(mean.shape(), &mean.device());
        mean + noise * self.scale(raw_scale)
    }

    fn named<const D: usize>(
        &self,
        [mean, raw_scale]: [Tensor<D>; 2],
    ) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", mean), ("scale", self.scale(raw_scale))]
    }
}

/// [`LearnedNormal`] with one scale for all entries, which is a weight of the model.
pub(crate) struct SharedScale(pub(crate) LearnedNormalEntry);

impl FromOutputs for SharedScale {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        self.0.check()
    }

    fn outputs(&self, columns: usize) -> usize {
        columns
    }

    fn shared_weights(&self, _columns: usize) -> usize {
        1
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        let shared = shared.expect("the shared weight of the likelihood");
        let raw_scale = shared.clone().reshape([1; D]).expand(outputs.dims());
        Ok(Box::new(Entries::of(self.0, Parameters::Apart([outputs, raw_scale]))?))
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

    // The value stays, the scale's slope stays, and the mean's is (x − m) / s² = 2 / 0.25.
    #[test]
    fn a_scale_for_means_changes_their_gradient_alone() {
        let device = Device::flex().autodiff();
        let slopes = |entry: LearnedNormalEntry, is_fused: bool| {
            let of = |value: f32| Tensor::<2>::full([1, 4], value, &device).require_grad();
            let (mean, raw) = (of(1.0), of(0.7));
            let parameters = Parameters::Apart([mean.clone(), raw.clone()]);
            let x = Tensor::<2>::full([1, 4], 3.0, &device);
            let value = match is_fused {
                true => LearnedNormal::of(entry, parameters).unwrap().log_prob(x),
                false => entry.at([mean.clone(), raw.clone()], [x]),
            };
            let value = value.sum();
            let gradients = value.backward();
            let first = |of: &Tensor<2>| {
                of.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap()[0]
            };
            (value.into_scalar::<f32>(), first(&mean), first(&raw))
        };
        let entry = LearnedNormalEntry::new(0.01, None);
        for is_fused in [true, false] {
            let (value, mean, raw) = slopes(entry, is_fused);
            let faithful = slopes(entry.with_mean_scale(Some(0.5)), is_fused);
            assert!((value - faithful.0).abs() < 1e-5 && (raw - faithful.2).abs() < 1e-5);
            assert!((faithful.1 - 8.0).abs() < 1e-5 && (mean - 8.0).abs() > 1.0, "{faithful:?}");
        }
        assert!(entry.with_mean_scale(Some(0.0)).check().is_err());
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
