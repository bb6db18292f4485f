//! `dvae info`.

use std::path::PathBuf;

use dvae::Pretrained;
use dvae::train::Report;
use serde::Serialize;

use super::list::{Status, status};
use crate::Error;
use crate::output::Output;

/// Say what a run is, and how far it has come
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
    run: PathBuf,
    status: Option<Status>,
    weights: Option<usize>,
    latents: usize,
    row: Vec<usize>,
    best: Option<Report>,
    config: String,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let is_run = args.run.is_dir();
    let status = if is_run { Some(status(&args.run)?) } else { None };
    let weights_file = if is_run { args.run.join("best.safetensors") } else { args.run.clone() };
    let has_weights = weights_file.exists();
    let model = has_weights.then(|| dvae::from_pretrained(&args.run)).transpose()?;
    let config = match (&model, is_run) {
        (_, true) => dvae::Experiment::layered(Some(&args.run.join("config.toml")), [], &[])?,
        (Some(model), false) => model.experiment().clone(),
        (None, false) => return Err(format!("there is no {}", args.run.display()).into()),
    };
    let best = status.as_ref().and_then(|status| status.best.clone());
    let info = Info {
        run: args.run.clone(),
        weights: model.as_ref().map(Pretrained::weights),
        latents: config.model.latent(),
        row: config.model.event().into(),
        best,
        status,
        config: config.to_commented_toml()?,
    };
    out.write(&info, || describe(&info))
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
