//! `dvae list`.

use std::path::PathBuf;

use dvae::{ExperimentError, Run, Status};
use serde::Serialize;

use crate::Error;
use crate::output::{Output, path, table, warn};

/// List the runs in a folder
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae list
  dvae list runs --json")]
pub(crate) struct Args {
    /// The folder that contains the folders of runs
    #[arg(default_value = "runs", value_name = "RUNS")]
    folder: PathBuf,
}

#[derive(Serialize)]
struct Line {
    #[serde(serialize_with = "path")]
    run: PathBuf,
    network: String,
    corruption: String,
    #[serde(flatten)]
    status: Status,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let folder = &args.folder;
    let mut lines = vec![];
    for (path, run) in Run::all_in(folder)? {
        match run.and_then(|run| line(&run)) {
            Ok(line) => lines.push(line),
            Err(error) => warn(&format!("{} is left out: {error}", path.display())),
        }
    }
    out.write(&lines, || {
        if lines.is_empty() {
            return format!("no runs in {}", folder.display());
        }
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|line| {
                let best = line.status.best.as_ref();
                let elbo =
                    best.map_or("-".to_owned(), |b| format!("{:.2}", b.validation.corrupted.bound));
                let (run, status) = (line.run.display().to_string(), line.status.to_string());
                vec![run, line.network.clone(), line.corruption.clone(), status, elbo]
            })
            .collect();
        table(&["run", "network", "corruption", "state", "best held-out bound, nats"], &rows)
    })
}

fn line(run: &Run) -> Result<Line, ExperimentError> {
    let experiment = run.experiment();
    Ok(Line {
        run: run.path().into(),
        network: experiment.model.network.name().to_owned(),
        corruption: experiment.corruption.to_string(),
        status: run.status()?,
    })
}
