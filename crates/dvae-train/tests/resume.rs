//! Training that is interrupted anywhere and goes on to the bit, with everything that has a state.

#![allow(clippy::unwrap_used)] // A test may panic.

mod bits;
mod reports;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bits::bits;
use burn::tensor::{Device, Tensor};
use dvae_corruption::{
    CorruptedInput, Corruption, CorruptionConfig, CorruptionError, Domain, Level, Strength,
};
use dvae_data::{Dataset, fashion_mnist};
use dvae_losses::{KlTerm, Schedule, WarmUp};
use dvae_models::{AnyNetwork, Autoencoder, AutoencoderConfig, MlpConfig};
use dvae_random::{Key, Purpose, RowStreams};
use dvae_train::{
    Decay, EarlyStopping, End, Event, Every, Interrupt, LearningRate, Observer, OptimizerConfig,
    Report, Settings, TextLog, TimeLimit, TrainConfig, TrainError, Trained, Trainer, WeightFile,
    load_checkpoint, load_weights,
};
use reports::Reports;

const IMAGE: [usize; 3] = [1, 28, 28];

fn model() -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig::new(MlpConfig::new(&[24]), &IMAGE, 4);
    config.init(Key::new(1).purpose(Purpose::Weights), &Device::flex()).unwrap()
}

fn rows() -> (Dataset, Dataset) {
    fashion_mnist().test.take(120).split(20, Key::new(0)).unwrap()
}

/// Seven batches of 16 or fewer an epoch, in four steps of two or one, with everything on.
fn everything() -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_size: 16,
        accumulate: 2,
        optimizer: OptimizerConfig::AdamW {
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.01,
        },
        learning_rate: LearningRate { warm_up: 0.2, ..LearningRate::cosine(5e-3, 1e-4) },
        max_gradient_norm: Some(50.0),
        ema: Some(0.9),
        early_stopping: Some(EarlyStopping { patience: 3, improvement: 0.0 }),
        validate: Every::Steps(3),
        checkpoint: Every::Steps(5),
        ..TrainConfig::default()
    }
}

fn trainer(config: &TrainConfig) -> Trainer<4, Autoencoder<AnyNetwork>> {
    let process: Box<dyn Corruption<4>> =
        "mixed".parse::<CorruptionConfig>().unwrap().build(Domain::Unit).unwrap();
    Trainer::new(model(), process, config.clone(), &Device::flex()).unwrap()
}

/// Interrupts once so many steps are done.
struct After {
    step: usize,
    interrupt: Interrupt,
}

impl Observer for After {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        if matches!(event, Event::Steps { step, .. } if *step >= self.step) {
            self.interrupt.set();
        }
        Ok(())
    }
}

fn fit(
    trainer: Trainer<4, Autoencoder<AnyNetwork>>,
    interrupt_after: Option<usize>,
) -> (Trained<Autoencoder<AnyNetwork>>, Vec<Report>) {
    let (train, validation) = rows();
    let reports = Reports::default();
    let interrupt = Interrupt::new();
    let step = interrupt_after.unwrap_or(usize::MAX);
    let after = After { step, interrupt: interrupt.clone() };
    let trainer = trainer.interrupt(interrupt).observe(reports.clone()).observe(after);
    let trained = trainer.fit(&train, &validation).unwrap();
    let mut reports = reports.all();
    for report in &mut reports {
        report.seconds = 0.0;
    }
    (trained, reports)
}

// 16 steps, measured after 3, 6, …, 15 and 16. Metrics are read after multiples of 3, 4 and 5, so that is
// where this observer can interrupt, for the step after: in the middle of epochs, of accumulated terms, of patience.
#[test]
fn a_run_that_is_interrupted_anywhere_goes_on_to_the_bit() {
    let (straight, expected) = fit(trainer(&everything()), None);
    assert_eq!(straight.end, End::Finished);
    let steps: Vec<usize> = expected.iter().map(|report| report.step).collect();
    assert_eq!(steps, [3, 6, 9, 12, 15, 16]);
    for interrupted_after in [3, 5, 8, 10, 12] {
        let folder = tempfile::tempdir().unwrap();
        let first = trainer(&everything()).checkpoints(folder.path()).weights(folder.path());
        let (first, reports) = fit(first, Some(interrupted_after));
        assert_eq!(first.end, End::Interrupted);
        let second = trainer(&everything()).resume(folder.path()).unwrap();
        let (second, rest) = fit(second.weights(folder.path()), None);
        assert_eq!(second.end, End::Finished);
        assert_eq!([reports, rest].concat(), expected, "interrupted after {interrupted_after}");
        assert_eq!(bits(&second.model), bits(&straight.model));
        assert_eq!(bits(&load_checkpoint(folder.path(), model()).unwrap()), bits(&straight.model));
        let last = load_weights(&folder.path().join("last.safetensors"), model()).unwrap();
        assert_eq!(bits(&last), bits(&straight.model));
    }
}

