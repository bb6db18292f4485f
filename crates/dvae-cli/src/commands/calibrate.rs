//! `dvae calibrate`.

use std::path::{Path, PathBuf};

use dvae::prelude::*;
use dvae::{Coverage, DataSource, Pretrained};
use serde::Serialize;

use super::ModelArgs;
use super::repair::{BEAM, known_texts};
use crate::Error;
use crate::output::{Output, table};

/// Learn on held-out rows how wide intervals about results have to be; of texts, how sure a repair has to be
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae calibrate runs/run-001
  dvae calibrate runs/run-001 clean-photos/ --corruption gaussian:0.1
  dvae denoise runs/run-001 noisy.png -o clean.png --interval 0.95

The rows are the run's own validation rows, or those of a file of clean rows that the model was not trained on. What was
learned is stored in the run's file of weights. Intervals hold what they promise for data and noise like these. If the model
is shown which entries are missing, they are learned from entries that the corruption took away.

Of a model of texts it is learned how much likelier a repair has to be than the text itself, so that at most 1 % of clean texts
are changed.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    /// A file or folder of clean rows, instead of the run's validation rows
    #[arg(value_name = "INPUT")]
    input: Option<PathBuf>,
    /// A corruption, such as gaussian:0.1 [default: that of training]
    #[arg(long, value_name = "CORRUPTION")]
    corruption: Option<CorruptionConfig>,
    /// The number of draws of the latent that results with intervals are made of [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    samples: Option<u32>,
    /// Of texts: how many beginnings the search for the likeliest text keeps [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    beam: Option<u32>,
    /// Of texts: a text file of such as are known to be right, a text in each line, such as those of the training: it is learned how much
    /// more they count
    #[arg(long, value_name = "PATH")]
    known: Option<PathBuf>,
}

#[derive(Serialize)]
struct Summary {
    entries: usize,
    samples: usize,
    corruption: String,
    coverage: Vec<Coverage>,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let file = args.run.file()?;
    let before = std::fs::read(&file)?;
    let mut model = args.run.load()?;
    let rows = rows(args, &model)?;
    if model.text_unit().is_some() {
        let of_numbers =
            [(args.corruption.is_some(), "--corruption"), (args.samples.is_some(), "--samples")];
        if let Some((_, option)) = of_numbers.iter().find(|(is_given, _)| *is_given) {
            return Err(format!(
                "{option} is for intervals about numbers, and the model is one of texts"
            )
            .into());
        }
        let known = args.known.as_deref().map(known_texts).transpose()?;
        let learned =
            model.calibrate_repairs(&rows, args.beam.map_or(BEAM, |beam| beam as usize), known)?;
        save(&model, &file, &before)?;
        return out.write(&learned, || {
            format!(
                "A repair must be {:.2} nats likelier than the text itself: of {} held-out clean texts that changes {:.1} %, each half measured by \
                 the margin of the other.\nTry: dvae denoise {} texts.txt -o repaired.txt",
                learned.margin,
                learned.texts,
                100.0 * learned.false_repairs,
                args.run.path.display()
            )
        });
    }
    if args.beam.is_some() || args.known.is_some() {
        return Err("--beam and --known are for texts, and the model is not one of texts".into());
    }
    let corruption = args.corruption.clone().unwrap_or(model.experiment().corruption.clone());
    let coverage = model.calibrate(&rows, &corruption, args.samples.unwrap_or(16) as usize)?;
    save(&model, &file, &before)?;
    let calibration = model.calibration().ok_or("nothing was learned")?;
    let summary = Summary {
        entries: calibration.entries,
        samples: calibration.samples,
        corruption: corruption.to_string(),
        coverage,
    };
    out.write(&summary, || {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let line = |of: &Coverage| vec![percent(of.nominal), percent(of.empirical)];
        let lines: Vec<Vec<String>> = summary.coverage.iter().map(line).collect();
        format!(
            "{}Learned from {} held-out entries under {}; the shares are of entries that an interval was not learned from.\n\
             Try: dvae denoise {} … --interval 0.95",
            table(&["interval", "held"], &lines),
            summary.entries,
            summary.corruption,
            args.run.path.display()
        )
    })
}

/// Stores what was learned with the weights, unless their file is no longer what it was.
fn save(model: &Pretrained, file: &Path, before: &[u8]) -> Result<(), Error> {
    if std::fs::read(file)? != before {
        let file = file.display();
        return Err(format!(
            "{file} has changed meanwhile: calibrate again when the training is done"
        )
        .into());
    }
    Ok(model.save(file)?)
}

fn rows(args: &Args, model: &Pretrained) -> Result<Dataset, Error> {
    match &args.input {
        Some(_) if args.corruption.is_none() && has_pairs(model) => Err(
            "the model was trained on pairs: say by --corruption how the clean rows are damaged"
                .into(),
        ),
        Some(path) if model.is_of_crops() => Ok(model.read_crops(path)?),
        Some(path) => Ok(model.read(path, &model.read_options())?),
        None => model.validation().map_err(|error| {
            format!("{error}; name a file of clean rows that the model was not trained on").into()
        }),
    }
}

fn has_pairs(model: &Pretrained) -> bool {
    matches!(model.experiment().data.source, DataSource::Images { pairs: Some(_), .. })
}
