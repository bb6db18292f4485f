//! What the trainer promises: the target untouched, level 0 a plain VAE, noise that is the row's
//! own, resumption to the bit, and errors that name what happened.

#![allow(clippy::unwrap_used)] // A test may panic.

mod bits;
mod reports;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use bits::bits;
use burn::tensor::{Device, Tensor};
use dvae_corruption::{
    Clean, CorruptedInput, Corruption, CorruptionConfig, CorruptionError, Domain, Level, Masking,
    ShowMask, Strength,
};
use dvae_data::{Dataset, fashion_mnist};
use dvae_losses::Objective;
use dvae_models::{AnyNetwork, Autoencoder, AutoencoderConfig, MlpConfig, Vae};
use dvae_random::{Key, Purpose, RowStreams};
use dvae_train::{
    BatchNoise, CorruptedBatch, EvaluationContext, JsonLines, LearningRate, Report, TrainConfig,
    TrainError, Trainer, denoising_elbo, evaluate, load_checkpoint,
};
use reports::Reports;

const IMAGE: [usize; 3] = [1, 28, 28];

fn model() -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig::new(MlpConfig::new(&[24]), &IMAGE, 4);
    config.init(Key::new(1).purpose(Purpose::Weights), &Device::flex()).unwrap()
}

fn process(text: &str) -> Box<dyn Corruption<4>> {
    text.parse::<CorruptionConfig>().unwrap().build(Domain::Unit).unwrap()
}

fn config() -> TrainConfig {
    let learning_rate = LearningRate::cosine(3e-3, 1e-4);
    TrainConfig { epochs: 4, batch_size: 32, learning_rate, ..TrainConfig::default() }
}

fn rows() -> (Dataset, Dataset) {
    let test = fashion_mnist().test;
    test.take(120).split(20, Key::new(0)).unwrap()
}

fn trainer(text: &str) -> Trainer<4, Autoencoder<AnyNetwork>> {
    Trainer::new(model(), process(text), config(), &Device::flex()).unwrap()
}

fn fit(trainer: Trainer<4, Autoencoder<AnyNetwork>>) -> (Autoencoder<AnyNetwork>, Vec<Report>) {
    let (train, validation) = rows();
    let reports = Reports::default();
    let model = trainer.observe(reports.clone()).fit(&train, &validation).unwrap().model;
    let reports = reports.all();
    (model, reports)
}

#[test]
fn training_raises_the_bound() {
    let (_, reports) = fit(trainer("masking:0.3"));
    let bound = |report: &Report| report.validation.corrupted.mean.elbo;
    assert!(bound(&reports[3]) > bound(&reports[0]) + 20.0, "{reports:?}");
    assert_eq!(reports[3].validation.clean.kl_per_latent[0].len(), 4);
}

/// A process that records what it is given and replaces all of it.
#[derive(Debug)]
struct Vandal(Mutex<Option<Vec<f32>>>);

impl Corruption<4> for Vandal {
    fn corrupt(&self, clean: Tensor<4>, _draws: &mut RowStreams) -> CorruptedInput<4> {
        *self.0.lock().unwrap() = Some(clean.to_data().try_to_vec().unwrap());
        let changed = clean.ones_like().bool();
        CorruptedInput::touched(clean * 0.0 + 0.5, changed)
    }

    fn strength(&self) -> Strength {
        Corruption::<4>::strength(&Clean)
    }

    fn at_level(&self, _level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Clean))
    }
}

// The encoder saw a constant, so q is the same for all rows; the score must still be that of each
// clean row, and must be what the decoder's likelihood says of it.
#[test]
fn the_target_is_the_clean_row_whatever_the_corruption_does() {
    let device = Device::flex();
    let (train, _) = rows();
    let clean = train.gather::<4>(&train.ids()[..8], &device);
    let before = clean.to_data();
    let mut streams = BatchNoise::training(Key::new(3), 0, &train.ids()[..8]);
    let vandal = Vandal(Mutex::new(None));
    let elbo = denoising_elbo(&model(), clean.clone(), &vandal, &mut streams.clone());

    let constant = clean.clone() * 0.0 + 0.5;
    let inference = model().infer(constant, &mut streams.latent);
    let likelihood = Vae::<4>::decode(&model(), inference.latents);
    let expected = dvae_distributions::Likelihood::log_likelihood(&likelihood, clean.clone());
    assert_eq!(elbo.log_likelihood().into_data(), expected.into_data());
    assert_eq!(clean.to_data(), before);
    assert_eq!(vandal.0.lock().unwrap().as_deref(), Some(&before.try_to_vec::<f32>().unwrap()[..]));
}

