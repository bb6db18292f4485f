//! `dvae import`.

use std::path::PathBuf;

use dvae::{Experiment, Pretrained};
use serde::Serialize;

use crate::Error;
use crate::files::keep_inputs;
use crate::output::{Output, path};

/// Convert the weights of a PyTorch state dict
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  dvae import experiment.toml weights.pt -o model.safetensors
  dvae denoise model.safetensors noisy.png -o clean.png

The state dict is what torch.save(module.state_dict(), \"weights.pt\") writes, or safetensors.torch.save_file, of a module of the
same structure whose parameters have the same names; an error lists those that do not fit. `dvae export RUN --layout pytorch`
writes such a module.")]
pub(crate) struct Args {
    /// The experiment that defines the model, a TOML file
    experiment: PathBuf,
    /// The state dict
    state_dict: PathBuf,
    /// Change a setting, such as model.latent=8; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A .safetensors file
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Summary {
    weights: usize,
    #[serde(serialize_with = "path")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let experiment = Experiment::load(Some(&args.experiment), &args.settings)?;
    keep_inputs([&*args.out], [&*args.state_dict, &*args.experiment])?;
    let model = Pretrained::import(&experiment, &args.state_dict)?;
    model.save(&args.out)?;
    let summary = Summary { weights: model.weights(), out: args.out.clone() };
    out.write(&summary, || format!("{} weights are in {}", model.weights(), args.out.display()))
}
