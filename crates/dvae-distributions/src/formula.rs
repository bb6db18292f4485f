//! Densities that are fused where that is covered, and composed of tensors elsewhere.

use burn::tensor::Tensor;
use dvae_kernels::Law;

use crate::sum_features;

/// A law by what a network puts out, and its formula in tensors.
pub(crate) trait Formula<const D: usize> {
    /// The fused law.
    fn law(&self) -> Law;

    /// The outputs that it takes.
    fn outputs(&self) -> Vec<&Tensor<D>>;

    /// `log p(x)` of every entry, in Burn's operations.
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

/// The densities of a [`Likelihood`](crate::Likelihood) that has a [`Formula`].
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
