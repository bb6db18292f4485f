//! Negative binomial likelihood, and its zero-inflated form.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar};
use dvae_random::RowStreams;
use rand_distr::{Distribution, Gamma};

use crate::error::scale;
use crate::poisson::count;
use crate::sampling::each_entry;
use crate::stable::{deviance, log_base, log_softplus, positive, stirling_error};
use crate::{DistributionError, Entries, EntryDistribution, Support};

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
pub type NegativeBinomial<const D: usize> = Entries<NegativeBinomialEntry, D, 2>;

/// The entry of [`NegativeBinomial`].
#[derive(Clone, Copy, Debug)]
pub struct NegativeBinomialEntry {
    /// The lower limit of the inverse dispersion.
    pub min_inverse_dispersion: f64,
}

impl Formula<2, 1> for NegativeBinomialEntry {
    #[inline(always)]
    fn at<S: Scalar>(
        &self,
        [raw_mean, raw_inverse_dispersion]: [S; 2],
        [x]: [S::Constant; 1],
    ) -> S {
        let theta = positive(raw_inverse_dispersion, self.min_inverse_dispersion);
        let mean = raw_mean.clone().softplus();
        let (both, total) = (theta.clone() + x.clone(), theta.clone() + mean.clone());
        let (log_both, log_theta) = (both.clone().log(), theta.clone().log());
        // x and θ against their expected shares of x + θ.
        let (ratio, per_unit) = (both.clone() / total.clone(), log_both.clone() - total.log());
        let log_mean = per_unit.clone() + log_softplus(raw_mean, mean.clone());
        let of_x = deviance(x.clone(), ratio.clone() * mean, log_mean);
        let of_theta = deviance(theta.clone(), ratio * theta.clone(), per_unit + log_theta.clone());
        let errors = stirling_error(both) - stirling_error(theta);
        S::constant(log_base(x)) + errors + (log_theta - log_both) * 0.5 - of_x - of_theta
    }
}

impl<const D: usize> NegativeBinomial<D> {
    /// From raw means `r` and raw inverse dispersions `q` of one shape `[batch, …]`, and a finite lower limit
    /// `θ₀` above 0.
    pub fn new(
        raw_mean: Tensor<D>,
        raw_inverse_dispersion: Tensor<D>,
        min_inverse_dispersion: f64,
    ) -> Result<Self, DistributionError> {
        let parameters = Parameters::Apart([raw_mean, raw_inverse_dispersion]);
        Self::of(NegativeBinomialEntry { min_inverse_dispersion }, parameters)
    }
}

impl EntryDistribution<2> for NegativeBinomialEntry {
    fn check(&self) -> Result<(), DistributionError> {
        scale("min_inverse_dispersion", self.min_inverse_dispersion)?;
        Ok(())
    }

    fn mean<const D: usize>(&self, [raw_mean, _]: [Tensor<D>; 2]) -> Tensor<D> {
        raw_mean.softplus()
    }

    fn variance<const D: usize>(
        &self,
        [raw_mean, raw_inverse_dispersion]: [Tensor<D>; 2],
    ) -> Tensor<D> {
        let theta = positive(raw_inverse_dispersion, self.min_inverse_dispersion);
        let mean = raw_mean.softplus();
        mean.clone() * (mean / theta + 1.0)
    }

    fn sample<const D: usize>(
        &self,
        [raw_mean, raw_inverse_dispersion]: [Tensor<D>; 2],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        let theta = positive(raw_inverse_dispersion, self.min_inverse_dispersion);
        each_entry([raw_mean.softplus(), theta], draws, |[mean, theta], rng| {
            let rate = Gamma::new(theta, mean / theta).map_or(0.0, |law| law.sample(rng));
            count(rate, rng)
        })
    }

    fn named<const D: usize>(
        &self,
        [raw_mean, raw_inverse_dispersion]: [Tensor<D>; 2],
    ) -> Vec<(&'static str, Tensor<D>)> {
        let theta = positive(raw_inverse_dispersion, self.min_inverse_dispersion);
        vec![("mean", raw_mean.softplus()), ("inverse_dispersion", theta)]
    }

    fn support(&self) -> Support {
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
pub type ZeroInflatedNegativeBinomial<const D: usize> = Entries<ZeroInflatedEntry, D, 3>;

/// The entry of [`ZeroInflatedNegativeBinomial`].
#[derive(Clone, Copy, Debug)]
pub struct ZeroInflatedEntry {
    /// The distribution of the counts.
    pub counts: NegativeBinomialEntry,
}

impl Formula<3, 1> for ZeroInflatedEntry {
    #[inline(always)]
    fn at<S: Scalar>(
        &self,
        [raw_mean, raw_inverse_dispersion, gate]: [S; 3],
        [x]: [S::Constant; 1],
    ) -> S {
        let counts = self.counts.at([raw_mean, raw_inverse_dispersion], [x.clone()]);
        let counted = (-gate.clone()).log_sigmoid() + counts;
        let inflated = gate.log_sigmoid();
        // ln(eᵃ + eᵇ) from the larger of the two.
        let first = counted.clone().lower(inflated.clone());
        let larger = counted.clone().mask_where(first.clone(), inflated.clone());
        let smaller = inflated.mask_where(first, counted.clone());
        let zero = larger.clone() + (smaller - larger).exp().log1p();
        counted.mask_where(x.lower_elem(0.5), zero)
    }
}

impl<const D: usize> ZeroInflatedNegativeBinomial<D> {
    /// From the distribution of the counts and the logits `g` of the extra zeros, of one shape.
    pub fn new(counts: NegativeBinomial<D>, gate: Tensor<D>) -> Self {
        let [raw_mean, raw_inverse_dispersion] = counts.parameters.all();
        let parameters = Parameters::Apart([raw_mean, raw_inverse_dispersion, gate]);
        Self { entry: ZeroInflatedEntry { counts: counts.entry }, parameters }
    }
}

impl EntryDistribution<3> for ZeroInflatedEntry {
    fn check(&self) -> Result<(), DistributionError> {
        self.counts.check()
    }

    fn mean<const D: usize>(&self, [raw_mean, _, gate]: [Tensor<D>; 3]) -> Tensor<D> {
        raw_mean.softplus() * dvae_kernels::sigmoid(gate.neg())
    }

    /// `(1 − π) (v + π μ²)`, where `v` and `μ` are those of the counts.
    fn variance<const D: usize>(
        &self,
        [raw_mean, raw_inverse_dispersion, gate]: [Tensor<D>; 3],
    ) -> Tensor<D> {
        let counted = self.counts.variance([raw_mean.clone(), raw_inverse_dispersion]);
        let [extra, not] = [gate.clone(), gate.neg()].map(dvae_kernels::sigmoid);
        not * (counted + extra * raw_mean.softplus().square())
    }

    fn sample<const D: usize>(
        &self,
        [raw_mean, raw_inverse_dispersion, gate]: [Tensor<D>; 3],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        let counted = self.counts.sample([raw_mean, raw_inverse_dispersion], draws);
        let u = draws.uniform::<D>(counted.shape(), &counted.device());
        counted.mask_fill(u.lower(dvae_kernels::sigmoid(gate)), 0.0)
    }

    fn named<const D: usize>(
        &self,
        [raw_mean, raw_inverse_dispersion, gate]: [Tensor<D>; 3],
    ) -> Vec<(&'static str, Tensor<D>)> {
        let mut named = self.counts.named([raw_mean, raw_inverse_dispersion]);
        named.push(("gate", gate));
        named
    }

    fn support(&self) -> Support {
        Support::Counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Likelihood;
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
