//! Convolutions of maps as Burn operations: under flex, and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};

use super::map_conv;
use super::ops::{contiguous, tensor, values};
use super::strips::Source;
use crate::MapConv;

/// Fused convolutions of maps with a gradient.
///
/// Callers check [`covers`](crate::covers) first: no other back end has them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedMaps: Backend {
    /// `conv(resize(act(x))) + bias`.
    fn fused_map_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        conv: MapConv,
    ) -> FloatTensor<Self>;

    /// `conv(resize(act(x))) + bias + add`.
    fn fused_map_conv_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        add: FloatTensor<Self>,
        conv: MapConv,
    ) -> FloatTensor<Self>;
}

/// The convolution of contiguous tensors.
fn of<'a>(conv: MapConv, x: &'a FlexTensor, weight: &'a FlexTensor) -> map_conv::MapConv<'a> {
    let [_, channels, height, width] = x.shape().dims();
    let [outputs, _, kernel, _] = weight.shape().dims();
    let MapConv { activation, resize } = conv;
    let source = Source { values: values(x), size: [channels, height, width], activation, resize };
    map_conv::MapConv { source, weight: values(weight), outputs, kernel }
}

fn forward(
    [x, weight, bias]: [FlexTensor; 3],
    add: Option<FlexTensor>,
    conv: MapConv,
) -> FlexTensor {
    let [x, weight, bias] = [x, weight, bias].map(contiguous);
    let add = add.map(contiguous);
    let conv = of(conv, &x, &weight);
    let grid = conv.grid();
    let y = conv.forward(values(&bias), add.as_ref().map(values));
    tensor(y, [x.shape()[0], conv.outputs, grid.height, grid.width])
}

impl FusedMaps for Flex {
    fn fused_map_conv(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        conv: MapConv,
    ) -> FlexTensor {
        forward([x, weight, bias], None, conv)
    }

    fn fused_map_conv_add(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        add: FlexTensor,
        conv: MapConv,
    ) -> FlexTensor {
        forward([x, weight, bias], Some(add), conv)
    }
}

/// The gradient functions of a back end: implemented for flex alone.
pub(crate) trait MapGradients: Backend {
    /// Gradients of `x` (if requested), weight and bias.
    fn map_backward(
        saved: Saved<Self>,
        gradient: FloatTensor<Self>,
        need_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3];
}

impl MapGradients for Flex {
    fn map_backward(
        saved: Saved<Self>,
        gradient: FlexTensor,
        need_input: bool,
    ) -> [Option<FlexTensor>; 3] {
        let [x, weight, gradient] = [saved.x, saved.weight, gradient].map(contiguous);
        let conv = of(saved.conv, &x, &weight);
        let (input, weight_gradient, bias) = conv.backward(values(&gradient), need_input);
        [
            input.map(|input| tensor(input, x.shape())),
            Some(tensor(weight_gradient, weight.shape())),
            Some(tensor(bias, [conv.outputs])),
        ]
    }
}

/// The values that a convolution keeps for its gradient.
#[derive(Debug, Clone)]
pub(crate) struct Saved<B: Backend> {
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    conv: MapConv,
}

#[derive(Debug)]
struct Convolution;

impl<B: MapGradients, const N: usize> Backward<B, N> for Convolution {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let mut nodes = ops.parents.into_iter();
        let [x, weight, bias] = [0; 3].map(|_| nodes.next().flatten());
        if let Some(add) = nodes.next().flatten() {
            grads.register::<B>(add.id, gradient.clone());
        }
        let gradients = B::map_backward(ops.state, gradient, x.is_some());
        for (node, gradient) in [x, weight, bias].into_iter().zip(gradients) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: MapGradients + FusedMaps, C: CheckpointStrategy> FusedMaps for Autodiff<B, C> {
    fn fused_map_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        conv: MapConv,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let y = B::fused_map_conv(x.clone(), weight.clone(), bias, conv);
        let nodes = [x_node, weight_node, bias_node];
        match Convolution.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(Saved { x, weight, conv }, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_map_conv_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        add: FloatTensor<Self>,
        conv: MapConv,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let ((bias, bias_node), (add, add_node)) = (bias.into_parts(), add.into_parts());
        let y = B::fused_map_conv_add(x.clone(), weight.clone(), bias, add, conv);
        let nodes = [x_node, weight_node, bias_node, add_node];
        match Convolution.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(Saved { x, weight, conv }, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}
