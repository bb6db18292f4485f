//! Against PyTorch: the same weights, batches and noise give the same losses for twenty steps.
//!
//! The fixture is made by `benches/peers/twin.py`, which computes every random number again from
//! the documentation.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::sync::{Arc, Mutex};

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Device;
use dvae_corruption::{Corruption, CorruptionConfig, Domain};
use dvae_data::{Dataset, Order, fashion_mnist};
use dvae_models::{AutoencoderConfig, ConvNetConfig, LadderConfig, Vae};
use dvae_random::{Key, Purpose};
use dvae_train::{BatchNoise, Event, Observer, TrainConfig, TrainError, Trainer, denoising_elbo};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-4;
const IMAGE: [usize; 3] = [1, 28, 28];

#[derive(Deserialize)]
struct Fixture {
    seed: u64,
    batch_size: usize,
    twins: Vec<Twin>,
}

#[derive(Deserialize)]
struct Twin {
    model: String,
    corruption: String,
    losses: Vec<f64>,
}

impl Twin {
    fn process(&self) -> Box<dyn Corruption<4>> {
        self.corruption.parse::<CorruptionConfig>().unwrap().build(Domain::Unit).unwrap()
    }
}

#[test]
fn losses_are_those_of_pytorch_for_twenty_steps() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/twin.json")).unwrap();
    assert_eq!(fixture.twins.len(), 4);
    let device = Device::flex();
    let key = Key::new(fixture.seed).purpose(Purpose::Weights);
    for twin in &fixture.twins {
        match twin.model.as_str() {
            "mlp" => {
                let config = AutoencoderConfig::mlp(&IMAGE, 20);
                compare(config.init(key, &device).unwrap(), &fixture, twin);
            }
            "conv" => {
                let config = AutoencoderConfig::new(ConvNetConfig::new(&[8, 16]), &IMAGE, 8);
                compare(config.init(key, &device).unwrap(), &fixture, twin);
            }
            "ladder" => {
                let config = AutoencoderConfig::new(LadderConfig::new(&[4, 6]), &IMAGE, 2);
                compare(config.init(key, &device).unwrap(), &fixture, twin);
            }
            other => panic!("a twin of an unknown model: {other}"),
        }
    }
}

fn compare<V: Vae<4>>(model: V, fixture: &Fixture, twin: &Twin) {
    let rows = fashion_mnist().train.take(fixture.batch_size * twin.losses.len());
    let losses = by_hand(model.clone(), fixture, twin, &rows);
    for (step, (loss, expected)) in losses.iter().zip(&twin.losses).enumerate() {
        let gap = (loss - expected).abs() / expected;
        let what = format!("{} {} step {step}", twin.model, twin.corruption);
        assert!(gap < TOLERANCE, "{what}: {loss}, but {expected} in PyTorch");
    }
    // The trainer makes the same steps: its epoch's mean is the mean of the twin's losses.
    let trained = -by_trainer(model, fixture, twin, &rows);
    let expected = twin.losses.iter().sum::<f64>() / twin.losses.len() as f64;
    assert!((trained - expected).abs() / expected < TOLERANCE, "{trained}, not {expected}");
}

fn by_hand<V: Vae<4>>(model: V, fixture: &Fixture, twin: &Twin, rows: &Dataset) -> Vec<f64> {
    let root = Key::new(fixture.seed);
    let order = Order::Shuffled(root.purpose(Purpose::Shuffle).epoch(0));
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let mut model = model.train();
    let mut losses = Vec::new();
    for batch in rows.batches::<4>(fixture.batch_size, order, &Device::flex()).unwrap() {
        let mut streams = BatchNoise::training(root, 0, &batch.ids);
        let elbo = denoising_elbo(&model, batch.clean, &*twin.process(), &mut streams);
        let loss = elbo.loss();
        losses.push(loss.clone().into_scalar::<f64>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = adam.step(1e-3, model, gradients);
    }
    losses
}

/// The mean ELBO over the first epoch's training rows.
fn by_trainer<V: Vae<4>>(model: V, fixture: &Fixture, twin: &Twin, rows: &Dataset) -> f64 {
    #[derive(Clone, Default)]
    struct Bound(Arc<Mutex<f64>>);
    impl Observer for Bound {
        fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
            if let Event::Measured(report) = event {
                *self.0.lock().unwrap() = report.train.mean.elbo;
            }
            Ok(())
        }
    }
    let (seed, batch_size) = (fixture.seed, fixture.batch_size);
    let config = TrainConfig { epochs: 1, batch_size, seed, ..TrainConfig::default() };
    let bound = Bound::default();
    let trainer = Trainer::new(model, twin.process(), config, &Device::flex()).unwrap();
    trainer.observe(bound.clone()).fit(rows, &rows.take(1)).unwrap();
    *bound.0.lock().unwrap()
}
