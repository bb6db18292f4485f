//! Trains a denoising VAE on real images, and a plain VAE to compare it with.
//!
//! ```text
//! cargo run --release --example denoise_images -- --help
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use dvae::eval::samples;
use dvae::models::ModelError;
use dvae::prelude::*;
use dvae::train::{Observer, load_weights};
use dvae_examples::Error;
use serde::Serialize;

/// Trains a denoising VAE on images, compares it with a plain VAE, and writes pictures.
#[derive(Parser, Serialize)]
struct Args {
    /// Folder of IDX files (MNIST, Fashion-MNIST, …) [default: an embedded part of Fashion-MNIST]
    #[arg(long)]
    data: Option<PathBuf>,
    /// none, gaussian[:SIGMA], masking[:RATE], salt-and-pepper[:RATE], mostly-pepper[:RATE], mixed
    #[arg(long, default_value = "mixed")]
    corruption: CorruptionConfig,
    /// Which network
    #[arg(long, value_enum, default_value_t = Model::Conv)]
    model: Model,
    /// Passes over the training images
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    /// Images a step
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Number of latents
    #[arg(long, default_value_t = 32)]
    latent: usize,
    /// What all randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// flex, or another back end that is compiled in, as by `--features wgpu`
    #[arg(long, default_value = "flex")]
    backend: String,
    /// Folder of the run, new or empty [default: runs/denoise_images-001, or the next number]
    #[arg(long)]
    #[serde(skip)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Model {
    /// Fully connected, one hidden layer of 400
    Mlp,
    /// Convolutional, 32 and 64 channels
    Conv,
}

/// The resolved configuration, as it stands in the run folder.
#[derive(Serialize)]
struct Resolved<'a> {
    args: &'a Args,
    train: &'a TrainConfig,
}

fn main() -> ExitCode {
    dvae_examples::exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Error> {
    let device = args.backend.parse::<Backend>()?.device()?;
    let sets = args.data.as_deref().map_or_else(|| Ok(fashion_mnist()), read_idx_folder)?;
    let (image, latent) = (sets.train.event(), args.latent);
    let key = Key::new(args.seed).purpose(Purpose::Weights);
    match args.model {
        Model::Mlp => {
            compare(args, &sets, &device, || MlpVaeConfig::new(image, latent).init(key, &device))
        }
        Model::Conv => {
            compare(args, &sets, &device, || ConvVaeConfig::new(image, latent).init(key, &device))
        }
    }
}

/// Trains a plain and a denoising VAE from the same weights, for equally long.
fn compare<V: Vae<4>>(
    args: &Args,
    sets: &Sets,
    device: &Device,
    init: impl Fn() -> Result<V, ModelError>,
) -> Result<(), Error> {
    let config = TrainConfig {
        epochs: args.epochs,
        batch_size: args.batch_size,
        learning_rate: LearningRate::Cosine { start: 2e-3, end: 1e-4 },
        seed: args.seed,
        ..TrainConfig::default()
    };
    let plain = Trainer::new(init()?, Box::new(Clean), config.clone(), device)?;
    let denoising = Trainer::new(init()?, args.corruption.build()?, config.clone(), device)?;
    let key = Key::new(args.seed);
    let (train, held_out) = sets.train.split(sets.train.len() / 20, key.purpose(Purpose::Split))?;

    // Nothing is written before everything that the user chose has been checked.
    let folder = match &args.out {
        Some(path) => RunFolder::new(path)?,
        None => RunFolder::numbered(Path::new("runs"), "denoise_images")?,
    };
    folder.write("config.toml", toml::to_string(&Resolved { args, train: &config })?.as_bytes())?;
    let baseline = folder.subfolder("plain-vae")?;
    let fit = |trainer: Trainer<4, V>, name: &str, folder: &RunFolder| {
        let observers: &mut [Box<dyn Observer>] =
            &mut [Box::new(Progress::new(name)), Box::new(JsonLines::new(folder.metrics()))];
        trainer.checkpoints(folder.checkpoints()).fit(&train, &held_out, observers)
    };
    let plain = fit(plain, "plain VAE    ", &baseline)?;
    fit(denoising, "denoising VAE", &folder)?;
    // From here on the denoising model is the one that its checkpoint holds.
    let denoising = load_weights(&folder.checkpoints(), init()?)?;

    let comparison = Comparison {
        models: &[("plain VAE", &plain), ("denoising VAE", &denoising)],
        rows: &sets.test,
        corruptions: &CorruptionConfig::standard_three(),
        key,
        device,
    };
    let figures = comparison.measure()?;
    println!("\n{figures}");
    folder.write("results.json", &serde_json::to_vec_pretty(&figures)?)?;
    comparison.picture(12)?.save(&folder.path().join("denoised.png"))?;
    samples(&denoising, 6, 12, key).save(&folder.path().join("samples.png"))?;
    println!("Pictures, metrics and checkpoints are in {}", folder.path().display());
    Ok(())
}
