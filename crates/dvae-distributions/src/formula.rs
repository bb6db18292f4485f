//! Densities that run fused where a kernel supports them, and as tensor operations elsewhere.

use burn::tensor::Tensor;
use dvae_kernels::Law;

use crate::sum_features;

/// A density given by a network's outputs, as a fused law and as tensor operations.
pub(crate) trait Formula<const D: usize> {
    /// The law of the fused kernel.
    fn law(&self) -> Law;

    /// The network's outputs that it depends on.
    fn outputs(&self) -> Vec<&Tensor<D>>;

    /// `log p(x)` of every entry, as Burn operations.
    fn plain(&self, x: Tensor<D>) -> Tensor<D>;

    fn each(&self, x: Tensor<D>) -> Tensor<D> {
        self.law().log_prob(&self.outputs(), &x).unwrap_or_else(|| self.plain(x))
    }

    fn rows(&self, x: Tensor<D>, weights: Option<Tensor<D>>) -> Tensor<1> {
        let fused = self.law().log_likelihood(&self.outputs(), &x, weights.as_ref());
        fused.unwrap_or_else(|| {
            let each = self.plain(x);
            sum_features(match weights {
                Some(weights) => each * weights,
                None => each,
            })
        })
    }
}

/// Implements the densities of a [`Likelihood`](crate::Likelihood) that has a [`Formula`].
macro_rules! by_formula {
    () => {
        fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
            self.each(x)
        }

        fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
            self.rows(x, None)
        }

        fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
            self.rows(x, Some(weights))
        }
    };
}
pub(crate) use by_formula;
