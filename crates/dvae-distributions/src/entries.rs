//! Likelihoods of independent entries, each given by one formula.

use burn::tensor::Tensor;
use dvae_kernels::{Formula, Parameters};
use dvae_random::RowStreams;

use crate::{DistributionError, Likelihood, Support};

/// The distribution of one entry, given by `P` outputs of a network for each entry.
///
/// Its log-density is its [`Formula`] of the parameters and of the entry `x`, in nats, with the links that make
/// parameters of outputs. [`Entries`] makes a [`Likelihood`] of it, which runs in one fused pass on flex.
pub trait EntryDistribution<const P: usize>: Formula<P, 1> {
    /// Checks the settings.
    fn check(&self) -> Result<(), DistributionError> {
        Ok(())
    }

    /// `E[x]` of every entry, from parameters `[batch, …]`.
    fn mean<const D: usize>(&self, parameters: [Tensor<D>; P]) -> Tensor<D>;

    /// `Var[x]` of every entry, at least 0, from parameters `[batch, …]`; infinite where there is none.
    fn variance<const D: usize>(&self, parameters: [Tensor<D>; P]) -> Tensor<D>;

    /// One draw of every entry, each row from its own stream. The parameters are detached.
    fn sample<const D: usize>(
        &self,
        parameters: [Tensor<D>; P],
        draws: &mut RowStreams,
    ) -> Tensor<D>;

    /// The parameters by name, as the density uses them.
    fn named<const D: usize>(&self, parameters: [Tensor<D>; P]) -> Vec<(&'static str, Tensor<D>)>;

    /// The values that an entry may have.
    fn support(&self) -> Support {
        Support::Real
    }
}

/// Independent entries, all with one [`EntryDistribution`], each with parameters of its own.
#[derive(Clone, Debug)]
pub struct Entries<E, const D: usize, const P: usize> {
    pub(crate) entry: E,
    pub(crate) parameters: Parameters<D, P>,
}

impl<E: EntryDistribution<P>, const D: usize, const P: usize> Entries<E, D, P> {
    /// From the distribution and its parameters; an error names a setting out of range.
    pub fn of(entry: E, parameters: Parameters<D, P>) -> Result<Self, DistributionError> {
        entry.check()?;
        Ok(Self { entry, parameters })
    }
}

impl<E: EntryDistribution<P>, const D: usize, const P: usize> Likelihood<D> for Entries<E, D, P> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.entry.each(&self.parameters, [x])
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.entry.rows(&self.parameters, [x], None)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.entry.rows(&self.parameters, [x], Some(weights))
    }

    fn mean(&self) -> Tensor<D> {
        self.entry.mean(self.parameters.all())
    }

    fn variance(&self) -> Tensor<D> {
        self.entry.variance(self.parameters.all())
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        self.entry.sample(self.parameters.all().map(Tensor::detach), draws)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        self.entry.named(self.parameters.all())
    }

    fn support(&self, _column: usize) -> Support {
        self.entry.support()
    }
}
