//! Fused optimizers against their algorithms in double precision, and Burn's.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use burn::optim::{AdamConfig, AdamWConfig, Optimizer};
use burn::tensor::{DType, Device, Tensor};
use common::{ROUNDED, assert_close, assert_same_bits, leaf, read};
use dvae_kernels::{Adam, AdamW, GlobalNormClip};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn adam_and_adamw(
        len in 16usize..3000, steps in 1usize..6, rate in 1e-4f64..0.1, decay in 0.0f32..0.25,
        decoupled in any::<bool>(), seed in any::<u32>(),
    ) {
        let plain = |seed| leaf::<1>([len], seed, DType::F32).inner();
        let mut parameter = plain(u64::from(seed));
        let mut exact = [read(parameter.clone()), vec![0.0; len], vec![0.0; len]];
        let decays = if decoupled { [0.0, f64::from(decay)] } else { [f64::from(decay), 0.0] };
        let (mut coupled_state, mut decoupled_state) = (None, None);
        for step in 0..steps {
            // Not near 0 with the penalty: Adam divides a gradient by its own size, rounding included.
            let gradient = plain(u64::from(seed) + 1 + step as u64).abs() + 0.5;
            exact_adam(&mut exact, &read(gradient.clone()), rate, decays, step as i32 + 1);
            if decoupled {
                let adam = AdamW { weight_decay: decay, ..AdamW::default() };
                (parameter, decoupled_state) = adam.step(rate, parameter, gradient, decoupled_state);
            } else {
                let adam = Adam { weight_decay: decay, ..Adam::default() };
                (parameter, coupled_state) = adam.step(rate, parameter, gradient, coupled_state);
            }
        }
        let momentum = coupled_state.map(|s| s.momentum).or(decoupled_state.map(|s| s.momentum));
        let momentum = momentum.unwrap();
        prop_assert_eq!(momentum.time, steps);
        assert_close("parameter", &read(parameter), &exact[0])?;
        assert_close("first moment", &read(momentum.moment_1), &exact[1])?;
        assert_close("second moment", &read(momentum.moment_2), &exact[2])?;
    }
}

/// Algorithm 1 of Kingma & Ba (2015) in double precision, on parameter and both moments, and the two
/// ways to decay weights of Loshchilov & Hutter (2019), algorithm 2: coupled, then decoupled.
fn exact_adam(
    state: &mut [Vec<f64>; 3],
    gradient: &[f64],
    rate: f64,
    [coupled, decoupled]: [f64; 2],
    time: i32,
) {
    let (beta_1, beta_2) = (f64::from(0.9f32), f64::from(0.999f32));
    let [parameter, first, second] = state;
    for (i, g) in gradient.iter().enumerate() {
        let g = g + coupled * parameter[i];
        first[i] = beta_1 * first[i] + (1.0 - beta_1) * g;
        second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
        let (m, v) = (first[i] / (1.0 - beta_1.powi(time)), second[i] / (1.0 - beta_2.powi(time)));
        parameter[i] -= rate * (m / (v.sqrt() + 1e-8) + decoupled * parameter[i]);
    }
}

// Gradients (3, 0) and (0, 4) have norm 5: clipped to 1, both are a fifth.
#[test]
fn the_global_norm_is_that_of_all_gradients_and_clips_them_alike() {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;

    let device = Device::flex().autodiff();
    let zeros = || Param::from_tensor(Tensor::<2>::zeros([1, 2], &device).require_grad());
    let model = [zeros(), zeros()].map(|weight| burn::nn::Linear { weight, bias: None }).to_vec();
    let slopes = [[3.0, 0.0], [0.0, 4.0]].map(|s| Tensor::<2>::from_data([s], &device));
    let losses = model.iter().zip(slopes).map(|(layer, slope)| (layer.weight.val() * slope).sum());
    let loss = losses.reduce(|a, b| a + b).unwrap();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    for (max_norm, share) in [(1.0, 0.2f64), (10.0, 1.0)] {
        let clip = GlobalNormClip::new(max_norm).unwrap();
        assert!((clip.measure(&model, &gradients) - 5.0).abs() < 1e-6);
        let adam = Adam { clip: Some(clip.clone()), ..Adam::default() };
        let gradient = gradients.get::<2>(model[1].weight.id).unwrap();
        let (_, state) = adam.step(0.1, model[1].weight.val().inner(), gradient, None);
        // The first moment after one step is a tenth of the gradient.
        let moment = read(state.unwrap().momentum.moment_1);
        assert!((moment[1] - 0.1 * 4.0 * share).abs() < 1e-6, "{moment:?}");
        let adam = AdamW { clip: Some(clip), ..AdamW::default() };
        let gradient = gradients.get::<2>(model[1].weight.id).unwrap();
        let (_, state) = adam.step(0.1, model[1].weight.val().inner(), gradient, None);
        assert_eq!(read(state.unwrap().momentum.moment_1), moment);
    }
    for max_norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = GlobalNormClip::new(max_norm).unwrap_err().to_string();
        assert!(error.contains("`max_norm`") && error.contains(&max_norm.to_string()), "{error}");
    }
    assert_eq!(model.num_params(), 4);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_same_bits(|| {
        let data = |seed| leaf([50, 700], seed | ROUNDED, DType::F32).inner();
        let (parameter, state) = Adam::default().step(0.1, data(1), data(3), None);
        vec![read(parameter), read(state.unwrap().momentum.moment_2)]
    });
}

#[test]
fn a_state_of_another_shape_is_refused() {
    let zeros = |n: usize| Tensor::<1>::zeros([n], &Device::flex());
    let (_, state) = Adam::default().step(0.1, zeros(3), zeros(3), None);
    let step = move || Adam::default().step(0.1, zeros(4), zeros(4), state);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)).is_err());
}

#[test]
fn records_go_from_burns_adam_to_this_one_and_back() {
    use burn::module::{Module, Param};
    use burn::optim::{GradientsParams, ModuleOptimizer};

    let model =
        || burn::nn::Linear { weight: Param::from_tensor(leaf([3, 4], 1, DType::F32)), bias: None };
    let model = model();
    let step = |mut adam: ModuleOptimizer, model: burn::nn::Linear| {
        let x = leaf([5, 3], 7, DType::F32).inner();
        let loss = model.forward(x).square().sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let model = adam.step(0.01, model, gradients);
        (adam, model)
    };
    let fused = || Adam::default().init();
    let burns = || AdamConfig::new().with_epsilon(1e-8).init();
    let fused_w = || AdamW::default().init();
    let burns_w = || AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(1e-2).init();
    let weights = |model: &burn::nn::Linear| read(model.clone().valid().weight.val());
    let pairs: [[&dyn Fn() -> ModuleOptimizer; 2]; 2] = [[&fused, &burns], [&fused_w, &burns_w]];
    for [fused, burns] in pairs {
        let (saved_fused, after_one) = step(fused(), model.clone());
        let (saved_burn, _) = step(burns(), model.clone());
        let second = |adam: ModuleOptimizer| weights(&step(adam, after_one.clone()).1);
        let expected = second(burns().load_record(saved_burn.to_record()));
        for (what, got) in [
            ("fused to burn", second(burns().load_record(saved_fused.to_record()))),
            ("burn to fused", second(fused().load_record(saved_burn.to_record()))),
            ("fused to fused", second(fused().load_record(saved_fused.to_record()))),
        ] {
            assert_close(what, &got, &expected).unwrap();
        }
    }
}
