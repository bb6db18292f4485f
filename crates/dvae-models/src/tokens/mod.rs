//! A recurrent network for texts.

mod law;
mod search;

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};
use dvae_distributions::Likelihood;
use dvae_kernels::{Activation as Fused, Direction, gru, linear};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{sizes, weights};
use crate::layers::Linear;
use crate::networks::{Bundled, InputOutput, same_rank};
use crate::{Activation, Features, Initializer, Level, ModelError, Network};

pub use law::TokenSequences;
pub use search::Candidate;

/// The number of a text's end, which follows it to the end of its row.
const END: f64 = 0.0;

/// Configuration of a [`TokenNetwork`].
///
/// In a file: `network = { type = "tokens", hidden = 256 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// Numbers that stand for a character, where it enters the encoder or the decoder.
    pub embedding: usize,
    /// Units of the encoder in each direction, and of the decoder.
    pub hidden: usize,
}

impl Default for TokenConfig {
    /// 64 numbers for a character, 256 units.
    fn default() -> Self {
        Self { embedding: 64, hidden: 256 }
    }
}

/// A gated recurrent unit over tokens.
#[derive(Module, Debug)]
struct Recurrence {
    /// What stands for each token, `[tokens, embedding]`.
    embedding: Param<Tensor<2>>,
    /// From that to the gates, `[embedding, 3 · hidden]`.
    input: Linear,
    /// `[hidden, 3 · hidden]`.
    recurrent: Param<Tensor<2>>,
    /// `[hidden]`.
    bias: Param<Tensor<1>>,
}

impl Recurrence {
    fn new(tokens: usize, config: &TokenConfig, init: &mut Initializer) -> Self {
        let &TokenConfig { embedding, hidden } = config;
        let side = 3f32.sqrt();
        Self {
            embedding: init.uniform([tokens, embedding], [-side, side]),
            input: init.linear(embedding, 3 * hidden, Activation::Identity),
            recurrent: init.xavier_uniform([hidden, 3 * hidden], hidden, hidden),
            bias: init.zeros(hidden),
        }
    }

    /// What each token adds to the gates: `[tokens, 3 · hidden]`.
    fn table(&self) -> Tensor<2> {
        self.input.forward(self.embedding.val())
    }

    fn hidden(&self) -> usize {
        self.bias.lazy_shape()[0]
    }

    /// The states at all steps: `inputs` `[steps, rows, 3 · hidden]`, `start` `[rows, hidden]` → `[steps, rows, hidden]`.
    fn states(&self, inputs: Tensor<3>, start: Tensor<2>, direction: Direction) -> Tensor<3> {
        gru(inputs, start, self.recurrent.val(), self.bias.val(), direction)
    }
}

/// The encoder of a [`TokenNetwork`].
#[derive(Module, Debug)]
pub(crate) struct TokenEncoder {
    forward: Recurrence,
    backward: Recurrence,
}

/// The decoder of a [`TokenNetwork`].
#[derive(Module, Debug)]
pub(crate) struct TokenDecoder {
    cell: Recurrence,
    /// From the latent to the first state.
    start: Linear,
    /// From the latent to the gates of every step.
    gates: Linear,
    /// From state and latent to the logits of the next token.
    output: Linear,
    /// `[latents, tokens]`.
    skip: Param<Tensor<2>>,
}

/// A bidirectional recurrent encoder and an autoregressive recurrent decoder over rows of tokens `[batch, width]`, which end with, or are
/// filled up by, token 0.
///
/// ```text
/// x̃ → GRU forward, GRU backward → last state of each, side by side → features
/// z → first state; and to each step: (xₜ₋₁, z) → gates → state; (state, z) → logits of xₜ
/// ```
///
/// Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", section 2.2, with the
/// latent at every step, as the summary is there; Bowman et al. (2016), "Generating Sentences from a Continuous Space", section 3, is the
/// VAE. What follows a text's end changes no state, so a row means the same in a batch of any width.
#[derive(Module, Debug)]
pub struct TokenNetwork {
    encoder: TokenEncoder,
    pub(crate) decoder: TokenDecoder,
    #[module(skip)]
    level: Level,
    /// The tokens of a row.
    #[module(skip)]
    width: usize,
}

/// The number of tokens that the likelihood names.
fn tokens(io: &InputOutput) -> usize {
    io.classes.first().copied().unwrap_or_default()
}

