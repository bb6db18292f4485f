//! Gated recurrent units as Burn operations: under flex, and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};

use super::gru::sequence;
use super::ops::{contiguous, tensor, values};
use crate::Direction;

/// Gated recurrent units with a gradient.
///
/// Callers check [`covers`](crate::covers) first: no other back end has them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedRecurrence: Backend {
    /// The states of all steps.
    fn fused_gru(
        inputs: FloatTensor<Self>,
        start: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        direction: Direction,
    ) -> FloatTensor<Self>;
}

impl FusedRecurrence for Flex {
    fn fused_gru(
        inputs: FlexTensor,
        start: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        direction: Direction,
    ) -> FlexTensor {
        Self::gru_forward([inputs, start, weight, bias], direction, false).states
    }
}

/// The gradient functions of a back end: implemented for flex alone.
pub(crate) trait RecurrenceGradients: Backend {
    /// The states, and what the gradient needs if `keeps`, of inputs, the first state, weight and bias.
    fn gru_forward(
        operands: [FloatTensor<Self>; 4],
        direction: Direction,
        keeps: bool,
    ) -> Saved<Self>;

    /// Gradients of inputs, the first state, weight and bias.
    fn gru_backward(saved: Saved<Self>, gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 4];
}

/// The values that a sequence keeps for its gradient.
#[derive(Debug, Clone)]
pub(crate) struct Saved<B: Backend> {
    start: FloatTensor<B>,
    weight: FloatTensor<B>,
    states: FloatTensor<B>,
    kept: FloatTensor<B>,
    direction: Direction,
}

impl RecurrenceGradients for Flex {
    fn gru_forward(operands: [FlexTensor; 4], direction: Direction, keeps: bool) -> Saved<Self> {
        let [inputs, start, weight, bias] = operands.map(contiguous);
        let [steps, rows, width] = inputs.shape().dims();
        let of = sequence(&start, &weight, steps, direction);
        let (states, kept) = of.forward(values(&inputs), values(&bias), keeps);
        let states = tensor(states, [steps, rows, width / 3]);
        let len = kept.len();
        Saved { start, weight, states, kept: tensor(kept, [len]), direction }
    }

    fn gru_backward(saved: Saved<Self>, gradient: FlexTensor) -> [FlexTensor; 4] {
        let Saved { start, weight, states, kept, direction } = saved;
        let [states, gradient] = [states, gradient].map(contiguous);
        let [steps, rows, hidden] = states.shape().dims();
        let of = sequence(&start, &weight, steps, direction);
        let gradients = of.backward(values(&states), values(&kept), values(&gradient));
        [
            tensor(gradients.inputs, [steps, rows, 3 * hidden]),
            tensor(gradients.start, [rows, hidden]),
            tensor(gradients.weight, [hidden, 3 * hidden]),
            tensor(gradients.bias, [hidden]),
        ]
    }
}

#[derive(Debug)]
struct Recurrence;

impl<B: RecurrenceGradients> Backward<B, 4> for Recurrence {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let gradients = B::gru_backward(ops.state, gradient);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: RecurrenceGradients + FusedRecurrence, C: CheckpointStrategy> FusedRecurrence
    for Autodiff<B, C>
{
    fn fused_gru(
        inputs: FloatTensor<Self>,
        start: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let ((inputs, inputs_node), (start, start_node)) =
            (inputs.into_parts(), start.into_parts());
        let ((weight, weight_node), (bias, bias_node)) = (weight.into_parts(), bias.into_parts());
        let nodes = [inputs_node, start_node, weight_node, bias_node];
        let operands = [inputs, start, weight, bias];
        match Recurrence.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let saved = B::gru_forward(operands, direction, true);
                let states = saved.states.clone();
                prepared.finish(saved, states)
            }
            OpsKind::UnTracked(prepared) => {
                let states = B::gru_forward(operands, direction, false).states;
                prepared.finish(states)
            }
        }
    }
}
