//! `dvae corrupt`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dvae::burn::tensor::TensorData;
use dvae::corruption::{CorruptionContext, TableColumnRows, TableRows};
use dvae::data::{FileKind, Fit, ReadOptions, Row, RowWriter, Scaler, array_names, read_rows};
use dvae::prelude::*;
use dvae::{DataConfig, Experiment, PreparedData, Splits};

use super::corrupt_texts;
use crate::Error;
use crate::files::keep_data;
use crate::inputs::Inputs;
use crate::jobs::{Beside, Failures, Job, outputs};
use crate::output::Output;

/// Corrupt files with a corruption process
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae corrupt gaussian:0.3 photo.png -o noisy.png
  dvae corrupt laplace:0.1 table.csv -o noisy.csv
  dvae corrupt masking-by-value:0.2 table.csv -o holes.csv
  dvae corrupt motion-blur@4+jpeg@3 photos/ -o damaged/
  dvae corrupt typos:4 names.txt -o wrong.txt            or a table, with --columns surname
  dvae corrupt experiment.toml x.npy -o damaged.npy      the corruption of an experiment

Values are damaged as they are, or in the scaling of the experiment. Noise on pictures and other bytes is
clipped to [0, 1]; on real numbers it is not, and what is for numbers in [0, 1] is refused. Processes of tables take
standard deviations and other cells from the file itself, or from the training rows of the experiment. The same seed damages the same row of the same place in the same way.")]
pub(crate) struct Args {
    /// A corruption as text, or an experiment (.toml) whose corruption is used
    #[arg(value_name = "CONFIG")]
    corruption: String,
    #[command(flatten)]
    pub(super) files: Inputs,
    /// The output file, or a folder for several
    #[arg(long, short, value_name = "OUT")]
    pub(super) out: PathBuf,
    /// The columns of tables to damage, by name; others pass through [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(super) columns: Vec<String>,
    /// Stop at the first file that cannot be used, instead of going on with the others
    #[arg(long)]
    pub(super) strict: bool,
    /// The seed of all randomness
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

/// Rows in a batch, unless they are large.
const BATCH: usize = 64;
/// Numbers in a batch of several rows.
const NUMBERS: usize = 1 << 22;

pub(crate) fn run(args: &Args, out: Output) -> Result<ExitCode, Error> {
    let experiment = match args.corruption.ends_with(".toml") {
        true => Some(Experiment::load(Some(Path::new(&args.corruption)), &[])?),
        false => None,
    };
    let (config, data, table, options) = match &experiment {
        Some(experiment) => {
            let own = data_of(experiment)?;
            let table = own.as_ref().filter(|_| experiment.corruption.needs_table());
            let table =
                table.and_then(|(data, rows)| experiment.table_rows(data, Some(&rows.train)));
            let data = own.map(|(data, _)| data);
            let options = experiment.data.source.options();
            let columns = data.as_ref().and_then(|data| data.columns.clone()).or(options.columns);
            let is_key_of_model = options.key.is_some();
            let domain = experiment.data.domain;
            let (fit, kinds) = (Fit::Stored, data.as_ref().and_then(|data| data.kinds.clone()));
            let options = ReadOptions { domain, columns, kinds, is_key_of_model, fit, ..options };
            (experiment.corruption.clone(), data, table.map(Arc::new), options)
        }
        None => {
            let config: CorruptionConfig = args.corruption.parse()?;
            // Numbers that are no counts are refused by their rows.
            let domain = config.needs_counts().then_some(Domain::Counts);
            (config, None, None, ReadOptions { domain, ..ReadOptions::default() })
        }
    };
    if config.needs_text() {
        return corrupt_texts::run(args, &config, experiment.as_ref(), out);
    }
    let inputs = args.files.open()?;
    let mut options = inputs.options(options)?;
    if !args.columns.is_empty() {
        if data.is_some() {
            return Err(
                "the columns are those of the experiment's data: leave --columns out".into()
            );
        }
        options.columns = Some(args.columns.clone());
    }
    let scaler = data.and_then(|data| data.scaler);
    let damage =
        Damage { config, experiment: experiment.as_ref(), scaler, table, options, seed: args.seed };
    let jobs = inputs.jobs(&args.out, Beside::Nothing)?;
    if let Some(experiment) = &experiment {
        keep_data(outputs(&jobs), experiment)?;
    }
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let mut rows = 0;
    let mut failures = Failures::new(args.strict, &jobs);
    for job in &jobs {
        match damage.file(job, rows as u64, &device) {
            Ok(done) => rows += done,
            Err(error) => failures.add(job, error)?,
        }
    }
    failures.summarize("Damaged", rows, &args.out, out)
}

/// What the data of an experiment decided, if the rows that are damaged depend on it: the scaling that was fitted on the
/// training rows, and for corruptions of tables these rows.
fn data_of(experiment: &Experiment) -> Result<Option<(PreparedData, Splits)>, Error> {
    let is_needed = experiment.corruption.needs_table() || experiment.data.is_scaled();
    Ok(if is_needed { Some(experiment.load_data(None)?) } else { None })
}

/// The rows of a table, of which the first has this id, as a corruption takes cells from them; `None` if it is no table.
fn own_table(path: &Path, options: &ReadOptions, first: u64) -> Result<Option<TableRows>, Error> {
    let rows = read_rows(path, options)?;
    let names = rows.format.names.clone();
    let rows = rows.into_dataset(path)?;
    if rows.event().len() != 1 {
        return Ok(None);
    }
    let name = |column: usize| match &names {
        Some(names) => names[column].clone(),
        None => column.to_string(),
    };
    let column = |column| {
        let cells = rows.cells(column).map(|(id, cell)| (id + first, cell));
        TableColumnRows::new(name(column), 0, cells)
    };
    Ok(Some(TableRows::new((0..rows.event()[0]).map(column).collect())))
}

struct Damage<'a> {
    config: CorruptionConfig,
    experiment: Option<&'a Experiment>,
    scaler: Option<Scaler>,
    /// The training rows of the experiment, for a corruption of tables.
    table: Option<Arc<TableRows>>,
    options: ReadOptions,
    seed: u64,
}