// The last step of the epoch has batches of 12, 12 and 4 rows.
#[test]
fn accumulated_batches_are_one_batch() {
    let optimizer = OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
    let rate = LearningRate::constant(1e-4);
    let whole = TrainConfig {
        epochs: 1,
        batch_size: 36,
        optimizer,
        learning_rate: rate,
        ..TrainConfig::default()
    };
    let parts = TrainConfig { batch_size: 12, accumulate: 3, ..whole.clone() };
    let (whole, whole_reports) = fit(trainer(&whole), None);
    let (parts, part_reports) = fit(trainer(&parts), None);
    assert_eq!(whole_reports[0].step, part_reports[0].step);
    let (a, b) = (whole_reports[0].train.loss, part_reports[0].train.loss);
    assert!((a - b).abs() < 1e-4 * a.abs(), "{a} {b}");
    let values = |model: &Autoencoder<AnyNetwork>| -> Vec<f32> {
        bits(model).chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let first = values(&model());
    for ((a, b), first) in values(&whole.model).iter().zip(values(&parts.model)).zip(first) {
        assert!((a - b).abs() < 1e-6 + 1e-3 * (a - first).abs(), "{a} {b} from {first}");
    }
}

/// Interrupts when so many batches were prepared: at any step, not only where metrics are read.
struct AfterBatches {
    inner: Box<dyn Corruption<4>>,
    left: AtomicUsize,
    interrupt: Interrupt,
}

impl fmt::Debug for AfterBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Corruption<4> for AfterBatches {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.interrupt.set();
        }
        self.inner.corrupt(clean, draws)
    }

    fn strength(&self) -> Strength {
        self.inner.strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        self.inner.at_level(level)
    }
}

#[test]
fn a_wish_to_stop_at_any_time_is_answered_with_a_checkpoint() {
    let config = TrainConfig {
        epochs: 2,
        batch_size: 4,
        checkpoint: Every::Epochs(2),
        validate: Every::Epochs(2),
        ..TrainConfig::default()
    };
    let (straight, expected) = fit(trainer(&config), None);
    for batches in [1, 4, 7, 16, 29, 33, 45] {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::new();
        let inner = "mixed".parse::<CorruptionConfig>().unwrap().build(Domain::Unit).unwrap();
        let left = AtomicUsize::new(batches);
        let process = AfterBatches { inner, left, interrupt: interrupt.clone() };
        let first =
            Trainer::new(model(), Box::new(process), config.clone(), &Device::flex()).unwrap();
        let (train, validation) = rows();
        let first = first.checkpoints(folder.path()).interrupt(interrupt);
        let first = first.fit(&train, &validation).unwrap();
        assert_eq!(first.end, End::Interrupted, "{batches}");
        let (second, reports) = fit(trainer(&config).resume(folder.path()).unwrap(), None);
        assert_eq!(reports, expected, "{batches}");
        assert_eq!(bits(&second.model), bits(&straight.model));
    }
}

