//! What every model promises, whatever its shape.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae_distributions::{Latent, Likelihood, LikelihoodConfig};
use dvae_models::{
    Activation, AutoencoderConfig, ConvNetConfig, LadderConfig, MlpConfig, ResNetConfig, Vae,
};
use dvae_random::{Key, RowStreams};
use proptest::prelude::*;

fn draws(rows: usize) -> RowStreams {
    let ids: Vec<u64> = (0..rows as u64).collect();
    Key::new(3).rows(&ids)
}

/// Every method of the trait on an image of this shape.
fn exercise<V: Vae<4>>(model: &V, rows: usize, image: [usize; 3], latent: usize) {
    let [c, h, w] = image;
    let device = Device::flex();
    let input = Tensor::<4>::full([rows, c, h, w], 0.25, &device);
    let inference = model.infer(input.clone(), &mut draws(rows));
    assert_eq!(inference.latents.flat().dims(), [rows, latent]);
    assert_eq!(inference.total_kl().dims(), [rows]);
    assert_eq!(inference.log_posterior.dims(), [rows]);
    assert_eq!(inference.log_prior.dims(), [rows]);
    let likelihood = model.decode(inference.latents);
    assert_eq!(likelihood.log_prob(input.clone()).dims(), [rows, c, h, w]);
    assert_eq!(likelihood.sample(&mut draws(rows)).dims(), [rows, c, h, w]);
    assert_eq!(model.sample_prior(&mut draws(rows)).flat().dims(), [rows, latent]);
    let cleaned = model.denoise(input);
    assert_eq!(cleaned.dims(), [rows, c, h, w]);
    assert!(cleaned.is_finite().all().into_scalar::<bool>());
}

