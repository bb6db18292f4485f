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
  dvae embed runs/run-001 table.csv -o z.csv --keep patient,date

Pictures may have another size than those that the model was trained on if it is one of maps (a ladder): they then have more
latents, or fewer, and all must have one size.

A table has the file of each row and its place there, from 0; an array has the latents alone, in the same order.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    #[command(flatten)]
    files: Inputs,
    /// An array (.npy) or a table (.csv)
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// Columns of tables that go into the output as they are, by name, such as a key
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    keep: Vec<String>,
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
    let model = args.run.load_of_numbers("embed")?;
    let inputs = args.files.open()?;
    let options = inputs.options(model.read_options())?;
    let files = inputs.files()?;
    keep_inputs([&*args.out], files.iter().map(|file| &**file))?;
    keep_data([&*args.out], model.experiment())?;
    if !args.keep.is_empty() && FileKind::by_name(&args.out) != Some(FileKind::Table) {
        return Err(format!(
            "{}: an array cannot keep columns: name a table (.csv)",
            args.out.display()
        )
        .into());
    }
    let mut latents: Option<Latents> = None;
    for file in &files {
        let rows = model.open_of_any_size(file, &options)?;
        let shape = model.fits(file, &rows.format.event)?;
        let latents = match &mut latents {
            Some(latents) => latents,
            none => none.insert(Latents::create(&args.out, &model, &shape, file, &args.keep)?),
        };
        latents.check(&shape, file)?;
        let kept = match &args.keep[..] {
            [] => vec![],
            names => rows.format.places(file, names)?,
        };
        for (place, row) in rows.enumerate() {
            let row = row?;
            let mut labels = vec![inputs.label(file), place.to_string()];
            labels.extend(row.texts(&kept));
            latents.push(row.values(), labels)?;
        }
    }
    let latents = latents.ok_or("there is no row")?;
    let number = latents.format.event[0];
    let rows = latents.finish()?;
    let summary = Summary { rows, latents: number, out: args.out.clone() };
    out.write(&summary, || {
        let (rows, latents) = (counted(rows, "row"), counted(number, "latent"));
        format!("{latents} of {rows} are in {}", args.out.display())
    })
}

/// The file of latents, which are made in batches.
struct Latents<'a> {
    model: &'a Pretrained,
    /// The shape of a row.
    shape: Vec<usize>,
    format: Format,
    writer: RowWriter,
    rows: Vec<Vec<f64>>,
    /// The file and the place of each row, and what is kept of it.
    labels: Vec<Vec<String>>,
    done: usize,
}

impl<'a> Latents<'a> {
    /// A file for the latents of rows of this shape, which the first file has.
    fn create(
        path: &Path,
        model: &'a Pretrained,
        shape: &[usize],
        first: &Path,
        keep: &[String],
    ) -> Result<Self, Error> {
        let element = match FileKind::by_name(path) {
            Some(FileKind::Picture) => {
                let path = path.display();
                return Err(format!("{path}: latents need a name that ends in .npy or .csv").into());
            }
            Some(FileKind::Table) => Element::F64,
            _ => Element::F32,
        };
        let levels = match (model.picture(shape), model.reach()) {
            _ if shape == model.event() => model.levels(),
            (Some(shape), Some(_)) => model.levels_of(shape),
            _ => {
                return Err(format!(
                    "{} has rows of shape {shape:?}, but the model has latents for rows of shape {:?}",
                    first.display(),
                    model.event()
                )
                .into());
            }
        };
        // A large picture has millions: only a table needs their names.
        let is_table = FileKind::by_name(path) == Some(FileKind::Table);
        let number = levels.iter().map(|level| level.len()).sum();
        let format = Format::new(&[number], element, Domain::Real)
            .named(is_table.then(|| model.names_of(&levels)))
            .labeled(
                &[&["file", "row"], &keep.iter().map(String::as_str).collect::<Vec<_>>()[..]]
                    .concat(),
            );
        let writer = RowWriter::create(path, &format)?;
        let shape = shape.into();
        Ok(Self { model, shape, format, writer, rows: vec![], labels: vec![], done: 0 })
    }

    /// An error names a file whose rows have another shape than those before it, and so other latents.
    fn check(&self, shape: &[usize], file: &Path) -> Result<(), Error> {
        if shape == self.shape {
            return Ok(());
        }
        Err(format!(
            "{} has rows of shape {shape:?}, but those before it are of shape {:?}: their latents do not go into one \
             file",
            file.display(),
            self.shape
        )
        .into())
    }

    fn push(&mut self, row: Vec<f64>, labels: Vec<String>) -> Result<(), Error> {
        self.rows.push(row);
        self.labels.push(labels);
        if self.rows.len() == self.model.rows_at_once(&self.shape, BATCH) {
            self.batch()
        } else {
            Ok(())
        }
    }

    fn batch(&mut self) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let latents = self.model.embed_pictures(&self.rows, &self.shape);
        for (latent, labels) in latents.iter().zip(self.labels.drain(..)) {
            let latent: Vec<f64> = latent.iter().copied().map(f64::from).collect();
            self.writer.write(&self.format.row(&latent).labeled(labels))?;
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