// After the first step the average is a tenth of the first weights and nine tenths of the new ones.
#[test]
fn averaged_weights_are_what_comes_out() {
    let config = TrainConfig { epochs: 1, batch_size: 100, ..TrainConfig::default() };
    let (plain, _) = fit(trainer(&config), None);
    let (averaged, _) = fit(trainer(&TrainConfig { ema: Some(0.99), ..config }), None);
    let values = |model: &Autoencoder<AnyNetwork>| -> Vec<f32> {
        bits(model).chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let first = values(&model());
    for ((first, new), average) in
        first.iter().zip(values(&plain.model)).zip(values(&averaged.model))
    {
        assert!((0.1 * first + 0.9 * new - average).abs() < 1e-6);
    }
}

#[test]
fn a_large_gradient_is_clipped_and_its_norm_is_reported() {
    let sgd = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let rate = LearningRate::constant(0.5);
    let config = TrainConfig {
        epochs: 1,
        batch_size: 100,
        optimizer: sgd,
        learning_rate: rate,
        ..TrainConfig::default()
    };
    let clipped = TrainConfig { max_gradient_norm: Some(0.01), ..config };
    let (trained, reports) = fit(trainer(&clipped), None);
    assert!(reports[0].gradient_norm > 1.0, "{}", reports[0].gradient_norm);
    let values = |model: &Autoencoder<AnyNetwork>| -> Vec<f32> {
        bits(model).chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let step = values(&model()).into_iter().zip(values(&trained.model));
    let length: f64 = step.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    // The rate times the norm that was let through.
    assert!((length - 0.5 * 0.01).abs() < 1e-5, "{length}");
}

#[test]
fn training_ends_early_but_never_before_the_warm_up_ends() {
    // A rate so small that the bound stays where it is, to half a nat.
    let learning_rate = LearningRate::constant(1e-9);
    let early_stopping = Some(EarlyStopping { patience: 2, improvement: 0.5 });
    let config = TrainConfig {
        epochs: 10,
        batch_size: 50,
        learning_rate,
        early_stopping,
        ..TrainConfig::default()
    };
    let (trained, reports) = fit(trainer(&config), None);
    assert_eq!((trained.end, reports.len()), (End::StoppedEarly, 3));

    let beta = Schedule::Linear(WarmUp { from: 0.0, to: 1.0, until: 0.6 });
    let objective = KlTerm::Weighted { beta }.into();
    let warming = TrainConfig { objective, ..config.clone() };
    let (trained, reports) = fit(trainer(&warming), None);
    // Of 20 steps, counted from 0, step 12 is the first after the warm-up (0.6 × 19 = 11.4): the seventh
    // measurement is the first that counts, and the eighth the second.
    assert_eq!((trained.end, reports.len()), (End::StoppedEarly, 8));

    let folder = tempfile::tempdir().unwrap();
    fit(trainer(&config).checkpoints(folder.path()), None);
    let (again, reports) = fit(trainer(&config).resume(folder.path()).unwrap(), None);
    assert_eq!((again.end, reports.len()), (End::StoppedEarly, 0));
}

#[test]
fn early_stopping_that_could_never_happen_is_refused() {
    let early_stopping = Some(EarlyStopping { patience: 2, improvement: 0.0 });
    let beta = Schedule::Linear(WarmUp { from: 0.0, to: 1.0, until: 1.0 });
    let objective = KlTerm::Weighted { beta }.into();
    let config = TrainConfig { early_stopping, ..TrainConfig::default() };
    let error = |config: TrainConfig, process: &str| {
        let process: Box<dyn Corruption<4>> = match process {
            "warming up" => {
                let json = r#"{"process": "sequence", "of": [
                    {"process": "masking", "level": {"linear": [0.0, 0.5]}}]}"#;
                serde_json::from_str::<CorruptionConfig>(json).unwrap().build(Domain::Unit).unwrap()
            }
            _ => "masking".parse::<CorruptionConfig>().unwrap().build(Domain::Unit).unwrap(),
        };
        Trainer::new(model(), process, config, &Device::flex()).map(|_| ()).unwrap_err().to_string()
    };
    let kl = error(TrainConfig { objective, ..config.clone() }, "masking");
    assert!(kl.contains("the KL's weight changes until its end"), "{kl}");
    let noise = error(config, "warming up");
    assert!(noise.contains("the strength of the corruption changes until its end"), "{noise}");
}

#[test]
fn the_best_weights_are_those_of_the_best_measurement() {
    let folder = tempfile::tempdir().unwrap();
    // A hundred rows are soon learnt by heart: the bound on others gets worse.
    let learning_rate = LearningRate::constant(1e-2);
    let config =
        TrainConfig { epochs: 60, batch_size: 25, learning_rate, ..TrainConfig::default() };
    let described = trainer(&config).weights(folder.path()).description("network = \"mlp\"");
    let (_, reports) = fit(described, None);
    let best = reports.iter().rposition(|report| report.best).unwrap();
    assert!(best + 1 < reports.len(), "the last is not the best");
    let path = folder.path().join("best.safetensors");
    let loaded = load_weights(&path, model()).unwrap();
    let (expected, _) = fit(trainer(&config).until(best + 1), None);
    assert_eq!(bits(&loaded), bits(&expected.model));
    assert_eq!(WeightFile::open(&path).unwrap().config().unwrap(), "network = \"mlp\"");
}

