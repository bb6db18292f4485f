//! Negative binomial likelihood, and its zero-inflated form.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, softplus};
use dvae_kernels::Law;
use dvae_random::RowStreams;
use rand_distr::{Distribution, Gamma};

use crate::error::{DistributionError, scale};
use crate::formula::{Formula, by_formula};
use crate::poisson::{count, log_base};
use crate::sampling::each_entry;
use crate::stable::{deviance, log_softplus, positive, stirling_error};
use crate::{Likelihood, Support};

/// Independent overdispersed counts with mean `μ` and inverse dispersion `θ`: the variance is `μ + μ²/θ`.
///
/// ```text
/// log p(x | μ, θ) = ln Γ(x + θ) − ln Γ(θ) − ln x! + θ ln(θ/(θ + μ)) + x ln(μ/(θ + μ))
/// μ = ln(1 + eʳ),   θ = θ₀ + ln(1 + e^q)
/// ```
///
/// It is a Poisson distribution whose rate is gamma-distributed with shape `θ` and mean `μ`; `θ → ∞` gives
/// the Poisson distribution. The parameters are those of Lopez et al. (2018), "Deep generative modeling for
/// single-cell transcriptomics" (scVI). It is computed from deviances, as the Poisson density is, because
/// differences of `ln Γ` lose all precision.
#[derive(Clone, Debug)]
pub struct NegativeBinomial<const D: usize> {
    raw_mean: Tensor<D>,
    raw_inverse_dispersion: Tensor<D>,
    floor: f64,
}

impl<const D: usize> NegativeBinomial<D> {
    /// From raw means `r` and raw inverse dispersions `q` of one shape `[batch, …]`, and a finite lower limit
    /// `θ₀` above 0.
    pub fn new(
        raw_mean: Tensor<D>,
        raw_inverse_dispersion: Tensor<D>,
        min_inverse_dispersion: f64,
    ) -> Result<Self, DistributionError> {
        let floor = scale("min_inverse_dispersion", min_inverse_dispersion)?;
        Ok(Self { raw_mean, raw_inverse_dispersion, floor })
    }

    fn inverse_dispersion(&self) -> Tensor<D> {
        positive(self.raw_inverse_dispersion.clone(), self.floor)
    }
}

impl<const D: usize> Formula<D> for NegativeBinomial<D> {
    fn law(&self) -> Law {
        Law::NegativeBinomial { floor: self.floor as f32 }
    }

    fn outputs(&self) -> Vec<&Tensor<D>> {
        vec![&self.raw_mean, &self.raw_inverse_dispersion]
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        let (theta, mean) = (self.inverse_dispersion(), self.mean());
        let both = x.clone() + theta.clone();
        let total = theta.clone() + mean.clone();
        // x and θ against their expected shares of x + θ.
        let per_unit = both.clone().log() - total.clone().log();
        let ratio = both.clone() / total;
        let of_x = deviance(
            x.clone(),
            ratio.clone() * mean,
            per_unit.clone() + log_softplus(self.raw_mean.clone()),
        );
        let log_theta = theta.clone().log();
        let of_theta = deviance(theta.clone(), ratio * theta.clone(), per_unit + log_theta.clone());
        let errors = stirling_error(both.clone()) - stirling_error(theta);
        log_base(x) + errors + (log_theta - both.log()) * 0.5 - of_x - of_theta
    }
}

impl<const D: usize> Likelihood<D> for NegativeBinomial<D> {
    by_formula!();

    fn mean(&self) -> Tensor<D> {
        softplus(self.raw_mean.clone(), 1.0)
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let parameters = [self.mean().detach(), self.inverse_dispersion().detach()];
        each_entry(parameters, draws, |[mean, theta], rng| {
            let rate = Gamma::new(theta, mean / theta).map_or(0.0, |law| law.sample(rng));
            count(rate, rng)
        })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("mean", self.mean()), ("inverse_dispersion", self.inverse_dispersion())]
    }

    fn support(&self, _column: usize) -> Support {
        Support::Counts
    }
}

/// A negative binomial count, or with probability `π = sigmoid(g)` an extra zero.
///
/// ```text
/// log p(0) = ln(π + (1 − π) NB(0)),   log p(x > 0) = ln(1 − π) + log NB(x)
/// ```
///
/// Lopez et al. (2018), equation 1 and supplementary note 3.
#[derive(Clone, Debug)]
pub struct ZeroInflatedNegativeBinomial<const D: usize> {
    counts: NegativeBinomial<D>,
    gate: Tensor<D>,
}

impl<const D: usize> ZeroInflatedNegativeBinomial<D> {
    /// From the distribution of the counts and the logits `g` of the extra zeros, of one shape.
    pub fn new(counts: NegativeBinomial<D>, gate: Tensor<D>) -> Self {
        Self { counts, gate }
    }
}

impl<const D: usize> Formula<D> for ZeroInflatedNegativeBinomial<D> {
    fn law(&self) -> Law {
        Law::ZeroInflated { floor: self.counts.floor as f32 }
    }

    fn outputs(&self) -> Vec<&Tensor<D>> {
        vec![&self.counts.raw_mean, &self.counts.raw_inverse_dispersion, &self.gate]
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        let counted = log_sigmoid(self.gate.clone().neg()) + self.counts.plain(x.clone());
        let inflated = log_sigmoid(self.gate.clone());
        let largest = inflated.clone().max_pair(counted.clone()).detach();
        let share = |log: &Tensor<D>| (log.clone() - largest.clone()).exp();
        let zero = (share(&inflated) + share(&counted)).log() + largest.clone();
        counted.mask_where(x.lower_elem(0.5), zero)
    }
}

impl<const D: usize> Likelihood<D> for ZeroInflatedNegativeBinomial<D> {
    by_formula!();

    fn mean(&self) -> Tensor<D> {
        self.counts.mean() * dvae_kernels::sigmoid(self.gate.clone().neg())
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let counted = self.counts.sample(draws);
        let u = draws.uniform::<D>(counted.shape(), &counted.device());
        counted.mask_fill(u.lower(dvae_kernels::sigmoid(self.gate.clone()).detach()), 0.0)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        let mut parameters = self.counts.parameters();
        parameters.push(("gate", self.gate.clone()));
        parameters
    }

    fn support(&self, _column: usize) -> Support {
        Support::Counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn tensor(v: f64) -> Tensor<1> {
        Tensor::from_data([v as f32], &Device::flex())
    }

    fn raw(value: f64) -> Tensor<1> {
        tensor(if value > 20.0 { value } else { value.exp_m1().ln() })
    }

    // θ = 1 is the geometric distribution, p(x) = p qˣ with q = μ/(1 + μ); μ = 1 halves at each count.
    #[test]
    fn one_over_dispersion_of_1_is_geometric() {
        let law = NegativeBinomial::new(raw(1.0), raw(0.999), 1e-3).unwrap();
        for x in [0.0, 1.0, 2.0, 20.0] {
            let expected = -(x + 1.0) * 2f64.ln();
            let got = law.log_prob(tensor(x)).into_scalar::<f64>();
            assert!((got - expected).abs() < 1e-5, "{x}: {got}");
        }
        // Zeros: π + (1 − π)/2 with π = ½; all others are multiplied by 1 − π.
        let inflated = ZeroInflatedNegativeBinomial::new(law, tensor(0.0));
        let at = |x: f64| inflated.log_prob(tensor(x)).into_scalar::<f64>();
        assert!((at(0.0) - 0.75f64.ln()).abs() < 1e-6);
        assert!((at(1.0) - 0.125f64.ln()).abs() < 1e-5);
    }
}
