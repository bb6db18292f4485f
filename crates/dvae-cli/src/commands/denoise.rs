//! `dvae denoise`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dvae::data::{Row, Rows};
use dvae::eval::COVERAGES;
use dvae::train::Communicator;
use dvae::{LatentChoice, PictureOptions, Pretrained, Uncertainty};

use super::repair::{self, RepairArgs};
use super::{ModelArgs, Models};
use crate::Error;
use crate::files::keep_data;
use crate::inputs::{InputFiles, Inputs};
use crate::jobs::{Beside, Failures, Job, outputs};
use crate::output::{Output, warn_of_own};
use crate::processes;
use crate::results::{Writers, cleaned_picture};

/// Denoise files with the model of a run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae denoise photographs noisy.jpg -o clean.png        with the models that come with the program
  dvae denoise runs/run-001 noisy.png -o clean.png
  dvae denoise runs/run-001 photos/ -o cleaned/          a folder of pictures
  dvae denoise runs/run-001 sensors.csv -o filled.csv    missing cells are filled in
  dvae denoise runs/run-001 x.npy -o clean.npy --samples 16
  dvae denoise runs/run-001 noisy.png -o clean.png --interval 0.95
  dvae denoise runs/names names.txt -o repaired.txt      typing errors, line by line
  dvae denoise runs/names people.csv --column surname -o repaired.csv

Pictures may have any size. A model of maps (a ladder) is applied to a picture as it is, or in tiles that overlap so far that
the result is the same where it needs more than --memory. Any other model cleans patches of the size that it was trained on,
which overlap by half.

With --samples n, the output is the mean over n draws of the latent, and a second file beside it (clean-deviation.npy) has
the standard deviation of each entry: that of the draws, and the likelihood's own spread. With --interval 0.95, two files
beside it (clean-low.png and clean-high.png) have the ends of an interval that holds 95 % of entries like those that the
model was calibrated on: see `dvae calibrate`.

Texts stay as they are unless another one is likelier by a margin that `dvae calibrate` has learned.")]
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
    /// Which deviation --samples writes: the predictive one, or the posterior's alone, without the likelihood's own spread,
    /// which is what counts if the likelihood is the noise of the data
    #[arg(long, value_enum, default_value_t, requires = "samples")]
    deviation: Deviation,
    /// Also write the ends of an interval that holds this share of entries: 0.5, 0.8, 0.9, 0.95 or 0.99. The model must be
    /// calibrated
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["samples", "flips"])]
    interval: Option<f64>,
    /// Average the results for the eight turns and mirrors of each picture: better, and takes eight times as long or more.
    /// Deviations are the means of the eight
    #[arg(long)]
    flips: bool,
    /// Stop at the first file that cannot be used, instead of going on with the others
    #[arg(long)]
    strict: bool,
    /// Rows in a batch, at most: large ones are fewer, and pictures of other sizes than the model's go one by one
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    #[command(flatten)]
    repair: RepairArgs,
    /// Memory for the model's work on a large picture, in megabytes, about; the picture itself comes on top
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
}

/// Which standard deviation is written.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Deviation {
    #[default]
    Predictive,
    Posterior,
}

/// How draws of the latent are used.
#[derive(Clone, Copy)]
struct Draws {
    samples: usize,
    uncertainty: Uncertainty,
}

impl Draws {
    /// What the arguments ask for, if anything.
    fn of(args: &Args, model: &Pretrained) -> Result<Option<Self>, Error> {
        let Some(coverage) = args.interval else {
            return Ok(args.samples.map(|samples| Self {
                samples: samples as usize,
                uncertainty: match args.deviation {
                    Deviation::Predictive => Uncertainty::Predictive,
                    Deviation::Posterior => Uncertainty::Posterior,
                },
            }));
        };
        if !COVERAGES.contains(&coverage) {
            let known = COVERAGES.map(|known| known.to_string()).join(", ");
            return Err(format!("--interval {coverage}: intervals are known for {known}").into());
        }
        let run = args.run.path.display();
        let calibration = model.calibration().ok_or_else(|| {
            format!(
                "{run} has no calibration, which --interval needs: run `dvae calibrate {run}` first"
            )
        })?;
        let (samples, uncertainty) = (calibration.samples, Uncertainty::Interval(coverage));
        Ok(Some(Self { samples, uncertainty }))
    }

    fn beside(draws: Option<Self>) -> Beside {
        match draws {
            None => Beside::Nothing,
            Some(Self { uncertainty: Uncertainty::Interval(_), .. }) => Beside::Interval,
            Some(_) => Beside::Deviation,
        }
    }
}

pub(crate) fn run(args: &Args, out: Output) -> Result<ExitCode, Error> {
    processes::shared(|group| run_in(args, out, &**group))
}

