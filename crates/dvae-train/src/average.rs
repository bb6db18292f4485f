//! An exponential moving average of a model's weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Moves the weights of `average` toward those of `model`, both on plain devices: `θ̄ ← δ θ̄ + (1 − δ) θ`.
///
/// After Polyak & Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging", in the
/// exponential form. At the step of index `steps`, from 0, `δ` is `min(decay, (1 + steps) / (10 + steps))`,
/// so that the initial weights are soon forgotten.
pub(crate) fn update<M: Module>(average: M, model: &M, decay: f64, steps: usize) -> M {
    let decay = decay.min((1 + steps) as f64 / (10 + steps) as f64);
    let mut weights = Weights(GradientsParams::new());
    model.visit(&mut weights);
    average.map(&mut Toward { weights: weights.0, decay })
}

/// The weights of a model, by the ids of its parameters.
struct Weights(GradientsParams);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.register(parameter.id, parameter.val());
    }
}

struct Toward {
    weights: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Toward {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weight = self.weights.remove::<D>(parameter.id).expect("the same model");
        parameter.map(|average| average * self.decay + weight * (1.0 - self.decay))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use dvae_models::{AnyNetwork, AutoencoderConfig, MlpConfig, Vae};
    use dvae_random::Key;

    use super::*;

    // From weights a toward b with δ = ½ twice: ¼ a + ¾ b. Outputs of a linear decoder follow the same rule.
    #[test]
    fn the_average_of_two_models_is_between_them() {
        let device = Device::flex();
        let config = AutoencoderConfig::new(MlpConfig::new(&[]), &[3], 2);
        let a = config.init(Key::new(1), &device).unwrap();
        let mut add = Add(1.0);
        let b = a.clone().map(&mut add);
        let average = update(update(a.clone(), &b, 0.5, 100), &b, 0.5, 101);
        let of = |model: &dvae_models::Autoencoder<AnyNetwork>| {
            Vae::<2>::embed(model, Tensor::zeros([1, 3], &device))
                .flat()
                .into_data()
                .iter::<f32>()
                .sum::<f32>()
        };
        let expected = 0.25 * of(&a) + 0.75 * of(&b);
        assert!((of(&average) - expected).abs() < 1e-6 && of(&a) != of(&b));
        // At the beginning the average is nearly the new weights: δ = 1/10.
        let first = update(a.clone(), &b, 0.999, 0);
        assert!((of(&first) - (0.1 * of(&a) + 0.9 * of(&b))).abs() < 1e-6);
    }

    struct Add(f64);

    impl ModuleMapper for Add {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|weight| weight + self.0)
        }
    }
}
