//! A convolutional network for images of any size.

use burn::module::Module;
use burn::tensor::Tensor;
use dvae_distributions::LatentShape;
#[cfg(feature = "onnx")]
use dvae_onnx::{Attribute, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{depth, row, sizes, weights};
use crate::layers::{Conv2d, ConvTranspose2d, Linear};
use crate::networks::{Bundled, InputOutput, same_rank, saturating_product};
use crate::{Activation, Features, Initializer, Level, ModelError, Network};

/// Configuration of a [`ConvNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConvNetConfig {
    /// Channels after each of the encoder's convolutions, at least one; the decoder mirrors them.
    pub channels: Vec<usize>,
    /// The non-linearity after each hidden layer.
    pub activation: Activation,
}

impl Default for ConvNetConfig {
    /// Two convolutions of 32 and 64 channels, ReLU.
    fn default() -> Self {
        Self { channels: vec![32, 64], activation: Activation::default() }
    }
}

impl ConvNetConfig {
    /// Convolutions of these channels, ReLU.
    pub fn new(channels: &[usize]) -> Self {
        Self { channels: channels.into(), ..Self::default() }
    }
}

/// Convolutions of stride 2 over images `[batch, channels, height, width]`.
///
/// `x̃ → convolutions → features`, `z → linear → transposed convolutions → outputs`. The encoder halves a
/// side of odd length and rounds up, and the decoder crops it by one, so any size works.
#[derive(Module, Debug)]
pub struct ConvNet {
    encoder: Vec<Conv2d>,
    input: Linear,
    decoder: Vec<ConvTranspose2d>,
    #[module(skip)]
    stages: Stages,
    #[module(skip)]
    level: Level,
}

/// The sizes of images between the stages of a network that halves their sides.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    /// Height and width before each stage, and after the last one.
    sides: Vec<[usize; 2]>,
    channels: usize,
}

impl Stages {
    /// The sizes for images of these sides, with these channels after each stage.
    pub(crate) fn new([height, width]: [usize; 2], channels: &[usize]) -> Self {
        let halve = |&[h, w]: &[usize; 2]| Some([h.div_ceil(2), w.div_ceil(2)]);
        let sides = std::iter::successors(Some([height, width]), halve);
        let sides = sides.take(channels.len() + 1).collect();
        Self { sides, channels: channels[channels.len() - 1] }
    }

    /// The stages of a residual network; an error names what is out of range.
    pub(crate) fn residual(
        io: &InputOutput,
        channels: &[usize],
        blocks: usize,
    ) -> Result<Self, ModelError> {
        let [inputs, height, width] = io.image()?;
        depth("channels", channels.len())?;
        depth("blocks", blocks)?;
        depth("blocks", channels.len().saturating_mul(blocks))?;
        sizes("channels", channels)?;
        // A kernel has 3 × 3 weights for each pair of channels.
        let wide = [&[inputs], channels].concat();
        for pair in wide.windows(2) {
            weights(&[pair[0].saturating_mul(9), pair[1]])?;
            weights(&[pair[1].saturating_mul(9), pair[1]])?;
        }
        weights(&[io.output[0].saturating_mul(9), channels[0]])?;
        let stages = Self::new([height, width], channels);
        stages.check(channels)?;
        Ok(stages)
    }

    /// Channels, height and width after the last stage.
    pub(crate) fn deepest(&self) -> [usize; 3] {
        let [height, width] = self.sides[self.sides.len() - 1];
        [self.channels, height, width]
    }

    /// Height and width before a stage, or after the last one.
    pub(crate) fn sides(&self, stage: usize) -> [usize; 2] {
        self.sides[stage]
    }

    /// Pixels before each stage, and after the last one.
    pub(crate) fn area(&self, stage: usize) -> usize {
        self.sides[stage].iter().product()
    }

    /// Height and width after each stage of the decoder.
    pub(crate) fn way_back(&self) -> impl Iterator<Item = [usize; 2]> {
        self.sides.iter().rev().skip(1).copied()
    }