impl Damage<'_> {
    fn file(&self, job: &Job, first: u64, device: &Device) -> Result<usize, Error> {
        let mut options = self.options.clone();
        if options.is_key_of_model && array_names(&job.input)?.len() < 2 {
            options.key = None; // The only array may have any name.
        }
        let mut rows = read_rows(&job.input, &options)?;
        let event = self.event(&rows.format.event);
        if let Some(scaler) = &self.scaler {
            scaler.check(event[0])?;
        }
        let mut writer = RowWriter::create(&job.output, &rows.format)?;
        let domain = self.domain(rows.format.domain);
        let table = match &self.table {
            None if self.config.needs_table() => {
                own_table(&job.input, &options, first)?.map(Arc::new)
            }
            table => table.clone(),
        };
        let context = CorruptionContext { domain, table, texts: None };
        let is_table = FileKind::by_name(&job.output) == Some(FileKind::Table);
        let at_once = (NUMBERS / event.iter().product::<usize>().max(1)).clamp(1, BATCH);
        let mut done = 0;
        loop {
            let mut batch: Vec<Row> = rows.by_ref().take(at_once).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let start = first + done as u64;
            let n = batch.len();
            let ids: Vec<u64> = (start..start + n as u64).collect();
            let draws = Key::new(self.seed).purpose(Purpose::EvaluationCorruption).rows(&ids);
            match event[..] {
                [a] => self.rows(&mut batch, &context, is_table, [n, a], draws, device)?,
                [a, b] => self.rows(&mut batch, &context, is_table, [n, a, b], draws, device)?,
                [a, b, c] => {
                    self.rows(&mut batch, &context, is_table, [n, a, b, c], draws, device)?;
                }
                _ => {
                    let input = job.input.display();
                    return Err(format!("{input}: rows of shape {event:?} are not damaged").into());
                }
            }
            batch.iter().try_for_each(|row| writer.write(row))?;
            done += n;
        }
        writer.finish()?;
        Ok(done)
    }

    /// The shape of rows of this shape when they are damaged.
    fn event(&self, stored: &[usize]) -> Vec<usize> {
        let shape = self.experiment.and_then(|experiment| experiment.data.shape.clone());
        let width = |shape: &[usize]| shape.iter().product::<usize>();
        shape.filter(|shape| width(shape) == width(stored)).unwrap_or_else(|| stored.to_vec())
    }

    /// What the values are that are damaged.
    fn domain(&self, stored: Domain) -> Domain {
        match (&self.scaler, self.experiment) {
            (Some(_), Some(Experiment { data: DataConfig { range: Some(range), .. }, .. })) => {
                range.domain()
            }
            (Some(_), _) => Domain::Real,
            (None, Some(experiment)) => experiment.domain_of_files(stored),
            (None, None) => stored,
        }
    }

    /// Damages rows. Entries that the process leaves as they are keep the bits that their file has; those that were not
    /// observed stay unobserved.
    fn rows<const D: usize>(
        &self,
        rows: &mut [Row],
        context: &CorruptionContext,
        is_table: bool,
        shape: [usize; D],
        mut draws: RowStreams,
        device: &Device,
    ) -> Result<(), Error> {
        let process = self.config.build::<D>(context)?;
        process.check(&shape[1..])?;
        let scaled = |row: &Row| match &self.scaler {
            Some(scaler) => scaler.apply(&row.values()),
            None => row.values().into_iter().map(|value| value as f32).collect(),
        };
        let clean: Vec<Vec<f32>> = rows.iter().map(scaled).collect();
        let observed = |value: &f32| if value.is_nan() { 0.0 } else { *value };
        let Strength { level, scale } = process.strength();
        let is_null = level == Level::Fixed(scale.null);
        for (row, id) in rows.iter().zip(draws.ids()).filter(|_| self.scaler.is_none() && !is_null)
        {
            if let Some(value) = row.values().into_iter().find(|&value| is_lost(value)) {
                return Err(format!(
                    "row {id} holds {value:?}, whose digits single precision cannot damage: use an experiment with \
                     data.scaling, or --columns without it"
                )
                .into());
            }
        }
        for (row, id) in clean.iter().zip(draws.ids()) {
            let checked = row.iter().map(observed).try_for_each(|value| process.check_value(value));
            checked.map_err(|error| format!("row {id}: {error}"))?;
        }
        let values: Vec<f32> = clean.iter().flatten().map(observed).collect();
        let tensor = Tensor::<D>::from_data(TensorData::new(values, shape), device);
        let damaged = process.corrupt(tensor, &mut draws);
        // Cuts off the mask, if one is shown after the rows.
        let values: Vec<f32> = damaged.input.narrow(1, 0, shape[1]).into_data().iter().collect();
        let hidden = damaged.hidden.filter(|_| is_table);
        let hidden: Vec<bool> = hidden.map_or(vec![], |hidden| hidden.into_data().iter().collect());
        let width = shape[1..].iter().product();
        let places = rows.iter_mut().zip(&clean).zip(values.chunks(width)).enumerate();
        for (place, ((row, clean), damaged)) in places {
            let units = match &self.scaler {
                Some(scaler) => scaler.undo(damaged),
                None => damaged.iter().copied().map(f64::from).collect(),
            };
            // In a table, what is erased is missing, unless it was filled.
            let is_erased =
                |at: usize| hidden.get(place * width + at) == Some(&true) && damaged[at] == 0.0;
            (0..width).filter(|&at| is_erased(at)).for_each(|at| row.erase(at));
            row.replace(|at| {
                let is_kept = clean[at].is_nan() || is_erased(at);
                (!is_kept && damaged[at].to_bits() != clean[at].to_bits()).then(|| units[at])
            });
        }
        Ok(())
    }
}

/// Whether single precision, in which rows are damaged, has another number than this large one.
fn is_lost(value: f64) -> bool {
    value.abs() > 16_777_216.0 && f64::from(value as f32) != value
}
