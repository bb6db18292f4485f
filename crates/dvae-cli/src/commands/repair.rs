//! `dvae denoise` of texts.

use std::path::PathBuf;
use std::process::ExitCode;

use dvae::data::{
    Domain, Element, FileKind, Format, RowWriter, TextRow, TextRows, TextWriter, read_texts,
};
use dvae::train::Communicator;
use dvae::{DataSource, Pretrained, RepairOptions, TextRepair};

use crate::Error;
use crate::files::keep_data;
use crate::inputs::{InputFiles, Inputs};
use crate::jobs::{Beside, Failures, Job, outputs};
use crate::output::{Output, warn_of_own};
use crate::processes;

/// Options for models of texts.
#[derive(clap::Args)]
pub(super) struct RepairArgs {
    /// Of texts in tables: the column that has them [default: that of training]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Of texts: how many beginnings the search for the likeliest text keeps [default: that of `dvae calibrate`, or 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    beam: Option<u32>,
    /// Of texts: how much likelier another text must be to take the place of one, in nats [default: what `dvae calibrate` has learned, so that
    /// at most 1 % of clean texts are changed]
    #[arg(long, value_name = "NATS")]
    margin: Option<f64>,
    /// Of texts: also write so many of the likeliest ones for each, with their log-probabilities in nats, to a table beside the output
    /// (clean-candidates.csv)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    candidates: Option<u32>,
}

/// The beam without any other.
pub(super) const BEAM: usize = 8;
/// Texts that are read before they are repaired.
const AT_ONCE: usize = 4096;

impl RepairArgs {
    /// The name of the first option that is given, if any.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.column.is_some(), "--column"),
            (self.beam.is_some(), "--beam"),
            (self.margin.is_some(), "--margin"),
            (self.candidates.is_some(), "--candidates"),
        ];
        given.iter().find(|(is_given, _)| *is_given).map(|&(_, name)| name)
    }

    /// How texts are repaired. An error says that neither a margin is given nor one was learned.
    fn options(&self, model: &Pretrained, run: &std::path::Path) -> Result<RepairOptions, Error> {
        let learned = model.repair_calibration();
        let beam = self.beam.map(|beam| beam as usize);
        let beam = beam.or(learned.map(|learned| learned.beam)).unwrap_or(BEAM);
        let beam = beam.max(self.candidates.unwrap_or(0) as usize);
        let margin = match (self.margin, learned) {
            (Some(margin), _) if !(margin >= 0.0 && margin.is_finite()) => {
                return Err(format!("--margin is a number of nats from 0, but is {margin}").into());
            }
            (Some(margin), _) => margin,
            (None, Some(learned)) => learned.margin,
            (None, None) => {
                let run = run.display();
                return Err(format!(
                    "{run} has not learned which repairs to trust: run `dvae calibrate {run}` first, or say by --margin how many nats \
                     likelier a repair must be"
                )
                .into());
            }
        };
        Ok(RepairOptions { beam, margin })
    }
}

/// What one file becomes.
#[derive(Default)]
struct Counts {
    texts: usize,
    changed: usize,
    too_long: usize,
}

/// Repairs the texts of files.
pub(super) fn run(
    args: &RepairArgs,
    run: &std::path::Path,
    files: &Inputs,
    (to, is_strict): (&std::path::Path, bool),
    (model, out): (&Pretrained, Output),
    group: &dyn Communicator,
) -> Result<ExitCode, Error> {
    let options = args.options(model, run)?;
    let inputs = files.open()?;
    let beside = if args.candidates.is_some() { Beside::Candidates } else { Beside::Nothing };
    let jobs = inputs.jobs(to, beside)?;
    let names: Vec<&std::path::Path> = outputs(&jobs).collect();
    processes::agreed(group, &format!("{names:?}"), "they do not see the same files")?;
    keep_data(outputs(&jobs), model.experiment())?;
    let repair = Repair { args, model, options, inputs: &inputs };
    let mut failures = Failures::new(is_strict, &jobs);
    let mut all = Counts::default();
    for job in (group.rank()..jobs.len()).step_by(group.size()) {
        match repair.file(&jobs[job]) {
            Ok(counts) => {
                all.texts += counts.texts;
                all.changed += counts.changed;
                all.too_long += counts.too_long;
            }
            Err(error) => failures.add(&jobs[job], error)?,
        }
    }
    if all.too_long > 0 {
        let width = model.event()[0];
        warn_of_own(&format!(
            "{} are longer than {width} characters, the most that the model has room for: they stay as they are",
            crate::files::counted(all.too_long, "text")
        ));
    }
    let failures = failures.with_changed(all.changed);
    let (rows, failures) = failures.of_all(all.texts, &jobs, group)?;
    match group.rank() {
        0 => failures.summarize("Repaired", rows, to, out),
        _ => Ok(failures.code()),
    }
}

