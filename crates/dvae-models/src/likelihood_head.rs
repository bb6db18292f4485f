//! From a decoder's outputs to a likelihood.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use dvae_distributions::{Likelihood, LikelihoodConfig};

use crate::Initializer;

/// The likelihood of a model, with its learned weights that all entries share.
#[derive(Module, Debug)]
pub(crate) struct LikelihoodHead {
    shared: Option<Param<Tensor<1>>>,
    #[module(skip)]
    likelihood: LikelihoodConfig,
}

impl LikelihoodHead {
    /// Builds the head for a likelihood of rows of `columns` columns that was checked.
    pub(crate) fn new(
        likelihood: LikelihoodConfig,
        columns: usize,
        init: &mut Initializer,
    ) -> Self {
        let weights = likelihood.shared_weights(columns);
        Self { shared: (weights > 0).then(|| init.zeros(weights)), likelihood }
    }

    /// Whether the likelihood is of rows whose totals are known.
    pub(crate) fn needs_totals(&self) -> bool {
        self.likelihood.needs_totals()
    }

    /// `p(x | z)` from a decoder's outputs.
    pub(crate) fn forward<const D: usize>(&self, outputs: Tensor<D>) -> Box<dyn Likelihood<D>> {
        let shared = self.shared.as_ref().map(Param::val);
        self.likelihood.of(outputs, shared.as_ref()).expect("checked when the model was built")
    }
}