#[test]
fn at_level_zero_a_denoising_vae_is_the_plain_vae_to_the_bit() {
    let (plain, plain_reports) =
        fit(Trainer::new(model(), Box::new(Clean), config(), &Device::flex()).unwrap());
    for level_zero in ["gaussian:0", "masking:0", "salt-and-pepper:0"] {
        let (model, reports) = fit(trainer(level_zero));
        assert_eq!(bits(&model), bits(&plain), "{level_zero}");
        assert_eq!(reports[3].validation, plain_reports[3].validation, "{level_zero}");
    }
    assert_ne!(bits(&fit(trainer("masking:0.1")).0), bits(&plain));
}

#[test]
fn a_run_depends_on_its_seed_alone_and_not_on_the_number_of_threads() {
    let (expected, reports) = fit(trainer("mixed"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (alone, reports_alone) = pool.install(|| fit(trainer("mixed")));
    assert_eq!(bits(&alone), bits(&expected));
    assert_eq!(reports[3].train, reports_alone[3].train);
    let other = TrainConfig { seed: 2, ..config() };
    let other = Trainer::new(model(), process("mixed"), other, &Device::flex()).unwrap();
    assert_ne!(bits(&fit(other).0), bits(&expected));
}

#[test]
fn validation_noise_does_not_depend_on_the_batch_size_or_the_time() {
    let (train, _) = rows();
    let bound = |batch_size| {
        let device = Device::flex();
        let process = process("mixed");
        let context = EvaluationContext::new(Key::new(4), batch_size, &device);
        let objective = &Objective::default();
        evaluate::<4, _>(&model(), &train, &*process, objective, &context).unwrap().mean
    };
    let whole = bound(1000);
    assert_eq!(whole, bound(1000));
    // Rows are summed in other groups: equal to rounding, with a last batch of any size.
    for batch_size in [1, 7, 33] {
        let parts = bound(batch_size);
        assert!((parts.elbo - whole.elbo).abs() < 1e-3, "{batch_size}: {parts:?} {whole:?}");
    }
}

#[test]
fn two_epochs_and_two_more_after_a_resume_are_four_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (straight, straight_reports) = fit(trainer("mixed"));
    let (_, first) = fit(trainer("mixed").checkpoints(folder.path()).until(2));
    let (resumed, second) = fit(trainer("mixed").resume(folder.path()).unwrap());
    assert_eq!(bits(&resumed), bits(&straight));
    let mut reports = [first, second].concat();
    let mut expected = straight_reports;
    for report in reports.iter_mut().chain(&mut expected) {
        report.seconds = 0.0;
    }
    assert_eq!(reports, expected);
    let loaded = load_checkpoint(folder.path(), model()).unwrap();
    assert_eq!(bits(&loaded), bits(&straight));
}

#[test]
fn metrics_have_each_epoch_once_after_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics.jsonl");
    let checkpoints = folder.path().join("checkpoints");
    let (train, validation) = rows();
    let log = || JsonLines::new(&metrics);
    let until_3 = trainer("masking").checkpoints(&checkpoints).until(3);
    until_3.observe(log()).fit(&train, &validation).unwrap();
    // As if the process had died after the line of epoch 3 and before its checkpoint.
    fs::remove_dir_all(checkpoints.join("step-00000012")).unwrap();
    let rest = trainer("masking").resume(&checkpoints).unwrap();
    rest.observe(log()).fit(&train, &validation).unwrap();
    let text = fs::read_to_string(&metrics).unwrap();
    let reports: Vec<Report> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.iter().map(|report| report.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_or_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (straight, _) = fit(trainer("mixed"));
    fit(trainer("mixed").checkpoints(folder.path()).until(3));
    let kept: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(kept.len(), 2, "{kept:?}");

    flip_a_bit(&folder.path().join("step-00000012/model.bpk"));
    let (resumed, reports) = fit(trainer("mixed").resume(folder.path()).unwrap());
    assert_eq!((bits(&resumed), reports.len()), (bits(&straight), 2));

    for step in ["step-00000012", "step-00000016"] {
        flip_a_bit(&folder.path().join(step).join("optimizer.bpk"));
    }
    let error = trainer("mixed").resume(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("step-00000016") && error.contains("optimizer.bpk is damaged"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_of_another_model_or_configuration_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = trainer("mixed").resume(folder.path()).unwrap_err().to_string();
    assert!(error.contains("holds no checkpoint"), "{error}");
    fit(trainer("mixed").checkpoints(folder.path()).until(1));

    let wider = AutoencoderConfig::new(MlpConfig::new(&[25]), &IMAGE, 4);
    let wider = wider.init(Key::new(1), &Device::flex()).unwrap();
    let other = Trainer::new(wider, process("mixed"), config(), &Device::flex()).unwrap();
    let error = other.resume(folder.path()).unwrap_err().to_string();
    assert!(error.contains("do not fit this model") && error.contains("encoder"), "{error}");

    let (train, validation) = rows();
    let refusal = |trainer: Trainer<4, Autoencoder<AnyNetwork>>, train: &Dataset| {
        let resumed = trainer.resume(folder.path()).unwrap();
        resumed.fit(train, &validation).unwrap_err().to_string()
    };
    let other = TrainConfig { batch_size: 9, ..config() };
    let other = Trainer::new(model(), process("mixed"), other, &Device::flex()).unwrap();
    let error = refusal(other, &train);
    assert!(error.starts_with("`train.batch_size` was "), "{error}");
    assert!(error.contains("step-00000004, but is 9 now"), "{error}");
    let error = refusal(trainer("masking:0.25"), &train);
    assert!(error.starts_with("`corruption` was \"OneOf"), "{error}");
    assert!(error.contains("Fixed(0.25)"), "{error}");
    let error = refusal(trainer("mixed"), &train.take(50));
    assert!(error.starts_with("the training rows are not those of the training"), "{error}");
    let resumed = trainer("mixed").resume(folder.path()).unwrap();
    let error = resumed.fit(&train, &validation.take(9)).unwrap_err().to_string();
    assert!(error.starts_with("the held-out rows are not those of the training"), "{error}");
}

#[test]
fn a_new_run_does_not_touch_the_checkpoints_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = fit(trainer("mixed").checkpoints(folder.path()));
    let (train, validation) = rows();
    let again = trainer("masking").checkpoints(folder.path());
    let error = again.fit(&train, &validation).unwrap_err().to_string();
    assert!(error.contains("exists and is not empty"), "{error}");
    assert_eq!(bits(&load_checkpoint(folder.path(), model()).unwrap()), bits(&first));
}

// What a crash leaves: a checkpoint half-written under its other name, one without its manifest,
// and one half-removed.
#[test]
fn what_a_crash_leaves_behind_does_not_stop_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let (straight, _) = fit(trainer("mixed"));
    fit(trainer("mixed").checkpoints(folder.path()).until(2));
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("step-00000012.tmp")).unwrap();
    fs::write(at("step-00000012.tmp/model.bpk"), "half").unwrap();
    fs::create_dir(at("step-00000012")).unwrap();
    fs::copy(at("step-00000008/model.bpk"), at("step-00000012/model.bpk")).unwrap();
    fs::remove_file(at("step-00000004/model.bpk")).unwrap();
    let (resumed, _) = fit(trainer("mixed").resume(folder.path()).unwrap());
    assert_eq!(bits(&resumed), bits(&straight));
}

