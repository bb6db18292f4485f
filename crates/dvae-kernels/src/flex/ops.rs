//! The fused operations as Burn sees them: under flex, and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Shape};

use super::conv;
use super::dense;
use super::density;
use super::gemm::Matrix;
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

    /// `log p(x)` of each entry, or summed over each row.
    fn fused_density(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        law: Law,
        by_row: bool,
    ) -> FloatTensor<Self>;

    /// `w log p(x)` of each entry, or summed over each row.
    fn fused_weighted_density(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        law: Law,
        by_row: bool,
    ) -> FloatTensor<Self>;

    /// `log N(x; m, σ²)` of each entry, or summed over each row.
    fn fused_normal(
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        x: FloatTensor<Self>,
        by_row: bool,
    ) -> FloatTensor<Self>;

    /// `w log N(x; m, σ²)` of each entry, or summed over each row.
    fn fused_weighted_normal(
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        by_row: bool,
    ) -> FloatTensor<Self>;

    /// `μ + σ ε`.
    fn fused_reparameterise(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        noise: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `σ(x)`.
    fn fused_sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `½ (μ² + σ² − 1 − ln σ²)`.
    fn fused_kl(mean: FloatTensor<Self>, log_variance: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// A density with one parameter for each entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Law {
    /// By its logit.
    Bernoulli,
    /// By its mean; the normaliser is `ln σ + ½ ln 2π`.
    FixedNormal { scale: f32, normaliser: f32 },
}

/// What is computed entry by entry, with derivatives in all but the constants.
#[derive(Clone, Debug)]
pub(crate) enum Function<B: Backend> {
    /// Constants: `x` and weights.
    Density {
        law: Law,
        parameter: FloatTensor<B>,
        x: FloatTensor<B>,
        weights: Option<FloatTensor<B>>,
    },
    /// Constants: `x` and weights.
    Normal {
        mean: FloatTensor<B>,
        scale: FloatTensor<B>,
        x: FloatTensor<B>,
        weights: Option<FloatTensor<B>>,
    },
    /// Constant: the noise.
    Reparameterise {
        mean: FloatTensor<B>,
        log_variance: FloatTensor<B>,
        noise: FloatTensor<B>,
    },
    Kl {
        mean: FloatTensor<B>,
        log_variance: FloatTensor<B>,
    },
    Sigmoid {
        x: FloatTensor<B>,
    },
}

/// The derivative of each entry.
#[derive(Clone, Debug)]
pub(crate) enum Derivative<B: Backend> {
    One,
    Each(FloatTensor<B>),
}

/// A contiguous tensor of these values.
fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// The tensor laid out row by row. It is taken by value: while two handles of it live, neither can be
/// written to in place.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
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

    fn fused_density(parameter: FlexTensor, x: FlexTensor, law: Law, by_row: bool) -> FlexTensor {
        Self::entries::<1>(Function::Density { law, parameter, x, weights: None }, by_row).0
    }

    fn fused_weighted_density(
        parameter: FlexTensor,
        x: FlexTensor,
        weights: FlexTensor,
        law: Law,
        by_row: bool,
    ) -> FlexTensor {
        let weights = Some(weights);
        Self::entries::<1>(Function::Density { law, parameter, x, weights }, by_row).0
    }

    fn fused_normal(
        mean: FlexTensor,
        scale: FlexTensor,
        x: FlexTensor,
        by_row: bool,
    ) -> FlexTensor {
        Self::entries::<2>(Function::Normal { mean, scale, x, weights: None }, by_row).0
    }

    fn fused_weighted_normal(
        mean: FlexTensor,
        scale: FlexTensor,
        x: FlexTensor,
        weights: FlexTensor,
        by_row: bool,
    ) -> FlexTensor {
        let weights = Some(weights);
        Self::entries::<2>(Function::Normal { mean, scale, x, weights }, by_row).0
    }

    fn fused_reparameterise(
        mean: FlexTensor,
        log_variance: FlexTensor,
        noise: FlexTensor,
    ) -> FlexTensor {
        Self::entries::<2>(Function::Reparameterise { mean, log_variance, noise }, false).0
    }

    fn fused_sigmoid(x: FlexTensor) -> FlexTensor {
        Self::entries::<1>(Function::Sigmoid { x }, false).0
    }

    fn fused_kl(mean: FlexTensor, log_variance: FlexTensor) -> FlexTensor {
        Self::entries::<2>(Function::Kl { mean, log_variance }, false).0
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

    /// Values, of each entry or summed over each row, and derivatives of each entry.
    ///
    /// # Panics
    ///
    /// If the function has another number of derivatives.
    fn entries<const N: usize>(
        function: Function<Self>,
        by_row: bool,
    ) -> (FloatTensor<Self>, [Derivative<Self>; N]);

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

    fn entries<const N: usize>(
        function: Function<Self>,
        by_row: bool,
    ) -> (FlexTensor, [Derivative<Self>; N]) {
        let (out, derivatives) = match function {
            Function::Density { law: Law::Bernoulli, parameter, x, weights: None } => {
                entries(density::Bernoulli, [parameter, x], by_row)
            }
            Function::Density { law: Law::Bernoulli, parameter, x, weights: Some(weights) } => {
                entries(density::Weighted(density::Bernoulli), [parameter, x, weights], by_row)
            }
            Function::Density {
                law: Law::FixedNormal { scale, normaliser },
                parameter,
                x,
                weights,
            } => {
                let law = density::FixedNormal { scale, normaliser };
                match weights {
                    None => entries(law, [parameter, x], by_row),
                    Some(weights) => {
                        entries(density::Weighted(law), [parameter, x, weights], by_row)
                    }
                }
            }
            Function::Normal { mean, scale, x, weights: None } => {
                entries(density::Normal, [mean, scale, x], by_row)
            }
            Function::Normal { mean, scale, x, weights: Some(weights) } => {
                entries(density::Weighted(density::Normal), [mean, scale, x, weights], by_row)
            }
            Function::Reparameterise { mean, log_variance, noise } => {
                let inputs = [mean, log_variance, noise];
                let (out, mut derivatives) = entries(density::Reparameterise, inputs, by_row);
                derivatives.insert(0, Derivative::One);
                (out, derivatives)
            }
            Function::Sigmoid { x } => entries(density::Sigmoid, [x], by_row),
            Function::Kl { mean, log_variance } => {
                let inputs = [mean.clone(), log_variance];
                let (out, mut derivatives) = entries(density::Kl, inputs, by_row);
                derivatives.insert(0, Derivative::Each(mean));
                (out, derivatives)
            }
        };
        (out, derivatives.try_into().expect("as many derivatives as the caller says"))
    }

    fn scale_rows(rows: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let (mut rows, factors) = (contiguous(rows), contiguous(factors));
        density::scale_rows(rows.storage_mut::<f32>(), values(&factors));
        rows
    }
}

/// Runs a function of entries on tensors of one shape.
fn entries<E: density::Entry<I, N>, const I: usize, const N: usize>(
    entry: E,
    inputs: [FlexTensor; I],
    by_row: bool,
) -> (FlexTensor, Vec<Derivative<Flex>>) {
    let inputs = inputs.map(contiguous);
    let shape = inputs[0].shape();
    let rows = by_row.then(|| shape[0]);
    let (out, derivatives) = density::run(entry, inputs.each_ref().map(values), rows);
    let out_shape = rows.map_or_else(|| shape.clone(), |rows| Shape::new([rows]));
    let each = |derivative| Derivative::Each(tensor(derivative, shape.clone()));
    (tensor(out, out_shape), derivatives.map(each).into())
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

/// A function of entries.
#[derive(Debug)]
struct Entries;

impl<B: Kernels, const N: usize> Backward<B, N> for Entries {
    /// The derivatives of each entry, and whether the values were summed by row.
    type State = ([Derivative<B>; N], bool);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (derivatives, by_row) = ops.state;
        for (node, derivative) in ops.parents.into_iter().zip(derivatives) {
            let Some(node) = node else { continue };
            let gradient = match (derivative, by_row) {
                (Derivative::One, _) => gradient.clone(),
                (Derivative::Each(each), true) => B::scale_rows(each, gradient.clone()),
                (Derivative::Each(each), false) => B::float_mul(each, gradient.clone()),
            };
            grads.register::<B>(node.id, gradient);
        }
    }
}

/// The values of a function, tracked for what it is differentiated in.
fn tracked<B: Kernels, C: CheckpointStrategy, const N: usize>(
    parameters: [FloatTensor<Autodiff<B, C>>; N],
    function: impl FnOnce([FloatTensor<B>; N]) -> Function<B>,
    by_row: bool,
) -> FloatTensor<Autodiff<B, C>> {
    let mut nodes = Vec::with_capacity(N);
    let parameters = parameters.map(|parameter| {
        let (tensor, node) = parameter.into_parts();
        nodes.push(node);
        tensor
    });
    let Ok(nodes) = <[_; N]>::try_from(nodes) else { unreachable!("a node for each parameter") };
    let (out, derivatives) = B::entries::<N>(function(parameters), by_row);
    match Entries.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((derivatives, by_row), out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
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

    fn fused_density(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        law: Law,
        by_row: bool,
    ) -> FloatTensor<Self> {
        let (x, weights) = (x.into_primitive(), None);
        let function = |[parameter]: [_; 1]| Function::Density { law, parameter, x, weights };
        tracked::<B, C, 1>([parameter], function, by_row)
    }

    fn fused_weighted_density(
        parameter: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        law: Law,
        by_row: bool,
    ) -> FloatTensor<Self> {
        let (x, weights) = (x.into_primitive(), Some(weights.into_primitive()));
        let function = |[parameter]: [_; 1]| Function::Density { law, parameter, x, weights };
        tracked::<B, C, 1>([parameter], function, by_row)
    }

    fn fused_normal(
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        x: FloatTensor<Self>,
        by_row: bool,
    ) -> FloatTensor<Self> {
        let (x, weights) = (x.into_primitive(), None);
        let function = |[mean, scale]: [_; 2]| Function::Normal { mean, scale, x, weights };
        tracked::<B, C, 2>([mean, scale], function, by_row)
    }

    fn fused_weighted_normal(
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        by_row: bool,
    ) -> FloatTensor<Self> {
        let (x, weights) = (x.into_primitive(), Some(weights.into_primitive()));
        let function = |[mean, scale]: [_; 2]| Function::Normal { mean, scale, x, weights };
        tracked::<B, C, 2>([mean, scale], function, by_row)
    }

    fn fused_reparameterise(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        noise: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let noise = noise.into_primitive();
        let function =
            |[mean, log_variance]: [_; 2]| Function::Reparameterise { mean, log_variance, noise };
        tracked::<B, C, 2>([mean, log_variance], function, false)
    }

    fn fused_sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked::<B, C, 1>([x], |[x]: [_; 1]| Function::Sigmoid { x }, false)
    }

    fn fused_kl(mean: FloatTensor<Self>, log_variance: FloatTensor<Self>) -> FloatTensor<Self> {
        let function = |[mean, log_variance]: [_; 2]| Function::Kl { mean, log_variance };
        tracked::<B, C, 2>([mean, log_variance], function, false)
    }
}
