//! `dvae evaluate`.

use std::path::PathBuf;

use dvae::eval::active_units;
use dvae::prelude::*;
use dvae::train::MeanElbo;
use serde::Serialize;

use super::Run;
use crate::Error;
use crate::output::{Output, table};

/// Measure the model of a run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae evaluate runs/run-001                              on its test rows, damaged as in training
  dvae evaluate runs/run-001 --corruption gaussian:0.3 --corruption masking:0.5
  dvae evaluate runs/run-001 --data other.csv --samples 100 --json

Figures on clean and on corrupted input stand apart. Bounds are means over rows, in nats: the ELBO, and
with --samples the importance-weighted bound of so many draws, which is nearer to log p(x).")]
pub(crate) struct Args {
    #[command(flatten)]
    run: Run,
    /// Rows to measure on, of the kind that it was trained on [default: its test rows, or else its
    /// validation rows]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// A corruption, as gaussian:0.3; may be given several times [default: that of training]
    #[arg(long, value_name = "CORRUPTION")]
    corruption: Vec<CorruptionConfig>,
    /// Draws of the latent for an importance-weighted bound
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: Option<u32>,
}

#[derive(Serialize)]
struct Figures {
    rows: usize,
    rows_are: &'static str,
    active_latents: usize,
    latents: usize,
    corruptions: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    corruption: String,
    clean: Bounds,
    corrupted: Bounds,
    /// In decibels; only for rows whose values lie in `[0, 1]`.
    psnr_input: Option<f64>,
    psnr_output: Option<f64>,
}

#[derive(Serialize)]
struct Bounds {
    elbo: f64,
    log_likelihood: f64,
    kl: f64,
    importance_weighted: Option<f64>,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    let (rows, rows_are) = match &args.data {
        Some(path) => (model.read(path)?, "given"),
        None => {
            let data = model.experiment().data.load()?;
            match data.test {
                Some(test) => (test, "test"),
                None => (data.validation, "validation"),
            }
        }
    };
    let corruptions = match &args.corruption[..] {
        [] => vec![model.experiment().corruption.clone()],
        given => given.to_vec(),
    };
    let bounds = |corruption: &CorruptionConfig| -> Result<Bounds, Error> {
        let plain = model.evaluate(&rows, corruption, &Objective::default())?;
        let weighted = match args.samples {
            Some(draws) => {
                let objective = Objective::diwae(1, draws as usize);
                Some(model.evaluate(&rows, corruption, &objective)?.bound)
            }
            None => None,
        };
        let MeanElbo { elbo, log_likelihood, kl } = plain.mean;
        Ok(Bounds { elbo, log_likelihood, kl, importance_weighted: weighted })
    };
    let in_unit = rows.find(|_, value| !(0.0..=1.0).contains(&value)).is_none();
    let mut lines = vec![];
    for corruption in &corruptions {
        let ratios = if in_unit { Some(model.denoising(&rows, corruption)?) } else { None };
        lines.push(Line {
            corruption: corruption.to_string(),
            clean: bounds(&CorruptionConfig::None {})?,
            corrupted: bounds(corruption)?,
            psnr_input: ratios.map(|ratios| ratios.psnr_input),
            psnr_output: ratios.map(|ratios| ratios.psnr_output),
        });
    }
    let activity = model.activity(&rows)?;
    let figures = Figures {
        rows: rows.len(),
        rows_are,
        active_latents: active_units(&activity),
        latents: activity.len(),
        corruptions: lines,
    };
    out.write(&figures, || describe(&figures))
}

fn describe(figures: &Figures) -> String {
    let number = |value: f64| format!("{value:.2}");
    let option = |value: Option<f64>| value.map_or("-".to_owned(), number);
    let cells = |name: String, bounds: &Bounds, psnr: [String; 2]| {
        let [input, output] = psnr;
        let bound = option(bounds.importance_weighted);
        let terms = [bounds.elbo, bounds.log_likelihood, bounds.kl].map(number);
        [vec![name], terms.to_vec(), vec![bound, input, output]].concat()
    };
    let none = || ["-".to_owned(), "-".to_owned()];
    let mut rows = vec![];
    if let Some(first) = figures.corruptions.first() {
        rows.push(cells("clean".to_owned(), &first.clean, none()));
    }
    for line in &figures.corruptions {
        let psnr = [option(line.psnr_input), option(line.psnr_output)];
        rows.push(cells(line.corruption.clone(), &line.corrupted, psnr));
    }
    let head = ["input", "ELBO", "log p(x|z)", "KL", "IWAE", "PSNR in", "PSNR out"];
    format!(
        "{} {} rows; {} of {} latents are active\n\n{}\nBounds are means over rows, in nats; PSNR is in decibels.",
        figures.rows,
        figures.rows_are,
        figures.active_latents,
        figures.latents,
        table(&head, &rows)
    )
}