fn likelihoods() -> impl Strategy<Value = LikelihoodConfig> {
    prop_oneof![
        Just(LikelihoodConfig::default()),
        Just(LikelihoodConfig::Normal { scale: 0.1 }),
        Just(LikelihoodConfig::LearnedNormal {
            min_scale: 0.01,
            initial_scale: None,
            mean_scale: None
        }),
        Just(LikelihoodConfig::SharedNormal { min_scale: 0.01, initial_scale: None }),
        Just(LikelihoodConfig::StudentT { min_scale: 0.01, min_degrees: 3.0 }),
        Just(LikelihoodConfig::Categorical { classes: 3 }),
        Just(LikelihoodConfig::Ordinal { classes: 4 }),
        (1usize..4).prop_map(|components| LikelihoodConfig::DiscretizedLogistic {
            levels: 5,
            components,
            min_scale: 0.01
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_convolutional_model_fits_any_image(
        (c, h, w) in (1usize..4, 1usize..20, 1usize..20),
        channels in proptest::collection::vec(1usize..5, 1..4),
        latent in 1usize..5, rows in 1usize..4, likelihood in likelihoods(),
    ) {
        let config =
            AutoencoderConfig { likelihood, ..AutoencoderConfig::new(ConvNetConfig::new(&channels), &[c, h, w], latent) };
        let model = config.init(Key::new(1), &Device::flex()).unwrap();
        exercise(&model, rows, [c, h, w], latent);
    }

    #[test]
    fn a_residual_model_fits_any_image(
        (c, h, w) in (1usize..4, 1usize..20, 1usize..20),
        channels in proptest::collection::vec(1usize..5, 1..4),
        (blocks, groups) in (1usize..3, 1usize..4),
        latent in 1usize..5, rows in 1usize..4, likelihood in likelihoods(),
    ) {
        let config = AutoencoderConfig { likelihood, ..AutoencoderConfig::new(ResNetConfig { blocks, groups, ..ResNetConfig::new(&channels) }, &[c, h, w], latent) };
        let model = config.init(Key::new(1), &Device::flex()).unwrap();
        exercise(&model, rows, [c, h, w], latent);
    }

    #[test]
    fn a_ladder_fits_any_image(
        (c, h, w) in (1usize..4, 1usize..20, 1usize..20),
        channels in proptest::collection::vec(1usize..5, 1..5),
        blocks in 1usize..3, deterministic in 0usize..4,
        latent in 1usize..4, rows in 1usize..4, likelihood in likelihoods(),
    ) {
        let deterministic = deterministic.min(channels.len() - 1);
        let network = LadderConfig { blocks, deterministic, ..LadderConfig::new(&channels) };
        let config = AutoencoderConfig { likelihood, ..AutoencoderConfig::new(network, &[c, h, w], latent) };
        let model = config.init(Key::new(1), &Device::flex()).unwrap();
        let places: usize = (deterministic..channels.len()).map(|level| h.div_ceil(1 << level) * w.div_ceil(1 << level)).sum();
        exercise(&model, rows, [c, h, w], latent * places);
    }

    #[test]
    fn a_fully_connected_model_fits_any_image(
        (c, h, w) in (1usize..4, 1usize..9, 1usize..9),
        hidden in proptest::collection::vec(1usize..5, 0..4),
        latent in 1usize..5, rows in 1usize..4, likelihood in likelihoods(),
    ) {
        let activation = Activation::Softplus;
        let config =
            AutoencoderConfig { likelihood, ..AutoencoderConfig::new(MlpConfig { hidden, activation }, &[c, h, w], latent) };
        let model = config.init(Key::new(1), &Device::flex()).unwrap();
        exercise(&model, rows, [c, h, w], latent);
    }
}

#[test]
fn sizes_of_zero_and_bad_likelihoods_are_refused_by_name() {
    let device = Device::flex();
    let mlp =
        |config: AutoencoderConfig| config.init(Key::new(1), &device).unwrap_err().to_string();
    let conv =
        |config: AutoencoderConfig| config.init(Key::new(1), &device).unwrap_err().to_string();
    assert_eq!(
        mlp(AutoencoderConfig::mlp(&[784], 0)),
        "`latent` must be between 1 and 16777216, but is 0"
    );
    assert_eq!(
        mlp(AutoencoderConfig::mlp(&[], 2)),
        "`event` must be between 1 and 16777216, but is 0"
    );
    let deterministic = LadderConfig { deterministic: 2, ..LadderConfig::new(&[4, 4]) };
    assert_eq!(
        conv(AutoencoderConfig::new(deterministic, &[1, 8, 8], 2)),
        "`deterministic` must be between 0 and 1, but is 2"
    );
    let hidden = AutoencoderConfig::new(MlpConfig::new(&[5, 0]), &[4], 2);
    assert_eq!(mlp(hidden), "`hidden` must be between 1 and 16777216, but is 0");
    assert_eq!(
        conv(AutoencoderConfig::conv(&[1, 28, 28], 0)),
        "`latent` must be between 1 and 16777216, but is 0"
    );
    assert_eq!(
        conv(AutoencoderConfig::conv(&[1, 0, 28], 2)),
        "`event` must be between 1 and 16777216, but is 0"
    );
    let flat = "rows of this network are images, [channels, height, width], but `event` is [784]";
    assert_eq!(conv(AutoencoderConfig::conv(&[784], 2)), flat);
    let none = AutoencoderConfig::new(ConvNetConfig::new(&[]), &[1, 8, 8], 2);
    assert_eq!(conv(none), "`channels` must be between 1 and 16777216, but is 0");
    let wide = mlp(AutoencoderConfig::mlp(&[4], usize::MAX));
    assert_eq!(wide, "`latent` must be between 1 and 16777216, but is 18446744073709551615");
    let heavy = mlp(AutoencoderConfig::new(MlpConfig::new(&[1 << 24; 2]), &[4], 2));
    assert!(heavy.contains("more than 1073741824 weights in one layer"), "{heavy}");
    let likelihood = LikelihoodConfig::Normal { scale: f64::NAN };
    let scale = AutoencoderConfig { likelihood, ..AutoencoderConfig::conv(&[1, 8, 8], 2) };
    assert!(conv(scale).contains("`scale` must be finite and above 0"));
}

#[test]
fn the_bound_example_has_the_published_number_of_weights() {
    use burn::module::Module;
    let device = Device::flex();
    // 784·400 + 400 + 2 (400·20 + 20) + 20·400 + 400 + 400·784 + 784.
    let mlp = AutoencoderConfig::mlp(&[784], 20).init(Key::new(1), &device).unwrap();
    assert_eq!(mlp.num_params(), 652_824);
    // 32·9 + 32, 64·32·9 + 64, 2 (3136·32 + 32), 32·3136 + 3136, 64·32·16 + 32, 32·16 + 1.
    let conv = AutoencoderConfig::conv(&[1, 28, 28], 32).init(Key::new(1), &device).unwrap();
    assert_eq!(conv.num_params(), 320 + 18_496 + 200_768 + 103_488 + 32_800 + 513);
}

// Down to one pixel, where a group of one channel would be one number, and a normalized one is 0.
#[test]
fn a_residual_model_sees_its_input_and_its_latent_at_any_size() {
    let device = Device::flex();
    for (image, channels) in [
        ([1, 28, 28], vec![8; 5]),
        ([3, 4, 4], vec![4, 4]),
        ([1, 1, 1], vec![8]),
        ([1, 1, 1], vec![1]),
    ] {
        let config = AutoencoderConfig::new(ResNetConfig::new(&channels), &image, 3);
        let model = config.init(Key::new(1), &device).unwrap();
        let [c, h, w] = image;
        let pixels = Tensor::<4>::zeros([2, c, h, w], &device);
        let two = pixels + Tensor::<1>::from_data([0.25, 0.75], &device).reshape([2, 1, 1, 1]);
        let noisy = two * draws(2).uniform([2, c, h, w], &device);
        let differ = |x: Tensor<2>| {
            (x.clone().narrow(0, 0, 1) - x.narrow(0, 1, 1)).abs().max().into_scalar::<f32>()
        };
        assert!(differ(model.embed(noisy).flat()) > 1e-4, "{config:?}");
        let latent = Tensor::<2>::from_data([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]], &device);
        assert!(
            differ(Vae::<4>::decode(&model, latent).mean().reshape([2, c * h * w])) > 1e-4,
            "{config:?}"
        );
    }
}

fn ladder(image: [usize; 3]) -> dvae_models::Autoencoder<dvae_models::AnyNetwork> {
    let network = LadderConfig::new(&[6, 5, 4]);
    let config = AutoencoderConfig::new(network, &image, 2);
    config.init(Key::new(1), &Device::flex()).unwrap()
}

fn largest(x: &Tensor<4>) -> f32 {
    x.clone().abs().max().into_scalar()
}

// On the way up a level's convolutions reach 1 + 2 of its own pixels, on the way down 1 + 2 and one more for the repeated
// ones: less than 7 · (1 + 2 + 4) = 49 pixels.
#[test]
fn a_ladder_of_a_crop_is_the_ladder_of_the_whole_away_from_its_edges() {
    let device = Device::flex();
    let whole = draws(1).uniform::<4>([1, 2, 160, 128], &device);
    let (top, left) = (16, 8);
    let crop = whole.clone().narrow(2, top, 128).narrow(3, left, 120);
    let trained_on_crops = ladder([2, 31, 24]);
    let cleaned = Vae::<4>::denoise(&trained_on_crops, whole);
    let of_crop = Vae::<4>::denoise(&trained_on_crops, crop);
    let inner = |x: Tensor<4>, y: usize, x0: usize| x.narrow(2, y, 8).narrow(3, x0, 4);
    let gap = inner(cleaned.clone(), top + 60, left + 58) - inner(of_crop, 60, 58);
    assert!(largest(&gap) < 1e-5, "{}", largest(&gap));
    // Not because it is the same everywhere.
    let other = inner(cleaned.clone(), top + 61, left + 58) - inner(cleaned, top + 60, left + 58);
    assert!(largest(&other) > 1e-4, "{}", largest(&other));
}

#[test]
fn samples_share_the_levels_that_are_given() {
    let model =
        AutoencoderConfig::ladder(&[1, 12, 9], 2).init(Key::new(1), &Device::flex()).unwrap();
    let sampled = |above: &[Latent], key: u64| {
        let latents = Vae::<4>::sample_below(&model, above, &mut Key::new(key).rows(&[0, 1]));
        let levels = latents.levels().iter().map(|level| level.values().into_data());
        (levels.collect::<Vec<_>>(), latents)
    };
    let (first, latents) = sampled(&[], 1);
    assert_eq!(
        Vae::<4>::sample_prior(&model, &mut Key::new(1).rows(&[0, 1])).shapes(),
        latents.shapes()
    );
    for given in 0..=3 {
        let (second, _) = sampled(&latents.levels()[..given], 2);
        for level in 0..3 {
            assert_eq!(first[level] == second[level], level < given, "level {level} of {given}");
        }
    }
}

// Bounds and latents of other sides too.
#[test]
fn a_ladder_is_the_same_function_whatever_sides_it_was_built_for() {
    let device = Device::flex();
    for [height, width] in [[1, 1], [7, 31], [40, 33]] {
        let [same, other] = [[2, height, width], [2, 13, 22]].map(ladder);
        let input = || draws(2).uniform::<4>([2, 2, height, width], &device);
        let [same, other] = [same, other].map(|model| {
            let inference = model.infer(input(), &mut draws(2));
            let decoded = Vae::<4>::decode(&model, inference.latents.clone()).log_prob(input());
            let explained = Vae::<4>::explain(&model, &inference).log_prob(input());
            (inference.total_kl().into_data(), decoded.into_data(), explained.into_data())
        });
        assert_eq!(same, other);
    }
}

// ln σ²/s² = −4 to begin with: ½ (e⁻⁴ − 1 + 4) nats and what the means differ by. Nothing is infinite at any step.
#[test]
fn posteriors_below_the_top_begin_narrow() {
    let device = Device::flex();
    let input = draws(4).uniform::<4>([4, 1, 28, 28], &device);
    let model = AutoencoderConfig::ladder(&[1, 28, 28], 4).init(Key::new(1), &device).unwrap();
    let inference = model.infer(input, &mut draws(4));
    let nats: Vec<f32> = inference.kl.iter().map(|kl| kl.total().mean().into_scalar()).collect();
    let latents = [7 * 7 * 4, 14 * 14 * 4, 28 * 28 * 4].map(|count| count as f32);
    assert_eq!(nats.len(), 3);
    for level in [1, 2] {
        let each = nats[level] / latents[level];
        assert!((1.3..2.5).contains(&each), "level {level}: {each}");
    }
    assert!(nats[0].is_finite() && nats[0] > 0.0, "{nats:?}");
}

// A model that is loaded has room for as many weights as its file has.
#[test]
fn a_ladder_fits_into_the_number_of_its_weights() {
    let device = Device::flex();
    let config = AutoencoderConfig::ladder(&[1, 12, 9], 2);
    let weights = config.init(Key::new(1), &device).unwrap().num_params();
    assert!(config.init_within(weights, &device).is_ok());
    assert!(config.init_within(weights - 1, &device).is_err());
}

// The way down is not computed again, to the same bits.
#[test]
fn what_an_inference_explains_is_what_its_latents_decode_to() {
    let device = Device::flex();
    let model = AutoencoderConfig::ladder(&[1, 12, 9], 2).init(Key::new(1), &device).unwrap();
    let input = || draws(3).uniform::<4>([3, 1, 12, 9], &device);
    let inference = model.infer(input(), &mut draws(3));
    assert!(inference.context.is_some());
    let explained = Vae::<4>::explain(&model, &inference).mean();
    assert_eq!(
        explained.into_data(),
        Vae::<4>::decode(&model, inference.latents).mean().into_data()
    );
    let decoded = Vae::<4>::decode(&model, Vae::<4>::embed(&model, input())).mean();
    assert_eq!(Vae::<4>::denoise(&model, input()).into_data(), decoded.into_data());
}
