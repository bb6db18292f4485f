//! Layers with bias and activation, built by an [`Initializer`](crate::Initializer).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use dvae_kernels::{MapConv, Resize};

use crate::Activation;

/// `act(x W + b)`.
#[derive(Module, Debug)]
pub struct Linear {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Param<Tensor<1>>,
    #[module(skip)]
    pub(crate) activation: Activation,
}

impl Linear {
    /// `[rows, inputs]` → `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (fused, rest) = self.activation.split();
        rest(dvae_kernels::linear(x, self.weight.val(), self.bias.val(), fused))
    }
}

/// A convolution of kernel 3 and padding 1, or of kernel 1: stride 1 keeps sides, stride 2 halves them and rounds up.
#[derive(Module, Debug)]
pub struct Conv2d {
    pub(crate) weight: Param<Tensor<4>>,
    pub(crate) bias: Param<Tensor<1>>,
    #[module(skip)]
    pub(crate) stride: usize,
    #[module(skip)]
    pub(crate) activation: Activation,
}

impl Conv2d {
    pub(crate) const KERNEL: usize = 3;

    /// `[b, inputs, h, w]` → `[b, outputs, ⌈h / stride⌉, ⌈w / stride⌉]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let padding = self.weight.lazy_shape()[2] / 2;
        let options = ConvOptions::new([self.stride; 2], [padding; 2], [1, 1], 1);
        let (fused, rest) = self.activation.split();
        rest(dvae_kernels::conv2d(x, self.weight.val(), self.bias.val(), options, fused))
    }

    /// The convolution of a map that is activated and resized first, plus another map in the shape of the result.
    /// The layer's own stride and activation are not used.
    pub(crate) fn after(
        &self,
        activation: Activation,
        resize: Resize,
        x: Tensor<4>,
        add: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let (activation, x) = activation.first(x);
        let conv = MapConv { activation, resize };
        conv.forward(x, self.weight.val(), self.bias.val(), add)
    }
}

/// A transposed convolution of kernel 4, stride 2 and padding 1, which doubles sides.
#[derive(Module, Debug)]
pub struct ConvTranspose2d {
    pub(crate) weight: Param<Tensor<4>>,
    pub(crate) bias: Param<Tensor<1>>,
    #[module(skip)]
    pub(crate) activation: Activation,
}

impl ConvTranspose2d {
    pub(crate) const KERNEL: usize = 4;

    /// `[b, inputs, h, w]` → `[b, outputs, 2h, 2w]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
        let (fused, rest) = self.activation.split();
        rest(dvae_kernels::conv_transpose2d(x, self.weight.val(), self.bias.val(), options, fused))
    }
}

/// Group normalization: Wu and He (2018), "Group Normalization", section 3.
///
/// Burn's own layer rejects inputs of fewer than three numbers, to which small images are reduced.
#[derive(Module, Debug)]
pub struct GroupNorm {
    pub(crate) scale: Param<Tensor<1>>,
    pub(crate) shift: Param<Tensor<1>>,
    /// `None` if a group has only one number, which is left unchanged.
    #[module(skip)]
    pub(crate) groups: Option<usize>,
}

impl GroupNorm {
    const EPSILON: f64 = 1e-5;

    /// `[b, channels, h, w]`: each group of channels of each row gets mean 0 and variance 1, then each
    /// channel is scaled and shifted.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [rows, channels, height, width] = x.dims();
        let Some(groups) = self.groups else { return x };
        let grouped = x.reshape([rows, groups, channels / groups * height * width]);
        let centered = grouped.clone() - grouped.mean_dim(2);
        let variance = centered.clone().square().mean_dim(2);
        let normal =
            (centered / (variance + Self::EPSILON).sqrt()).reshape([rows, channels, height, width]);
        let by_channel = |values: &Param<Tensor<1>>| values.val().reshape([1, channels, 1, 1]);
        normal * by_channel(&self.scale) + by_channel(&self.shift)
    }
}

#[cfg(feature = "onnx")]
mod onnx {
    //! The layers in graphs, `[batch, …]` as in their `forward`.

    use dvae_kernels::Resize;
    use dvae_onnx::{Attribute, Value};

    use super::{Conv2d, ConvTranspose2d, GroupNorm, Linear};
    use crate::{Activation, ModelGraph};

