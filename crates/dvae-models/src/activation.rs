//! Activation functions.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use dvae_kernels::Activation as Fused;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The activation function of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Activation {
    /// `x`.
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
    /// Applies the function by itself, without a layer before it.
    pub(crate) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => x,
            Self::Relu => burn::tensor::activation::relu(x),
            Self::Softplus => softplus(x, 1.0),
            Self::Silu => Fused::Silu.apply(x),
        }
    }

    /// The part that is fused into a layer that comes after it, and what the layer is given.
    pub(crate) fn first<const D: usize>(self, x: Tensor<D>) -> (Fused, Tensor<D>) {
        match self {
            Self::Identity => (Fused::Identity, x),
            Self::Relu => (Fused::Relu, x),
            Self::Softplus => (Fused::Identity, softplus(x, 1.0)),
            Self::Silu => (Fused::Silu, x),
        }
    }

    /// The part that a layer fuses into its own pass, and the function to apply after it.
    pub(crate) fn split<const D: usize>(self) -> (Fused, fn(Tensor<D>) -> Tensor<D>) {
        match self {
            Self::Identity => (Fused::Identity, |x| x),
            Self::Relu => (Fused::Relu, |x| x),
            Self::Softplus => (Fused::Identity, |x| softplus(x, 1.0)),
            Self::Silu => (Fused::Silu, |x| x),
        }
    }
}

#[cfg(feature = "onnx")]
impl Activation {
    /// The function in a graph.
    pub(crate) fn in_graph(
        self,
        graph: &mut dvae_onnx::Graph,
        x: &dvae_onnx::Value,
    ) -> dvae_onnx::Value {
        match self {
            Self::Identity => x.clone(),
            Self::Relu => graph.op("Relu", &[x]),
            Self::Softplus => graph.op("Softplus", &[x]),
            Self::Silu => {
                let open = graph.op("Sigmoid", &[x]);
                graph.mul(x, &open)
            }
        }
    }
}
