//! One denoising VAE per training level, each tested at every level: how far does robustness extend?
//!
//! ```text
//! cargo run --release --example robustness -- --help
//! ```

use std::process::ExitCode;

use clap::Parser;
use dvae::eval::{Robustness, Tested, denoising};
use dvae::prelude::*;
use dvae_examples::{Defaults, Error, Options, exit, fit};
use serde::Serialize;

/// Trains one VAE per level of a corruption, and measures each of them at every level.
#[derive(Parser, Serialize)]
#[command(mut_arg("epochs", |arg| arg.default_value("10")))]
struct Args {
    /// A process by name; its levels are none, and severities 1 to 5
    #[arg(long, default_value = "gaussian")]
    corruption: CorruptionConfig,
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    args.options = args.options.or(Defaults::default());
    exit(run(&args))
}

fn run(args: &Args) -> Result<(), Error> {
    let (device, sets) = (args.options.device()?, args.options.sets()?);
    let process = args.corruption.build::<4>(Domain::Unit)?;
    process.check(sets.train.event())?;
    let scale = process.strength().scale;
    let levels = [&[scale.null], &scale.severities[..]].concat();
    let config = AutoencoderConfig::conv(sets.train.event(), args.options.latent());
    let key = Key::new(args.options.seed);
    let model = || config.init(key.purpose(Purpose::Weights), &device);
    let split = args.options.split(&sets.train)?;
    let train = args.options.training();
    train.check()?;
    model()?;
    let processes: Vec<_> =
        levels.iter().map(|&level| process.at_level(level.into())).collect::<Result<_, _>>()?;

    let folder = args.options.folder("robustness")?;
    folder.write("config.toml", toml::to_string(args)?.as_bytes())?;
    let mut models = Vec::new();
    for &level in &levels {
        // At the null level this is a plain VAE.
        let corruption = process.at_level(level.into())?;
        let trainer = Trainer::new(model()?, corruption, train.clone(), &device)?;
        let name = format!("{} {level}", scale.name);
        let trained = fit(trainer, &name, &split, &folder.subfolder(&format!("level-{level}"))?)?;
        let context = EvaluationContext::new(key, train.batch_size, &device);
        let metrics =
            processes.iter().map(|process| denoising(&trained, &sets.test, &**process, &context));
        models.push(Tested { trained_at: level, metrics: metrics.collect::<Result<_, _>>()? });
    }

    let corruption = format!("{} {}", args.corruption.name(), scale.name);
    let robustness = Robustness { corruption, levels, models };
    println!("\n{robustness}");
    folder.write("results.json", &serde_json::to_vec_pretty(&robustness)?)?;
    folder.write("psnr.png", &robustness.psnr().png())?;
    folder.write("bound.png", &robustness.bound().png())?;
    println!("Pictures, metrics and checkpoints are in {}", folder.path().display());
    Ok(())
}
