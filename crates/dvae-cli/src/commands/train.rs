//! `dvae train`.

use std::io::Write;
use std::path::PathBuf;

use dvae::prelude::*;
use dvae::train::{End, Interrupt};
use dvae::{Experiment, Run};
use serde::Serialize;

use crate::Error;
use crate::output::Output;

/// Train the model of an experiment, or resume an interrupted run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae train                                       the default experiment, on embedded images
  dvae train experiment.toml --out runs/first
  dvae train experiment.toml --set corruption=gaussian:0.3 --set train.epochs=5
  DVAE__TRAIN__EPOCHS=5 dvae train experiment.toml
  dvae train --resume runs/first                   after Ctrl-C, a crash or a power cut

Ctrl-C finishes the step and saves; a second one ends at once.
`dvae config` shows every key of an experiment.")]
pub(crate) struct Args {
    /// The experiment, a TOML file [default: the one that `dvae config` prints]
    experiment: Option<PathBuf>,
    /// Change a setting, such as train.epochs=5; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Resume the run in this folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["experiment", "settings", "out"])]
    resume: Option<PathBuf>,
    /// The back end to run on: flex, or another one that is compiled in
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// The folder of the run, new or empty [default: a numbered one in runs/]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Serialize)]
struct Summary {
    run: PathBuf,
    end: End,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let backend = args.backend.as_deref().map(str::parse::<Backend>).transpose()?;
    let interrupt = Interrupt::new();
    let mut run = match &args.resume {
        Some(path) => {
            let mut run = Run::resume(path)?;
            run.set_backend(backend);
            run
        }
        None => {
            let mut experiment = Experiment::load(args.experiment.as_deref(), &args.settings)?;
            experiment.backend = backend.or(experiment.backend);
            match &args.out {
                Some(path) => Run::create_at(&experiment, path)?,
                None => Run::create(&experiment, "runs")?,
            }
        }
    };
    listen(&interrupt)?;
    let mut observers: Vec<Box<dyn Observer>> = vec![];
    if !args.quiet {
        let _ = writeln!(std::io::stderr(), "The run is kept in {}", run.path().display());
        observers.push(Box::new(Progress::new("training")));
    }
    let end = run.train(observers, &interrupt)?;
    let run = run.path().to_path_buf();
    out.write(&Summary { run: run.clone(), end }, || {
        let run = run.display();
        match end {
            End::Interrupted => format!("Stopped. Go on with: dvae train --resume {run}"),
            End::Finished | End::StoppedEarly => {
                format!("Done: {end}. Try: dvae evaluate {run}, dvae sample {run} -o samples.png")
            }
        }
    })
}

/// Handles Ctrl-C: the first one asks the run to stop, the second one ends the process.
fn listen(interrupt: &Interrupt) -> Result<(), Error> {
    let interrupt = interrupt.clone();
    ctrlc::set_handler(move || {
        if interrupt.set() {
            std::process::exit(130);
        }
        let _ =
            writeln!(std::io::stderr(), "\nFinishing the step and saving; once more ends at once.");
    })?;
    Ok(())
}
