//! The fused operations as Burn sees them: under flex, and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Shape};

use super::buffer::unwritten;
use super::conv;
use super::dense;
use super::density;
use super::gemm::{Matrix, multiply_parallel};
use super::geometry::Geometry;

/// Fused operations with a gradient.
///
/// Callers ask [`covers`](crate::covers) first: no other back end has them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedOps: Backend {
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

    /// `log p(x | logits)` of each entry, or summed over each row of a matrix.
    fn fused_bernoulli(
        logits: FloatTensor<Self>,
        x: FloatTensor<Self>,
        by_row: bool,
    ) -> FloatTensor<Self>;
}

/// A contiguous tensor of these values.
fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// The values of a tensor that is contiguous already.
fn values(tensor: &FlexTensor) -> &[f32] {
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

impl FusedOps for Flex {
    fn fused_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, relu: bool) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(|t| t.to_contiguous());
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
        let [x, weight, bias] = [x, weight, bias].map(|t| t.to_contiguous());
        let rows = x.shape()[0];
        let (x, weight, bias) = (values(&x), values(&weight), values(&bias));
        let out = conv::forward(x, weight, bias, &geometry, transposed, relu);
        let [channels, height, width] = if transposed { geometry.image } else { geometry.features };
        tensor(out, [rows, channels, height, width])
    }

    fn fused_bernoulli(logits: FlexTensor, x: FlexTensor, by_row: bool) -> FlexTensor {
        Self::bernoulli(logits, x, by_row).0
    }
}

/// What the gradients need of a back end: implemented for flex alone.
pub(crate) trait Kernels: Backend {
    /// Gradients of `x` (if asked), weight and bias.
    fn linear_backward(
        saved: Saved<Self>,
        gradient: FloatTensor<Self>,
        need_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Gradients of `x` (if asked), weight and bias.
    fn conv_backward(
        saved: Saved<Self>,
        geometry: Geometry,
        transposed: bool,
        gradient: FloatTensor<Self>,
        need_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Values, of each entry or summed over each row, and element-wise derivatives.
    fn bernoulli(
        logits: FloatTensor<Self>,
        x: FloatTensor<Self>,
        by_row: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Each row times its factor.
    fn scale_rows(values: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What a layer keeps for its gradient.
#[derive(Debug, Clone)]
pub(crate) struct Saved<B: Backend> {
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    output: FloatTensor<B>,
    relu: bool,
}

impl Kernels for Flex {
    fn linear_backward(
        saved: Saved<Self>,
        gradient: FlexTensor,
        need_input: bool,
    ) -> [Option<FlexTensor>; 3] {
        let [x, weight] = [&saved.input, &saved.weight].map(FlexTensor::to_contiguous);
        let mut gradient = gradient.to_contiguous();
        if saved.relu {
            dense::mask_gradient(gradient.storage_mut::<f32>(), values(&saved.output));
        }
        let ([rows, inputs], [_, outputs]) = (x.shape().dims(), weight.shape().dims());
        let mut bias = vec![0.0; outputs];
        dense::sum_rows(values(&gradient), &mut bias);
        let mut weight_gradient = unwritten(inputs * outputs);
        multiply_parallel(&mut weight_gradient, matrix(&x).transposed(), matrix(&gradient));
        let input = need_input.then(|| {
            let mut input = unwritten(rows * inputs);
            multiply_parallel(&mut input, matrix(&gradient), matrix(&weight).transposed());
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
        let mut gradient = gradient.to_contiguous();
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

    fn bernoulli(logits: FlexTensor, x: FlexTensor, by_row: bool) -> (FlexTensor, FlexTensor) {
        let [logits, x] = [logits, x].map(|t| t.to_contiguous());
        let shape = logits.shape();
        let (out, derivative, out_shape) = if by_row {
            let rows = shape[0];
            let (out, derivative) =
                density::bernoulli_log_likelihood(values(&logits), values(&x), rows);
            (out, derivative, Shape::new([rows]))
        } else {
            let (out, derivative) = density::bernoulli_log_prob(values(&logits), values(&x));
            (out, derivative, shape.clone())
        };
        (tensor(out, out_shape), tensor(derivative, shape))
    }

    fn scale_rows(rows: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let (mut rows, factors) = (rows.to_contiguous(), factors.to_contiguous());
        density::scale_rows(rows.storage_mut::<f32>(), values(&factors));
        rows
    }
}

/// Registers the gradients of a layer's input, weight and bias with those that want one.
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

impl<B: Kernels> Backward<B, 3> for Linear {
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

impl<B: Kernels> Backward<B, 3> for Conv {
    type State = (Saved<B>, Geometry, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let need_input = ops.parents[0].is_some();
        let (saved, geometry, transposed) = ops.state;
        let gradients = B::conv_backward(saved, geometry, transposed, gradient, need_input);
        register!(grads, ops.parents, gradients);
    }
}

#[derive(Debug)]
struct Bernoulli;

impl<B: Kernels> Backward<B, 1> for Bernoulli {
    /// The derivative of each entry, and whether they were summed by row.
    type State = (FloatTensor<B>, bool);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (derivative, by_row) = ops.state;
        let gradient = match by_row {
            true => B::scale_rows(derivative, gradient),
            false => B::float_mul(derivative, gradient),
        };
        register!(grads, ops.parents, [Some(gradient)]);
    }
}

impl<B: Kernels + FusedOps, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
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

    fn fused_bernoulli(
        logits: FloatTensor<Self>,
        x: FloatTensor<Self>,
        by_row: bool,
    ) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (out, derivative) = B::bernoulli(logits, x.into_primitive(), by_row);
        match Bernoulli.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((derivative, by_row), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }
}
