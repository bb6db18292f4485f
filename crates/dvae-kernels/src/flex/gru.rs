//! Gated recurrent units: forward and backward.
//!
//! Rows are independent, so shares of the batch, which are the same on any number of threads, go through all steps by themselves.

use rayon::prelude::*;

use super::buffer::unwritten;
use super::gemm::{Matrix, multiply_alone};
use super::simd::vectorized;
use super::{dense, ops};
use crate::{Direction, math};
use burn::backend::flex::FlexTensor;

/// Rows of a share.
const SHARE: usize = 32;
/// What is kept of each unit and step for the gradient: both gates, the new state, and what the reset gate multiplies.
const KEPT: usize = 4;

/// `tanh x`.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    2.0 * math::sigmoid(2.0 * x) - 1.0
}

vectorized! {
    /// One step of rows: their inputs, products with the states before, bias and states before, to the states after.
    fn step(input: &[f32], product: &[f32], bias: &[f32], before: &[f32], after: &mut [f32], kept: &mut [f32]) {
        let hidden = bias.len();
        let rows = input.chunks_exact(3 * hidden).zip(product.chunks_exact(3 * hidden));
        let states = before.chunks_exact(hidden).zip(after.chunks_exact_mut(hidden));
        for ((input, product), ((before, after), kept)) in
            rows.zip(states.zip(kept.chunks_exact_mut(KEPT * hidden)))
        {
            let (input_r, input) = input.split_at(hidden);
            let (input_z, input_n) = input.split_at(hidden);
            let (product_r, product) = product.split_at(hidden);
            let (product_z, product_n) = product.split_at(hidden);
            let (reset, kept) = kept.split_at_mut(hidden);
            let (update, kept) = kept.split_at_mut(hidden);
            let (new, scaled) = kept.split_at_mut(hidden);
            for i in 0..hidden {
                let r = math::sigmoid(input_r[i] + product_r[i]);
                let z = math::sigmoid(input_z[i] + product_z[i]);
                let q = product_n[i] + bias[i];
                let n = tanh(input_n[i] + r * q);
                after[i] = (1.0 - z) * n + z * before[i];
                (reset[i], update[i], new[i], scaled[i]) = (r, z, n, q);
            }
        }
    }
}

vectorized! {
    /// The gradients of a step of rows from that of the states after it, `state`, which becomes the part of that of the states before
    /// it that does not go through the products.
    fn step_back(
        kept: &[f32], before: &[f32], state: &mut [f32], input: &mut [f32], product: &mut [f32], hidden: usize,
    ) {
        let rows = kept.chunks_exact(KEPT * hidden).zip(before.chunks_exact(hidden));
        let made = input.chunks_exact_mut(3 * hidden).zip(product.chunks_exact_mut(3 * hidden));
        for (((kept, before), state), (input, product)) in
            rows.zip(state.chunks_exact_mut(hidden)).zip(made)
        {
            let (reset, kept) = kept.split_at(hidden);
            let (update, kept) = kept.split_at(hidden);
            let (new, scaled) = kept.split_at(hidden);
            let (input_r, input) = input.split_at_mut(hidden);
            let (input_z, input_n) = input.split_at_mut(hidden);
            let (product_r, product) = product.split_at_mut(hidden);
            let (product_z, product_n) = product.split_at_mut(hidden);
            for i in 0..hidden {
                let (r, z, n, q) = (reset[i], update[i], new[i], scaled[i]);
                let of_new = state[i] * (1.0 - z) * (1.0 - n * n);
                let of_update = state[i] * (before[i] - n) * z * (1.0 - z);
                let of_reset = of_new * q * r * (1.0 - r);
                (input_r[i], input_z[i], input_n[i]) = (of_reset, of_update, of_new);
                (product_r[i], product_z[i], product_n[i]) = (of_reset, of_update, of_new * r);
                state[i] *= z;
            }
        }
    }
}

vectorized! {
    /// Adds the one to the other.
    fn add(to: &mut [f32], what: &[f32]) {
        for (to, what) in to.iter_mut().zip(what) {
            *to += *what;
        }
    }
}

/// The operands of a sequence.
#[derive(Clone, Copy)]
pub(crate) struct Sequence<'a> {
    pub(crate) steps: usize,
    pub(crate) rows: usize,
    pub(crate) hidden: usize,
    /// `[rows, hidden]`.
    pub(crate) start: &'a [f32],
    /// `[hidden, 3 · hidden]`.
    pub(crate) weight: &'a [f32],
    pub(crate) direction: Direction,
}

/// Gradients of inputs, the first state, weight and bias.
pub(crate) struct Gradients {
    pub(crate) inputs: Vec<f32>,
    pub(crate) start: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Values of steps `[steps, rows, width]`, as those of each share at each step.
fn cut(values: &mut [f32], steps: usize, width: usize) -> Vec<Vec<&mut [f32]>> {
    let of_step = values.len() / steps;
    let count = (of_step / width).div_ceil(SHARE);
    let mut shares: Vec<Vec<&mut [f32]>> = (0..count).map(|_| Vec::with_capacity(steps)).collect();
    for step in values.chunks_exact_mut(of_step) {
        for (share, part) in shares.iter_mut().zip(step.chunks_mut(SHARE * width)) {
            share.push(part);
        }
    }
    shares
}

impl Sequence<'_> {
    /// The places of the steps, in the order in which they are taken.
    fn order(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (steps, direction) = (self.steps, self.direction);
        (0..steps).map(move |step| match direction {
            Direction::Forward => step,
            Direction::Backward => steps - 1 - step,
        })
    }