fn run_in(args: &Args, out: Output, group: &dyn Communicator) -> Result<ExitCode, Error> {
    let models = args.run.models()?;
    let model = models.all()[0];
    if model.text_unit().is_some() {
        return repair_texts(args, model, out, group);
    }
    if let Some(option) = args.repair.given() {
        let run = args.run.path.display();
        return Err(
            format!("{option} is for texts, and the model of {run} is not one of texts").into()
        );
    }
    let draws = Draws::of(args, model)?;
    if group.size() > 1 && args.files.has_standard_input() {
        return Err(FOR_ONE.into());
    }
    let inputs = args.files.open()?;
    let jobs = inputs.jobs(&args.out, Draws::beside(draws))?;
    let names: Vec<&Path> = outputs(&jobs).collect();
    processes::agreed(group, &format!("{names:?}"), "they do not see the same files")?;
    if let Models::One(model) = &models {
        keep_data(outputs(&jobs), model.experiment())?;
    }
    let mut cleaning = Cleaning {
        args,
        draws,
        models: &models,
        model,
        jobs: &jobs,
        waiting: vec![],
        outputs: vec![],
        failures: Failures::new(args.strict, &jobs),
        rows: 0,
        says_patches: false,
    };
    // Each process cleans its own files.
    for job in (group.rank()..jobs.len()).step_by(group.size()) {
        cleaning.file(job, &inputs)?;
    }
    let (rows, failures) = cleaning.finish()?;
    let (rows, failures) = failures.of_all(rows, &jobs, group)?;
    match group.rank() {
        0 => failures.summarize("Cleaned", rows, &args.out, out),
        _ => Ok(failures.code()),
    }
}

/// Repairs files of texts. An error names an option that is for numbers alone.
fn repair_texts(
    args: &Args,
    model: &Pretrained,
    out: Output,
    group: &dyn Communicator,
) -> Result<ExitCode, Error> {
    let of_numbers = [
        (args.samples.is_some(), "--samples"),
        (args.interval.is_some(), "--interval"),
        (args.flips, "--flips"),
    ];
    if let Some((_, option)) = of_numbers.iter().find(|(is_given, _)| *is_given) {
        return Err(format!("{option} is for numbers, and the model is one of texts").into());
    }
    if group.size() > 1 && args.files.has_standard_input() {
        return Err(FOR_ONE.into());
    }
    repair::run(
        &args.repair,
        &args.run.path,
        &args.files,
        (&args.out, args.strict),
        (model, out),
        group,
    )
}

/// What is said of standard input in several processes.
const FOR_ONE: &str = "standard input is read by one process: name files";

/// Rows of one file or several, which go through the model in batches.
struct Cleaning<'a> {
    args: &'a Args,
    draws: Option<Draws>,
    models: &'a Models,
    /// That of the file whose rows are being read, and of the rows that wait.
    model: &'a Pretrained,
    jobs: &'a [Job],
    /// Rows that wait for their batch.
    waiting: Vec<Waiting>,
    /// The files that are being written: the last is the one whose rows are being read.
    outputs: Vec<Cleaned>,
    failures: Failures,
    /// Rows of the files that are complete.
    rows: usize,
    /// Whether it was said that pictures are cleaned in patches.
    says_patches: bool,
}

struct Waiting {
    row: Row,
    id: u64,
    /// The place of its output in the list.
    output: usize,
}

/// The output of a job; without writers if the job has failed.
struct Cleaned {
    job: usize,
    writers: Option<Writers>,
}

