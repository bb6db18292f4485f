//! The network of texts: its gradients, on the fused path and on the ordinary one, and what it is refused for.

#![allow(clippy::unwrap_used)] // A test may panic.

mod token_models;

use std::sync::PoisonError;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use dvae_distributions::{Likelihood, LikelihoodConfig};
use dvae_models::{AutoencoderConfig, MlpConfig, PosteriorConfig, PriorConfig, TokenConfig, Vae};
use dvae_random::Key;
use token_models::{
    KERNELS, Model, PLACES, TOKENS, WIDTH, assert_close, config, draws, model, neighbors, numbers,
    rows,
};

/// The bound of each of five rows, of which every part of the model is one.
fn bound(model: &Model) -> Tensor<1> {
    let noisy = vec![vec![2, 3, 1], vec![3, 3], vec![1, 2, 3], vec![1], vec![2, 2, 1, 3]];
    let inference = Vae::<2>::infer(model, rows(&noisy), &mut draws(&[1, 2, 3, 4, 5], 6));
    let explained = Vae::<2>::explain(model, &inference).log_likelihood(rows(&neighbors()));
    explained + inference.log_prior - inference.log_posterior
}

/// The gradients of all weights.
struct Collect<'a>(&'a GradientsParams, Vec<Vec<f64>>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(param.id).expect("a gradient for every weight");
        self.1.push(numbers(gradient));
    }
}

fn bound_and_gradients(model: &Model) -> (Vec<f64>, Vec<Vec<f64>>) {
    let model = model.clone().train();
    let bound = bound(&model);
    let gradients = GradientsParams::from_grads(bound.clone().sum().backward(), &model);
    let mut collect = Collect(&gradients, vec![]);
    model.visit(&mut collect);
    (numbers(bound.inner()), collect.1)
}

/// Adds a step to each number of one weight, up or down.
struct Nudge {
    weight: usize,
    step: f32,
    next: usize,
}

/// Up or down, for each number of a weight.
fn signs(weight: usize, count: usize) -> Vec<f32> {
    let uniform = Key::new(13).rows(&[weight as u64]).uniform_host(count);
    uniform.into_iter().map(|u| if u < 0.5 { -1.0 } else { 1.0 }).collect()
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next += 1;
        let weight = self.next - 1;
        if weight != self.weight {
            return param;
        }
        param.map(|values| {
            let (shape, device) = (values.shape(), values.device());
            let signs = signs(weight, shape.num_elements());
            values + Tensor::from_data(TensorData::new(signs, shape), &device) * self.step
        })
    }
}

// Central differences of f32: an error of h² from the curve, and of 1e-6 / h from rounding.
#[test]
fn the_gradient_of_the_bound_in_every_weight_is_that_of_differences() {
    let _same_path = KERNELS.read().unwrap_or_else(PoisonError::into_inner);
    for places in PLACES {
        let model = model(places);
        let (_, gradients) = bound_and_gradients(&model);
        // Three units of five, four of the level of the text, nine of the rest of the decoder; and of places two, eight and eight.
        assert_eq!(gradients.len(), [28, 46][usize::from(places > 0)]);
        for (weight, gradient) in gradients.iter().enumerate() {
            let at = |step: f32| -> f64 {
                let model = model.clone().map(&mut Nudge { weight, step, next: 0 });
                numbers(bound(&model)).iter().sum()
            };
            let h = 2e-3;
            let difference = (at(h) - at(-h)) / (2.0 * f64::from(h));
            let signs = signs(weight, gradient.len());
            let along: f64 = gradient.iter().zip(&signs).map(|(g, &s)| g * f64::from(s)).sum();
            let gap = (along - difference).abs();
            let what = format!("{places} places, weight {weight}: {along}, not {difference}");
            assert!(gap <= 5e-3 * (1.0 + difference.abs()), "{what}");
            assert!(gradient.iter().any(|&g| g.abs() > 1e-4), "{what}");
        }
    }
}

