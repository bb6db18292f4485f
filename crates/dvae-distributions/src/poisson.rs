//! Poisson likelihood.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::{RowRng, RowStreams};
use rand_distr::{Distribution, Poisson as Draw};

use crate::sampling::each_entry;
use crate::stable::{deviance, log_base, log_softplus};
use crate::{Entries, EntryDistribution, Support};

/// Independent counts whose variance is their mean.
///
/// ```text
/// log p(x | λ) = x ln λ − λ − ln x!,   λ = ln(1 + eʳ)
/// ```
///
/// Computed as `−(deviance of x from λ) − (error of Stirling's formula) − ½ ln 2πx`, which stays accurate for
/// counts of a million: Loader (2000), "Fast and Accurate Computation of Binomial Probabilities".
pub type Poisson<const D: usize> = Entries<PoissonEntry, D, 1>;

/// The entry of [`Poisson`].
#[derive(Clone, Copy, Debug)]
pub struct PoissonEntry;

impl Formula<1, 1> for PoissonEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [raw_rate]: [S; 1], [x]: [S::Constant; 1]) -> S {
        let rate = raw_rate.clone().softplus();
        let log_rate = log_softplus(raw_rate, rate.clone());
        let of_x = deviance(x.clone(), rate, log_rate);
        S::constant(log_base(x)) - of_x
    }
}

impl<const D: usize> Poisson<D> {
    /// From raw rates `r` of any shape `[batch, …]`.
    pub fn new(raw_rate: Tensor<D>) -> Self {
        Self { entry: PoissonEntry, parameters: Parameters::Apart([raw_rate]) }
    }
}

impl EntryDistribution<1> for PoissonEntry {
    fn mean<const D: usize>(&self, [raw_rate]: [Tensor<D>; 1]) -> Tensor<D> {
        raw_rate.softplus()
    }

    fn variance<const D: usize>(&self, raw_rate: [Tensor<D>; 1]) -> Tensor<D> {
        self.mean(raw_rate)
    }

    fn sample<const D: usize>(
        &self,
        raw_rate: [Tensor<D>; 1],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        each_entry([self.mean(raw_rate)], draws, |[rate], rng| count(rate, rng))
    }

    fn named<const D: usize>(&self, raw_rate: [Tensor<D>; 1]) -> Vec<(&'static str, Tensor<D>)> {
        vec![("rate", self.mean(raw_rate))]
    }

    fn support(&self) -> Support {
        Support::Counts
    }
}

/// A Poisson count; 0 if the rate is not a positive number.
pub(crate) fn count(rate: f64, rng: &mut RowRng) -> f64 {
    Draw::new(rate).map_or(0.0, |law| law.sample(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Likelihood;
    use burn::tensor::Device;

    // p(0) = e⁻¹, p(1) = e⁻¹, p(3) = e⁻¹/6 at λ = 1; at λ = x = 10⁶, −½ ln 2πx − 1/12x.
    #[test]
    fn log_prob_is_hand_worked() {
        let at = |rate: f64, x: f32| {
            let raw = if rate > 20.0 { rate } else { rate.exp_m1().ln() };
            let tensor = |v: f32| Tensor::<1>::from_data([v], &Device::flex());
            Poisson::new(tensor(raw as f32)).log_prob(tensor(x)).into_scalar::<f64>()
        };
        for (x, expected) in [(0.0, -1.0), (1.0, -1.0), (3.0, -1.0 - 6f64.ln())] {
            assert!((at(1.0, x) - expected).abs() < 1e-6, "{x}");
        }
        let peak = -0.5 * (std::f64::consts::TAU * 1e6).ln() - 1.0 / 12e6;
        assert!((at(1e6, 1e6) - peak).abs() < 1e-5);
    }
}
