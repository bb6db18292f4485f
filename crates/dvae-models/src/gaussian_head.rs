//! The two linear heads that give a diagonal normal posterior.

use burn::module::Module;
use burn::tensor::Tensor;
use dvae_distributions::DiagonalNormal;

use crate::Activation;
use crate::layers::{Dense, Layers};

/// Features → mean and log-variance of `q(z | x̃)`.
#[derive(Module, Debug)]
pub(crate) struct GaussianHead {
    mean: Dense,
    log_variance: Dense,
}

impl GaussianHead {
    pub(crate) fn new(features: usize, latent: usize, layers: &mut Layers) -> Self {
        let mut head = || layers.dense(features, latent, Activation::Identity);
        Self { mean: head(), log_variance: head() }
    }

    /// `[batch, features]` → a posterior over `[batch, latent]`.
    pub(crate) fn posterior(&self, features: Tensor<2>) -> DiagonalNormal {
        let mean = self.mean.forward(features.clone());
        DiagonalNormal::new(mean, self.log_variance.forward(features))
    }

    /// The posterior's mean alone, `[batch, latent]`.
    pub(crate) fn mean(&self, features: Tensor<2>) -> Tensor<2> {
        self.mean.forward(features)
    }

    pub(crate) fn latent(&self) -> usize {
        self.mean.weight.lazy_shape()[1]
    }

    pub(crate) fn device(&self) -> burn::tensor::Device {
        self.mean.weight.lazy_device()
    }
}
