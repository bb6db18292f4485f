//! Bernoulli likelihood from logits.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters, Scalar, math};
use dvae_random::RowStreams;

use crate::{Entries, EntryDistribution, Support};

/// Independent Bernoulli entries with success probability `sigmoid(logits)`.
///
/// ```text
/// log p(x | l) = x · log σ(l) + (1 − x) · log σ(−l) = log σ(l) − (1 − x) · l
/// ```
///
/// Stable for any finite logit: no sigmoid is taken before the logarithm. For gray values in `(0, 1)` this is
/// the commonly used cross-entropy, which is at most 0 but is not a normalized density (Loaiza-Ganem &
/// Cunningham 2019, "The continuous Bernoulli"): compare such metrics only with each other.
pub type Bernoulli<const D: usize> = Entries<BernoulliEntry, D, 1>;

/// The entry of [`Bernoulli`].
#[derive(Clone, Copy, Debug)]
pub struct BernoulliEntry;

impl Formula<1, 1> for BernoulliEntry {
    #[inline(always)]
    fn at<S: Scalar>(&self, [logit]: [S; 1], [x]: [S::Constant; 1]) -> S {
        logit.clone().log_sigmoid() - logit * (-x + 1.0)
    }

    // One exponential serves both, and the first difference is exact for x of 0 and 1.
    #[inline(always)]
    fn with_slopes(&self, [logit]: [f32; 1], [x]: [f32; 1]) -> (f32, [f32; 1]) {
        let e = math::exp(-logit.abs());
        let reciprocal = 1.0 / (1.0 + e);
        let sigmoid = if logit >= 0.0 { reciprocal } else { e * reciprocal };
        let negative = if logit < 0.0 { logit } else { 0.0 };
        (negative - (1.0 - x) * logit - math::ln_1p_unit(e), [x - sigmoid])
    }
}

impl<const D: usize> Bernoulli<D> {
    /// From logits of any shape `[batch, …]`.
    pub fn new(logits: Tensor<D>) -> Self {
        Self { entry: BernoulliEntry, parameters: Parameters::Apart([logits]) }
    }

    /// `log p/(1 − p)` of every entry.
    pub fn logits(&self) -> Tensor<D> {
        self.parameters.get(0)
    }
}

impl EntryDistribution<1> for BernoulliEntry {
    fn mean<const D: usize>(&self, [logits]: [Tensor<D>; 1]) -> Tensor<D> {
        dvae_kernels::sigmoid(logits)
    }

    fn variance<const D: usize>(&self, [logits]: [Tensor<D>; 1]) -> Tensor<D> {
        // Both factors keep their digits, however near to 0 or 1 the mean is.
        dvae_kernels::sigmoid(logits.clone()) * dvae_kernels::sigmoid(logits.neg())
    }

    /// Entries are 0 or 1.
    fn sample<const D: usize>(&self, logits: [Tensor<D>; 1], draws: &mut RowStreams) -> Tensor<D> {
        let mean = self.mean(logits);
        let uniform = draws.uniform(mean.shape(), &mean.device());
        uniform.lower(mean).float()
    }

    fn named<const D: usize>(&self, [logits]: [Tensor<D>; 1]) -> Vec<(&'static str, Tensor<D>)> {
        vec![("logits", logits)]
    }

    fn support(&self) -> Support {
        Support::UnitInterval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Likelihood;
    use burn::tensor::Device;
    use dvae_random::Key;

    fn log_prob(logit: f32, x: f32) -> f32 {
        let device = Device::flex();
        let logits = Tensor::<1>::from_data([logit], &device);
        Bernoulli::new(logits).log_prob(Tensor::from_data([x], &device)).into_scalar()
    }

    // log σ(0) = −ln 2; log σ(ln 3) = ln ¾, log σ(−ln 3) = ln ¼; halfway is the mean of the two.
    #[test]
    fn log_prob_is_that_of_hand_worked_probabilities() {
        let ln3 = 3f32.ln();
        for (logit, x, expected) in [
            (0.0, 1.0, -std::f32::consts::LN_2),
            (ln3, 1.0, 0.75f32.ln()),
            (ln3, 0.0, 0.25f32.ln()),
            (ln3, 0.5, 0.5 * (0.75f32.ln() + 0.25f32.ln())),
        ] {
            assert!((log_prob(logit, x) - expected).abs() < 1e-6, "{logit} {x}");
        }
    }

    #[test]
    fn extreme_logits_give_exact_limits() {
        assert_eq!(log_prob(1e4, 1.0), 0.0);
        assert_eq!(log_prob(-1e4, 0.0), 0.0);
        assert_eq!(log_prob(1e4, 0.0), -1e4);
        assert_eq!(log_prob(-1e4, 1.0), -1e4);
    }

    #[test]
    fn samples_have_the_mean_of_the_distribution() {
        let device = Device::flex();
        let n = 100_000;
        let bernoulli = Bernoulli::<2>::new(Tensor::full([1, n], 3f32.ln(), &device));
        let sample = bernoulli.sample(&mut Key::new(5).rows(&[0]));
        let mean = sample.mean().into_scalar::<f32>();
        // Six standard deviations of a binomial mean.
        assert!((mean - 0.75).abs() < 6.0 * (0.75 * 0.25 / n as f32).sqrt(), "{mean}");
    }
}
