//! The fused layers as Burn operations: under flex, and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Shape};

use super::conv;
use super::dense;
use super::gemm::Matrix;
use super::geometry::Geometry;

/// Fused layers with a gradient.
///
/// Callers check [`covers`](crate::covers) first: no other back end has them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedLayers: Backend {
    /// `act(x W + b)`.
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;

    /// `act(conv(x) + b)`, or `act(convᵀ(x) + b)`.
    fn fused_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        transposed: bool,
        relu: bool,
    ) -> FloatTensor<Self>;
}

/// A contiguous tensor with these values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// The tensor in contiguous layout. It is taken by value: while two handles of it exist, neither can be
/// written in place.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The values of a contiguous tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("a contiguous tensor of f32")
}

/// The values of a contiguous tensor of two axes, as a matrix.
fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let [rows, columns] = tensor.shape().dims();
    Matrix::new(values(tensor), rows, columns)
}

fn channels(g: &Geometry, transposed: bool) -> usize {
    if transposed { g.image[0] } else { g.features[0] }
}

impl FusedLayers for Flex {
    fn fused_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, relu: bool) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(contiguous);
        let [rows, _] = x.shape().dims();
        let out = dense::forward(matrix(&x), matrix(&weight), values(&bias), rows, relu);
        tensor(out, [rows, values(&bias).len()])
    }

    fn fused_conv(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        geometry: Geometry,
        transposed: bool,
        relu: bool,
    ) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(contiguous);
        let rows = x.shape()[0];
        let (x, weight, bias) = (values(&x), values(&weight), values(&bias));
        let out = conv::forward(x, weight, bias, &geometry, transposed, relu);
        let [channels, height, width] = if transposed { geometry.image } else { geometry.features };
        tensor(out, [rows, channels, height, width])
    }
}

/// The gradient functions of a back end: implemented for flex alone.
pub(crate) trait LayerGradients: Backend {
    /// Gradients of `x` (if requested), weight and bias.
    fn linear_backward(
        saved: Saved<Self>,
        gradient: FloatTensor<Self>,
        need_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Gradients of `x` (if requested), weight and bias.
    fn conv_backward(
        saved: Saved<Self>,
        geometry: Geometry,
        transposed: bool,
        gradient: FloatTensor<Self>,
        need_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3];
}

/// The values that a layer keeps for its gradient.
#[derive(Debug, Clone)]
pub(crate) struct Saved<B: Backend> {
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    output: FloatTensor<B>,
    relu: bool,
}

impl LayerGradients for Flex {
    fn linear_backward(
        saved: Saved<Self>,
        gradient: FlexTensor,
        need_input: bool,
    ) -> [Option<FlexTensor>; 3] {
        let [x, weight] = [&saved.input, &saved.weight].map(FlexTensor::to_contiguous);
        let mut gradient = contiguous(gradient);
        let ([rows, inputs], [_, outputs]) = (x.shape().dims(), weight.shape().dims());
        let output = values(&saved.output);
        let bias = dense::backward(gradient.storage_mut::<f32>(), output, outputs, saved.relu);
        let by_row = matrix(&gradient);
        let weight_gradient = dense::product(matrix(&x).transposed(), by_row, inputs * outputs);
        let input = need_input.then(|| {
            let input = dense::product(by_row, matrix(&weight).transposed(), rows * inputs);
            tensor(input, [rows, inputs])
        });
        [input, Some(tensor(weight_gradient, [inputs, outputs])), Some(tensor(bias, [outputs]))]
    }

    fn conv_backward(
        saved: Saved<Self>,
        geometry: Geometry,
        transposed: bool,
        gradient: FlexTensor,
        need_input: bool,
    ) -> [Option<FlexTensor>; 3] {
        let [x, weight] = [&saved.input, &saved.weight].map(FlexTensor::to_contiguous);
        let mut gradient = contiguous(gradient);
        let backward = conv::Backward {
            transposed,
            geometry: &geometry,
            weight: values(&weight),
            relu: saved.relu,
        };
        let gradient = gradient.storage_mut::<f32>();
        let gradients = backward.run(values(&x), values(&saved.output), gradient, need_input);
        [
            gradients.input.map(|input| tensor(input, x.shape())),
            Some(tensor(gradients.weight, weight.shape())),
            Some(tensor(gradients.bias, [channels(&geometry, transposed)])),
        ]
    }
}

/// Registers the gradients of a layer's input, weight and bias where they are needed.
macro_rules! register {
    ($grads:ident, $nodes:expr, $gradients:expr) => {
        for (node, gradient) in $nodes.into_iter().zip($gradients) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                $grads.register::<B>(node.id, gradient);
            }
        }
    };
}

#[derive(Debug)]
struct Linear;

impl<B: LayerGradients> Backward<B, 3> for Linear {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let need_input = ops.parents[0].is_some();
        let gradients = B::linear_backward(ops.state, gradient, need_input);
        register!(grads, ops.parents, gradients);
    }
}

#[derive(Debug)]
struct Conv;

impl<B: LayerGradients> Backward<B, 3> for Conv {
    type State = (Saved<B>, Geometry, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let need_input = ops.parents[0].is_some();
        let (saved, geometry, transposed) = ops.state;
        let gradients = B::conv_backward(saved, geometry, transposed, gradient, need_input);
        register!(grads, ops.parents, gradients);
    }
}

impl<B: LayerGradients + FusedLayers, C: CheckpointStrategy> FusedLayers for Autodiff<B, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let output = B::fused_linear(x.clone(), weight.clone(), bias, relu);
        match Linear.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let saved = Saved { input: x, weight, output: output.clone(), relu };
                prepared.finish(saved, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn fused_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        transposed: bool,
        relu: bool,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let output = B::fused_conv(x.clone(), weight.clone(), bias, geometry, transposed, relu);
        match Conv.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let saved = Saved { input: x, weight, output: output.clone(), relu };
                prepared.finish((saved, geometry, transposed), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
