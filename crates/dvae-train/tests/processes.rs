//! Several processes train one model: to the bit as one does, whatever their number. Threads stand in for processes.

#![allow(clippy::unwrap_used)] // A test may panic.

mod bits;
mod reports;

use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};

use bits::bits;
use burn::tensor::Device;
use dvae_corruption::{CorruptionConfig, Domain};
use dvae_data::{Dataset, fashion_mnist};
use dvae_losses::{KlTerm, Objective};
use dvae_models::{AnyNetwork, Autoencoder, AutoencoderConfig, MlpConfig};
use dvae_random::{Key, Purpose};
use dvae_train::{
    Communicator, EarlyStopping, End, EvaluationContext, Every, Interrupt, Report, Single,
    TimeLimit, TrainConfig, TrainError, Trainer, evaluate, row_bounds,
};
use reports::Reports;

/// What threads hand to each other: one place for each.
#[derive(Debug)]
struct Mail {
    meet: Barrier,
    numbers: Vec<Mutex<Vec<f32>>>,
    bytes: Vec<Mutex<Vec<u8>>>,
}

#[derive(Clone, Debug)]
struct Thread {
    rank: usize,
    mail: Arc<Mail>,
}

impl Thread {
    fn group(size: usize) -> Vec<Self> {
        let mail = Arc::new(Mail {
            meet: Barrier::new(size),
            numbers: (0..size).map(|_| Mutex::default()).collect(),
            bytes: (0..size).map(|_| Mutex::default()).collect(),
        });
        (0..size).map(|rank| Self { rank, mail: mail.clone() }).collect()
    }

    /// What all threads give, in their order.
    fn all<T: Clone>(&self, places: &[Mutex<T>], own: T) -> Vec<T> {
        *places[self.rank].lock().unwrap() = own;
        self.mail.meet.wait();
        let all = places.iter().map(|place| place.lock().unwrap().clone()).collect();
        self.mail.meet.wait();
        all
    }
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.mail.bytes.len()
    }

    fn exchange(&self, numbers: &[f32], sent: &[usize], received: &[usize]) -> Vec<f32> {
        assert_eq!(numbers.len(), sent.iter().sum::<usize>());
        let all = self.all(&self.mail.numbers, numbers.to_vec());
        let counts = self.gather(serde_json::to_vec(sent).unwrap());
        let part = |(numbers, counts): (Vec<f32>, Vec<u8>)| {
            let counts: Vec<usize> = serde_json::from_slice(&counts).unwrap();
            let start = counts[..self.rank].iter().sum();
            numbers[start..][..counts[self.rank]].to_vec()
        };
        let parts: Vec<Vec<f32>> = all.into_iter().zip(counts).map(part).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), received);
        parts.concat()
    }

    fn collect(&self, numbers: &[f32], counts: &[usize]) -> Vec<f32> {
        let all = self.all(&self.mail.numbers, numbers.to_vec());
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), counts);
        all.concat()
    }

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        self.all(&self.mail.bytes, bytes)
    }
}

fn model() -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig::new(MlpConfig::new(&[24]), &[1, 28, 28], 4);
    config.init(Key::new(1).purpose(Purpose::Weights), &Device::flex()).unwrap()
}

/// 11 batches of an epoch make three steps of four, four and three batches; the last batch is smaller.
fn rows() -> (Dataset, Dataset) {
    fashion_mnist().test.take(116).split(30, Key::new(0)).unwrap()
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 3, batch_size: 8, accumulate: 4, ..TrainConfig::default() }
}

fn trainer(config: &TrainConfig) -> Trainer<4, Autoencoder<AnyNetwork>> {
    let corruption = "gaussian:0.3".parse::<CorruptionConfig>().unwrap();
    let corruption = corruption.build(Domain::Unit).unwrap();
    Trainer::new(model(), corruption, config.clone(), &Device::flex()).unwrap()
}

/// What a training leaves: the weights, how it ended, and what was measured.
#[derive(Debug, PartialEq)]
struct Outcome {
    weights: Vec<u8>,
    end: End,
    reports: Vec<Report>,
}

type Trained = Result<Outcome, TrainError>;

