//! What does not go together is refused before anything is trained or measured.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::Device;
use dvae_corruption::{Clean, Shot};
use dvae_data::{Dataset, fashion_mnist};
use dvae_distributions::LikelihoodConfig;
use dvae_losses::{KlTerm, Objective, Schedule};
use dvae_models::{AutoencoderConfig, MlpConfig, PosteriorConfig};
use dvae_random::Key;
use dvae_train::{EvaluationContext, TrainConfig, Trainer, evaluate};

#[test]
fn rows_that_the_likelihood_is_not_for_are_refused_before_anything_is_trained() {
    let train_on = |likelihood, values: Vec<f32>| {
        let rows = Dataset::from_floats(values, &[2]).unwrap();
        let config = AutoencoderConfig {
            likelihood,
            ..AutoencoderConfig::new(MlpConfig::new(&[4]), &[2], 2)
        };
        let model = config.init(Key::new(1), &Device::flex()).unwrap();
        let trainer =
            Trainer::<2, _>::new(model, Box::new(Clean), config_of_one(), &Device::flex());
        trainer.unwrap().fit(&rows, &rows).map(|_| ()).map_err(|error| error.to_string())
    };
    let gray = vec![0.0, 0.5, 1.0, 0.25];
    train_on(LikelihoodConfig::Bernoulli {}, gray.clone()).unwrap();
    let error = train_on(LikelihoodConfig::Poisson {}, gray.clone()).unwrap_err();
    assert!(error.starts_with("row 0 of the training set holds 0.5"), "{error}");
    assert!(error.contains("is for counts 0, 1, 2"), "{error}");
    let error = train_on(LikelihoodConfig::Categorical { classes: 3 }, vec![0.0, 2.0, 3.0, 1.0]);
    assert!(error.unwrap_err().contains("row 1 of the training set holds 3"));
    let error = train_on(LikelihoodConfig::ContinuousBernoulli {}, vec![0.0, 2.0, 3.0, 1.0]);
    assert!(error.unwrap_err().contains("numbers in [0, 1]"));
}

#[test]
fn rows_that_the_corruption_is_not_for_are_refused_before_anything_is_trained() {
    let device = Device::flex();
    let rows = |second| Dataset::from_floats(vec![0.0, 20.0, second, 60.0], &[2]).unwrap();
    let likelihood = LikelihoodConfig::Normal { scale: 1.0 };
    let config =
        AutoencoderConfig { likelihood, ..AutoencoderConfig::new(MlpConfig::new(&[4]), &[2], 2) };
    let model = || config.clone().init(Key::new(1), &device).unwrap();
    let shot = Shot::new(0.1).unwrap();
    let fit = |train: &Dataset, validation: &Dataset| {
        let trainer = Trainer::<2, _>::new(model(), shot, config_of_one(), &device).unwrap();
        trainer.fit(train, validation).map(|_| ()).map_err(|error| error.to_string())
    };
    fit(&rows(3.0), &rows(3.0)).unwrap();
    let error = fit(&rows(3.0), &rows(-3.0)).unwrap_err();
    assert!(error.starts_with("row 1 of the validation set: `shot` is for values of"), "{error}");
    assert!(error.contains("but one is -3"), "{error}");
    let context = EvaluationContext::new(Key::new(1), 2, &device);
    let of = evaluate::<2, _>(&model(), &rows(-3.0), &shot, &Objective::default(), &context);
    let error = of.unwrap_err().to_string();
    assert!(error.starts_with("row 1 of the evaluation set: `shot`"), "{error}");
}

fn config_of_one() -> TrainConfig {
    TrainConfig { epochs: 1, batch_size: 2, ..TrainConfig::default() }
}

#[test]
fn a_model_that_the_objective_is_not_for_is_refused_before_anything_is_trained() {
    let fit = |objective: Objective, posterior| {
        let rows = fashion_mnist().test.take(120);
        let config = AutoencoderConfig {
            posterior,
            ..AutoencoderConfig::new(MlpConfig::new(&[4]), rows.event(), 4)
        };
        let model = config.init(Key::new(1), &Device::flex()).unwrap();
        let config = TrainConfig { objective, ..config_of_one() };
        let trainer = Trainer::<4, _>::new(model, Box::new(Clean), config, &Device::flex());
        let trainer = trainer.map_err(|error| error.to_string())?;
        trainer.fit(&rows, &rows).map(|_| ()).map_err(|error| error.to_string())
    };
    let flow = PosteriorConfig::Planar { flows: 1 };
    let landing = KlTerm::StickingTheLanding { beta: Schedule::Constant(1.0) };
    let error = fit(landing.into(), flow).unwrap_err();
    assert!(error.contains("the model has a posterior by a flow"), "{error}");
    let free = KlTerm::FreeBits { nats: 0.1, group: 3 };
    let error = fit(free.into(), PosteriorConfig::default()).unwrap_err();
    assert!(error.contains("a multiple of 3, but the model has 4 latents"), "{error}");
    let error = fit(Objective::dvae(1, 0), PosteriorConfig::default()).unwrap_err();
    assert!(error.contains("`latents` must be between 1"), "{error}");
}

#[test]
fn a_measure_refuses_what_does_not_fit_as_training_does() {
    let device = Device::flex();
    let rows = Dataset::from_floats(vec![0.0, 2.0, 3.0, 1.0], &[2]).unwrap();
    let error = |config: AutoencoderConfig, objective: Objective| {
        let model = config.init(Key::new(1), &device).unwrap();
        let context = EvaluationContext::new(Key::new(1), 2, &device);
        let of = evaluate::<2, _>(&model, &rows, &Clean, &objective, &context);
        of.unwrap_err().to_string()
    };
    let config = AutoencoderConfig::new(MlpConfig::new(&[4]), &[2], 2);
    let likelihood = LikelihoodConfig::Categorical { classes: 3 };
    let classes = AutoencoderConfig { likelihood, ..config.clone() };
    let unknown = error(classes, Objective::default());
    assert!(unknown.contains("row 1 of the evaluation set holds 3"), "{unknown}");
    assert!(unknown.contains("is for classes 0 to 2"), "{unknown}");
    let posterior = PosteriorConfig::Planar { flows: 1 };
    let likelihood = LikelihoodConfig::Poisson {};
    let flow = AutoencoderConfig { posterior, likelihood, ..config };
    let mixture = KlTerm::Mixture { beta: Schedule::Constant(1.0) };
    assert!(error(flow, mixture.into()).contains("the model has a posterior by a flow"));
}
