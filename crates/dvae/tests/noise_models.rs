//! Models of noisy pictures alone, whose likelihood is the noise.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::Tensor;
use dvae::corruption::Clean;
use dvae::prelude::*;

/// Images with noise whose variance is `gain · x + offset`, not clipped.
fn noisy(clean: &Dataset, gain: f32, offset: f32) -> Dataset {
    let device = Device::flex();
    let images: Tensor<4> = clean.gather(&clean.ids(), &device);
    let noise =
        Key::new(7).purpose(Purpose::Data).rows(&clean.ids()).normal(images.dims(), &device);
    let noisy = images.clone() + noise * (images * gain + offset).sqrt();
    Dataset::from_floats(noisy.into_data().try_to_vec().unwrap(), clean.event()).unwrap()
}

fn mean_squared_error(a: Tensor<4>, b: Tensor<4>) -> f64 {
    (a - b).square().mean().into_scalar::<f64>()
}

// Noise of 0.3 everywhere, and noise that grows with the light: a network of sixteen latents that has seen noisy images
// alone takes away about 70 % of its energy within seconds.
#[test]
fn noisy_rows_alone_train_a_model_that_cleans_them() {
    let sets = fashion_mnist();
    let (train, test) = (sets.train.take(4000), sets.test.take(200));
    let known = LikelihoodConfig::Normal { scale: 0.3 };
    let sensor = LikelihoodConfig::PoissonGaussian { gain: 0.2, offset: 0.01, min_scale: 0.05 };
    for (likelihood, gain, offset) in [(known, 0.0, 0.09), (sensor, 0.2, 0.01)] {
        let device = Device::flex();
        let rows = noisy(&train, gain, offset);
        let (rows, held_out) = rows.split(100, Key::new(1).purpose(Purpose::Split)).unwrap();
        let config = AutoencoderConfig { likelihood, ..AutoencoderConfig::conv(rows.event(), 16) };
        let model = config.init(Key::new(1).purpose(Purpose::Weights), &device).unwrap();
        let config = TrainConfig {
            epochs: 6,
            batch_size: 32,
            learning_rate: LearningRate { rate: 0.003, ..LearningRate::default() },
            ..TrainConfig::default()
        };
        let model = Trainer::<4, _>::new(model, Clean, config, &device)
            .unwrap()
            .fit(&rows, &held_out)
            .unwrap()
            .model;
        let clean: Tensor<4> = test.gather(&test.ids(), &device);
        let damaged = noisy(&test, gain, offset);
        let damaged: Tensor<4> = damaged.gather(&damaged.ids(), &device);
        let before = mean_squared_error(damaged.clone(), clean.clone());
        let after = mean_squared_error(model.denoise(damaged.clone()), clean.clone());
        println!("{before:.4} → {after:.4}");
        assert!(after < 0.4 * before, "{before} {after}");
    }
}
