//! `dvae config`.

use std::path::PathBuf;

use dvae::Experiment;

use crate::Error;
use crate::output::Output;

/// Print an experiment with all its keys and their descriptions, or the schema of experiment files
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae config > experiment.toml                 a file to begin with
  dvae config experiment.toml --set train.epochs=5
  dvae config --schema > experiment.schema.json

What counts, from the least: defaults, the file, the environment (DVAE__TRAIN__EPOCHS=5), --set.
With `#:schema ./experiment.schema.json` in the first line of a file, editors complete its keys.")]
pub(crate) struct Args {
    /// The experiment, a TOML file [default: the default experiment]
    experiment: Option<PathBuf>,
    /// Change a setting, such as train.epochs=5; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Print the JSON schema of experiments
    #[arg(long, conflicts_with_all = ["experiment", "settings"])]
    schema: bool,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    if args.schema {
        let schema = Experiment::schema();
        return out.write(&serde_json::from_str::<serde_json::Value>(&schema)?, || schema);
    }
    let experiment = Experiment::load(args.experiment.as_deref(), &args.settings)?;
    let text = experiment.to_commented_toml()?;
    out.write(&experiment, || text)
}
