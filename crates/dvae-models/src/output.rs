//! From a decoder's outputs to a likelihood.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use dvae_distributions::{Likelihood, LikelihoodConfig};

use crate::layers::Layers;

/// The likelihood of a model, with the weights that it has for all entries together.
#[derive(Module, Debug)]
pub(crate) struct Output {
    shared: Option<Param<Tensor<1>>>,
    #[module(skip)]
    likelihood: LikelihoodConfig,
}

impl Output {
    /// For a likelihood that was checked.
    pub(crate) fn new(likelihood: LikelihoodConfig, layers: &mut Layers) -> Self {
        let weights = likelihood.shared_weights();
        Self { shared: (weights > 0).then(|| layers.zeros(weights)), likelihood }
    }

    pub(crate) fn of<const D: usize>(&self, outputs: Tensor<D>) -> Box<dyn Likelihood<D>> {
        let shared = self.shared.as_ref().map(Param::val);
        self.likelihood.of(outputs, shared.as_ref()).expect("checked when the model was built")
    }

    /// Places on axis 1 of the outputs for rows of so many.
    pub(crate) fn outputs(&self, columns: usize) -> usize {
        self.likelihood.outputs(columns)
    }
}
