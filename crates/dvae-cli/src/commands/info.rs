//! `dvae info`.

use std::path::PathBuf;

use dvae::train::Report;
use dvae::{Pretrained, Run, Status, Weights};
use serde::Serialize;

use crate::Error;
use crate::output::{Output, path};

/// Show what a run is and how far it has come
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae info runs/run-001
  dvae info runs/run-001 --json")]
pub(crate) struct Args {
    /// The folder of a run, or a .safetensors file of one
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

#[derive(Serialize)]
struct Info {
    #[serde(serialize_with = "path")]
    run: PathBuf,
    status: Option<Status>,
    weights: Option<usize>,
    latents: usize,
    row: Vec<usize>,
    best: Option<Report>,
    config: String,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let info = if args.run.is_dir() { of_run(args)? } else { of_weights(args)? };
    out.write(&info, || describe(&info))
}

fn of_run(args: &Args) -> Result<Info, Error> {
    let run = Run::open(&args.run)?;
    let model = run.has_model().then(|| run.model(Weights::Best, None)).transpose()?;
    let status = run.status()?;
    let experiment = run.experiment();
    Ok(Info {
        run: args.run.clone(),
        weights: model.as_ref().map(Pretrained::weights),
        latents: experiment.model.latent,
        row: run.data().map(|data| data.event.clone()).unwrap_or_default(),
        best: status.best.clone(),
        status: Some(status),
        config: experiment.to_commented_toml()?,
    })
}

fn of_weights(args: &Args) -> Result<Info, Error> {
    let model = dvae::from_pretrained(&args.run)?;
    Ok(Info {
        run: args.run.clone(),
        weights: Some(model.weights()),
        latents: model.latent(),
        row: model.event().into(),
        best: None,
        status: None,
        config: model.experiment().to_commented_toml()?,
    })
}

fn describe(info: &Info) -> String {
    let mut text = format!("{}\n", info.run.display());
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:16}{value}\n"));
    if let Some(status) = &info.status {
        line("state", status.to_string());
    }
    line("rows", format!("of shape {:?}", info.row));
    line("latents", info.latents.to_string());
    if let Some(weights) = info.weights {
        line("weights", weights.to_string());
    }
    if let Some(best) = &info.best {
        let (clean, corrupted) = (&best.validation.clean.mean, &best.validation.corrupted.mean);
        line("best", format!("at epoch {}, step {}, on held-out rows:", best.epoch, best.step));
        line("", format!("ELBO {:.3} nats from corrupted input", corrupted.elbo));
        line("", format!("ELBO {:.3} nats from clean input", clean.elbo));
    }
    text + "\n" + &info.config
}
