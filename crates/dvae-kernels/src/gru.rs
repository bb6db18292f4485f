//! Gated recurrent units over sequences.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, tanh};

#[cfg(feature = "flex")]
use crate::{covered, flex::FusedRecurrence};
#[cfg(feature = "flex")]
use burn::backend::Dispatch;

/// The order in which the steps of a sequence are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first to the last.
    Forward,
    /// From the last to the first.
    Backward,
}

/// The states of a gated recurrent unit at all steps of a sequence: Cho et al. (2014), "Learning Phrase Representations using RNN
/// Encoder-Decoder for Statistical Machine Translation", section 2.3, with the reset gate after the product, as cuDNN and PyTorch have it.
///
/// ```text
/// r = σ(xᵣ + h Uᵣ)    z = σ(x_z + h U_z)    n = tanh(xₙ + r (h Uₙ + b))    h′ = (1 − z) n + z h
/// ```
///
/// `inputs` `[steps, rows, 3 · hidden]` are `xᵣ`, `x_z` and `xₙ` side by side, with their weights and biases in them; `start`
/// `[rows, hidden]` is the state before the first step that is taken; `weight` `[hidden, 3 · hidden]` is `U`, and `bias` `[hidden]` is `b`.
/// The result, `[steps, rows, hidden]`, has the state after each step at its place. An `x_z` that is 40 or more above what `h U_z` takes away keeps the state,
/// to the bit.
///
/// # Panics
///
/// If the shapes do not match, or there is no step.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use dvae_kernels::{Direction, gru};
///
/// let device = Device::flex();
/// let (inputs, start) = (Tensor::zeros([5, 2, 3], &device), Tensor::ones([2, 1], &device));
/// let (weight, bias) = (Tensor::zeros([1, 3], &device), Tensor::zeros([1], &device));
/// // Each step halves the state: z = ½ and n = 0.
/// let states = gru(inputs, start, weight, bias, Direction::Backward);
/// assert_eq!(states.into_data().try_to_vec::<f32>().unwrap()[..2], [1.0 / 32.0; 2]);
/// # }
/// ```
pub fn gru(
    inputs: Tensor<3>,
    start: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    direction: Direction,
) -> Tensor<3> {
    let ([steps, rows, _], [hidden]) = (inputs.dims(), bias.dims());
    assert!(steps > 0, "a sequence of no step");
    assert_eq!(inputs.dims(), [steps, rows, 3 * hidden], "inputs of {hidden} units");
    assert_eq!(start.dims(), [rows, hidden], "the first state of {rows} rows");
    assert_eq!(weight.dims(), [hidden, 3 * hidden], "the weight of {hidden} units");
    #[cfg(feature = "flex")]
    if covered!(inputs, start, weight, bias) && rows > 0 && hidden > 0 {
        return Tensor::from_dispatch(Dispatch::fused_gru(
            inputs.into_dispatch(),
            start.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            direction,
        ));
    }
    let part = |of: &Tensor<2>, gate: usize| of.clone().narrow(1, gate * hidden, hidden);
    let mut states = Vec::with_capacity(steps);
    let mut state = start;
    for step in 0..steps {
        let at = match direction {
            Direction::Forward => step,
            Direction::Backward => steps - 1 - step,
        };
        let input = inputs.clone().narrow(0, at, 1).reshape([rows, 3 * hidden]);
        let product = state.clone().matmul(weight.clone());
        let [reset, update] = [0, 1].map(|gate| sigmoid(part(&input, gate) + part(&product, gate)));
        let candidate = part(&product, 2) + bias.clone().unsqueeze::<2>();
        let new = tanh(part(&input, 2) + reset * candidate);
        state = (update.clone().neg() + 1.0) * new + update * state;
        states.push(state.clone());
    }
    if direction == Direction::Backward {
        states.reverse();
    }
    Tensor::stack(states, 0)
}