#[test]
fn a_resume_with_another_setting_is_refused_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let with = |activation: &str| {
        let settings = serde_json::json!({ "model": { "latent": 4, "activation": activation } });
        trainer(&TrainConfig::default()).settings(Settings::of(&settings))
    };
    fit(with("relu").checkpoints(folder.path()).until(1), None);
    let (train, validation) = rows();
    // A description is for the metadata of weights: it may have paths, and is not compared.
    let same = with("relu").description("other").resume(folder.path()).unwrap();
    same.check(&train, &validation).unwrap();
    let other = with("silu").resume(folder.path()).unwrap();
    let error = other.fit(&train, &validation).unwrap_err().to_string();
    assert!(error.starts_with("`model.activation` was \"relu\" in the training until"), "{error}");
    assert!(error.contains("but is \"silu\" now"), "{error}");
}

/// All that has a state and no schedule over the whole training.
fn unscheduled() -> TrainConfig {
    let decay = Decay::Step { factor: 0.5, epochs: 2 };
    TrainConfig {
        learning_rate: LearningRate { decay, ..LearningRate::constant(5e-3) },
        early_stopping: Some(EarlyStopping { patience: 50, improvement: 0.0 }),
        validate: Every::Steps(4),
        ..everything()
    }
}

fn files(folder: &Path) -> [Vec<u8>; 2] {
    ["best.safetensors", "last.safetensors"].map(|name| std::fs::read(folder.join(name)).unwrap())
}

// From a training that is done, and from one that was interrupted within an epoch; checkpoints at other steps.
#[test]
fn a_training_that_is_extended_is_one_that_was_longer_from_its_beginning() {
    let longer = TrainConfig { epochs: 7, ..unscheduled() };
    let straight = tempfile::tempdir().unwrap();
    let (trained, expected) = fit(trainer(&longer).weights(straight.path()), None);
    assert_eq!((trained.end, expected.len()), (End::Finished, 7));
    for interrupted_after in [None, Some(5)] {
        let folder = tempfile::tempdir().unwrap();
        let first = trainer(&unscheduled()).checkpoints(folder.path()).weights(folder.path());
        let (_, first) = fit(first, interrupted_after);
        let rest = TrainConfig { checkpoint: Every::Steps(3), keep: 1, ..longer.clone() };
        let rest = trainer(&rest).resume(folder.path()).unwrap().weights(folder.path());
        let (extended, rest) = fit(rest, None);
        assert_eq!([first, rest].concat(), expected);
        assert_eq!(bits(&extended.model), bits(&trained.model));
        assert!(files(folder.path()) == files(straight.path()), "{interrupted_after:?}");
    }
}

#[test]
fn a_training_is_not_extended_where_the_result_would_be_another() {
    let (train, validation) = rows();
    let refusal = |config: TrainConfig, process: &str, epochs: usize| {
        let folder = tempfile::tempdir().unwrap();
        let trainer = |config: TrainConfig| {
            let process: Box<dyn Corruption<4>> = serde_json::from_str::<CorruptionConfig>(process)
                .unwrap()
                .build(Domain::Unit)
                .unwrap();
            Trainer::new(model(), process, config, &Device::flex()).unwrap()
        };
        trainer(config.clone()).checkpoints(folder.path()).fit(&train, &validation).unwrap();
        let other = trainer(TrainConfig { epochs, ..config }).resume(folder.path()).unwrap();
        other.check(&train, &validation).map_err(|error| error.to_string())
    };
    let masking = r#"{"process": "masking", "level": 0.5}"#;
    let rising = r#"{"process": "masking", "level": {"linear": [0.0, 0.5]}}"#;
    let short = TrainConfig { epochs: 1, ..TrainConfig::default() };
    let rate = |learning_rate| TrainConfig { learning_rate, ..short.clone() };
    let warm_up = LearningRate { warm_up: 0.1, ..LearningRate::default() };
    let beta = Schedule::Linear(WarmUp { from: 0.0, to: 1.0, until: 0.5 });
    let weighted = TrainConfig { objective: KlTerm::Weighted { beta }.into(), ..short.clone() };
    let rarely = TrainConfig { validate: Every::Epochs(2), ..short.clone() };
    let two = TrainConfig { epochs: 2, ..short.clone() };
    for (config, process, epochs, reason) in [
        (rate(LearningRate::cosine(1e-3, 1e-4)), masking, 3, "`train.learning_rate.decay` is a"),
        (rate(warm_up), masking, 3, "`train.learning_rate.warm_up` is a schedule over all epochs"),
        (weighted, masking, 3, "`train.objective.kl` is a schedule over all epochs"),
        (short.clone(), rising, 3, "`corruption` is a schedule over all epochs"),
        (rarely, masking, 3, "`train.validate` is not due after its last step"),
        (two, masking, 1, "a resume may ask for more epochs, but not for fewer"),
    ] {
        let saved = config.epochs;
        let error = refusal(config, process, epochs).unwrap_err();
        let expected = format!("`train.epochs` was {saved}, and cannot become {epochs}: ");
        assert!(error.starts_with(&expected) && error.contains(reason), "{error}");
    }
    assert_eq!(refusal(short, masking, 3), Ok(()));
}