impl Bundled for TokenConfig {
    type Encoder = TokenEncoder;
    type Network = TokenNetwork;

    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError> {
        if io.event.len() != 1 || tokens(io) < 2 || io.input != io.event {
            return Err(ModelError::Tokens);
        }
        let &Self { embedding, hidden } = self;
        sizes("embedding", &[embedding])?;
        sizes("hidden", &[hidden])?;
        let gates = hidden.saturating_mul(3);
        weights(&[tokens(io), embedding, gates])?;
        weights(&[hidden, gates])?;
        weights(&[io.latent, gates])?;
        weights(&[hidden, tokens(io)])?;
        Ok(vec![io.vector(2 * hidden)])
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> TokenEncoder {
        let mut cell = || Recurrence::new(tokens(io), self, init);
        TokenEncoder { forward: cell(), backward: cell() }
    }

    fn network(
        &self,
        encoder: TokenEncoder,
        io: &InputOutput,
        init: &mut Initializer,
    ) -> TokenNetwork {
        let (hidden, tokens) = (self.hidden, tokens(io));
        let linear = |init: &mut Initializer, inputs, outputs| {
            init.linear(inputs, outputs, Activation::Identity)
        };
        let cell = Recurrence::new(tokens, self, init);
        let start = linear(init, io.latent, hidden);
        let gates = linear(init, io.latent, 3 * hidden);
        let output = linear(init, hidden, tokens);
        let skip = init.xavier_uniform([io.latent, tokens], io.latent, tokens);
        let decoder = TokenDecoder { cell, start, gates, output, skip };
        TokenNetwork { encoder, decoder, level: io.vector(2 * hidden), width: io.event[0] }
    }
}

/// The length of the longest text among rows of tokens.
fn longest(rows: &Tensor<2>) -> usize {
    let lengths = rows.clone().not_equal_elem(END).int().sum_dim(1);
    lengths.max().into_scalar::<i32>().max(0) as usize
}

/// Tokens `[rows, steps]`, step by step: `[steps · rows]`.
fn by_step(rows: Tensor<2>) -> Tensor<1, Int> {
    let count = rows.shape().num_elements();
    rows.int().transpose().reshape([count])
}

/// `[steps · rows, width]` of a table `[tokens, width]`, as `[steps, rows, width]`.
fn looked_up(table: &Tensor<2>, rows: Tensor<2>) -> Tensor<3> {
    let ([count, steps], [_, width]) = (rows.dims(), table.dims());
    table.clone().select(0, by_step(rows)).reshape([steps, count, width])
}

impl TokenEncoder {
    /// The last state in each direction, side by side: `[rows, 2 · hidden]`.
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let [count, width] = rows.dims();
        let steps = longest(&rows).clamp(1, width);
        let rows = rows.narrow(1, 0, steps);
        let last = |cell: &Recurrence, direction, at| {
            let hidden = cell.hidden();
            let table = cell.table() + end_keeps_the_state(cell);
            let inputs = looked_up(&table, rows.clone());
            let start = Tensor::zeros([count, hidden], &rows.device());
            let states = cell.states(inputs, start, direction);
            states.narrow(0, at, 1).reshape([count, hidden])
        };
        let forward = last(&self.forward, Direction::Forward, steps - 1);
        let backward = last(&self.backward, Direction::Backward, 0);
        Tensor::cat(vec![forward, backward], 1)
    }
}

/// What added to the table of gates lets the end of a text change no state: `[tokens, 3 · hidden]`.
fn end_keeps_the_state(cell: &Recurrence) -> Tensor<2> {
    let ([tokens, _], hidden) = (cell.embedding.dims(), cell.hidden());
    let device = cell.embedding.device();
    // So large that no weight makes up for it.
    let closed: Vec<f32> =
        (0..3 * hidden).map(|at| if at / hidden == 1 { 1e6 } else { 0.0 }).collect();
    let closed = Tensor::<2>::from_data(TensorData::new(closed, [1, 3 * hidden]), &device);
    match tokens - 1 {
        0 => closed,
        others => Tensor::cat(vec![closed, Tensor::zeros([others, 3 * hidden], &device)], 0),
    }
}

impl TokenDecoder {
    /// The logits of the next tokens from states `[rows, hidden]` and what the latents add, `[rows, tokens]`.
    fn logits(&self, states: Tensor<2>, skip: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.output.weight.val(), self.output.bias.val());
        linear(states, weight, bias, Fused::Identity) + skip
    }
}

impl TokenNetwork {
    /// The sequences that latents `[rows, latents]` stand for.
    pub fn sequences(&self, latents: Tensor<2>) -> TokenSequences {
        TokenSequences::new(self.decoder.clone(), latents, self.width)
    }
}

/// # Panics
///
/// If `D` is not 2.
impl<const D: usize> Network<D> for TokenNetwork {
    fn levels(&self) -> Vec<Level> {
        vec![self.level]
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        vec![Features::Vector(self.encoder.forward(same_rank(input)))]
    }

    /// # Panics
    ///
    /// Always: a token depends on those before it, so there are no outputs without them. See [`Network::law`].
    fn outputs(&self, _context: Features) -> Tensor<D> {
        panic!("the tokens of a text are explained one after the other, by `law`")
    }

    fn law(&self, context: &Features) -> Option<Box<dyn Likelihood<D>>> {
        Some(Box::new(self.sequences(context.clone().vector())))
    }
}

#[cfg(feature = "onnx")]
mod onnx {
    //! A graph of a sequence would need loops: the program refuses to export it, before it comes to this.

    use dvae_onnx::Value;

    use super::TokenNetwork;
    use crate::{GraphNetwork, ModelGraph};

    const REFUSED: &str = "a model of texts is no graph";

    impl GraphNetwork for TokenNetwork {
        fn features_in(&self, _graph: &mut ModelGraph, _input: &Value) -> Vec<Value> {
            panic!("{REFUSED}")
        }

        fn outputs_in(&self, _graph: &mut ModelGraph, _context: &Value) -> Value {
            panic!("{REFUSED}")
        }
    }
}
