//! Log-densities of independent entries.

use burn::tensor::Tensor;
use burn::tensor::activation::{self, log_sigmoid};

#[cfg(feature = "flex")]
use crate::covered;
#[cfg(feature = "flex")]
use crate::flex::{FixedNormal, Function, FusedEntries, Inputs};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// `ln 2π`, twice the normalizer of a unit normal.
const LN_TAU: f64 = 1.837_877_066_409_345_3;

/// A density of independent entries, given by its parameters: tensors of one shape, `[batch, …]`.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per step; tensor handles are large with wgpu.
pub enum Density<const D: usize> {
    /// `log p(x) = log σ(l) − (1 − x) l`: the Bernoulli distribution with logits `l`.
    Bernoulli {
        /// `l`.
        logits: Tensor<D>,
    },
    /// `log p(x) = −½ ((x − m) / σ)² − ln σ − ½ ln 2π` with one σ for all entries.
    Normal {
        /// `m`.
        mean: Tensor<D>,
        /// `σ`, above 0.
        scale: f64,
    },
    /// The same with a σ for each entry.
    ScaledNormal {
        /// `m`.
        mean: Tensor<D>,
        /// `σ`, above 0.
        scale: Tensor<D>,
    },
}

impl<const D: usize> Density<D> {
    /// `log p(x)` of every entry, multiplied by its weight if there are weights: shape of `x`, in nats.
    ///
    /// # Panics
    ///
    /// If the shapes differ (where one is 1, Burn's operations broadcast it).
    pub fn log_prob(&self, x: Tensor<D>, weights: Option<Tensor<D>>) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if self.is_covered(&x, weights.as_ref()) {
            return Tensor::from_dispatch(self.fused(x, weights, false));
        }
        let log_prob = self.plain(x);
        match weights {
            Some(weights) => log_prob * weights,
            None => log_prob,
        }
    }

    /// [`Density::log_prob`] summed over all features of a row: `[batch]`, in nats.
    ///
    /// # Panics
    ///
    /// If the shapes differ (where one is 1, Burn's operations broadcast it).
    pub fn log_likelihood(&self, x: Tensor<D>, weights: Option<Tensor<D>>) -> Tensor<1> {
        #[cfg(feature = "flex")]
        if self.is_covered(&x, weights.as_ref()) {
            return Tensor::from_dispatch(self.fused(x, weights, true));
        }
        let rows = x.dims()[0];
        let features = x.dims()[1..].iter().product::<usize>();
        self.log_prob(x, weights).reshape([rows, features]).sum_dim(1).reshape([rows])
    }

    fn plain(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Bernoulli { logits } => log_sigmoid(logits.clone()) - (1.0 - x) * logits.clone(),
            Self::Normal { mean, scale } => {
                let standard = (x - mean.clone()) / *scale;
                standard.square() * -0.5 - (scale.ln() + 0.5 * LN_TAU)
            }
            Self::ScaledNormal { mean, scale } => {
                let standard = (x - mean.clone()) / scale.clone();
                standard.square() * -0.5 - scale.clone().log() - 0.5 * LN_TAU
            }
        }
    }

    /// Whether the operands have one shape and fused operations run, and `x` and weights are constants: the
    /// fused derivatives are with respect to the parameters only.
    #[cfg(feature = "flex")]
    fn is_covered(&self, x: &Tensor<D>, weights: Option<&Tensor<D>>) -> bool {
        let constant = |t: &Tensor<D>| covered!(t) && t.dims() == x.dims() && !t.is_tracked();
        let parameter = |t: &Tensor<D>| covered!(t) && t.dims() == x.dims();
        let parameters = match self {
            Self::Bernoulli { logits } => parameter(logits),
            Self::Normal { mean, .. } => parameter(mean),
            Self::ScaledNormal { mean, scale } => parameter(mean) && parameter(scale),
        };
        parameters && constant(x) && weights.is_none_or(constant)
    }

    #[cfg(feature = "flex")]
    fn fused(
        &self,
        x: Tensor<D>,
        weights: Option<Tensor<D>>,
        by_row: bool,
    ) -> burn::backend::DispatchTensor {
        let x = x.into_dispatch();
        let (function, first, second) = match self {
            Self::Bernoulli { logits } => (Function::Bernoulli, logits, None),
            &Self::Normal { ref mean, scale } => {
                let normalizer = (scale.ln() + 0.5 * LN_TAU) as f32;
                let law = FixedNormal { scale: scale as f32, normalizer };
                (Function::FixedNormal(law), mean, None)
            }
            Self::ScaledNormal { mean, scale } => (Function::Normal, mean, Some(scale)),
        };
        let first = first.clone().into_dispatch();
        let second = second.map(|scale| scale.clone().into_dispatch());
        let inputs = match (second, weights.map(Tensor::into_dispatch)) {
            (None, None) => Inputs::Two(first, x),
            (None, Some(weights)) => Inputs::Three(first, x, weights),
            (Some(second), None) => Inputs::Three(first, second, x),
            (Some(second), Some(weights)) => Inputs::Four(first, second, x, weights),
        };
        Dispatch::fused_entries(inputs, function, by_row)
    }
}

/// `σ(x) = 1 / (1 + e⁻ˣ)` of every entry: the mean of a Bernoulli distribution with logits `x`.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if covered!(x) {
        return Tensor::from_dispatch(Dispatch::fused_entries(
            Inputs::One(x.into_dispatch()),
            Function::Sigmoid,
            false,
        ));
    }
    activation::sigmoid(x)
}
