//! Adam in one pass over parameter, gradient and moments.

use burn::backend::Flex;
use burn::optim::AdaptiveMomentumState;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::vectorized;
use crate::GlobalNormClip;
use crate::norm::factor;

/// The number of entries for one thread at a time.
const GRAIN: usize = 1 << 15;

/// The two kinds of weight decay, as factors of the parameter.
#[derive(Clone, Copy)]
pub(crate) struct Decay {
    /// Added to the gradient.
    pub(crate) gradient: f32,
    /// Subtracted from the parameter.
    pub(crate) step: f32,
}

/// The settings of an optimizer.
pub(crate) struct Settings {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    decay: Decay,
    clip: f32,
}

/// The constants of one step.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    beta_1: f32,
    beta_2: f32,
    /// The learning rate divided by the first moment's bias correction.
    rate: f32,
    /// The inverse square root of the second moment's bias correction.
    correction: f32,
    epsilon: f32,
    decay: Decay,
    clip: f32,
}

#[cfg(test)]
impl Step {
    /// Constants that are all in effect.
    pub(crate) fn test() -> Self {
        let decay = Decay { gradient: 0.01, step: 0.02 };
        let (rate, correction, epsilon) = (0.1, 1.1, 1e-8);
        Self { beta_1: 0.9, beta_2: 0.999, rate, correction, epsilon, decay, clip: 0.5 }
    }
}

vectorized! {
    fn update(parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: Step) {
        let Step { beta_1, beta_2, rate, correction, epsilon, decay, clip } = step;
        let moments = first.iter_mut().zip(second);
        for ((parameter, gradient), (first, second)) in
            parameter.iter_mut().zip(gradient).zip(moments)
        {
            let gradient = *gradient * clip + decay.gradient * *parameter;
            *first = beta_1 * *first + (1.0 - beta_1) * gradient;
            *second = beta_2 * *second + (1.0 - beta_2) * (gradient * gradient);
            let kept = *parameter - decay.step * *parameter;
            *parameter = kept - rate * *first / (second.sqrt() * correction + epsilon);
        }
    }
}

impl Settings {
    pub(crate) fn new(
        [beta_1, beta_2]: [f32; 2],
        epsilon: f32,
        decay: Decay,
        clip: &Option<GlobalNormClip>,
    ) -> Self {
        Self { beta_1, beta_2, epsilon, decay, clip: factor(clip) }
    }

    /// One step, in place if nothing else holds the tensors.
    pub(crate) fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        momentum: Option<AdaptiveMomentumState<D>>,
    ) -> (Tensor<D>, AdaptiveMomentumState<D>) {
        let shape = parameter.shape();
        let zeros = || Tensor::zeros(shape.clone(), &parameter.device());
        let momentum = momentum.unwrap_or_else(|| AdaptiveMomentumState::new(0, zeros(), zeros()));
        for (name, other) in [
            ("gradient", gradient.shape()),
            ("first moment", momentum.moment_1.shape()),
            ("second moment", momentum.moment_2.shape()),
        ] {
            assert_eq!(shape, other, "the {name} of a parameter must have its shape");
        }
        let time = momentum.time + 1;
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        let correct = |beta: f32| 1.0 - f64::from(beta).powi(power);
        let step = Step {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            rate: (rate / correct(self.beta_1)) as f32,
            correction: (1.0 / correct(self.beta_2).sqrt()) as f32,
            epsilon: self.epsilon,
            decay: self.decay,
            clip: self.clip,
        };
        let flex = |tensor: Tensor<D>| {
            let tensor =
                tensor.try_into_primitive::<Flex>().expect("a tensor of the flex back end");
            tensor.to_contiguous()
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
                update(parameter, gradient, first, second, step);
            });
        let [parameter, first, second] =
            [parameter, first, second].map(Tensor::from_primitive::<Flex>);
        (parameter, AdaptiveMomentumState::new(time, first, second))
    }
}

/// The sum of the squares of all entries, with the same bits on any number of threads.
pub(crate) fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> f64 {
    let tensor = tensor.try_into_primitive::<Flex>().expect("a tensor of the flex back end");
    let tensor = tensor.to_contiguous();
    let values = tensor.as_slice::<f32>().expect("a contiguous tensor of f32");
    let sums: Vec<f64> = values
        .par_chunks(GRAIN)
        .map(|values| {
            // Eight sums, so that none depends on the previous one.
            let mut lanes = [0.0f64; 8];
            for values in values.chunks(8) {
                for (lane, value) in lanes.iter_mut().zip(values) {
                    *lane += f64::from(*value).powi(2);
                }
            }
            lanes.iter().sum()
        })
        .collect();
    sums.into_iter().sum()
}