#[test]
fn a_loss_that_explodes_is_named_with_its_epoch_and_step() {
    let learning_rate = LearningRate::constant(1e30);
    let config = TrainConfig { learning_rate, ..config() };
    let (train, validation) = rows();
    let trainer = Trainer::new(model(), process("mixed"), config, &Device::flex()).unwrap();
    let error = trainer.fit(&train, &validation).unwrap_err();
    let TrainError::NonFinite { epoch: 1, step: 2, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("at epoch 1, step 2"), "{error}");
}

#[test]
fn sets_without_rows_and_bad_settings_are_refused() {
    let (train, _) = rows();
    let error = trainer("mixed").fit(&train, &train.take(0)).unwrap_err().to_string();
    assert_eq!(error, "the validation set has no rows");
    let config = TrainConfig { batch_size: 0, ..config() };
    let error = Trainer::new(model(), process("mixed"), config, &Device::flex()).unwrap_err();
    assert_eq!(error.to_string(), "`batch_size` must be between 1 and 4294967295, but is 0");
}

/// A process that notes how far training has come.
#[derive(Debug)]
struct Clock(std::sync::Arc<Mutex<Vec<f64>>>);

impl Corruption<4> for Clock {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        self.0.lock().unwrap().push(draws.progress());
        CorruptedInput::unchanged(clean)
    }

    fn strength(&self) -> Strength {
        Corruption::<4>::strength(&Clean)
    }

    fn at_level(&self, _level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Clean))
    }
}