    /// Checks what stages of these channels make of a row.
    pub(crate) fn check(&self, channels: &[usize]) -> Result<(), ModelError> {
        let wide = |(stage, &channels): (usize, &usize)| self.area(stage).saturating_mul(channels);
        channels.iter().enumerate().map(wide).try_for_each(|numbers| row("channels", numbers))
    }

    pub(crate) fn features(&self) -> usize {
        saturating_product(&self.deepest())
    }
}

impl Bundled for ConvNetConfig {
    type Encoder = Vec<Conv2d>;
    type Network = ConvNet;

    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError> {
        let [inputs, height, width] = io.image()?;
        depth("channels", self.channels.len())?;
        sizes("channels", &self.channels)?;
        // A kernel has at most 4 × 4 weights for each pair of channels.
        let wide = [&[inputs], &self.channels[..]].concat();
        let per_tap: Vec<usize> = wide.iter().map(|channels| channels.saturating_mul(4)).collect();
        weights(&per_tap)?;
        weights(&[io.output[0].saturating_mul(16), self.channels[0]])?;
        let stages = Stages::new([height, width], &self.channels);
        stages.check(&self.channels)?;
        Ok(vec![io.vector(stages.features())])
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> Vec<Conv2d> {
        let channels = [&io.input[..1], &self.channels[..]].concat();
        let layer = |pair: &[usize]| init.downsampling_conv(pair[0], pair[1], self.activation);
        channels.windows(2).map(layer).collect()
    }

    fn network(&self, encoder: Vec<Conv2d>, io: &InputOutput, init: &mut Initializer) -> ConvNet {
        let stages = Stages::new([io.input[1], io.input[2]], &self.channels);
        let features = stages.features();
        let input = init.linear(io.latent, features, self.activation);
        let channels = [&io.output[..1], &self.channels[..]].concat();
        let decoder = (0..self.channels.len())
            .rev()
            .map(|i| {
                let activation = if i == 0 { Activation::Identity } else { self.activation };
                init.conv_transpose(channels[i + 1], channels[i], activation)
            })
            .collect();
        let level = Level { latents: LatentShape::Vector(io.latent), features, context: 0 };
        ConvNet { encoder, input, decoder, stages, level }
    }
}

/// # Panics
///
/// If `D` is not 4.
impl<const D: usize> Network<D> for ConvNet {
    fn levels(&self) -> Vec<Level> {
        vec![self.level]
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        let rows = input.dims()[0];
        let deepest = self.encoder.iter().fold(same_rank(input), |x, layer| layer.forward(x));
        vec![Features::Vector(deepest.reshape([rows, self.level.features]))]
    }

    fn outputs(&self, context: Features) -> Tensor<D> {
        let latent = context.vector();
        let [channels, height, width] = self.stages.deepest();
        let rows = latent.dims()[0];
        let mut x = self.input.forward(latent).reshape([rows, channels, height, width]);
        for (layer, sides) in self.decoder.iter().zip(self.stages.way_back()) {
            x = crop(layer.forward(x), sides);
        }
        same_rank(x)
    }
}

/// The upper left `sides` of each image, which is at most one pixel taller and wider than that.
fn crop(images: Tensor<4>, sides: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    if [height, width] == sides {
        return images;
    }
    images.narrow(2, 0, sides[0]).narrow(3, 0, sides[1])
}

#[cfg(feature = "onnx")]
impl crate::GraphNetwork for ConvNet {
    fn features_in(&self, graph: &mut crate::ModelGraph, input: &Value) -> Vec<Value> {
        let deepest = self.encoder.iter().fold(input.clone(), |x, layer| layer.in_graph(graph, &x));
        vec![graph.op_with("Flatten", &[&deepest], &[("axis", Attribute::Int(1))])]
    }

    fn outputs_in(&self, graph: &mut crate::ModelGraph, context: &Value) -> Value {
        let [channels, height, width] = self.stages.deepest().map(|n| n as i64);
        let x = self.input.in_graph(graph, context);
        let mut x = graph.reshape(&x, &[0, channels, height, width]);
        for (layer, sides) in self.decoder.iter().zip(self.stages.way_back()) {
            x = layer.in_graph(graph, &x);
            x = graph.cropped(&x, sides);
        }
        x
    }
}
