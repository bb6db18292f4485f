//! Attention of a decoder's states to the latents at each character.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::TokenConfig;
use crate::layers::Linear;
use crate::{Activation, Initializer};

/// How much less a character is attended to at first for each place that it is farther away, in nats: texts are mostly copied in order.
const DECAY: f32 = 0.5;

/// What states ask for, what is at each place, and how far away it is.
#[derive(Module, Debug)]
pub(super) struct Attention {
    /// From a state to what it asks for.
    query: Linear,
    /// From the latents at a place to what answers, `[places, embedding]`.
    key: Param<Tensor<2>>,
    /// From the latents at a place to what is read there.
    value: Linear,
    /// For each distance from `1 − width` to `width − 1`, in nats.
    distance: Param<Tensor<1>>,
    /// From what is read to logits.
    pub(super) output: Linear,
}

/// The places of rows that can be attended to.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// `[rows, width, embedding]`.
    keys: Tensor<3>,
    values: Tensor<3>,
}

impl Memory {
    /// Those of these rows.
    pub(super) fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let of = |values: &Tensor<3>| values.clone().select(0, rows.clone());
        Self { keys: of(&self.keys), values: of(&self.values) }
    }
}

impl Attention {
    pub(super) fn new(
        config: &TokenConfig,
        tokens: usize,
        width: usize,
        init: &mut Initializer,
    ) -> Self {
        let &TokenConfig { embedding, hidden, places } = config;
        let mut linear = |inputs, outputs| init.linear(inputs, outputs, Activation::Identity);
        let query = linear(hidden, embedding);
        let value = linear(places, embedding);
        let output = linear(embedding, tokens);
        let key = init.xavier_uniform([places, embedding], places, embedding);
        let distance =
            init.given(2 * width - 1, |at| -DECAY * (at as f32 - (width as f32 - 1.0)).abs());
        Self { query, key, value, distance, output }
    }

    /// The places of latents `[rows, places, 1, width]`.
    pub(super) fn memory(&self, latents: Tensor<4>) -> Memory {
        let [rows, channels, _, width] = latents.dims();
        let at_places = latents.reshape([rows, channels, width]).swap_dims(1, 2);
        let at_places = at_places.reshape([rows * width, channels]);
        let by_row = |values: Tensor<2>| {
            let embedding = values.dims()[1];
            values.reshape([rows, width, embedding])
        };
        let keys = at_places.clone().matmul(self.key.val());
        Memory { keys: by_row(keys), values: by_row(self.value.forward(at_places)) }
    }

    /// What states `[steps, rows, hidden]` read, as logits `[steps · rows, tokens]`; the first state is that before the token at place
    /// `first`.
    pub(super) fn logits(&self, states: Tensor<3>, memory: &Memory, first: usize) -> Tensor<2> {
        let ([steps, rows, hidden], [_, width, embedding]) = (states.dims(), memory.keys.dims());
        let queries = self.query.forward(states.reshape([steps * rows, hidden]));
        let queries = queries.reshape([steps, rows, embedding]).swap_dims(0, 1);
        let scores = queries.matmul(memory.keys.clone().swap_dims(1, 2));
        let scores = scores / (embedding as f64).sqrt();
        let distances = self.distances(first, steps, width).reshape([1, steps, width]);
        let read = softmax(scores + distances, 2).matmul(memory.values.clone());
        let read = read.swap_dims(0, 1).reshape([steps * rows, embedding]);
        self.output.forward(read)
    }

    /// The weight of the distance from each step to each place: `[steps · width]`.
    fn distances(&self, first: usize, steps: usize, width: usize) -> Tensor<1> {
        let distance = self.distance.val();
        let place = |at: usize| (at % width + width - 1 - (first + at / width)) as i64;
        let places: Vec<i64> = (0..steps * width).map(place).collect();
        let places = TensorData::new(places, [steps * width]);
        let places = Tensor::from_data(places, &distance.device());
        distance.select(0, places)
    }
}
