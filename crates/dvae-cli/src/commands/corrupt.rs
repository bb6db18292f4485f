//! `dvae corrupt`.

use std::path::{Path, PathBuf};

use dvae::Experiment;
use dvae::burn::tensor::TensorData;
use dvae::prelude::*;
use serde::Serialize;

use crate::Error;
use crate::files::{Inputs, Job, RowWriter, rows_of};
use crate::output::Output;

/// Damage files by a corruption process
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae corrupt gaussian:0.3 photo.png -o noisy.png
  dvae corrupt masking:0.5 table.csv -o holes.csv
  dvae corrupt motion-blur@4+jpeg@3 photos/ -o damaged/
  dvae corrupt experiment.toml x.npy -o damaged.npy      the corruption of an experiment

The same seed damages the same row of the same place in the same way.")]
pub(crate) struct Args {
    /// A corruption as text, or an experiment (.toml) whose corruption is taken
    #[arg(value_name = "CONFIG")]
    corruption: String,
    #[command(flatten)]
    files: Inputs,
    /// Where the damaged file goes; a folder for several
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// What all randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    rows: usize,
    out: PathBuf,
}

/// Rows at once.
const BATCH: usize = 64;

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let config: CorruptionConfig = if args.corruption.ends_with(".toml") {
        Experiment::load(Some(Path::new(&args.corruption)), &[])?.corruption
    } else {
        args.corruption.parse()?
    };
    let jobs = args.files.jobs(&args.out)?;
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let mut rows = 0;
    for job in &jobs {
        rows += file(args, &config, job, rows as u64, &device)?;
    }
    let summary = Summary { files: jobs.len(), rows, out: args.out.clone() };
    out.write(&summary, || {
        format!("Damaged {rows} rows of {} files to {}", jobs.len(), args.out.display())
    })
}

fn file(
    args: &Args,
    config: &CorruptionConfig,
    job: &Job,
    first: u64,
    device: &Device,
) -> Result<usize, Error> {
    let mut rows = rows_of(&job.input, &args.files.options())?;
    let event = rows.event.clone();
    let mut writer = RowWriter::create(&job.output, &event, rows.names.as_deref(), rows.bytes)?;
    let mut done = 0;
    loop {
        let batch: Vec<Vec<f32>> = rows.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        if batch.is_empty() {
            break;
        }
        let start = first + done as u64;
        let ids: Vec<u64> = (start..start + batch.len() as u64).collect();
        let key = Key::new(args.seed).purpose(Purpose::EvaluationCorruption);
        let damaged = match event[..] {
            [a] => damage(config, &batch, [batch.len(), a], key.rows(&ids), device)?,
            [a, b] => damage(config, &batch, [batch.len(), a, b], key.rows(&ids), device)?,
            [a, b, c] => damage(config, &batch, [batch.len(), a, b, c], key.rows(&ids), device)?,
            _ => {
                return Err(format!(
                    "{}: rows of shape {event:?} are not damaged",
                    job.input.display()
                )
                .into());
            }
        };
        damaged.iter().try_for_each(|row| writer.write(row))?;
        done += batch.len();
    }
    writer.finish()?;
    Ok(done)
}

/// What was not observed stays so.
fn damage<const D: usize>(
    config: &CorruptionConfig,
    rows: &[Vec<f32>],
    shape: [usize; D],
    mut draws: Draws,
    device: &Device,
) -> Result<Vec<Vec<f32>>, Error> {
    let process = config.build::<D>()?;
    process.check(&shape[1..])?;
    let holes: Vec<bool> = rows.concat().iter().map(|value| value.is_nan()).collect();
    let values = rows.concat().into_iter().map(|value| if value.is_nan() { 0.0 } else { value });
    let clean = Tensor::<D>::from_data(TensorData::new(values.collect(), shape), device);
    // A mask that is shown stands behind the rows.
    let damaged = process.corrupt(clean, &mut draws).input.narrow(1, 0, shape[1]);
    let values: Vec<f32> = damaged.into_data().iter().collect();
    let values: Vec<f32> = values
        .into_iter()
        .zip(holes)
        .map(|(value, hole)| if hole { f32::NAN } else { value })
        .collect();
    Ok(values.chunks(shape[1..].iter().product()).map(<[f32]>::to_vec).collect())
}
