//! `dvae embed`.

use std::path::{Path, PathBuf};

use dvae::Pretrained;
use dvae::data::{Domain, Element, FileKind, Format, RowWriter};
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{counted, keep_data, keep_inputs};
use crate::inputs::Inputs;
use crate::output::{Output, path};

/// Write the latents of files: the posterior's mean of each row
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae embed runs/run-001 x.npy -o z.npy
  dvae embed runs/run-001 photos/ -o z.csv      one line a picture, with its file

A table has the file of each row and its place there, from 0; an array has the latents alone, in the same order.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    #[command(flatten)]
    files: Inputs,
    /// An array (.npy) or a table (.csv)
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Summary {
    rows: usize,
    latents: usize,
    #[serde(serialize_with = "path")]
    out: PathBuf,
}

/// Rows in a batch.
const BATCH: usize = 64;

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    let inputs = args.files.open()?;
    let options = inputs.options(model.read_options())?;
    let files = inputs.files()?;
    keep_inputs([&*args.out], files.iter().map(|file| &**file))?;
    keep_data([&*args.out], model.experiment())?;
    let mut latents = Latents::create(&args.out, &model)?;
    for file in &files {
        for (place, row) in model.open(file, &options)?.enumerate() {
            latents.push(row?.values(), [inputs.label(file), place.to_string()])?;
        }
    }
    let rows = latents.finish()?;
    let summary = Summary { rows, latents: model.latent(), out: args.out.clone() };
    out.write(&summary, || {
        let (rows, latents) = (counted(rows, "row"), counted(model.latent(), "latent"));
        format!("{latents} of {rows} are in {}", args.out.display())
    })
}

/// The file of latents, which are made in batches.
struct Latents<'a> {
    model: &'a Pretrained,
    format: Format,
    writer: RowWriter,
    rows: Vec<Vec<f64>>,
    /// The file and the place of each row.
    labels: Vec<[String; 2]>,
    done: usize,
}

impl<'a> Latents<'a> {
    fn create(path: &Path, model: &'a Pretrained) -> Result<Self, Error> {
        let element = match FileKind::by_name(path) {
            Some(FileKind::Picture) => {
                let path = path.display();
                return Err(format!("{path}: latents need a name that ends in .npy or .csv").into());
            }
            Some(FileKind::Table) => Element::F64,
            _ => Element::F32,
        };
        let format = Format::new(&[model.latent()], element, Domain::Real)
            .named(Some(model.latent_names()))
            .labeled(&["file", "row"]);
        let writer = RowWriter::create(path, &format)?;
        Ok(Self { model, format, writer, rows: vec![], labels: vec![], done: 0 })
    }

    fn push(&mut self, row: Vec<f64>, labels: [String; 2]) -> Result<(), Error> {
        self.rows.push(row);
        self.labels.push(labels);
        if self.rows.len() == self.model.rows_at_once(BATCH) { self.batch() } else { Ok(()) }
    }

    fn batch(&mut self) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let latents = self.model.embed(&self.rows);
        for (latent, labels) in latents.iter().zip(self.labels.drain(..)) {
            let latent: Vec<f64> = latent.iter().copied().map(f64::from).collect();
            self.writer.write(&self.format.row(&latent).labeled(labels.into()))?;
        }
        self.done += self.rows.len();
        self.rows.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<usize, Error> {
        self.batch()?;
        self.writer.finish()?;
        Ok(self.done)
    }
}