impl Cleaning<'_> {
    /// Cleans a file. Nothing is written of one that cannot be read, or cleaned, whole.
    fn file(&mut self, job: usize, inputs: &InputFiles<'_>) -> Result<(), Error> {
        let opened = || -> Result<_, Error> {
            let model = self.models.of(&self.jobs[job].input, inputs)?;
            let options = inputs.options(model.read_options())?;
            let rows = model.open_of_any_size(&self.jobs[job].input, &options)?;
            let writers =
                Writers::create(&self.jobs[job], &rows.format, Draws::beside(self.draws))?;
            Ok((model, rows, writers))
        };
        let (model, rows, writers) = match opened() {
            Ok(opened) => opened,
            Err(error) => return self.failures.add(&self.jobs[job], error),
        };
        if !std::ptr::eq(model, self.model) {
            self.batch()?;
            self.model = model;
        }
        let shape = self.model.fits(&self.jobs[job].input, &rows.format.event)?;
        self.outputs.push(Cleaned { job, writers: Some(writers) });
        match *shape {
            [channels, height, width] if shape != self.model.event() || self.args.flips => {
                self.pictures(job, rows, [channels, height, width])
            }
            _ if self.args.flips => {
                let input = self.jobs[job].input.display();
                let error =
                    format!("{input}: --flips is for pictures, not for rows of shape {shape:?}");
                self.failed(self.outputs.len() - 1, error.into())
            }
            _ => self.rows(job, rows),
        }
    }

    /// Cleans the pictures of a file, which have other sides than those that the model was trained on, piece by piece.
    fn pictures(&mut self, job: usize, rows: Rows, shape: [usize; 3]) -> Result<(), Error> {
        let output = self.outputs.len() - 1;
        let own = &self.model.event()[1..];
        if self.model.reach().is_none() && shape[1..] != *own && !self.says_patches {
            self.says_patches = true;
            let (input, [_, height, width]) = (self.jobs[job].input.display(), shape);
            warn_of_own(&format!(
                "{input} has {height} × {width} pixels: cleaned in patches of {} × {}, the size that the model is for",
                own[0], own[1]
            ));
        }
        for (place, row) in rows.enumerate() {
            let latents = match self.draws {
                None => LatentChoice::Mean,
                Some(Draws { samples, uncertainty }) => {
                    LatentChoice::Draws { samples, id: id(job, place), uncertainty }
                }
            };
            let memory = (self.args.memory as usize) << 20;
            let options = PictureOptions { memory, latents, flips: self.args.flips };
            let Some(writers) = &mut self.outputs[output].writers else { break };
            let cleaned = row.map_err(Error::from).and_then(|row| {
                let (cleaned, beside) = cleaned_picture(self.model, &row, shape, options, writers);
                writers.write(&cleaned, &beside)
            });
            if let Err(error) = cleaned {
                self.failed(output, error)?;
            }
        }
        // Pictures are large: none waits for others to be written.
        self.batch()?;
        self.complete()
    }

    /// Cleans rows of the shape that the model was trained on, in batches.
    fn rows(&mut self, job: usize, rows: Rows) -> Result<(), Error> {
        let at_once = self.model.rows_at_once(self.model.event(), self.args.batch_size as usize);
        for (place, row) in rows.enumerate() {
            let output = self.outputs.len() - 1;
            if self.outputs[output].writers.is_none() {
                break;
            }
            match row {
                Ok(row) => {
                    self.waiting.push(Waiting { row, id: id(job, place), output });
                }
                Err(error) => self.failed(output, error.into())?,
            }
            if self.waiting.len() == at_once {
                self.batch()?;
            }
        }
        Ok(())
    }

    /// Gives up the output of a job.
    fn failed(&mut self, output: usize, error: Error) -> Result<(), Error> {
        let Cleaned { job, writers } = &mut self.outputs[output];
        *writers = None;
        self.failures.add(&self.jobs[*job], error)
    }

    fn batch(&mut self) -> Result<(), Error> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|row| self.outputs[row.output].writers.is_some());
        let rows: Vec<Vec<f64>> = waiting.iter().map(|waiting| waiting.row.values()).collect();
        let (cleaned, spreads) = match self.draws {
            _ if rows.is_empty() => (vec![], None),
            Some(Draws { samples, uncertainty }) => {
                let ids: Vec<u64> = waiting.iter().map(|row| row.id).collect();
                let (mean, spread) =
                    self.model.denoise_by_samples(&rows, &ids, samples, uncertainty);
                (mean, Some(spread))
            }
            None => (self.model.denoise(&rows), None),
        };
        for (at, Waiting { row, output, .. }) in waiting.iter().enumerate() {
            let spread = spreads.as_ref().map(|spreads| &spreads[at][..]);
            let written = match &mut self.outputs[*output].writers {
                Some(writers) => writers.write_values(self.model, row, &cleaned[at], spread),
                None => Ok(()),
            };
            if let Err(error) = written {
                self.failed(*output, error)?;
            }
        }
        // Only the last file has rows that are still to come.
        let last = self.outputs.pop();
        self.complete()?;
        self.outputs.extend(last);
        Ok(())
    }

    /// Completes all files.
    fn complete(&mut self) -> Result<(), Error> {
        for Cleaned { job, writers } in std::mem::take(&mut self.outputs) {
            let Some(writers) = writers else { continue };
            let rows = writers.rows;
            match writers.finish() {
                Ok(()) => self.rows += rows,
                Err(error) => self.failures.add(&self.jobs[job], error)?,
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(usize, Failures), Error> {
        self.batch()?;
        self.complete()?;
        Ok((self.rows, self.failures))
    }
}

/// The number of a row, which says what is drawn for it: it does not depend on other files.
fn id(job: usize, place: usize) -> u64 {
    ((job as u64) << 32) + place as u64
}