struct Repair<'a> {
    args: &'a RepairArgs,
    model: &'a Pretrained,
    options: RepairOptions,
    inputs: &'a InputFiles<'a>,
}

impl Repair<'_> {
    /// The texts of a file.
    fn open(&self, path: &PathBuf) -> Result<TextRows, Error> {
        let options = self.inputs.options(self.model.experiment().data.source.options())?;
        let own = match &self.model.experiment().data.source {
            DataSource::Text { column, .. } => column.clone(),
            _ => None,
        };
        let is_table = FileKind::by_name(path) == Some(FileKind::Table);
        let column = self.args.column.clone().or_else(|| own.filter(|_| is_table));
        if is_table && column.is_none() {
            let path = self.inputs.label(path);
            return Err(format!("{path}: say by --column which column has the texts").into());
        }
        Ok(read_texts(path, column.as_deref(), &options)?)
    }

    fn file(&self, job: &Job) -> Result<Counts, Error> {
        let mut rows = self.open(&job.input)?;
        let mut writer = TextWriter::create(&job.output, &rows)?;
        let mut candidates = match job.beside.first() {
            Some(path) => Some(Candidates::create(path, self.args.candidates.unwrap_or(1))?),
            None => None,
        };
        let mut counts = Counts::default();
        loop {
            let mut batch: Vec<TextRow> = rows.by_ref().take(AT_ONCE).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let texts: Vec<String> = batch.iter().map(TextRow::text).collect();
            let repairs = self.model.repair(&texts, self.options)?;
            for ((row, text), repair) in batch.iter_mut().zip(&texts).zip(&repairs) {
                if repair.is_changed {
                    row.replace(&repair.text);
                    counts.changed += 1;
                }
                let has_words = self.model.text_unit().is_some_and(|unit| !unit.places(text).is_empty());
                counts.too_long += usize::from(has_words && repair.nats.is_none());
                writer.write(row)?;
                if let Some(candidates) = &mut candidates {
                    candidates.write(text, repair)?;
                }
                counts.texts += 1;
            }
        }
        writer.finish()?;
        candidates.map_or(Ok(()), Candidates::finish)?;
        Ok(counts)
    }
}

/// A table of what may stand in place of each text.
struct Candidates {
    writer: RowWriter,
    format: Format,
    most: usize,
    row: usize,
}

impl Candidates {
    fn create(path: &std::path::Path, most: u32) -> Result<Self, Error> {
        let names = ["row", "rank", "nats"].map(str::to_owned).into();
        let format = Format::new(&[3], Element::F64, Domain::Real)
            .named(Some(names))
            .labeled(&["text", "candidate"]);
        let writer = RowWriter::create(path, &format)?;
        Ok(Self { writer, format, most: most as usize, row: 0 })
    }

    /// The candidates of the next text, from rank 1; rank 0 is the text itself.
    fn write(&mut self, text: &str, repair: &TextRepair) -> Result<(), Error> {
        self.row += 1;
        let own = repair.nats.map(|nats| (0, text, nats));
        let found = repair.candidates.iter().take(self.most).enumerate();
        let found = found.map(|(at, of)| (at + 1, &*of.text, of.nats));
        for (rank, candidate, nats) in own.into_iter().chain(found) {
            let row = self.format.row(&[self.row as f64, rank as f64, nats]);
            let labels = [text, candidate].map(str::to_owned).into();
            self.writer.write(&row.labeled(labels))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        Ok(self.writer.finish()?)
    }
}
