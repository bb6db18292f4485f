//! A residual convolutional network for images of any size.

use burn::module::Module;
use burn::tensor::Tensor;
use dvae_distributions::LatentShape;
use dvae_kernels::Resize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conv_net::Stages;
use crate::error::sizes;
use crate::layers::{Conv2d, GroupNorm, Linear};
use crate::networks::{Bundled, InputOutput, same_rank};
use crate::{Activation, Features, Initializer, Level, ModelError, Network};

/// Configuration of a [`ResNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels of each stage, at least one; each stage halves the sides. The decoder mirrors them.
    pub channels: Vec<usize>,
    /// Residual blocks in each stage, at least 1.
    pub blocks: usize,
    /// The maximum number of groups of channels in a normalization, at least 1; the actual number divides a
    /// stage's channels.
    pub groups: usize,
    /// The non-linearity before each convolution of a block.
    pub activation: Activation,
}

impl Default for ResNetConfig {
    /// Two stages of 32 and 64 channels with one block each, 8 groups, SiLU.
    fn default() -> Self {
        Self { channels: vec![32, 64], blocks: 1, groups: 8, activation: Activation::Silu }
    }
}

impl ResNetConfig {
    /// Stages of these channels, one block each.
    pub fn new(channels: &[usize]) -> Self {
        Self { channels: channels.into(), ..Self::default() }
    }

    /// The residual blocks of a stage whose images have `area` pixels.
    fn blocks(&self, channels: usize, area: usize, init: &mut Initializer) -> Vec<Block> {
        let mut half = || Half {
            norm: init.group_norm(channels, self.groups, area),
            conv: init.conv(channels, channels, Activation::Identity),
        };
        let activation = self.activation;
        (0..self.blocks).map(|_| Block { first: half(), second: half(), activation }).collect()
    }

    fn decoder(&self, io: &InputOutput, stages: Stages, init: &mut Initializer) -> Decoder {
        let widths = &self.channels;
        let input = init.linear(io.latent, stages.features(), Activation::Identity);
        let up = (0..widths.len())
            .rev()
            .map(|i| {
                let outputs = widths[i.saturating_sub(1)];
                let conv = init.conv(widths[i], outputs, Activation::Identity);
                Stage { conv, blocks: self.blocks(outputs, stages.area(i), init) }
            })
            .collect();
        let norm = init.group_norm(widths[0], self.groups, stages.area(0));
        let last = init.conv(widths[0], io.output[0], Activation::Identity);
        Decoder { input, up, norm, last, stages, activation: self.activation }
    }
}

