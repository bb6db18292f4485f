//! `dvae embed`.

use std::path::PathBuf;

use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{Inputs, RowWriter, keep_inputs, rows_for};
use crate::output::Output;

/// Write the latents of files: the posterior's mean of each row
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae embed runs/run-001 x.npy -o z.npy
  dvae embed runs/run-001 photos/ -o z.csv      one line a picture, by name")]
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
    out: PathBuf,
}

/// Rows in a batch.
const BATCH: usize = 64;

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    let names = model.latent_names();
    if dvae::data::FileKind::by_name(&args.out) == Some(dvae::data::FileKind::Picture) {
        return Err(format!(
            "{}: latents need a name that ends in .npy or .csv",
            args.out.display()
        )
        .into());
    }
    let options = args.files.options(model.read_options())?;
    let files = args.files.files()?;
    keep_inputs([&*args.out], files.iter().map(|file| &**file))?;
    let mut writer = RowWriter::create(&args.out, &[model.latent()], Some(&names), false)?;
    let (mut done, mut batch) = (0, vec![]);
    for file in &files {
        for row in rows_for(&model, file, &options)? {
            batch.push(row?);
            if batch.len() == BATCH {
                model.embed(&batch).iter().try_for_each(|latent| writer.write(latent))?;
                done += batch.len();
                batch.clear();
            }
        }
    }
    if !batch.is_empty() {
        model.embed(&batch).iter().try_for_each(|latent| writer.write(latent))?;
        done += batch.len();
    }
    writer.finish()?;
    let summary = Summary { rows: done, latents: model.latent(), out: args.out.clone() };
    out.write(&summary, || {
        format!("{done} rows became {} latents each, in {}", model.latent(), args.out.display())
    })
}
