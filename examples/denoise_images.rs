//! Trains a denoising VAE on real images, and compares it with a plain VAE.
//!
//! ```text
//! cargo run --release --example denoise_images -- --help
//! ```

use std::process::ExitCode;

use clap::Parser;
use dvae::eval::samples;
use dvae::prelude::*;
use dvae::train::load_checkpoint;
use dvae_examples::{Error, Model, Options, exit, fit};
use serde::Serialize;

/// Trains a denoising VAE on images, compares it with a plain VAE, and writes pictures.
#[derive(Parser, Serialize)]
struct Args {
    /// none, mixed, or a process: NAME, NAME:LEVEL, NAME:LOW..HIGH or NAME@SEVERITY, several joined by +
    #[arg(long, default_value = "mixed")]
    corruption: CorruptionConfig,
    /// Which network
    #[arg(long, value_enum, default_value_t = Model::Ladder)]
    model: Model,
    #[command(flatten)]
    options: Options,
}

/// The configuration that the run folder keeps: enough to rebuild the model.
#[derive(Serialize)]
struct Resolved<'a> {
    version: &'a str,
    held_out: usize,
    args: &'a Args,
    train: &'a TrainConfig,
    model: &'a AutoencoderConfig,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    args.options = args.options.or(args.model.defaults());
    exit(run(&args))
}

/// Trains a plain and a denoising VAE from the same initial weights, for the same number of steps, and compares them.
fn run(args: &Args) -> Result<(), Error> {
    let (device, sets) = (&args.options.device()?, args.options.sets()?);
    let model = &args.model.config(sets.train.event(), args.options.latent());
    let init = || model.init(Key::new(args.options.seed).purpose(Purpose::Weights), device);
    let train = args.model.training(&args.options);
    let plain = Trainer::new(init()?, Box::new(Clean), train.clone(), device)?;
    let denoising =
        Trainer::new(init()?, args.corruption.build(Domain::Unit)?, train.clone(), device)?;
    let split = args.options.split(&sets.train)?;
    let (version, held_out) = (env!("CARGO_PKG_VERSION"), split.1.len());
    let resolved = toml::to_string(&Resolved { version, held_out, args, train: &train, model })?;

    // Nothing is written before all options have been checked.
    let folder = args.options.folder("denoise_images")?;
    folder.write("config.toml", resolved.as_bytes())?;
    let plain = fit(plain, "plain VAE    ", &split, &folder.subfolder("plain-vae")?)?;
    fit(denoising, "denoising VAE", &split, &folder)?;
    // From here on the denoising model has the weights of its checkpoint.
    let denoising = load_checkpoint(&folder.checkpoints(), init()?)?;

    let corruptions = corruptions(&args.corruption);
    let comparison = Comparison {
        models: &[("plain VAE", &plain), ("denoising VAE", &denoising)],
        rows: &sets.test,
        tuning: Some(&split.1),
        corruptions: &corruptions,
        context: EvaluationContext::new(Key::new(train.seed), train.batch_size, device),
    };
    let metrics = comparison.measure()?;
    println!("\n{metrics}");
    folder.write("results.json", &serde_json::to_vec_pretty(&metrics)?)?;
    folder.write("denoised.png", &comparison.picture(12, &metrics)?.png())?;
    folder.write("samples.png", &samples(&denoising, 6, 12, comparison.context.key).png())?;
    println!("Pictures, metrics and checkpoints are in {}", folder.path().display());
    Ok(())
}

/// The standard three. The corruption of the training comes first, unless it is one of them or a combination of them.
fn corruptions(training: &CorruptionConfig) -> Vec<CorruptionConfig> {
    let mut corruptions = CorruptionConfig::standard_three().to_vec();
    let mixed = matches!(training, CorruptionConfig::None {} | CorruptionConfig::OneOf { .. });
    if !mixed && !corruptions.contains(training) {
        corruptions.insert(0, training.clone());
    }
    corruptions
}
