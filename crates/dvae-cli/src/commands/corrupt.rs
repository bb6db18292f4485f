//! `dvae corrupt`.

use std::path::{Path, PathBuf};

use dvae::burn::tensor::TensorData;
use dvae::data::{ReadOptions, Scaler, Scaling};
use dvae::prelude::*;
use dvae::{Experiment, PreparedData};
use serde::Serialize;

use crate::Error;
use crate::files::{Inputs, Job, RowWriter, rows_of};
use crate::output::Output;

/// Corrupt files with a corruption process
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae corrupt gaussian:0.3 photo.png -o noisy.png
  dvae corrupt laplace:0.1 table.csv -o noisy.csv
  dvae corrupt motion-blur@4+jpeg@3 photos/ -o damaged/
  dvae corrupt experiment.toml x.npy -o damaged.npy      the corruption of an experiment

Values are damaged as they are, or in the scaling of the experiment. Noise on pictures and other bytes is
clipped to [0, 1]; on real numbers it is not, and what is for numbers in [0, 1] is refused. The same seed damages the same row of the same place in the same way.")]
pub(crate) struct Args {
    /// A corruption as text, or an experiment (.toml) whose corruption is used
    #[arg(value_name = "CONFIG")]
    corruption: String,
    #[command(flatten)]
    files: Inputs,
    /// The output file, or a folder for several
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// The seed of all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    rows: usize,
    out: PathBuf,
}

/// Rows in a batch.
const BATCH: usize = 64;

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let experiment = match args.corruption.ends_with(".toml") {
        true => Some(Experiment::load(Some(Path::new(&args.corruption)), &[])?),
        false => None,
    };
    let (config, scaler, options) = match &experiment {
        Some(experiment) => {
            (experiment.corruption.clone(), scaler(experiment)?, experiment.data.source.options())
        }
        None => (args.corruption.parse()?, None, ReadOptions::default()),
    };
    let domain = experiment.as_ref().map_or(Domain::Real, |experiment| {
        let data = PreparedData { scaler: scaler.clone(), ..PreparedData::default() };
        data.domain(&experiment.data, &experiment.model.likelihood)
    });
    let options = args.files.options(options)?;
    let damage = Damage { config, domain, scaler, options, seed: args.seed };
    let jobs = args.files.jobs(&args.out, false)?;
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let mut rows = 0;
    for job in &jobs {
        rows += damage.file(job, rows as u64, &device)?;
    }
    let summary = Summary { files: jobs.len(), rows, out: args.out.clone() };
    out.write(&summary, || {
        format!("Damaged {rows} rows of {} files to {}", jobs.len(), args.out.display())
    })
}

/// The scaling under which the experiment corrupts its rows, fitted on its training rows.
fn scaler(experiment: &Experiment) -> Result<Option<Scaler>, Error> {
    match experiment.data.scaling {
        Scaling::None => Ok(None),
        _ => Ok(experiment.data.load(None)?.0.scaler),
    }
}

struct Damage {
    config: CorruptionConfig,
    /// The domain of values that were not stored as bytes.
    domain: Domain,
    scaler: Option<Scaler>,
    options: ReadOptions,
    seed: u64,
}

impl Damage {
    fn file(&self, job: &Job, first: u64, device: &Device) -> Result<usize, Error> {
        let mut rows = rows_of(&job.input, &self.options)?;
        let event = rows.event.clone();
        if let Some(scaler) = &self.scaler {
            scaler.check(event[0])?;
        }
        let mut writer = RowWriter::create(&job.output, &event, rows.names.as_deref(), rows.bytes)?;
        // Scaled bytes are in [0, 1] no more.
        let domain = match self.scaler {
            None if rows.bytes => Domain::Unit,
            _ => self.domain,
        };
        let mut done = 0;
        loop {
            let batch: Vec<Vec<f32>> = rows.by_ref().take(BATCH).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let start = first + done as u64;
            let ids: Vec<u64> = (start..start + batch.len() as u64).collect();
            let draws = Key::new(self.seed).purpose(Purpose::EvaluationCorruption).rows(&ids);
            let n = batch.len();
            let damaged = match event[..] {
                [a] => self.rows(&batch, domain, [n, a], draws, device)?,
                [a, b] => self.rows(&batch, domain, [n, a, b], draws, device)?,
                [a, b, c] => self.rows(&batch, domain, [n, a, b, c], draws, device)?,
                _ => {
                    let input = job.input.display();
                    return Err(format!("{input}: rows of shape {event:?} are not damaged").into());
                }
            };
            damaged.iter().try_for_each(|row| writer.write(row))?;
            done += n;
        }
        writer.finish()?;
        Ok(done)
    }

    /// Unobserved entries stay unobserved.
    fn rows<const D: usize>(
        &self,
        rows: &[Vec<f32>],
        domain: Domain,
        shape: [usize; D],
        mut draws: RowStreams,
        device: &Device,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let process = self.config.build::<D>(domain)?;
        process.check(&shape[1..])?;
        let mut values = vec![];
        for (row, id) in rows.iter().zip(draws.ids().to_vec()) {
            let mut row = row.clone();
            if let Some(scaler) = &self.scaler {
                scaler.apply(&mut row);
            }
            let observed = |value: f32| if value.is_nan() { 0.0 } else { value };
            row.iter_mut().for_each(|value| *value = observed(*value));
            let check = row.iter().try_for_each(|&value| process.check_value(value));
            check.map_err(|error| format!("row {id}: {error}"))?;
            values.extend(row);
        }
        let clean = Tensor::<D>::from_data(TensorData::new(values, shape), device);
        // Cuts off the mask, if one is shown after the rows.
        let damaged = process.corrupt(clean, &mut draws).input.narrow(1, 0, shape[1]);
        let values: Vec<f32> = damaged.into_data().iter().collect();
        let mut damaged: Vec<Vec<f32>> =
            values.chunks(shape[1..].iter().product()).map(<[f32]>::to_vec).collect();
        for (damaged, row) in damaged.iter_mut().zip(rows) {
            if let Some(scaler) = &self.scaler {
                scaler.undo(damaged);
            }
            for (damaged, value) in damaged.iter_mut().zip(row).filter(|(_, value)| value.is_nan())
            {
                *damaged = *value;
            }
        }
        Ok(damaged)
    }
}
