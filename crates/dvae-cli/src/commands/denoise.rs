//! `dvae denoise`.

use std::path::PathBuf;

use dvae::Pretrained;
use dvae::data::{Format, ReadOptions, Row, RowWriter};
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{Inputs, Job, counted, keep_data, outputs};
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
    keep_data(outputs(&jobs), model.experiment())?;
    let mut cleaning = Cleaning { args, model: &model, waiting: vec![], writers: vec![], done: 0 };
    for job in &jobs {
        cleaning.file(job, &options)?;
    }
    let rows = cleaning.finish()?;
    let summary = Summary { files: jobs.len(), rows, out: args.out.clone() };
    out.write(&summary, || {
        let (rows, files) = (counted(rows, "row"), counted(jobs.len(), "file"));
        format!("Cleaned {rows} of {files} to {}", args.out.display())
    })
}

/// Rows of one file or several, which go through the model in batches.
struct Cleaning<'a> {
    args: &'a Args,
    model: &'a Pretrained,
    /// Rows that wait for their batch, each with the place of its writers.
    waiting: Vec<(Row, usize)>,
    /// The files that are being written: the last is the one whose rows are being read.
    writers: Vec<Writers>,
    done: usize,
}

/// The outputs of a file.
struct Writers {
    /// The format of a result.
    format: Format,
    cleaned: RowWriter,
    deviation: Option<(Format, RowWriter)>,
}

impl Cleaning<'_> {
    fn file(&mut self, job: &Job, options: &ReadOptions) -> Result<(), Error> {
        let rows = self.model.open(&job.input, options)?;
        self.writers.push(Writers::create(job, &rows.format)?);
        for row in rows {
            self.waiting.push((row?, self.writers.len() - 1));
            if self.waiting.len() == self.args.batch_size as usize {
                self.batch()?;
            }
        }
        Ok(())
    }

    fn batch(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        let rows: Vec<Vec<f64>> = waiting.iter().map(|(row, _)| row.values()).collect();
        let (cleaned, deviations) = match self.args.samples {
            Some(samples) => {
                let first = self.done as u64;
                let (mean, deviation) =
                    self.model.denoise_by_samples(&rows, first, samples as usize);
                (mean, Some(deviation))
            }
            None => (self.model.denoise(&rows), None),
        };
        for (at, (row, place)) in waiting.iter().enumerate() {
            let deviation = deviations.as_ref().map(|deviations| &deviations[at][..]);
            self.writers[*place].write(row, &cleaned[at], deviation)?;
        }
        self.done += waiting.len();
        // Only the last file has rows that are still to come.
        let last = self.writers.pop();
        self.writers.drain(..).try_for_each(Writers::finish)?;
        self.writers.extend(last);
        Ok(())
    }

    fn finish(mut self) -> Result<usize, Error> {
        self.batch()?;
        self.writers.into_iter().try_for_each(Writers::finish)?;
        Ok(self.done)
    }
}

impl Writers {
    fn create(job: &Job, input: &Format) -> Result<Self, Error> {
        let format = input.of_results();
        let cleaned = RowWriter::create(&job.output, &format)?;
        let deviation = match &job.deviation {
            Some(path) => {
                let format = input.of_deviations();
                Some((format.clone(), RowWriter::create(path, &format)?))
            }
            None => None,
        };
        Ok(Self { format, cleaned, deviation })
    }

    fn write(
        &mut self,
        row: &Row,
        cleaned: &[f64],
        deviation: Option<&[f64]>,
    ) -> Result<(), Error> {
        self.cleaned.write(&row.with_values(&self.format, cleaned))?;
        if let (Some((format, writer)), Some(deviation)) = (&mut self.deviation, deviation) {
            writer.write(&row.with_distances(format, deviation))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        self.cleaned.finish()?;
        Ok(self.deviation.map_or(Ok(()), |(_, writer)| writer.finish())?)
    }
}
