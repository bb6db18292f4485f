//! `dvae export`.

use std::path::PathBuf;

use dvae::train::Precision;
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{keep_data, keep_inputs};
use crate::output::{Output, path};

/// Write a model to one file that can be passed on
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae export runs/run-001 -o model.safetensors
  dvae export runs/run-001 -o small.safetensors --half
  dvae denoise small.safetensors noisy.png -o clean.png

The file has the weights, the experiment, what its data decided and the calibration. Of the paths of the data only the last
part is kept, so that it does not say where it was trained.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    /// A .safetensors file
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// Store weights in half precision: half the size; each weight keeps three digits
    #[arg(long)]
    half: bool,
}

#[derive(Serialize)]
struct Summary {
    weights: usize,
    bytes: u64,
    #[serde(serialize_with = "path")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let file = args.run.file()?;
    let model = args.run.load()?;
    let folder = file.parent().unwrap_or(&file);
    let own = ["best", "last"].map(|name| folder.join(format!("{name}.safetensors")));
    keep_inputs([&*args.out], [&*file, &*own[0], &*own[1]])?;
    keep_data([&*args.out], model.experiment())?;
    let precision = if args.half { Precision::Half } else { Precision::Single };
    model.export(&args.out, precision)?;
    let bytes = std::fs::metadata(&args.out)?.len();
    let summary = Summary { weights: model.weights(), bytes, out: args.out.clone() };
    out.write(&summary, || {
        let (weights, out) = (model.weights(), args.out.display());
        format!("{weights} weights are in {out}: {:.2} MB", bytes as f64 / 1e6)
    })
}
