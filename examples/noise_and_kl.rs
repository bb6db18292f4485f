//! One denoising VAE per noise level and KL weight: how should the two be chosen together?
//!
//! ```text
//! cargo run --release --example noise_and_kl -- --help
//! ```

use std::process::ExitCode;

use clap::Parser;
use dvae::eval::{Denoising, Heatmap, active_units, denoising, latent_activity};
use dvae::prelude::*;
use dvae_examples::{Defaults, Error, Options, exit, fit};
use serde::Serialize;

/// Trains one VAE per noise level and KL weight, and measures all of them under one noise.
#[derive(Parser, Serialize)]
#[command(mut_arg("epochs", |arg| arg.default_value("10")))]
struct Args {
    /// Standard deviations of the training noise
    #[arg(long, value_delimiter = ',', default_value = "0,0.2,0.4,0.8")]
    sigmas: Vec<f64>,
    /// Weights of the KL
    #[arg(long, value_delimiter = ',', default_value = "0.25,1,4,16")]
    betas: Vec<f64>,
    /// Standard deviation of the noise that they are tested with
    #[arg(long, default_value_t = 0.3)]
    test_sigma: f64,
    #[command(flatten)]
    options: Options,
}

/// The metrics of one model.
#[derive(Serialize)]
struct Cell {
    sigma: f64,
    beta: f64,
    active_units: usize,
    #[serde(flatten)]
    metrics: Denoising,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    args.options = args.options.or(Defaults::default());
    exit(run(&args))
}

fn run(args: &Args) -> Result<(), Error> {
    let (device, sets) = (args.options.device()?, args.options.sets()?);
    let config = AutoencoderConfig::conv(sets.train.event(), args.options.latent());
    let key = Key::new(args.options.seed);
    let split = args.options.split(&sets.train)?;
    let test = Gaussian::new(args.test_sigma)?;
    let mut trainers = Vec::new();
    for (&sigma, &beta) in args.sigmas.iter().flat_map(|s| args.betas.iter().map(move |b| (s, b))) {
        let objective = KlTerm::Weighted { beta: Schedule::Constant(beta) }.into();
        let train = TrainConfig { objective, ..args.options.training() };
        let model = config.init(key.purpose(Purpose::Weights), &device)?;
        let trainer = Trainer::new(model, Gaussian::new(sigma)?, train, &device)?;
        trainers.push((sigma, beta, trainer));
    }

    let folder = args.options.folder("noise_and_kl")?;
    folder.write("config.toml", toml::to_string(args)?.as_bytes())?;
    let mut cells = Vec::new();
    for (sigma, beta, trainer) in trainers {
        let name = format!("sigma {sigma}, beta {beta}");
        let subfolder = folder.subfolder(&format!("sigma-{sigma}-beta-{beta}"))?;
        let model = fit(trainer, &name, &split, &subfolder)?;
        let context = EvaluationContext::new(key, args.options.training().batch_size, &device);
        let metrics = denoising::<4, _>(&model, &sets.test, &test, &context)?;
        let activity = latent_activity::<4, _>(&model, &sets.test, &test, &context)?;
        cells.push(Cell { sigma, beta, active_units: active_units(&activity.concat()), metrics });
    }

    folder.write("results.json", &serde_json::to_vec_pretty(&cells)?)?;
    type Map<'a> = (&'a str, &'a str, fn(&Cell) -> f64);
    let maps: [Map; 4] = [
        ("psnr", "PSNR of denoised images, dB", |cell| cell.metrics.psnr_output),
        ("bound", "bound (ELBO) from noisy input, nats", |cell| cell.metrics.corrupted.elbo),
        ("kl", "KL, nats", |cell| cell.metrics.corrupted.kl),
        ("active_units", "active units", |cell| cell.active_units as f64),
    ];
    println!();
    for (file, title, value) in maps {
        println!("{title}, tested at sigma {}; weight of the KL", args.test_sigma);
        let heads: String = args.betas.iter().map(|beta| format!("{beta:>9}")).collect();
        println!("{:18}{heads}", "");
        let mut map =
            Heatmap::new(title).columns("weight of the KL", args.betas.iter().map(f64::to_string));
        for (row, sigma) in cells.chunks(args.betas.len()).zip(&args.sigmas) {
            let values: Vec<f64> = row.iter().map(value).collect();
            let text: String = values.iter().map(|value| format!("{value:>9.1}")).collect();
            println!("{:18}{text}", format!("trained at {sigma}"));
            map = map.row(format!("trained at {sigma}"), values);
        }
        println!();
        folder.write(&format!("{file}.png"), &map.png())?;
    }
    println!("Pictures, metrics and checkpoints are in {}", folder.path().display());
    Ok(())
}