/// Trains on so many threads; `each` changes the trainer of a rank.
fn trained(
    size: usize,
    config: &TrainConfig,
    each: impl Fn(usize, Trainer<4, Autoencoder<AnyNetwork>>) -> Trainer<4, Autoencoder<AnyNetwork>>
    + Sync,
) -> Vec<Trained> {
    let (train, validation) = rows();
    let one = |thread: Thread| {
        let reports = Reports::default();
        let rank = thread.rank;
        let trainer = trainer(config).communicator(Arc::new(thread)).observe(reports.clone());
        // Threads that wait for each other must not wait for the same pool.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let trained = pool.install(|| each(rank, trainer).fit(&train, &validation))?;
        let mut reports = reports.all();
        reports.iter_mut().for_each(|report| report.seconds = 0.0);
        Ok(Outcome { weights: bits(&trained.model), end: trained.end, reports })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            Thread::group(size).into_iter().map(|thread| scope.spawn(|| one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn any_number_of_processes_trains_to_the_bits_of_one() {
    let early = EarlyStopping { patience: 1, improvement: 100.0 };
    let configs = [
        config(),
        TrainConfig {
            max_gradient_norm: Some(20.0),
            ema: Some(0.9),
            early_stopping: Some(early),
            ..config()
        },
        TrainConfig {
            objective: KlTerm::TotalCorrelation { alpha: 1.0, beta: 4.0, gamma: 1.0 }.into(),
            validate: Every::Steps(2),
            ..config()
        },
        TrainConfig { objective: KlTerm::FreeBits { nats: 0.5, group: 1 }.into(), ..config() },
        TrainConfig { objective: Objective::diwae(2, 3), ..config() },
    ];
    for config in configs {
        let alone = trained(1, &config, |_, trainer| trainer).remove(0).unwrap();
        assert!(!alone.reports.is_empty());
        for size in [2, 3, 4] {
            for (rank, found) in
                trained(size, &config, |_, trainer| trainer).into_iter().enumerate()
            {
                assert!(found.unwrap() == alone, "rank {rank} of {size}: {:?}", config.objective);
            }
        }
    }
}

#[test]
fn processes_share_the_batches_of_a_step() {
    let config = TrainConfig { accumulate: 2, ..config() };
    for error in trained(3, &config, |_, trainer| trainer) {
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("3 processes share the batches of a step, but `accumulate` is 2"),
            "{error}"
        );
    }
}

fn checkpoints(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn an_interrupt_of_one_process_ends_all_and_any_number_goes_on() {
    let alone = trained(1, &config(), |_, trainer| trainer).remove(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (saved, weights) = (folder.path().join("checkpoints"), folder.path().to_path_buf());
    let stopped = trained(3, &config(), |rank, trainer| {
        let interrupt = Interrupt::new();
        if rank == 2 {
            interrupt.set();
        }
        trainer
            .interrupt(interrupt)
            .checkpoints(saved.join(format!("{rank}")))
            .weights(weights.join(format!("{rank}")))
    });
    for (rank, found) in stopped.into_iter().enumerate() {
        assert_eq!(found.unwrap().end, End::Interrupted);
        // The first one writes.
        assert_eq!(checkpoints(&saved.join(format!("{rank}"))), usize::from(rank == 0));
    }
    for size in [2, 1] {
        for found in trained(size, &config(), |_, trainer| trainer.resume(saved.join("0")).unwrap())
        {
            assert!(found.unwrap().weights == alone.weights, "{size}");
        }
    }
}

#[test]
fn the_time_of_one_process_is_up_for_all() {
    let limit = Some(TimeLimit::Seconds(1e-9));
    for found in trained(2, &TrainConfig { time_limit: limit, ..config() }, |_, trainer| trainer) {
        assert_eq!(found.unwrap().end, End::OutOfTime);
    }
}

#[test]
fn what_fails_on_one_process_ends_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let outcomes = trained(2, &config(), |rank, trainer| match rank {
        0 => trainer.weights(file.join("weights")),
        _ => trainer,
    });
    let errors: Vec<String> =
        outcomes.into_iter().map(|found| found.unwrap_err().to_string()).collect();
    assert!(
        errors[0].contains("weights") && errors[1].starts_with("another process could not go on"),
        "{errors:?}"
    );
}

#[test]
fn measures_are_shared_to_the_bits_of_one() {
    let (rows, _) = rows();
    let corruption = "gaussian:0.3".parse::<CorruptionConfig>().unwrap();
    let corruption = corruption.build::<4>(Domain::Unit).unwrap();
    let (model, device) = (model(), Device::flex());
    let measured = |group: &dyn Communicator| {
        let context =
            EvaluationContext { group, ..EvaluationContext::new(Key::new(2), 9, &device) };
        let objective = Objective::diwae(1, 3);
        let bound = evaluate(&model, &rows, &*corruption, &objective, &context).unwrap();
        (bound, row_bounds(&model, &rows, &*corruption, &objective, &context).unwrap())
    };
    let alone = measured(&Single);
    assert_eq!(alone.1.len(), 86);
    // 12 does more than there are batches.
    for size in [1, 2, 3, 12] {
        std::thread::scope(|scope| {
            for thread in Thread::group(size) {
                let (measured, alone) = (&measured, &alone);
                scope.spawn(move || {
                    // Threads that wait for each other must not wait for the same pool.
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
                    assert_eq!(pool.install(|| measured(&thread)), *alone, "{size}");
                });
            }
        });
    }
}
