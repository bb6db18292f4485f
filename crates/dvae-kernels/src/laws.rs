//! Fused log-densities as functions of a network's outputs.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::covered;
#[cfg(feature = "flex")]
use crate::flex::{Function, FusedEntries, Inputs};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// A distribution of independent entries, given by raw outputs of a network. A scale, a mean of counts and
/// similar parameters are `floor + ln(1 + eʳ)` of the output `r`.
///
/// There is only a fused version: where it is not available, the caller uses Burn's operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// From a logit.
    ContinuousBernoulli,
    /// From a mean and a raw scale.
    Normal {
        /// The lower limit of the scale.
        min_scale: f32,
    },
    /// From a location and a raw scale.
    Laplace {
        /// The lower limit of the scale.
        min_scale: f32,
    },
    /// From a location, a raw scale and raw degrees of freedom.
    StudentT {
        /// The lower limit of the scale.
        min_scale: f32,
        /// The lower limit of the degrees of freedom.
        min_degrees: f32,
    },
    /// Logistic, discretized into bins around equally spaced levels from 0 to 1; from a location and a raw
    /// scale.
    Logistic {
        /// The distance between two levels.
        width: f32,
        /// The lower limit of the scale.
        min_scale: f32,
    },
    /// From a raw rate.
    Poisson,
    /// From a raw mean and a raw inverse dispersion.
    NegativeBinomial {
        /// The lower limit of the inverse dispersion.
        floor: f32,
    },
    /// The same, with the logit of an extra zero.
    ZeroInflated {
        /// The lower limit of the inverse dispersion.
        floor: f32,
    },
}

impl Law {
    /// The number of outputs for each entry.
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

    /// `log p(x)` of every entry, in nats, from the outputs, which have `x`'s shape. `None` where no fused
    /// version is available: on devices other than flex, for a tracked `x`, for other shapes.
    ///
    /// # Panics
    ///
    /// If the number of outputs is not that of the law.
    pub fn log_prob<const D: usize>(
        self,
        outputs: &[&Tensor<D>],
        x: &Tensor<D>,
    ) -> Option<Tensor<D>> {
        self.fused(outputs, x, None, false)
    }

    /// The same, multiplied by weights, if any, and summed over all features of a row: `[batch]`.
    ///
    /// # Panics
    ///
    /// If the number of outputs is not that of the law.
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
