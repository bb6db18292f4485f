//! Bernoulli likelihood from logits.

use burn::tensor::Tensor;
use dvae_kernels::Density;
use dvae_random::RowStreams;

use crate::{Likelihood, Support};

/// Independent Bernoulli entries with success probability `sigmoid(logits)`.
///
/// ```text
/// log p(x | l) = x · log σ(l) + (1 − x) · log σ(−l) = log σ(l) − (1 − x) · l
/// ```
///
/// Stable for any finite logit: no sigmoid is taken before the logarithm. For gray values in `(0, 1)` this is
/// the commonly used cross-entropy, which is at most 0 but is not a normalized density (Loaiza-Ganem &
/// Cunningham 2019, "The continuous Bernoulli"): compare such metrics only with each other.
#[derive(Clone, Debug)]
pub struct Bernoulli<const D: usize> {
    logits: Tensor<D>,
}

impl<const D: usize> Bernoulli<D> {
    /// From logits of any shape `[batch, …]`.
    pub fn new(logits: Tensor<D>) -> Self {
        Self { logits }
    }

    /// `log p/(1 − p)` of every entry.
    pub fn logits(&self) -> Tensor<D> {
        self.logits.clone()
    }

    fn density(&self) -> Density<D> {
        Density::Bernoulli { logits: self.logits() }
    }
}

impl<const D: usize> Likelihood<D> for Bernoulli<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.density().log_prob(x, None)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.density().log_likelihood(x, None)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.density().log_likelihood(x, Some(weights))
    }

    fn mean(&self) -> Tensor<D> {
        dvae_kernels::sigmoid(self.logits.clone())
    }

    /// Entries are 0 or 1.
    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let mean = self.mean().detach();
        let uniform = draws.uniform(mean.shape(), &mean.device());
        uniform.lower(mean).float()
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("logits", self.logits())]
    }

    fn support(&self, _column: usize) -> Support {
        Support::UnitInterval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
