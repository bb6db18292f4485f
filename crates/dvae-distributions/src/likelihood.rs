//! The trait of all likelihoods.

use std::fmt::Debug;

use burn::tensor::Tensor;
use dvae_kernels::sum_features;
use dvae_random::RowStreams;

use crate::Support;

/// A distribution `p(x | z)` over entries of a tensor; axis 0 is the row. Entries are independent given `z`, but for those of texts, each of which
/// depends on those before it.
pub trait Likelihood<const D: usize>: Debug {
    /// `log p(xᵢ | z)` of every entry, shape of `x`, in nats (per unit of `x` if continuous).
    ///
    /// Entries must lie in the [`Likelihood::support`]: for others the value is meaningless.
    ///
    /// # Panics
    ///
    /// If `x` has another shape than the distribution's parameters.
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D>;

    /// `log p(x | z)` of every row, summed over its features: `[batch]`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has another shape than the distribution's parameters.
    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        sum_features(self.log_prob(x))
    }

    /// `Σᵢ wᵢ log p(xᵢ | z)` of every row, with a weight for each entry: `[batch]`, in nats.
    ///
    /// Weights above 1 emphasize entries (Vincent et al. 2010, "Stacked Denoising Autoencoders", section 3.4,
    /// weighs changed entries by α and the others by β); weights of 0 leave out unobserved entries.
    ///
    /// # Panics
    ///
    /// If `x` or the weights have another shape than the distribution's parameters.
    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        sum_features(self.log_prob(x) * weights)
    }

    /// `E[xᵢ | z]` of every entry; for classes, which have no mean, the most probable class.
    fn mean(&self) -> Tensor<D>;

    /// `Var[xᵢ | z]` of every entry, at least 0; for classes, which have none, the probability of another class than the
    /// most probable. Infinite where the distribution has no variance.
    fn variance(&self) -> Tensor<D>;

    /// One draw of every entry, each row from its own stream. No gradient flows through it.
    fn sample(&self, draws: &mut RowStreams) -> Tensor<D>;

    /// `log p(which entries are missing | x, z)` of every row: `[batch]`, in nats. `observed` is 1 where an entry was observed and 0
    /// where it is missing, whatever `x` is there (`None`: all were observed); missing entries are integrated out. `None` if values
    /// say nothing of what is missing.
    ///
    /// # Panics
    ///
    /// If `x` or `observed` has another shape than the distribution's parameters.
    fn log_missingness(&self, _x: Tensor<D>, _observed: Option<Tensor<D>>) -> Option<Tensor<1>> {
        None
    }

    /// `log (p(missing | x) / p(observed | x))` of every entry; `None` if values say nothing of what is missing.
    fn log_missing_odds(&self, _x: Tensor<D>) -> Option<Tensor<D>> {
        None
    }

    /// The distribution of entries given `z` and that they are missing; `None` if that says nothing of them.
    fn given_missing(&self) -> Option<Box<dyn Likelihood<D>>> {
        None
    }

    /// The distribution of entries in rows that have the totals of these, if `mean`, `variance` and `sample` are of rows of a total;
    /// otherwise `None`. `x`: `[batch, …]`, the rows, which a mask may follow on axis 1.
    ///
    /// # Panics
    ///
    /// If there are other rows than the parameters are for.
    fn with_total_of(&self, _x: Tensor<D>) -> Option<Box<dyn Likelihood<D>>> {
        None
    }

    /// The parameters by name, as the density uses them. Each has the shape of `x`, or is several of that
    /// shape side by side on axis 1.
    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)>;

    /// The values that the entries at this place on axis 1 may have.
    fn support(&self, _column: usize) -> Support {
        Support::Real
    }

    /// The probabilities of the classes of the entries at this place on axis 1: `[batch, classes, …]`; `None` if they are no
    /// classes.
    fn probabilities(&self, _column: usize) -> Option<Tensor<D>> {
        None
    }
}

impl<const D: usize> Likelihood<D> for Box<dyn Likelihood<D>> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        (**self).log_prob(x)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        (**self).log_likelihood(x)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        (**self).weighted_log_likelihood(x, weights)
    }

    fn mean(&self) -> Tensor<D> {
        (**self).mean()
    }

    fn variance(&self) -> Tensor<D> {
        (**self).variance()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        (**self).sample(draws)
    }

    fn log_missingness(&self, x: Tensor<D>, observed: Option<Tensor<D>>) -> Option<Tensor<1>> {
        (**self).log_missingness(x, observed)
    }

    fn log_missing_odds(&self, x: Tensor<D>) -> Option<Tensor<D>> {
        (**self).log_missing_odds(x)
    }

    fn given_missing(&self) -> Option<Box<dyn Likelihood<D>>> {
        (**self).given_missing()
    }

    fn with_total_of(&self, x: Tensor<D>) -> Option<Box<dyn Likelihood<D>>> {
        (**self).with_total_of(x)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        (**self).parameters()
    }

    fn support(&self, column: usize) -> Support {
        (**self).support(column)
    }

    fn probabilities(&self, column: usize) -> Option<Tensor<D>> {
        (**self).probabilities(column)
    }
}