    impl Linear {
        /// `[rows, inputs]` → `[rows, outputs]`.
        pub fn in_graph(&self, graph: &mut ModelGraph, x: &Value) -> Value {
            let (weight, bias) = (graph.weight(&self.weight), graph.weight(&self.bias));
            let sum = graph.op("Gemm", &[x, &weight, &bias]);
            self.activation.in_graph(graph, &sum)
        }

        /// The layer at each place of a map `[batch, inputs, …]`.
        pub(crate) fn at_places_in(&self, graph: &mut ModelGraph, map: &Value) -> Value {
            let weight = graph.weight(&self.weight);
            let weight =
                graph.op_with("Transpose", &[&weight], &[("perm", Attribute::Ints(&[1, 0]))]);
            let axes = graph.ints(&[2, 3]);
            let kernel = graph.op("Unsqueeze", &[&weight, &axes]);
            let bias = graph.weight(&self.bias);
            let sum = graph.op("Conv", &[map, &kernel, &bias]);
            self.activation.in_graph(graph, &sum)
        }
    }

    impl Conv2d {
        /// `[b, inputs, h, w]` → `[b, outputs, ⌈h / stride⌉, ⌈w / stride⌉]`.
        pub fn in_graph(&self, graph: &mut ModelGraph, x: &Value) -> Value {
            let sum = self.convolution(graph, x, self.stride);
            self.activation.in_graph(graph, &sum)
        }

        /// As `after`. Doubled sides are cropped to those of `like`.
        pub(crate) fn after_in(
            &self,
            graph: &mut ModelGraph,
            (activation, resize): (Activation, Resize),
            x: &Value,
            like: Option<&Value>,
        ) -> Value {
            let x = activation.in_graph(graph, x);
            match (resize, like) {
                (Resize::Halve, _) => self.convolution(graph, &x, 2),
                (Resize::Double { .. }, Some(like)) => {
                    let x = graph.doubled(&x, like);
                    self.convolution(graph, &x, 1)
                }
                _ => self.convolution(graph, &x, 1),
            }
        }

        fn convolution(&self, graph: &mut ModelGraph, x: &Value, stride: usize) -> Value {
            let padding = self.weight.lazy_shape()[2] / 2;
            let (weight, bias) = (graph.weight(&self.weight), graph.weight(&self.bias));
            let [stride, padding] = [stride, padding].map(|n| n as i64);
            let attributes = [
                ("strides", Attribute::Ints(&[stride; 2])),
                ("pads", Attribute::Ints(&[padding; 4])),
            ];
            graph.op_with("Conv", &[x, &weight, &bias], &attributes)
        }
    }

    impl ConvTranspose2d {
        /// `[b, inputs, h, w]` → `[b, outputs, 2h, 2w]`.
        pub fn in_graph(&self, graph: &mut ModelGraph, x: &Value) -> Value {
            let (weight, bias) = (graph.weight(&self.weight), graph.weight(&self.bias));
            let attributes =
                [("strides", Attribute::Ints(&[2; 2])), ("pads", Attribute::Ints(&[1; 4]))];
            let sum = graph.op_with("ConvTranspose", &[x, &weight, &bias], &attributes);
            self.activation.in_graph(graph, &sum)
        }
    }

    impl GroupNorm {
        /// `[b, channels, h, w]` → the same.
        pub fn in_graph(&self, graph: &mut ModelGraph, x: &Value) -> Value {
            let Some(groups) = self.groups else { return x.clone() };
            let shape = graph.op("Shape", &[x]);
            let grouped = graph.reshape(x, &[0, groups as i64, -1]);
            let [one, zero] = [1.0, 0.0].map(|n| graph.floats(&[groups], &vec![n; groups]));
            let epsilon = [("epsilon", Attribute::Float(Self::EPSILON as f32))];
            let normal = graph.op_with("InstanceNormalization", &[&grouped, &one, &zero], &epsilon);
            let normal = graph.op("Reshape", &[&normal, &shape]);
            let [scale, shift] = [&self.scale, &self.shift].map(|values| {
                let values = graph.weight(values);
                graph.reshape(&values, &[1, -1, 1, 1])
            });
            let scaled = graph.mul(&normal, &scale);
            graph.add(&scaled, &shift)
        }
    }
}
