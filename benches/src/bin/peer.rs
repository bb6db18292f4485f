//! The program that `benches/peers/compare.py` runs for dvae; the Python files beside it do the same work.
//!
//! ```text
//! cargo run --release --workspace --bin peer -- train|denoise|epochs mlp|conv|ladder BATCH SIDE COUNT BACKEND
//! ```
//!
//! Prints the median milliseconds of `COUNT` steps after `COUNT / 10` warm-up steps, at least one, or the seconds per
//! epoch over `COUNT` epochs.

use std::time::Instant;

use dvae::prelude::*;
use dvae_benches::{Steps, images};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, model, batch, side, count, backend] = &args[..] else {
        eprintln!("usage: peer train|denoise|epochs mlp|conv|ladder BATCH SIDE COUNT BACKEND");
        std::process::exit(2);
    };
    let [batch, side, count] =
        [batch, side, count].map(|text| text.parse::<usize>().expect("a number"));
    let device = dvae_benches::device(backend.parse().expect("a back end"));
    let model = match model.as_str() {
        "mlp" => dvae_benches::mlp(side, &device),
        "conv" => dvae_benches::conv(side, &device),
        "ladder" => dvae_benches::ladder(side, &device),
        other => panic!("no model {other}"),
    };
    let mut result = 0.0;
    // The loop runs inside the pool, as in training.
    rayon::scope(|_| {
        result = match mode.as_str() {
            "train" => {
                let device = device.clone().autodiff();
                let mut steps = Steps::new(model, batch, side, &device);
                median(count, || steps.step())
            }
            "denoise" => {
                let (rows, _) = images(batch, side, &device);
                median(count, || {
                    let _ = model.denoise(rows.clone());
                    device.sync().expect("a device that works");
                })
            }
            "epochs" => epoch(model, batch, count, &device),
            other => panic!("nothing to do called {other}"),
        };
    });
    println!("{result:.4}");
}

/// Median milliseconds.
fn median(count: usize, mut step: impl FnMut()) -> f64 {
    let times = (0..count + count / 10 + 1).map(|_| {
        let start = Instant::now();
        step();
        start.elapsed().as_secs_f64() * 1e3
    });
    let mut times: Vec<f64> = times.skip(count / 10 + 1).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The seconds of an epoch of the main example: mixed corruption, metrics, validation, checkpoint.
fn epoch<V: Vae<4>>(model: V, batch: usize, epochs: usize, device: &Device) -> f64 {
    let config = TrainConfig {
        epochs,
        batch_size: batch,
        learning_rate: LearningRate::cosine(2e-3, 1e-4),
        ..TrainConfig::default()
    };
    let corruption = "mixed".parse::<CorruptionConfig>().expect("a corruption").build(Domain::Unit);
    let corruption = corruption.expect("a corruption in range");
    let (train, held_out) = fashion_mnist().train.split(250, Key::new(1)).expect("enough rows");
    let path = std::env::temp_dir().join(format!("dvae-peer-{}", std::process::id()));
    let folder = RunFolder::new(&path).expect("a new folder");
    let trainer = Trainer::new(model, corruption, config, device).expect("a right configuration");
    let metrics = JsonLines::new(folder.metrics());
    let trainer = trainer.checkpoints(folder.checkpoints()).observe(metrics);
    let start = Instant::now();
    trainer.fit(&train, &held_out).expect("a training that works");
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&path).expect("a folder that was written");
    seconds / epochs as f64
}
