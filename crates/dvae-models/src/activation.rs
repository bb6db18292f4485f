//! What a layer applies to its sums.

use burn::tensor::Tensor;
use burn::tensor::activation::{silu, softplus};
use dvae_kernels::Activation as Fused;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a layer applies to its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(0, x)`.
    #[default]
    Relu,
    /// `ln(1 + eˣ)`.
    Softplus,
    /// `x σ(x)`.
    Silu,
}

impl Activation {
    /// On its own, where no layer comes before it.
    pub(crate) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => x,
            Self::Relu => burn::tensor::activation::relu(x),
            Self::Softplus => softplus(x, 1.0),
            Self::Silu => silu(x),
        }
    }

    /// The part that a layer does in the same pass, and what is left to do after it.
    pub(crate) fn split<const D: usize>(self) -> (Fused, fn(Tensor<D>) -> Tensor<D>) {
        match self {
            Self::Identity => (Fused::Identity, |x| x),
            Self::Relu => (Fused::Relu, |x| x),
            Self::Softplus => (Fused::Identity, |x| softplus(x, 1.0)),
            Self::Silu => (Fused::Identity, silu),
        }
    }
}
