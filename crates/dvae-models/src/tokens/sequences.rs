//! The distribution of texts given latents.

use burn::tensor::{Tensor, TensorData};
use dvae_distributions::{Likelihood, Support};
use dvae_kernels::{Direction, LogSoftmax};
use dvae_random::RowStreams;

use super::attention::Memory;
use super::{END, TokenDecoder, counts, longest, looked_up};
use crate::networks::same_rank;

/// Texts, token by token: `log p(x | z) = Σₜ log p(xₜ | x₁ … xₜ₋₁, z)`, in nats.
///
/// Rows `[batch, width]` are tokens, with token 0 from a text's end on. The first end counts, and what follows it has probability 1. A text
/// that fills its row has no end.
#[derive(Clone, Debug)]
pub struct TokenSequences {
    pub(super) decoder: TokenDecoder,
    /// What tokens add to the gates, `[tokens, 3 · hidden]`.
    pub(super) table: Tensor<2>,
    /// The first state, `[rows, hidden]`.
    pub(super) start: Tensor<2>,
    /// What the summary adds to the gates of each step, `[rows, 3 · hidden]`.
    pub(super) gates: Tensor<2>,
    /// What the summary adds to logits, `[rows, tokens]`.
    pub(super) skip: Tensor<2>,
    /// The latents at each character, if there are any.
    pub(super) memory: Option<Memory>,
    pub(super) width: usize,
}

impl TokenSequences {
    /// Texts of up to `width` tokens, from summaries `[rows, summary]` and latents at each character, `[rows, places, 1, width]`.
    pub(super) fn new(
        decoder: TokenDecoder,
        summary: Tensor<2>,
        places: Option<Tensor<4>>,
        width: usize,
    ) -> Self {
        let memory = decoder.attention.as_ref().zip(places);
        Self {
            table: decoder.cell.table(),
            start: decoder.start.forward(summary.clone()).tanh(),
            gates: decoder.gates.forward(summary.clone()),
            skip: summary.matmul(decoder.skip.val()),
            memory: memory.map(|(attention, places)| attention.memory(places)),
            decoder,
            width,
        }
    }

    /// The number of tokens that there are.
    pub fn tokens(&self) -> usize {
        self.table.dims()[0]
    }

    /// The most tokens of a text.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The distributions at these rows, in this order; a row may be there several times.
    pub fn select(&self, rows: &[usize]) -> Self {
        let places: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let places = Tensor::from_data(TensorData::new(places, [rows.len()]), &self.start.device());
        let of = |values: &Tensor<2>| values.clone().select(0, places.clone());
        Self {
            start: of(&self.start),
            gates: of(&self.gates),
            skip: of(&self.skip),
            memory: self.memory.as_ref().map(|memory| memory.select(&places)),
            ..self.clone()
        }
    }

    /// The logits of the next tokens, `[steps · rows, tokens]`, from states `[steps, rows, hidden]`, of which the first is that before the
    /// token at place `first`, and what the summary adds in that shape.
    pub(super) fn logits(
        &self,
        states: Tensor<3>,
        skip: Tensor<2>,
        memory: Option<&Memory>,
        first: usize,
    ) -> Tensor<2> {
        let [steps, rows, hidden] = states.dims();
        let logits = self.decoder.logits(states.clone().reshape([steps * rows, hidden]), skip);
        match self.decoder.attention.as_ref().zip(memory) {
            Some((attention, memory)) => logits + attention.logits(states, memory, first),
            None => logits,
        }
    }

    /// `log p(xₜ | x₁ … xₜ₋₁, z)` of rows `[batch, width]` in that shape.
    fn log_probabilities(&self, rows: Tensor<2>) -> Tensor<2> {
        let [count, width] = rows.dims();
        let device = rows.device();
        // With its end.
        let steps = (longest(&rows) + 1).min(width);
        let rows = rows.narrow(1, 0, steps);
        let first = Tensor::<2>::full([count, 1], END, &device);
        let before = match steps {
            1 => first,
            _ => Tensor::cat(vec![first, rows.clone().narrow(1, 0, steps - 1)], 1),
        };
        let inputs = looked_up(&self.table, before);
        let gates = self.gates.clone().unsqueeze::<3>();
        let states =
            self.decoder.cell.states(inputs + gates, self.start.clone(), Direction::Forward);
        let tokens = self.tokens();
        let skip = self.skip.clone().unsqueeze::<3>().expand([steps, count, tokens]);
        let skip = skip.reshape([steps * count, tokens]);
        let logits = self.logits(states, skip, self.memory.as_ref(), 0);
        let targets = rows.clone().transpose().reshape([steps * count, 1]);
        let nats = LogSoftmax { classes: tokens }.each(&logits, targets);
        let nats = nats.reshape([steps, count]).transpose();
        // After an end there is nothing to explain.
        let nats = nats * counts(rows);
        match width - steps {
            0 => nats,
            rest => Tensor::cat(vec![nats, Tensor::zeros([count, rest], &device)], 1),
        }
    }
}

/// # Panics
///
/// If `D` is not 2.
impl<const D: usize> Likelihood<D> for TokenSequences {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        same_rank(self.log_probabilities(same_rank(x)))
    }

    /// The text that takes the most probable token at each step.
    fn mean(&self) -> Tensor<D> {
        same_rank(self.rows_of(Self::greedy))
    }

    /// The probability of another token than that of [`Likelihood::mean`], given those before it.
    fn variance(&self) -> Tensor<D> {
        let most = self.rows_of(Self::greedy);
        let others = self.log_probabilities(most).exp().neg() + 1.0;
        same_rank(others.clamp_min(0.0))
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let uniform = draws.uniform_host(self.width);
        same_rank(self.rows_of(|law| law.sampled(&uniform)))
    }

    /// None: they depend on the tokens before.
    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![]
    }

    fn support(&self, _column: usize) -> Support {
        Support::Classes(self.tokens())
    }
}

impl TokenSequences {
    /// Texts as rows of tokens `[rows, width]`.
    fn rows_of(&self, texts: impl Fn(&Self) -> Vec<Vec<u16>>) -> Tensor<2> {
        let texts = texts(self);
        let mut rows = vec![END as f32; texts.len() * self.width];
        for (row, text) in rows.chunks_exact_mut(self.width).zip(&texts) {
            row.iter_mut().zip(text).for_each(|(to, &token)| *to = f32::from(token));
        }
        Tensor::from_data(TensorData::new(rows, [texts.len(), self.width]), &self.start.device())
    }
}
