//! Adam in one pass over parameter, gradient and moments.

use burn::backend::Flex;
use burn::optim::{AdamState, AdaptiveMomentumState};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::vectorised;
use crate::Adam;

/// Entries that a thread takes at once.
const GRAIN: usize = 1 << 15;

/// The constants of one step.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    beta_1: f32,
    beta_2: f32,
    /// The learning rate over the first moment's bias correction.
    rate: f32,
    /// One over the root of the second moment's bias correction.
    correction: f32,
    epsilon: f32,
}

vectorised! {
    fn update(parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: Step) {
        let Step { beta_1, beta_2, rate, correction, epsilon } = step;
        let moments = first.iter_mut().zip(second);
        for ((parameter, gradient), (first, second)) in
            parameter.iter_mut().zip(gradient).zip(moments)
        {
            *first = beta_1 * *first + (1.0 - beta_1) * *gradient;
            *second = beta_2 * *second + (1.0 - beta_2) * (*gradient * *gradient);
            *parameter -= rate * *first / (second.sqrt() * correction + epsilon);
        }
    }
}

/// One step, in place where nothing else holds the tensors.
pub(crate) fn step<const D: usize>(
    adam: &Adam,
    rate: f64,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    state: Option<AdamState<D>>,
) -> (Tensor<D>, AdamState<D>) {
    let zeros = || Tensor::zeros(parameter.shape(), &parameter.device());
    let momentum = match state {
        Some(state) => state.momentum,
        None => AdaptiveMomentumState::new(0, zeros(), zeros()),
    };
    let time = momentum.time + 1;
    let correct = |beta: f32| 1.0 - f64::from(beta).powi(i32::try_from(time).unwrap_or(i32::MAX));
    let constants = Step {
        beta_1: adam.beta_1,
        beta_2: adam.beta_2,
        rate: (rate / correct(adam.beta_1)) as f32,
        correction: (1.0 / correct(adam.beta_2).sqrt()) as f32,
        epsilon: adam.epsilon,
    };
    let flex = |tensor: Tensor<D>| {
        tensor.try_into_primitive::<Flex>().expect("a tensor of the flex back end").to_contiguous()
    };
    let [mut parameter, gradient] = [parameter, gradient].map(flex);
    let [mut first, mut second] = [momentum.moment_1, momentum.moment_2].map(flex);
    let gradient = gradient.as_slice::<f32>().expect("a contiguous tensor of f32");
    parameter
        .storage_mut::<f32>()
        .par_chunks_mut(GRAIN)
        .zip(gradient.par_chunks(GRAIN))
        .zip(first.storage_mut::<f32>().par_chunks_mut(GRAIN))
        .zip(second.storage_mut::<f32>().par_chunks_mut(GRAIN))
        .for_each(|(((parameter, gradient), first), second)| {
            update(parameter, gradient, first, second, constants);
        });
    let [parameter, first, second] = [parameter, first, second].map(Tensor::from_primitive::<Flex>);
    (parameter, AdamState::new(AdaptiveMomentumState::new(time, first, second)))
}
