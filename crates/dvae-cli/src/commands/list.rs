//! `dvae list`.

use std::fmt;
use std::path::{Path, PathBuf};

use dvae::Experiment;
use dvae::train::{Report, RunFolder, TrainError};
use serde::Serialize;

use crate::Error;
use crate::output::{Output, table};

/// List the runs in a folder
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae list
  dvae list runs --json")]
pub(crate) struct Args {
    /// The folder that holds the folders of runs
    #[arg(default_value = "runs", value_name = "RUNS")]
    folder: PathBuf,
}

/// How far a run has come.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) epochs_done: usize,
    pub(crate) epochs: usize,
    pub(crate) running: bool,
    pub(crate) best: Option<Report>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epochs_done, epochs, running, .. } = self;
        let state = if *running { ", running" } else { "" };
        write!(f, "{epochs_done} of {epochs} epochs{state}")
    }
}

/// Reads how far a run has come; an error if the folder is none of a run.
pub(crate) fn status(run: &Path) -> Result<Status, Error> {
    let experiment = Experiment::layered(Some(&run.join("config.toml")), [], &[])?;
    let metrics = run.join("metrics.jsonl");
    let text = if metrics.exists() { std::fs::read_to_string(&metrics)? } else { String::new() };
    // The last line may still be being written.
    let reports: Vec<Report> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let running = matches!(RunFolder::open(run), Err(TrainError::InUse { .. }));
    let epochs = experiment.train.epochs;
    let epochs_done = reports.last().map_or(0, |report| report.epoch);
    let best = reports.into_iter().rfind(|report| report.best);
    Ok(Status { epochs_done, epochs, running, best })
}

#[derive(Serialize)]
struct Line {
    run: PathBuf,
    network: String,
    corruption: String,
    #[serde(flatten)]
    status: Status,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let folder = &args.folder;
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read the folder {}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.join("config.toml").is_file());
    paths.sort();
    let mut lines = vec![];
    for run in paths {
        match line(&run) {
            Ok(line) => lines.push(line),
            Err(error) => eprintln!("warning: {} is left out: {error}", run.display()),
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

fn line(run: &Path) -> Result<Line, Error> {
    let experiment = Experiment::layered(Some(&run.join("config.toml")), [], &[])?;
    Ok(Line {
        run: run.into(),
        network: experiment.model.name().to_owned(),
        corruption: experiment.corruption.to_string(),
        status: status(run)?,
    })
}
