//! `dvae corrupt` of texts.

use std::process::ExitCode;
use std::sync::Arc;

use dvae::corruption::{TextContext, TextCorruption};
use dvae::data::{FileKind, ReadOptions, TextRow, TextWriter, Vocabulary, read_texts};
use dvae::prelude::*;
use dvae::{DataSource, Experiment, PreparedData};

use super::corrupt::Args;
use crate::Error;
use crate::files::keep_data;
use crate::jobs::{Beside, Failures, Job, outputs};
use crate::output::Output;

/// Texts in a batch.
const BATCH: usize = 4096;

/// Damages the texts of files. Without an experiment the letters that are put in are those of the file.
pub(super) fn run(
    args: &Args,
    config: &CorruptionConfig,
    experiment: Option<&Experiment>,
    out: Output,
) -> Result<ExitCode, Error> {
    let inputs = args.files.open_to_read_again()?;
    let jobs = inputs.jobs(&args.out, Beside::Nothing)?;
    if let Some(experiment) = experiment {
        keep_data(outputs(&jobs), experiment)?;
    }
    let data = experiment.map(|experiment| experiment.load_data(None)).transpose()?;
    let source = experiment.map(|experiment| &experiment.data.source);
    let column = match (&args.columns[..], source) {
        ([], Some(DataSource::Text { column, .. })) => column.clone(),
        ([], _) => None,
        ([one], _) => Some(one.clone()),
        _ => return Err("texts are those of one column: name one by --columns".into()),
    };
    let options = inputs.options(source.map(DataSource::options).unwrap_or_default())?;
    let damage =
        Damage { config, data: data.map(|(data, _)| data), column, options, seed: args.seed };
    let mut rows = 0;
    let mut failures = Failures::new(args.strict, &jobs);
    for job in &jobs {
        match damage.file(job, rows) {
            Ok(done) => rows += done,
            Err(error) => failures.add(job, error)?,
        }
    }
    failures.summarize("Damaged", rows, &args.out, out)
}

struct Damage<'a> {
    config: &'a CorruptionConfig,
    /// What the data of the experiment decided.
    data: Option<PreparedData>,
    column: Option<String>,
    options: ReadOptions,
    seed: u64,
}

impl Damage<'_> {
    /// Damages the texts of a file, of which the first has the number `first`, and returns how many there are.
    fn file(&self, job: &Job, first: usize) -> Result<usize, Error> {
        let is_table = FileKind::by_name(&job.input) == Some(FileKind::Table);
        let column = self.column.as_deref().filter(|_| is_table);
        let process = self.process(job, column)?;
        let mut texts = read_texts(&job.input, column, &self.options)?;
        let mut writer = TextWriter::create(&job.output, &texts)?;
        let draws = Key::new(self.seed).purpose(Purpose::EvaluationCorruption);
        let mut done = 0;
        loop {
            let mut batch: Vec<TextRow> = texts.by_ref().take(BATCH).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let start = (first + done) as u64;
            let ids: Vec<u64> = (start..start + batch.len() as u64).collect();
            let clean: Vec<String> = batch.iter().map(TextRow::text).collect();
            let clean: Vec<&str> = clean.iter().map(|text| &**text).collect();
            let damaged = process.corrupt(&clean, &mut draws.rows(&ids));
            for ((row, clean), damaged) in batch.iter_mut().zip(&clean).zip(damaged) {
                if damaged.text != **clean {
                    row.replace(&damaged.text);
                }
                writer.write(row)?;
            }
            done += batch.len();
        }
        writer.finish()?;
        Ok(done)
    }

    /// The process, with the letters of the experiment's texts or else of the file.
    fn process(&self, job: &Job, column: Option<&str>) -> Result<Box<dyn TextCorruption>, Error> {
        let vocabulary = match self.data.as_ref().and_then(|data| data.vocabulary.clone()) {
            Some(vocabulary) => vocabulary,
            None => {
                let texts = read_texts(&job.input, column, &self.options)?;
                let texts = texts.map(|row| row.map(|row| row.text()));
                let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
                Vocabulary::of(texts.iter().map(|text| &**text), 1)
            }
        };
        let typos = self.data.as_ref().and_then(|data| data.typos.clone()).map(Arc::new);
        let context = TextContext { vocabulary: Arc::new(vocabulary), typos };
        Ok(self.config.build_for_texts(&context)?)
    }
}
