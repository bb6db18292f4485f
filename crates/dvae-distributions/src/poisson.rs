//! Poisson likelihood.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use dvae_kernels::Law;
use dvae_random::RowStreams;
use rand_distr::{Distribution, Poisson as Draw};

use crate::formula::{Formula, by_formula};
use crate::sampling::each_entry;
use crate::stable::{HALF_LN_TAU, deviance, log_softplus, stirling_error};
use crate::{Likelihood, Support};

/// Independent counts whose variance is their mean.
///
/// ```text
/// log p(x | λ) = x ln λ − λ − ln x!,   λ = ln(1 + eʳ)
/// ```
///
/// Computed as `−(deviance of x from λ) − (error of Stirling's formula) − ½ ln 2πx`, which stays accurate for
/// counts of a million: Loader (2000), "Fast and Accurate Computation of Binomial Probabilities".
#[derive(Clone, Debug)]
pub struct Poisson<const D: usize> {
    raw_rate: Tensor<D>,
}

impl<const D: usize> Poisson<D> {
    /// From raw rates `r` of any shape `[batch, …]`.
    pub fn new(raw_rate: Tensor<D>) -> Self {
        Self { raw_rate }
    }
}

/// `−ln x! + x ln x − x` of counts, by Stirling's formula and its error; 0 at 0.
pub(crate) fn log_base<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let positive = x.clone().clamp_min(1.0);
    let value = (stirling_error(positive.clone()) + positive.log() * 0.5 + HALF_LN_TAU).neg();
    value.mask_fill(x.lower_elem(0.5), 0.0)
}

impl<const D: usize> Formula<D> for Poisson<D> {
    fn law(&self) -> Law {
        Law::Poisson
    }

    fn outputs(&self) -> Vec<&Tensor<D>> {
        vec![&self.raw_rate]
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        log_base(x.clone()) - deviance(x, self.mean(), log_softplus(self.raw_rate.clone()))
    }
}

impl<const D: usize> Likelihood<D> for Poisson<D> {
    by_formula!();

    fn mean(&self) -> Tensor<D> {
        softplus(self.raw_rate.clone(), 1.0)
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        each_entry([self.mean().detach()], draws, |[rate], rng| count(rate, rng))
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("rate", self.mean())]
    }

    fn support(&self, _column: usize) -> Support {
        Support::Counts
    }
}

/// A Poisson count; 0 if the rate is not a positive number.
pub(crate) fn count(rate: f64, rng: &mut dvae_random::RowRng) -> f64 {
    Draw::new(rate).map_or(0.0, |law| law.sample(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
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
