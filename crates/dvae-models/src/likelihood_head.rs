//! From a decoder's outputs to a likelihood.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
#[cfg(feature = "onnx")]
use dvae_distributions::GraphOutputs;
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

    /// The mean of `p(x | z)` in a graph, from a decoder's outputs for so many columns; `totals` are rows whose totals are known.
    #[cfg(feature = "onnx")]
    pub(crate) fn mean_in(
        &self,
        graph: &mut dvae_onnx::Graph,
        outputs: &dvae_onnx::Value,
        columns: usize,
        totals: Option<&dvae_onnx::Value>,
    ) -> dvae_onnx::Value {
        let shared = self.shared.as_ref().map(Param::val);
        let shared = shared.as_ref();
        self.likelihood.mean_in(graph, GraphOutputs { outputs, columns, shared, totals })
    }

    /// `p(x | z)` from a decoder's outputs.
    pub(crate) fn forward<const D: usize>(&self, outputs: Tensor<D>) -> Box<dyn Likelihood<D>> {
        let shared = self.shared.as_ref().map(Param::val);
        self.likelihood.of(outputs, shared.as_ref()).expect("checked when the model was built")
    }
}
