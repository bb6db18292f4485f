//! `dvae denoise` of texts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dvae::data::{
    Domain, Element, FileKind, Format, ReadOptions, RowWriter, TextRow, TextRows, TextWriter,
    read_texts,
};
use dvae::train::Communicator;
use dvae::{DataSource, KnownTexts, Pretrained, RepairOptions, TextRepair};

use crate::Error;
use crate::files::{keep_data, keep_inputs};
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
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    margin: Option<f64>,
    /// Of texts: a text file of such as are known to be right, a text in each line; they count as repairs too, by what `dvae calibrate
    /// --known` has learned
    #[arg(long, value_name = "PATH")]
    known: Option<PathBuf>,
    /// Of texts: also write so many of the likeliest ones for each, with their log-probabilities in nats, to a table beside the output
    /// (clean-candidates.csv); at most as many as --beam
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
            (self.known.is_some(), "--known"),
            (self.candidates.is_some(), "--candidates"),
        ];
        given.iter().find(|(is_given, _)| *is_given).map(|&(_, name)| name)
    }

    /// How texts are repaired. An error says that neither a margin is given nor one was learned.
    fn options(&self, model: &Pretrained, run: &Path) -> Result<RepairOptions, Error> {
        let learned = model.repair_calibration();
        let asked = self.beam.map(|beam| beam as usize);
        let beam = asked.or(learned.map(|learned| learned.beam)).unwrap_or(BEAM);
        if let Some(most) = self.candidates.filter(|&most| most as usize > beam) {
            return Err(
                format!("--candidates {most} needs a --beam of as many, but it is {beam}").into()
            );
        }
        let again = |with: &str| {
            let run = run.display();
            format!(
                "run `dvae calibrate {run}{with}` first, or say by --margin how many nats likelier a repair must be"
            )
        };
        let margin = match (self.margin, learned) {
            (Some(margin), _) if !(margin >= 0.0 && margin.is_finite()) => {
                return Err(format!("--margin is a number of nats from 0, but is {margin}").into());
            }
            (Some(margin), _) => margin,
            (None, None) => {
                let run = run.display();
                let again = again("");
                return Err(format!("{run} has not learned which repairs to trust: {again}").into());
            }
            (None, Some(learned)) if learned.beam != beam => {
                let (own, again) = (learned.beam, again(&format!(" --beam {beam}")));
                return Err(format!("the margin was learned with --beam {own}: {again}").into());
            }
            (None, Some(learned)) if learned.bonus.is_some() && self.known.is_none() => {
                let again = again("");
                return Err(format!(
                    "the margin was learned with --known: name the texts, or {again}"
                )
                .into());
            }
            (None, Some(learned)) => learned.margin,
        };
        Ok(RepairOptions { beam, margin })
    }

    /// The known texts. An error says that it was not learned how much they count.
    fn known(&self, model: &Pretrained, run: &Path) -> Result<Option<KnownTexts>, Error> {
        let Some(path) = &self.known else { return Ok(None) };
        let bonus = model.repair_calibration().and_then(|learned| learned.bonus);
        let bonus = bonus.ok_or_else(|| {
            let (run, path) = (run.display(), path.display());
            format!("{run} has not learned how much known texts count: run `dvae calibrate {run} --known {path}` first")
        })?;
        Ok(Some(known_texts(path)?.with_bonus(bonus)))
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
    run: &Path,
    files: &Inputs,
    (to, is_strict): (&Path, bool),
    (model, out): (&Pretrained, Output),
    group: &dyn Communicator,
) -> Result<ExitCode, Error> {
    let options = args.options(model, run)?;
    let inputs = files.open()?;
    let beside = if args.candidates.is_some() { Beside::Candidates } else { Beside::Nothing };
    let jobs = inputs.jobs(to, beside)?;
    let names: Vec<&Path> = outputs(&jobs).collect();
    processes::agreed(group, &format!("{names:?}"), "they do not see the same files")?;
    keep_data(outputs(&jobs), model.experiment())?;
    keep_inputs(outputs(&jobs), args.known.as_deref())?;
    let known = args.known(model, run)?;
    let repair = Repair { args, known, model, options, inputs: &inputs };
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
            "left as they are, because they are longer than the {width} characters that the model has room for: {}",
            all.too_long
        ));
    }
    let failures = failures.with_changed(all.changed);
    let (rows, failures) = failures.of_all(all.texts, &jobs, group)?;
    match group.rank() {
        0 => failures.summarize("Repaired", rows, to, out),
        _ => Ok(failures.code()),
    }
}

/// The texts of a file, which are known to be right.
pub(super) fn known_texts(path: &Path) -> Result<KnownTexts, Error> {
    let texts = read_texts(path, None, &ReadOptions::default())?;
    let texts: Vec<String> =
        texts.map(|row| row.map(|row| row.text())).collect::<Result<_, _>>()?;
    Ok(KnownTexts::new(texts.into_iter().filter(|text| !text.is_empty())))
}

struct Repair<'a> {
    args: &'a RepairArgs,
    known: Option<KnownTexts>,
    model: &'a Pretrained,
    options: RepairOptions,
    inputs: &'a InputFiles<'a>,
}

impl Repair<'_> {
    /// The texts of a file.
    fn open(&self, path: &Path) -> Result<TextRows, Error> {
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
            let repairs = self.model.repair(&texts, self.options, self.known.as_ref())?;
            for ((row, text), repair) in batch.iter_mut().zip(&texts).zip(&repairs) {
                if repair.is_changed {
                    row.replace(&repair.text);
                    counts.changed += 1;
                }
                counts.too_long += repair.too_long;
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
    fn create(path: &Path, most: u32) -> Result<Self, Error> {
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
