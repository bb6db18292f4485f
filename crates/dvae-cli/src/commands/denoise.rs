//! `dvae denoise`.

use std::path::{Path, PathBuf};

use dvae::Pretrained;
use dvae::data::ReadOptions;
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{Inputs, Job, RowWriter, rows_for};
use crate::output::Output;

/// Denoise files with the model of a run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae denoise runs/run-001 noisy.png -o clean.png
  dvae denoise runs/run-001 photos/ -o cleaned/          a folder of pictures
  dvae denoise runs/run-001 sensors.csv -o filled.csv    missing cells are filled in
  dvae denoise runs/run-001 x.npy -o clean.npy --samples 16

With --samples n, the output is the mean over n draws of the latent, and a second file beside it
(clean-deviation.npy) has the standard deviation of each entry over the draws.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    #[command(flatten)]
    files: Inputs,
    /// The output file, or a folder for several
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// Draw the latent this many times, at least 2, and also write the uncertainty
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    samples: Option<u32>,
    /// Rows in a batch
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    rows: usize,
    out: PathBuf,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    let options = args.files.options(model.read_options())?;
    let jobs = args.files.jobs(&args.out, args.samples.is_some())?;
    let mut rows = 0;
    // An image is one row: the images of a batch go through the model together.
    for batch in jobs.chunk_by(|a, b| one_row(&a.input) && one_row(&b.input)) {
        for jobs in batch.chunks(args.batch_size as usize) {
            rows += if one_row(&jobs[0].input) {
                pictures(args, &model, &options, jobs, rows as u64)?
            } else {
                jobs.iter().try_fold(0, |sum, job| {
                    Ok::<_, Error>(sum + file(args, &model, &options, job)?)
                })?
            };
        }
    }
    let summary = Summary { files: jobs.len(), rows, out: args.out.clone() };
    out.write(&summary, || {
        let (files, out) = (jobs.len(), args.out.display());
        format!("Cleaned {rows} row{} of {files} file{} to {out}", plural(rows), plural(files))
    })
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn one_row(path: &Path) -> bool {
    dvae::data::FileKind::by_name(path) == Some(dvae::data::FileKind::Picture)
}

fn pictures(
    args: &Args,
    model: &Pretrained,
    options: &ReadOptions,
    jobs: &[Job],
    first: u64,
) -> Result<usize, Error> {
    let mut inputs = vec![];
    for job in jobs {
        let mut rows = rows_for(model, &job.input, options)?;
        inputs.extend(rows.next().transpose()?);
    }
    let (cleaned, deviations) = clean(args, model, &inputs, first);
    for (place, job) in jobs.iter().enumerate() {
        dvae::data::write_picture(&job.output, &cleaned[place], model.event())?;
        if let (Some(deviations), Some(path)) = (&deviations, &job.deviation) {
            let mut writer = RowWriter::create(path, model.event(), None, false)?;
            writer.write(&deviations[place])?;
            writer.finish()?;
        }
    }
    Ok(jobs.len())
}

/// Denoises the rows of an array or a table, batch by batch.
fn file(args: &Args, model: &Pretrained, options: &ReadOptions, job: &Job) -> Result<usize, Error> {
    let mut rows = rows_for(model, &job.input, options)?;
    let (event, names) = (rows.event.clone(), rows.names.clone());
    let mut writer = RowWriter::create(&job.output, &event, names.as_deref(), rows.bytes)?;
    let mut spread = match &job.deviation {
        Some(path) => Some(RowWriter::create(path, &event, names.as_deref(), false)?),
        None => None,
    };
    let mut done = 0;
    loop {
        let batch: Vec<Vec<f32>> =
            rows.by_ref().take(args.batch_size as usize).collect::<Result<_, _>>()?;
        if batch.is_empty() {
            break;
        }
        let (cleaned, deviations) = clean(args, model, &batch, done as u64);
        cleaned.iter().try_for_each(|row| writer.write(row))?;
        if let (Some(spread), Some(deviations)) = (&mut spread, deviations) {
            deviations.iter().try_for_each(|row| spread.write(row))?;
        }
        done += batch.len();
    }
    writer.finish()?;
    spread.map_or(Ok(()), RowWriter::finish)?;
    Ok(done)
}

type Cleaned = (Vec<Vec<f32>>, Option<Vec<Vec<f32>>>);

fn clean(args: &Args, model: &Pretrained, rows: &[Vec<f32>], first: u64) -> Cleaned {
    match args.samples {
        Some(samples) => {
            let (mean, deviation) = model.denoise_by_samples(rows, first, samples as usize);
            (mean, Some(deviation))
        }
        None => (model.denoise(rows), None),
    }
}