impl Bundled for ResNetConfig {
    type Encoder = Encoder;
    type Network = ResNet;

    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError> {
        let stages = Stages::residual(io, &self.channels, self.blocks)?;
        sizes("groups", &[self.groups])?;
        Ok(vec![io.vector(stages.features())])
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> Encoder {
        let widths = &self.channels;
        let stages = Stages::new([io.input[1], io.input[2]], widths);
        let before = [&io.input[..1], &widths[..]].concat();
        let down = (0..widths.len())
            .map(|i| {
                let conv = init.downsampling_conv(before[i], widths[i], Activation::Identity);
                Stage { conv, blocks: self.blocks(widths[i], stages.area(i + 1), init) }
            })
            .collect();
        let last = widths.len();
        let norm = init.group_norm(widths[last - 1], self.groups, stages.area(last));
        Encoder { down, norm, activation: self.activation }
    }

    fn network(&self, encoder: Encoder, io: &InputOutput, init: &mut Initializer) -> ResNet {
        let stages = Stages::new([io.input[1], io.input[2]], &self.channels);
        let (latents, features) = (LatentShape::Vector(io.latent), stages.features());
        let level = Level { latents, features, context: 0 };
        ResNet { encoder, decoder: self.decoder(io, stages, init), level }
    }
}

/// Residual blocks over images `[batch, channels, height, width]`.
///
/// `x̃ → stages → features`, `z → linear → stages → convolution → outputs`. A stage of the encoder is a
/// convolution of stride 2 followed by residual blocks. A stage of the decoder doubles the sides by repeating
/// pixels (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"), crops an odd side by one, and then
/// convolves. A block is `x + f(x)`, where `f` applies normalization, non-linearity and convolution twice (He
/// et al. 2016, "Identity Mappings in Deep Residual Networks", section 4). Groups of channels are normalized
/// (Wu & He 2018, "Group Normalization"), so that rows stay independent of each other.
#[derive(Module, Debug)]
pub struct ResNet {
    encoder: Encoder,
    decoder: Decoder,
    #[module(skip)]
    level: Level,
}

#[derive(Module, Debug)]
pub(crate) struct Encoder {
    down: Vec<Stage>,
    norm: GroupNorm,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Decoder {
    input: Linear,
    up: Vec<Stage>,
    norm: GroupNorm,
    last: Conv2d,
    #[module(skip)]
    stages: Stages,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Stage {
    conv: Conv2d,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    first: Half,
    second: Half,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Half {
    norm: GroupNorm,
    conv: Conv2d,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let half = |half: &Half, x| half.conv.forward(self.activation.apply(half.norm.forward(x)));
        x.clone() + half(&self.second, half(&self.first, x))
    }
}

impl Stage {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.through(self.conv.forward(x))
    }

    /// After doubling the sides, and cropping them to these.
    fn doubled(&self, x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
        let resize = Resize::Double { height, width };
        self.through(self.conv.after(Activation::Identity, resize, x, None))
    }

    fn through(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}

impl Encoder {
    fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let rows = input.dims()[0];
        let x = self.down.iter().fold(input, |x, stage| stage.forward(x));
        let [_, channels, height, width] = x.dims();
        self.activation.apply(self.norm.forward(x)).reshape([rows, channels * height * width])
    }
}

impl Decoder {
    fn forward(&self, latent: Tensor<2>) -> Tensor<4> {
        let [rows, _] = latent.dims();
        let [channels, height, width] = self.stages.deepest();
        let mut x = self.input.forward(latent).reshape([rows, channels, height, width]);
        for (stage, sides) in self.up.iter().zip(self.stages.way_back()) {
            x = stage.doubled(x, sides);
        }
        self.last.forward(self.activation.apply(self.norm.forward(x)))
    }
}

/// # Panics
///
/// If `D` is not 4.
impl<const D: usize> Network<D> for ResNet {
    fn levels(&self) -> Vec<Level> {
        vec![self.level]
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        vec![Features::Vector(self.encoder.forward(same_rank(input)))]
    }

    fn outputs(&self, context: Features) -> Tensor<D> {
        same_rank(self.decoder.forward(context.vector()))
    }
}

#[cfg(feature = "onnx")]
mod onnx {
    use dvae_kernels::Resize;
    use dvae_onnx::{Attribute, Value};

    use super::{Block, Half, ResNet, Stage};
    use crate::{Activation, GraphNetwork, ModelGraph};

    impl Block {
        fn in_graph(&self, graph: &mut ModelGraph, x: &Value) -> Value {
            let half = |graph: &mut ModelGraph, half: &Half, x: &Value| {
                let normal = half.norm.in_graph(graph, x);
                let active = self.activation.in_graph(graph, &normal);
                half.conv.in_graph(graph, &active)
            };
            let inner = half(graph, &self.first, x);
            let inner = half(graph, &self.second, &inner);
            graph.add(x, &inner)
        }
    }

    impl Stage {
        fn through_in(&self, graph: &mut ModelGraph, x: Value) -> Value {
            self.blocks.iter().fold(x, |x, block| block.in_graph(graph, &x))
        }
    }

    impl GraphNetwork for ResNet {
        fn features_in(&self, graph: &mut ModelGraph, input: &Value) -> Vec<Value> {
            let mut x = input.clone();
            for stage in &self.encoder.down {
                x = stage.conv.in_graph(graph, &x);
                x = stage.through_in(graph, x);
            }
            let normal = self.encoder.norm.in_graph(graph, &x);
            let active = self.encoder.activation.in_graph(graph, &normal);
            vec![graph.op_with("Flatten", &[&active], &[("axis", Attribute::Int(1))])]
        }

        fn outputs_in(&self, graph: &mut ModelGraph, context: &Value) -> Value {
            let decoder = &self.decoder;
            let [channels, height, width] = decoder.stages.deepest().map(|n| n as i64);
            let x = decoder.input.in_graph(graph, context);
            let mut x = graph.reshape(&x, &[0, channels, height, width]);
            for (stage, sides) in decoder.up.iter().zip(decoder.stages.way_back()) {
                x = graph.doubled_to(&x, sides);
                let how = (Activation::Identity, Resize::Keep);
                x = stage.conv.after_in(graph, how, &x, None);
                x = stage.through_in(graph, x);
            }
            let normal = decoder.norm.in_graph(graph, &x);
            let active = decoder.activation.in_graph(graph, &normal);
            decoder.last.in_graph(graph, &active)
        }
    }
}