// The killed session logged the measurement and the checkpoint of epoch 3, and the checkpoint was lost.
#[test]
fn a_log_has_each_measurement_once_after_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let (log, checkpoints) = (folder.path().join("log.txt"), folder.path().join("checkpoints"));
    let config = TrainConfig { epochs: 4, batch_size: 50, ..TrainConfig::default() };
    let (train, validation) = rows();
    let until_3 = trainer(&config).checkpoints(&checkpoints).until(3).observe(TextLog::new(&log));
    until_3.fit(&train, &validation).unwrap();
    std::fs::remove_dir_all(checkpoints.join("step-00000006")).unwrap();
    let rest = trainer(&config).resume(&checkpoints).unwrap().observe(TextLog::new(&log));
    rest.fit(&train, &validation).unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    let epochs: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("s  epoch ")?.1.get(..1)).collect();
    assert_eq!(epochs, ["1", "2", "3", "4"], "{text}");
    assert_eq!(text.matches("saved ").count(), 4, "{text}");
    assert!(text.contains("training starts at 2") && text.contains("after step 4 of 8"), "{text}");
}

fn damage(path: &Path, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let whole = std::fs::read(path).unwrap();
    std::fs::write(path, change(whole.clone())).unwrap();
    let error = load_weights(path, model()).map(|_| ()).unwrap_err().to_string();
    std::fs::write(path, whole).unwrap();
    error
}

#[test]
fn weights_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    dvae_train::save_weights(&path, &model(), "", dvae_train::Precision::Single).unwrap();
    assert_eq!(bits(&load_weights(&path, model()).unwrap()), bits(&model()));

    let torn = damage(&path, |bytes| bytes[..bytes.len() / 2].to_vec());
    assert!(torn.contains("a.safetensors cannot be used"), "{torn}");
    // A header that claims to be longer than the file.
    let lying = damage(&path, |mut bytes| {
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    });
    assert!(lying.contains("a.safetensors cannot be used"), "{lying}");
    let config = AutoencoderConfig::new(MlpConfig::new(&[24, 8]), &IMAGE, 4);
    let deeper = config.init(Key::new(1), &Device::flex()).unwrap();
    let error = load_weights(&path, deeper).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("encoder.1.weight is missing"), "{error}");
    let config = AutoencoderConfig::new(MlpConfig::new(&[]), &IMAGE, 4);
    let error = load_weights(&path, config.init(Key::new(1), &Device::flex()).unwrap());
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("is [24, 4], not [784, 4]"), "{error}");
    assert!(error.contains("the model has no network.decoder.0.bias, and 3 more"), "{error}");
}

// A session that is out of time saves after a step, and the run goes on to the bit.
#[test]
fn a_session_ends_in_time_and_goes_on_to_the_bit() {
    let (whole, reports) = fit(trainer(&everything()), None);
    let folder = tempfile::tempdir().unwrap();
    let limited = |seconds: f64| TrainConfig {
        time_limit: Some(TimeLimit::Seconds(seconds)),
        ..everything()
    };
    // Less than any step takes: each session makes one.
    let mut sessions = 0;
    let (trained, last) = loop {
        let trainer = trainer(&limited(1e-9));
        let trainer = match sessions {
            0 => trainer.checkpoints(folder.path()),
            _ => trainer.resume(folder.path()).unwrap(),
        };
        let (trained, reports) = fit(trainer, None);
        sessions += 1;
        if trained.end != End::OutOfTime {
            break (trained, reports);
        }
    };
    assert!(sessions > 10, "{sessions} sessions");
    assert_eq!(trained.end, whole.end);
    assert_eq!(bits(&trained.model), bits(&whole.model));
    assert_eq!(last.last(), reports.last());
    // What would have been in time is not stopped, and a session that began long ago is.
    let (trained, _) = fit(trainer(&limited(3600.0)), None);
    assert_eq!(trained.end, whole.end);
    let long_ago = std::time::Instant::now() - std::time::Duration::from_secs(3600);
    let (trained, _) = fit(trainer(&limited(3600.0)).since(long_ago), None);
    assert_eq!(trained.end, End::OutOfTime);
}
