//! A recurrent network for texts.

mod attention;
mod search;
mod sequences;

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};
use dvae_distributions::{Latent, LatentShape, Latents, Likelihood};
use dvae_kernels::{Activation as Fused, Direction, gru, linear};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{row, sizes, weights};
use crate::layers::Linear;
use crate::networks::{Bundled, InputOutput, same_rank};
use crate::{Activation, Features, Initializer, Level, ModelError, Network};

use attention::Attention;
pub use search::Candidate;
pub use sequences::TokenSequences;

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
    /// Latents at each character: a second level below the one for the whole text, which the decoder attends to. They keep the spelling,
    /// which one vector for the text loses; 0 for none.
    pub places: usize,
}

impl Default for TokenConfig {
    /// 64 numbers for a character, 256 units, 16 latents at each character.
    fn default() -> Self {
        Self { embedding: 64, hidden: 256, places: 16 }
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
        let &TokenConfig { embedding, hidden, .. } = config;
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
    /// From both states at a character to its features, if there are latents at each.
    place: Option<Linear>,
}

/// The decoder of a [`TokenNetwork`].
#[derive(Module, Debug)]
pub(crate) struct TokenDecoder {
    cell: Recurrence,
    /// From the latents of the whole text to what the rest sees of them, the summary.
    summary: Linear,
    /// From the summary to the first state.
    start: Linear,
    /// From the summary to the gates of every step.
    gates: Linear,
    /// From state and summary to the logits of the next token.
    output: Linear,
    /// `[summary, tokens]`.
    skip: Param<Tensor<2>>,
    /// To the latents at each character, if there are any.
    attention: Option<Attention>,
}

/// A bidirectional recurrent encoder and an autoregressive recurrent decoder over rows of tokens `[batch, width]`, which end with, or are
/// filled up by, token 0.
///
/// ```text
/// x̃ → GRU forward, GRU backward → last state of each, side by side → features of the text; states at each character → its features
/// z → first state; and to each step: (xₜ₋₁, z) → gates → state; (state, z, what it attends to) → logits of xₜ
/// ```
///
/// The upper level of latents is a vector for the text. The lower one, unless `places` is 0, has latents at each character, to which each
/// state attends by what it asks for and by how far away they are (Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
/// Neural Machine Translation", section 3.1, with a learned weight for each distance).
///
/// Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", section 2.2, with the
/// latent at every step, as the summary is there; Bowman et al. (2016), "Generating Sentences from a Continuous Space", section 3, is the
/// VAE. What follows a text's end changes no state, so a row means the same in a batch of any width.
#[derive(Module, Debug)]
pub struct TokenNetwork {
    encoder: TokenEncoder,
    pub(crate) decoder: TokenDecoder,
    #[module(skip)]
    levels: Vec<Level>,
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
        let &Self { embedding, hidden, places } = self;
        sizes("embedding", &[embedding])?;
        sizes("hidden", &[hidden])?;
        let gates = hidden.saturating_mul(3);
        weights(&[tokens(io), embedding, gates])?;
        weights(&[hidden, gates])?;
        weights(&[io.latent, embedding])?;
        weights(&[hidden, tokens(io)])?;
        if places > 0 {
            sizes("places", &[places])?;
            weights(&[places, embedding])?;
            row("places", places.saturating_mul(io.event[0]))?;
        }
        Ok(self.levels(io))
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> TokenEncoder {
        let mut cell = || Recurrence::new(tokens(io), self, init);
        let (forward, backward) = (cell(), cell());
        let place = (self.places > 0)
            .then(|| init.linear(2 * self.hidden, self.embedding, Activation::Identity));
        TokenEncoder { forward, backward, place }
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
        let summary = linear(init, io.latent, self.embedding);
        let start = linear(init, self.embedding, hidden);
        let gates = linear(init, self.embedding, 3 * hidden);
        let output = linear(init, hidden, tokens);
        let skip = init.xavier_uniform([self.embedding, tokens], self.embedding, tokens);
        let attention = (self.places > 0).then(|| Attention::new(self, tokens, io.event[0], init));
        let decoder = TokenDecoder { cell, summary, start, gates, output, skip, attention };
        TokenNetwork { encoder, decoder, levels: self.levels(io), width: io.event[0] }
    }
}

impl TokenConfig {
    /// The levels of latents of rows of this length.
    fn levels(&self, io: &InputOutput) -> Vec<Level> {
        let mut levels = vec![io.vector(2 * self.hidden)];
        if self.places > 0 {
            levels.push(Level {
                latents: LatentShape::Map { channels: self.places, height: 1, width: io.event[0] },
                features: self.embedding,
                context: self.embedding,
            });
        }
        levels
    }
}

/// The length of the longest text among rows of tokens.
fn longest(rows: &Tensor<2>) -> usize {
    let lengths = rows.clone().not_equal_elem(END).int().sum_dim(1);
    lengths.max().into_scalar::<i32>().max(0) as usize
}

/// 1 for the tokens of each text and its first end, and 0 for what follows: `[rows, steps]`.
fn counts(rows: Tensor<2>) -> Tensor<2> {
    let [count, steps] = rows.dims();
    let first = Tensor::ones([count, 1], &rows.device());
    match steps {
        1 => first,
        _ => Tensor::cat(vec![first, rows.narrow(1, 0, steps - 1).not_equal_elem(END).float()], 1),
    }
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
    /// The last state in each direction, side by side, `[rows, 2 · hidden]`; and the features of each character, `[rows, features, 1, width]`.
    fn forward(&self, rows: Tensor<2>) -> (Tensor<2>, Option<Tensor<4>>) {
        let [count, width] = rows.dims();
        let device = rows.device();
        // Longer than the longest text by one: there, a text is seen to end.
        let steps = (longest(&rows) + 1).min(width);
        let rows = rows.narrow(1, 0, steps);
        let states = |cell: &Recurrence, direction| {
            let table = cell.table() + end_keeps_the_state(cell);
            let inputs = looked_up(&table, rows.clone());
            let start = Tensor::zeros([count, cell.hidden()], &device);
            cell.states(inputs, start, direction)
        };
        let forward = states(&self.forward, Direction::Forward);
        let backward = states(&self.backward, Direction::Backward);
        let hidden = self.forward.hidden();
        let last =
            |states: &Tensor<3>, at| states.clone().narrow(0, at, 1).reshape([count, hidden]);
        let whole = Tensor::cat(vec![last(&forward, steps - 1), last(&backward, 0)], 1);
        let places = self.place.as_ref().map(|place| {
            let both = Tensor::cat(vec![forward, backward], 2);
            let features = place.forward(both.reshape([steps * count, 2 * hidden]));
            let [_, channels] = features.dims();
            let features = features.reshape([steps, count, channels]).permute([1, 2, 0]);
            // Beyond its end a text has the same features in every batch.
            let features = features * counts(rows.clone()).reshape([count, 1, steps]);
            let features = match width - steps {
                0 => features,
                rest => {
                    Tensor::cat(vec![features, Tensor::zeros([count, channels, rest], &device)], 2)
                }
            };
            features.reshape([count, channels, 1, width])
        });
        (whole, places)
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
    /// The sequences that the latents of all levels stand for.
    ///
    /// # Panics
    ///
    /// If they are not those of the model's levels.
    pub fn sequences(&self, latents: &Latents) -> TokenSequences {
        let levels = latents.levels();
        assert_eq!(levels.len(), self.levels.len(), "levels of latents");
        let summary = self.decoder.summary.forward(levels[0].values());
        let places = levels.get(1).map(Latent::map);
        TokenSequences::new(self.decoder.clone(), summary, places, self.width)
    }
}

/// # Panics
///
/// If `D` is not 2.
impl<const D: usize> Network<D> for TokenNetwork {
    fn levels(&self) -> Vec<Level> {
        self.levels.clone()
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        let (whole, places) = self.encoder.forward(same_rank(input));
        let places = places.map(Features::Map);
        std::iter::once(Features::Vector(whole)).chain(places).collect()
    }

    /// Below the whole text, its summary, at each character if there is a level of these; and beside it, below that level, its latents.
    fn descend(
        &self,
        _level: usize,
        context: Option<Features>,
        latent: &Latent,
        below: Option<LatentShape>,
    ) -> Features {
        if let Some(context) = context {
            return context.beside(latent.into());
        }
        let summary = self.decoder.summary.forward(latent.values());
        let Some(LatentShape::Map { width, .. }) = below else { return Features::Vector(summary) };
        let [rows, channels] = summary.dims();
        let summary = summary.reshape([rows, channels, 1, 1]);
        Features::Map(summary.expand([rows, channels, 1, width]))
    }

    /// # Panics
    ///
    /// Always: a token depends on those before it, so there are no outputs without them. See [`Network::likelihood`].
    fn outputs(&self, _context: Features) -> Tensor<D> {
        panic!("the tokens of a text are explained one after the other, by `likelihood`")
    }

    fn likelihood(&self, context: &Features) -> Option<Box<dyn Likelihood<D>>> {
        let (summary, places) = match context.clone() {
            Features::Vector(summary) => (summary, None),
            Features::Map(map) => {
                let ([rows, channels, _, _], [_, of_summary]) =
                    (map.dims(), self.decoder.summary.weight.lazy_shape().dims());
                // It is the same at each character.
                let summary = map.clone().narrow(1, 0, of_summary).narrow(3, 0, 1);
                let places = map.narrow(1, of_summary, channels - of_summary);
                (summary.reshape([rows, of_summary]), Some(places))
            }
        };
        Some(Box::new(TokenSequences::new(self.decoder.clone(), summary, places, self.width)))
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
