//! A fully connected network for rows of any shape.

use burn::module::Module;
use burn::tensor::Tensor;
#[cfg(feature = "onnx")]
use dvae_onnx::{Attribute, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{depth, sizes, weights};
use crate::layers::Linear;
use crate::networks::{Bundled, InputOutput, saturating_product};
use crate::{Activation, Features, Initializer, Level, ModelError, Network};

/// Configuration of an [`Mlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Widths of the encoder's hidden layers; the decoder has the same widths in reverse.
    pub hidden: Vec<usize>,
    /// The non-linearity after each hidden layer.
    pub activation: Activation,
}

impl Default for MlpConfig {
    /// One hidden layer of 400 units, ReLU.
    fn default() -> Self {
        Self { hidden: vec![400], activation: Activation::default() }
    }
}

impl MlpConfig {
    /// Hidden layers of these widths, ReLU.
    pub fn new(hidden: &[usize]) -> Self {
        Self { hidden: hidden.into(), ..Self::default() }
    }
}

/// Fully connected layers over rows of any shape, which are flattened.
///
/// `x̃ → hidden… → features`, `z → hidden… (reversed) → outputs`, as in Kingma & Welling (2014),
/// "Auto-Encoding Variational Bayes", appendix C.
#[derive(Module, Debug)]
pub struct Mlp {
    encoder: Vec<Linear>,
    decoder: Vec<Linear>,
    last: Linear,
    #[module(skip)]
    level: Level,
    /// The shape of the outputs for a row.
    #[module(skip)]
    output: Vec<usize>,
}

impl Bundled for MlpConfig {
    type Encoder = Vec<Linear>;
    type Network = Mlp;

    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError> {
        if !self.hidden.is_empty() {
            depth("hidden", self.hidden.len())?;
        }
        sizes("hidden", &self.hidden)?;
        let (inputs, outputs) = (saturating_product(&io.input), saturating_product(&io.output));
        weights(&[&[inputs], &self.hidden[..]].concat())?;
        weights(&[self.hidden.first().copied().unwrap_or(io.latent), outputs])?;
        Ok(vec![io.vector(self.hidden.last().copied().unwrap_or(inputs))])
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> Vec<Linear> {
        let widths = [&[saturating_product(&io.input)], &self.hidden[..]].concat();
        stack(&widths, self.activation, init)
    }

    fn network(&self, encoder: Vec<Linear>, io: &InputOutput, init: &mut Initializer) -> Mlp {
        let mut widths = [&self.hidden[..], &[io.latent]].concat();
        widths.reverse();
        let decoder = stack(&widths, self.activation, init);
        let outputs = saturating_product(&io.output);
        let last = init.linear(widths[widths.len() - 1], outputs, Activation::Identity);
        let features = self.hidden.last().copied().unwrap_or(saturating_product(&io.input));
        let level = io.vector(features);
        Mlp { encoder, decoder, last, level, output: io.output.clone() }
    }
}

fn stack(widths: &[usize], activation: Activation, init: &mut Initializer) -> Vec<Linear> {
    widths.windows(2).map(|pair| init.linear(pair[0], pair[1], activation)).collect()
}

fn through(layers: &[Linear], input: Tensor<2>) -> Tensor<2> {
    layers.iter().fold(input, |x, layer| layer.forward(x))
}

impl<const D: usize> Network<D> for Mlp {
    fn levels(&self) -> Vec<Level> {
        vec![self.level]
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        let shape = input.dims();
        let flat = input.reshape([shape[0], shape[1..].iter().product()]);
        vec![Features::Vector(through(&self.encoder, flat))]
    }

    /// # Panics
    ///
    /// If `D` is not one more than the rank of the configured event.
    fn outputs(&self, context: Features) -> Tensor<D> {
        let hidden = through(&self.decoder, context.vector());
        let shape = [&[hidden.dims()[0]], &self.output[..]].concat();
        let shape: [usize; D] = shape.try_into().expect("the rank of the configured event, plus 1");
        self.last.forward(hidden).reshape(shape)
    }
}

#[cfg(feature = "onnx")]
impl crate::GraphNetwork for Mlp {
    fn features_in(&self, graph: &mut crate::ModelGraph, input: &Value) -> Vec<Value> {
        let flat = graph.op_with("Flatten", &[input], &[("axis", Attribute::Int(1))]);
        vec![self.encoder.iter().fold(flat, |x, layer| layer.in_graph(graph, &x))]
    }

    fn outputs_in(&self, graph: &mut crate::ModelGraph, context: &Value) -> Value {
        let hidden =
            self.decoder.iter().fold(context.clone(), |x, layer| layer.in_graph(graph, &x));
        let outputs = self.last.in_graph(graph, &hidden);
        let shape: Vec<i64> =
            std::iter::once(0).chain(self.output.iter().map(|&n| n as i64)).collect();
        match shape.len() {
            2 => outputs,
            _ => graph.reshape(&outputs, &shape),
        }
    }
}
