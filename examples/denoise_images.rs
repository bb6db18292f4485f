//! Trains a denoising VAE on real images, and compares it with a plain VAE.
//!
//! ```text
//! cargo run --release --example denoise_images -- --help
//! ```

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use dvae::eval::samples;
use dvae::losses::WarmUp;
use dvae::models::ModelError;
use dvae::prelude::*;
use dvae::train::{Decay, load_checkpoint};
use dvae_examples::{Defaults, Error, Options, exit, fit};
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

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Model {
    /// Fully connected, one hidden layer of 400
    Mlp,
    /// Convolutional, 32 and 64 channels
    Conv,
    /// A ladder of maps of latents, 16, 32 and 32 channels
    Ladder,
}

impl Model {
    /// The options that are not given.
    fn defaults(self) -> Defaults {
        match self {
            Self::Mlp | Self::Conv => Defaults::default(),
            Self::Ladder => Defaults { epochs: 4, batch_size: 16, latent: 4 },
        }
    }

    fn config(self, image: &[usize], latent: usize) -> AutoencoderConfig {
        match self {
            Self::Mlp => AutoencoderConfig::mlp(image, latent),
            Self::Conv => AutoencoderConfig::conv(image, latent),
            Self::Ladder => AutoencoderConfig {
                likelihood: LikelihoodConfig::SharedNormal {
                    min_scale: 0.02,
                    initial_scale: Some(0.1),
                },
                ..AutoencoderConfig::ladder(image, latent)
            },
        }
    }

    fn training(self, options: &Options) -> TrainConfig {
        let train = options.training();
        let warm_up = WarmUp { from: 0.0, to: 0.25, until: 0.3 };
        match self {
            Self::Mlp | Self::Conv => train,
            // With a learned scale the bound alone leaves out detail whose variance is below that of the noise it
            // expects; a quarter of the KL leaves out a quarter of that.
            Self::Ladder => TrainConfig {
                learning_rate: LearningRate {
                    rate: 4e-3,
                    warm_up: 0.05,
                    decay: Decay::Cosine { to: 1e-4 },
                },
                max_gradient_norm: Some(500.0),
                objective: KlTerm::Weighted { beta: Schedule::Linear(warm_up) }.into(),
                ..train
            },
        }
    }
}

/// The configuration that the run folder keeps: enough to rebuild the model.
#[derive(Serialize)]
struct Resolved<'a, C> {
    version: &'a str,
    held_out: usize,
    args: &'a Args,
    train: &'a TrainConfig,
    model: &'a C,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    args.options = args.options.or(args.model.defaults());
    exit(run(&args))
}

fn run(args: &Args) -> Result<(), Error> {
    let (device, sets) = (args.options.device()?, args.options.sets()?);
    let config = args.model.config(sets.train.event(), args.options.latent());
    let key = Key::new(args.options.seed).purpose(Purpose::Weights);
    compare(args, &sets, &device, &config, || config.init(key, &device))
}

/// Trains a plain and a denoising VAE from the same initial weights, for the same number of steps.
fn compare<V: Vae<4>>(
    args: &Args,
    sets: &Sets,
    device: &Device,
    model: &impl Serialize,
    init: impl Fn() -> Result<V, ModelError>,
) -> Result<(), Error> {
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

    // The training corruption comes first, unless it is one of the others or a combination of them.
    let mut corruptions = CorruptionConfig::standard_three().to_vec();
    let mixed =
        matches!(args.corruption, CorruptionConfig::None {} | CorruptionConfig::OneOf { .. });
    if !mixed && !corruptions.contains(&args.corruption) {
        corruptions.insert(0, args.corruption.clone());
    }
    let comparison = Comparison {
        models: &[("plain VAE", &plain), ("denoising VAE", &denoising)],
        rows: &sets.test,
        tuning: Some(&split.1),
        corruptions: &corruptions,
        context: EvaluationContext {
            key: Key::new(train.seed),
            batch_size: train.batch_size,
            device,
        },
    };
    let metrics = comparison.measure()?;
    println!("\n{metrics}");
    folder.write("results.json", &serde_json::to_vec_pretty(&metrics)?)?;
    folder.write("denoised.png", &comparison.picture(12, &metrics)?.png())?;
    folder.write("samples.png", &samples(&denoising, 6, 12, comparison.context.key).png())?;
    println!("Pictures, metrics and checkpoints are in {}", folder.path().display());
    Ok(())
}