#[test]
fn fused_operations_give_the_bound_and_gradients_of_ordinary_ones() {
    let _alone = KERNELS.write().unwrap_or_else(PoisonError::into_inner);
    let before = dvae_kernels::enabled();
    let of = |on: bool| {
        dvae_kernels::set_enabled(on);
        PLACES.map(|places| bound_and_gradients(&model(places)))
    };
    let (fused, ordinary) = (of(true), of(false));
    dvae_kernels::set_enabled(before);
    for ((fused, of_fused), (ordinary, of_ordinary)) in fused.iter().zip(&ordinary) {
        // Of the largest number, since the bound of a row is -80 nats.
        let allowed = |bound: f64, of: &[f64]| {
            bound * of.iter().map(|number| number.abs()).fold(1.0, f64::max)
        };
        assert_close(fused, ordinary, allowed(1e-5, ordinary), "bound");
        for (weight, (fused, ordinary)) in of_fused.iter().zip(of_ordinary).enumerate() {
            // Gradients add up what each step rounds.
            let allowed = allowed(1e-4, ordinary);
            assert_close(fused, ordinary, allowed, &format!("gradient {weight}"));
        }
    }
}

#[test]
fn what_is_not_for_texts_is_refused_with_the_reason() {
    let error = |config: AutoencoderConfig| {
        config.init(Key::new(1), &Device::flex()).unwrap_err().to_string()
    };
    let of_texts = "texts have the network `tokens`, the likelihood `tokens`, and neither a `vamp` prior nor `log_input`";
    let tokens = "a `tokens` network is for texts: rows [width] with the likelihood `tokens`, without a mask";
    for places in PLACES {
        let categorical = LikelihoodConfig::Categorical { classes: TOKENS };
        for likelihood in [LikelihoodConfig::default(), categorical] {
            let config = AutoencoderConfig { likelihood, ..config(places) };
            assert_eq!(error(config), of_texts);
        }
        let network = MlpConfig::new(&[5]).into();
        assert_eq!(error(AutoencoderConfig { network, ..config(places) }), of_texts);
        let prior = PriorConfig::Vamp { components: 2 };
        assert_eq!(error(AutoencoderConfig { prior, ..config(places) }), of_texts);
        assert_eq!(error(AutoencoderConfig { mask_input: true, ..config(places) }), tokens);
        let event = vec![WIDTH, 2];
        assert_eq!(error(AutoencoderConfig { event, ..config(places) }), tokens);
        for (embedding, hidden, name) in [(0, 5, "embedding"), (3, 0, "hidden")] {
            let network = TokenConfig { embedding, hidden, places }.into();
            let expected = format!("`{name}` must be between 1 and 16777216, but is 0");
            assert_eq!(error(AutoencoderConfig { network, ..config(places) }), expected);
        }
        let likelihood = LikelihoodConfig::Tokens { classes: 1 };
        let one = error(AutoencoderConfig { likelihood, ..config(places) });
        assert_eq!(one, "`classes` must be between 2 and 16777216, but is 1");
    }
    let map = "a level of latents that is a map has a diagonal normal posterior and a standard normal prior";
    let posterior = PosteriorConfig::FullNormal {};
    assert_eq!(error(AutoencoderConfig { posterior, ..config(2) }), map);
    let wide = AutoencoderConfig { event: vec![1 << 20], ..config(1 << 10) };
    let expected = "`places` makes 1073741824 numbers of a row: at most 134217728 can be made";
    assert_eq!(error(wide), expected);
}

#[test]
fn the_level_of_the_whole_text_takes_other_posteriors_and_priors() {
    let full = AutoencoderConfig { posterior: PosteriorConfig::FullNormal {}, ..config(0) };
    for config in [full, config(0), config(2)] {
        for prior in [PriorConfig::default(), PriorConfig::Mixture { components: 2 }] {
            let config = AutoencoderConfig { prior, ..config.clone() };
            let model = config.init(Key::new(1), &Device::flex()).unwrap();
            let bound = numbers(bound(&model));
            assert!(bound.iter().all(|nats| nats.is_finite() && *nats < 0.0), "{bound:?}");
        }
    }
}
