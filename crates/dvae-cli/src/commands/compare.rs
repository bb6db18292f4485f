//! `dvae compare`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dvae::Run;
use serde::Serialize;

use crate::Error;
use crate::output::{Output, path, table};

/// Compare runs: the settings that differ, and their best metrics
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae compare runs/run-001 runs/run-002
  dvae compare runs/* --json

Bounds of runs on other data, or with another likelihood, are not on one scale.")]
pub(crate) struct Args {
    /// The folders of two or more runs
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Compared {
    #[serde(serialize_with = "path")]
    run: PathBuf,
    /// The settings that differ between the runs.
    settings: BTreeMap<String, serde_json::Value>,
    epoch: Option<usize>,
    elbo_corrupted: Option<f64>,
    elbo_clean: Option<f64>,
    kl: Option<f64>,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let runs: Vec<Run> = args.runs.iter().map(Run::open).collect::<Result<_, _>>()?;
    let settings: Vec<Settings> = runs.iter().map(settings).collect::<Result<_, _>>()?;
    let keys: BTreeSet<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
    let differs = |key: &&String| settings.iter().any(|own| own.get(*key) != settings[0].get(*key));
    let wanted: Vec<&String> = keys.into_iter().filter(differs).collect();
    let mut compared = vec![];
    for (run, settings) in runs.iter().zip(&settings) {
        let best = run.status()?.best;
        let best = best.as_ref();
        let own = wanted.iter().map(|&key| {
            (key.clone(), settings.get(key).cloned().unwrap_or(serde_json::Value::Null))
        });
        compared.push(Compared {
            run: run.path().into(),
            settings: own.collect(),
            epoch: best.map(|best| best.epoch),
            elbo_corrupted: best.map(|best| best.validation.corrupted.mean.elbo),
            elbo_clean: best.map(|best| best.validation.clean.mean.elbo),
            kl: best.map(|best| best.validation.corrupted.mean.kl),
        });
    }
    out.write(&compared, || describe(&compared))
}

/// Settings by their paths.
type Settings = BTreeMap<String, serde_json::Value>;

fn settings(run: &Run) -> Result<Settings, Error> {
    let mut flat = BTreeMap::new();
    flatten("", &serde_json::to_value(run.experiment())?, &mut flat);
    Ok(flat)
}

fn flatten(path: &str, value: &serde_json::Value, flat: &mut Settings) {
    match value {
        serde_json::Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, flat);
            }
        }
        other => {
            flat.insert(path.to_owned(), other.clone());
        }
    }
}

/// Formats the runs, one per column.
fn describe(compared: &[Compared]) -> String {
    let names: Vec<String> = compared.iter().map(|one| one.run.display().to_string()).collect();
    let head: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
    let line = |name: &str, cell: &dyn Fn(&Compared) -> String| {
        std::iter::once(name.to_owned()).chain(compared.iter().map(cell)).collect::<Vec<String>>()
    };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let mut rows = vec![];
    for key in compared.iter().flat_map(|one| one.settings.keys()).take(compared[0].settings.len())
    {
        rows.push(line(key, &|one| match &one.settings[key] {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    rows.push(line("best epoch", &|one| {
        one.epoch.map_or("-".to_owned(), |epoch| epoch.to_string())
    }));
    rows.push(line("held-out ELBO, corrupted", &|one| number(one.elbo_corrupted)));
    rows.push(line("held-out ELBO, clean", &|one| number(one.elbo_clean)));
    rows.push(line("KL, corrupted", &|one| number(one.kl)));
    table(&head, &rows)
}