    /// The place of the step before this one; `None` if it is the first that is taken.
    fn before(&self, at: usize) -> Option<usize> {
        match self.direction {
            Direction::Forward => at.checked_sub(1),
            Direction::Backward => (at + 1 < self.steps).then_some(at + 1),
        }
    }

    /// The rows of a share at a step of values `[steps, rows, width]`.
    fn part<'v>(&self, values: &'v [f32], at: usize, share: usize, width: usize) -> &'v [f32] {
        let first = share * SHARE;
        let end = self.rows.min(first + SHARE);
        &values[(at * self.rows + first) * width..(at * self.rows + end) * width]
    }

    /// The states, and, if `keeps`, what the gradient needs, `[steps, rows, 4 · hidden]`.
    pub(crate) fn forward(
        &self,
        inputs: &[f32],
        bias: &[f32],
        keeps: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let &Self { steps, rows, hidden, .. } = self;
        let mut states = unwritten(steps * rows * hidden);
        let mut kept = unwritten(if keeps { steps * rows * KEPT * hidden } else { 0 });
        let of_states = cut(&mut states, steps, hidden);
        let mut of_kept: Vec<Vec<&mut [f32]>> = match keeps {
            true => cut(&mut kept, steps, KEPT * hidden),
            false => of_states.iter().map(|_| vec![]).collect(),
        };
        let shares = of_states.into_par_iter().zip(&mut of_kept).enumerate();
        shares.for_each(|(share, (mut states, kept))| {
            let count = states[0].len() / hidden;
            let mut product = unwritten(count * 3 * hidden);
            let mut room = unwritten(if keeps { 0 } else { count * KEPT * hidden });
            for at in self.order() {
                let (own, before) = match self.before(at) {
                    Some(before) if before < at => {
                        let (head, tail) = states.split_at_mut(at);
                        (&mut *tail[0], &*head[before])
                    }
                    Some(before) => {
                        let (head, tail) = states.split_at_mut(before);
                        (&mut *head[at], &*tail[0])
                    }
                    None => (&mut *states[at], self.part(self.start, 0, share, hidden)),
                };
                self.multiply(before, &mut product);
                let kept = if keeps { &mut *kept[at] } else { &mut room };
                let input = self.part(inputs, at, share, 3 * hidden);
                step(input, &product, bias, before, own, kept);
            }
        });
        (states, kept)
    }

    /// States of rows times the weight.
    fn multiply(&self, states: &[f32], product: &mut [f32]) {
        let (rows, hidden) = (states.len() / self.hidden, self.hidden);
        let weight = Matrix::new(self.weight, hidden, 3 * hidden);
        multiply_alone(product, Matrix::new(states, rows, hidden), weight);
    }

    /// The gradients, from that of the states; `states` and `kept` are those of [`Self::forward`].
    pub(crate) fn backward(&self, states: &[f32], kept: &[f32], gradient: &[f32]) -> Gradients {
        let &Self { steps, rows, hidden, .. } = self;
        let mut inputs = unwritten(steps * rows * 3 * hidden);
        let mut products = unwritten(steps * rows * 3 * hidden);
        let mut start = vec![0.0; rows * hidden];
        let shares = cut(&mut inputs, steps, 3 * hidden)
            .into_par_iter()
            .zip(cut(&mut products, steps, 3 * hidden))
            .zip(start.par_chunks_mut(SHARE * hidden))
            .enumerate();
        shares.for_each(|(share, ((mut inputs, mut products), state))| {
            let count = state.len() / hidden;
            let transposed = Matrix::new(self.weight, hidden, 3 * hidden).transposed();
            let mut through = unwritten(count * hidden);
            for at in self.order().rev() {
                add(state, self.part(gradient, at, share, hidden));
                let before = match self.before(at) {
                    Some(before) => self.part(states, before, share, hidden),
                    None => self.part(self.start, 0, share, hidden),
                };
                let kept = self.part(kept, at, share, KEPT * hidden);
                step_back(kept, before, state, inputs[at], products[at], hidden);
                let of_products = Matrix::new(products[at], count, 3 * hidden);
                multiply_alone(&mut through, of_products, transposed);
                add(state, &through);
            }
        });
        let (weight, bias) = self.of_weights(states, &products);
        Gradients { inputs, start, weight, bias }
    }

    /// The gradients of weight and bias, from those of the products.
    fn of_weights(&self, states: &[f32], products: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let &Self { steps, rows, hidden, start, direction, .. } = self;
        let rest = (steps - 1) * rows;
        let ([states, later], first) = match direction {
            Direction::Forward => (
                [&states[..rest * hidden], &products[rows * 3 * hidden..]],
                &products[..rows * 3 * hidden],
            ),
            Direction::Backward => (
                [&states[rows * hidden..], &products[..rest * 3 * hidden]],
                &products[rest * 3 * hidden..],
            ),
        };
        let product = |states, gradients, rows| {
            let states = Matrix::new(states, rows, hidden).transposed();
            dense::product(states, Matrix::new(gradients, rows, 3 * hidden), 3 * hidden * hidden)
        };
        let mut weight = product(start, first, rows);
        if rest > 0 {
            add(&mut weight, &product(states, later, rest));
        }
        let mut bias = vec![0.0; hidden];
        for products in products.chunks_exact(3 * hidden) {
            add(&mut bias, &products[2 * hidden..]);
        }
        (weight, bias)
    }
}

/// The sizes of a sequence of these tensors.
pub(crate) fn sequence<'a>(
    start: &'a FlexTensor,
    weight: &'a FlexTensor,
    steps: usize,
    direction: Direction,
) -> Sequence<'a> {
    let [rows, hidden] = start.layout().shape().dims();
    let (start, weight) = (ops::values(start), ops::values(weight));
    Sequence { steps, rows, hidden, start, weight, direction }
}