// Three epochs of three steps each; validation in between is at the end of every schedule.
#[test]
fn schedules_follow_the_epochs_and_validation_their_end() {
    let (train, held_out) = rows();
    let (train, held_out) = (train.take(60), held_out.take(10));
    let seen = std::sync::Arc::new(Mutex::new(vec![]));
    let config = TrainConfig { epochs: 3, batch_size: 20, ..TrainConfig::default() };
    let clock = Box::new(Clock(seen.clone()));
    let trainer = Trainer::new(model(), clock, config, &Device::flex()).unwrap();
    trainer.fit(&train, &held_out).unwrap();
    let epoch = |progress| [progress, progress, progress, 1.0];
    assert_eq!(*seen.lock().unwrap(), [epoch(0.0), epoch(0.5), epoch(1.0)].concat());
}

#[test]
fn rows_that_the_corruption_does_not_fit_are_refused_before_training() {
    let (train, held_out) = rows();
    let process = Masking::new(0.5).unwrap().fill_features(vec![0.0; 7]).unwrap();
    let config = TrainConfig::default();
    let trainer =
        Trainer::<4, _>::new(model(), Box::new(process), config, &Device::flex()).unwrap();
    let error = trainer.fit(&train, &held_out).unwrap_err().to_string();
    assert!(error.contains("`fill` does not fit rows of shape [1, 28, 28]"), "{error}");
}

// The mask tells a hole from a dark pixel; without it the encoder sees another shape.
#[test]
fn a_model_that_is_shown_the_mask_trains_and_is_measured() {
    let (train, held_out) = rows();
    let device = Device::flex();
    let model = AutoencoderConfig {
        mask_input: true,
        ..AutoencoderConfig::new(MlpConfig::new(&[24]), &IMAGE, 4)
    };
    let model = model.init(Key::new(1).purpose(Purpose::Weights), &device).unwrap();
    let shown = ShowMask::new(process("masking:0.5")).unwrap();
    let reports = Reports::default();
    let trainer = Trainer::new(model, Box::new(shown), config(), &device).unwrap();
    trainer.observe(reports.clone()).fit(&train, &held_out).unwrap();
    let reports = reports.all();
    let bounds = |report: &Report| {
        let validation = &report.validation;
        [validation.clean.mean.elbo, validation.corrupted.mean.elbo]
    };
    let ([clean_first, first], [clean_last, last]) = (bounds(&reports[0]), bounds(&reports[3]));
    // No training row was whole, so clean ones gain less.
    assert!(clean_last > clean_first + 5.0 && last > first + 20.0, "{reports:?}");
}

/// Erases the second entry of a row.
#[derive(Debug)]
struct HideSecond;

impl Corruption<2> for HideSecond {
    fn corrupt(&self, clean: Tensor<2>, _draws: &mut RowStreams) -> CorruptedInput<2> {
        let second = Tensor::<2>::from_floats([[0.0, 1.0, 0.0, 0.0]], &clean.device()).bool();
        let changed = second.expand(clean.dims());
        CorruptedInput::erased(clean.mask_fill(changed.clone(), 0.0), changed)
    }

    fn strength(&self) -> Strength {
        Corruption::<2>::strength(&Clean)
    }

    fn at_level(&self, _level: Level) -> Result<Box<dyn Corruption<2>>, CorruptionError> {
        Ok(Box::new(Clean))
    }
}

// Entries 0 to 3 of a row: 1 is hidden by the process, 2 was never observed.
#[test]
fn holes_are_shown_in_the_mask_as_what_was_hidden_is() {
    let device = Device::flex();
    let clean = Tensor::<2>::from_floats([[0.1, 0.2, 0.0, 0.4]], &device);
    let observed = Tensor::<2>::from_floats([[1.0, 1.0, 0.0, 1.0]], &device).bool();
    let hide_second = ShowMask::new(HideSecond).unwrap();
    let draws = &mut Key::new(1).rows(&[0]);
    let batch = CorruptedBatch::new(clean, Some(observed), &hide_second, 1, draws);
    let shown = batch.corrupted().input.to_data();
    let expected = [0.1f32, 0.0, 0.0, 0.4, 0.0, 1.0, 1.0, 0.0];
    assert_eq!(shown.try_to_vec::<f32>().unwrap(), expected);
    assert_eq!(batch.values().into_data().try_to_vec::<f32>().unwrap(), expected[..4]);
}
