//! Log-densities of what a network puts out, fused where that is covered.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::covered;
#[cfg(feature = "flex")]
use crate::flex::{Function, FusedEntries, Inputs};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// A law of independent entries, given by raw outputs of a network. A scale, a mean of counts or the like is
/// `floor + ln(1 + eʳ)` of its output `r`.
///
/// Only fused: what is not covered the caller composes of Burn's operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// Of a logit.
    ContinuousBernoulli,
    /// Of a mean and a raw scale.
    Normal {
        /// The floor of the scale.
        min_scale: f32,
    },
    /// Of a location and a raw scale.
    Laplace {
        /// The floor of the scale.
        min_scale: f32,
    },
    /// Of a location, a raw scale and raw degrees of freedom.
    StudentT {
        /// The floor of the scale.
        min_scale: f32,
        /// The floor of the degrees of freedom.
        min_degrees: f32,
    },
    /// Logistic, gathered into bins about equal levels from 0 to 1; of a location and a raw scale.
    Logistic {
        /// The distance of two levels.
        width: f32,
        /// The floor of the scale.
        min_scale: f32,
    },
    /// Of a raw rate.
    Poisson,
    /// Of a raw mean and a raw inverse dispersion.
    NegativeBinomial {
        /// The floor of the inverse dispersion.
        floor: f32,
    },
    /// The same, and the logit of a zero that is no count.
    ZeroInflated {
        /// The floor of the inverse dispersion.
        floor: f32,
    },
}

impl Law {
    /// Outputs that it takes for each entry.
    pub fn outputs(self) -> usize {
        match self {
            Self::ContinuousBernoulli | Self::Poisson => 1,
            Self::Normal { .. }
            | Self::Laplace { .. }
            | Self::Logistic { .. }
            | Self::NegativeBinomial { .. } => 2,
            Self::StudentT { .. } | Self::ZeroInflated { .. } => 3,
        }
    }

    /// `log p(x)` of every entry, in nats, from its outputs, tensors of `x`'s shape; nothing where that is not
    /// covered: on devices other than flex, for a tracked `x`, for other shapes.
    ///
    /// # Panics
    ///
    /// If there are not as many outputs as the law takes.
    pub fn log_prob<const D: usize>(
        self,
        outputs: &[&Tensor<D>],
        x: &Tensor<D>,
    ) -> Option<Tensor<D>> {
        self.fused(outputs, x, None, false)
    }

    /// The same times weights, if there are any, and summed over all features of a row: `[batch]`.
    ///
    /// # Panics
    ///
    /// If there are not as many outputs as the law takes.
    pub fn log_likelihood<const D: usize>(
        self,
        outputs: &[&Tensor<D>],
        x: &Tensor<D>,
        weights: Option<&Tensor<D>>,
    ) -> Option<Tensor<1>> {
        self.fused(outputs, x, weights, true)
    }

    #[cfg(feature = "flex")]
    fn fused<const D: usize, const E: usize>(
        self,
        outputs: &[&Tensor<D>],
        x: &Tensor<D>,
        weights: Option<&Tensor<D>>,
        by_row: bool,
    ) -> Option<Tensor<E>> {
        assert_eq!(outputs.len(), self.outputs(), "outputs of {self:?}");
        let covered = |t: &Tensor<D>| covered!(t) && t.dims() == x.dims();
        let constant = |t: &Tensor<D>| covered(t) && !t.is_tracked();
        if !constant(x) || !weights.is_none_or(constant) || !outputs.iter().all(|t| covered(t)) {
            return None;
        }
        let operands = outputs.iter().copied().chain([x]).chain(weights);
        let inputs = Inputs::of(operands.map(|t| t.clone().into_dispatch()).collect());
        Some(Tensor::from_dispatch(Dispatch::fused_entries(inputs, Function::Law(self), by_row)))
    }

    #[cfg(not(feature = "flex"))]
    fn fused<const D: usize, const E: usize>(
        self,
        _: &[&Tensor<D>],
        _: &Tensor<D>,
        _: Option<&Tensor<D>>,
        _: bool,
    ) -> Option<Tensor<E>> {
        None
    }
}
