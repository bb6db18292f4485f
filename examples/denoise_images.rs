//! Trains a denoising VAE on real images, and a plain VAE to compare it with.
//!
//! ```text
//! cargo run --release --example denoise_images -- --help
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use dvae::models::ModelError;
use dvae::prelude::*;
use dvae::train::{Observer, Streams, load_weights};
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
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Images a step
    #[arg(long, default_value_t = 128)]
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

    print_table(&plain, &denoising, &sets.test, key, device)?;
    draw(&plain, &denoising, &sets.test, key, device, &folder)?;
    println!("\nThe run is in {}", folder.path().display());
    Ok(())
}

fn print_table<V: Vae<4>>(plain: &V, denoising: &V, test: &Dataset, key: Key, device: &Device) -> Result<(), Error> {
    println!("\n{} test images     |  PSNR, dB                    |  bound, nats", test.len());
    println!("                     |  corrupted  plain  denoising | clean: plain  denoising | corrupted: plain denoising");
    for corruption in CorruptionConfig::standard_three() {
        let process = corruption.build::<4>()?;
        let p = dvae::eval::denoising(plain, test, &*process, key, 500, device)?;
        let d = dvae::eval::denoising(denoising, test, &*process, key, 500, device)?;
        println!("{corruption:20} | {:8.1} {:8.1} {:8.1} | {:8.1} {:8.1} | {:8.1} {:8.1}", p.psnr_input, p.psnr_output, d.psnr_output, p.clean.elbo, d.clean.elbo, p.corrupted.elbo, d.corrupted.elbo);
    }
    Ok(())
}

fn draw<V: Vae<4>>(plain: &V, denoising: &V, test: &Dataset, key: Key, device: &Device, folder: &RunFolder) -> Result<(), Error> {
    let test = test.take(12);
    let mut grid = Grid::new();
    for corruption in CorruptionConfig::standard_three() {
        let clean = test.gather::<4>(test.ids(), device);
        let mut streams = Streams::evaluation(key, test.ids());
        let input = corruption.build()?.corrupt(clean.clone(), &mut streams.corruption).input;
        grid = grid
            .heading(corruption.to_string())
            .row("clean", clean)
            .row("corrupted", input.clone())
            .row("plain VAE", plain.denoise(input.clone()))
            .row("denoised", denoising.denoise(input));
    }
    grid.save(&folder.path().join("denoised.png"))?;
    let mut samples = Grid::new();
    for row in 0..6 {
        let mut draws = key.purpose(Purpose::Sampling).rows(&Vec::from_iter(row * 12..row * 12 + 12));
        samples = samples.row("", denoising.decode(denoising.prior_sample(&mut draws)).mean());
    }
    samples.save(&folder.path().join("samples.png"))?;
    Ok(())
}
