//! The likelihood of texts in a configuration.

use burn::tensor::Tensor;

use crate::error::at_least;
use crate::likelihood_config::FromOutputs;
use crate::{DistributionError, Likelihood};

/// Texts of so many tokens.
pub(crate) struct Settings {
    pub(crate) classes: usize,
}

impl FromOutputs for Settings {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        Ok(at_least("classes", self.classes, 2).map(|_| ())?)
    }

    fn outputs(&self, columns: usize) -> usize {
        columns
    }

    /// An error always: a token depends on those before it, so that the network computes the likelihood.
    fn of<const D: usize>(
        self,
        _outputs: Tensor<D>,
        _shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Err(DistributionError::Tokens)
    }
}
