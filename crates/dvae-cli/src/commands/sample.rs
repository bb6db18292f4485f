//! `dvae sample`.

use std::path::PathBuf;

use dvae::data::{FileKind, RowWriter, write_file};
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{format_of, keep_data, write_rows};
use crate::output::{Output, path};

/// Draw rows from the model's prior
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae sample runs/run-001 -n 64 -o grid.png
  dvae sample runs/run-001 -n 1000 -o samples.npy
  dvae sample runs/run-001 --shared 1 -o levels.png      what the levels below the top one add

Each is the mean of p(x | z) at a draw of z from the prior.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    /// The number of samples
    #[arg(short, long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// A picture (.png), an array (.npy) or a table (.csv)
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// Levels of latents, from the top, that the samples of a line share: each ⌈√N⌉ samples in turn, also in files other
    /// than pictures
    #[arg(long, value_name = "LEVELS", default_value_t = 0)]
    shared: usize,
    /// The seed of all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Summary {
    rows: u32,
    #[serde(serialize_with = "path")]
    out: PathBuf,
}

/// A larger picture could not be opened by common programs.
const MOST_IN_A_PICTURE: usize = 10_000;

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    keep_data([&*args.out], model.experiment())?;
    let levels = model.levels().len();
    if args.shared >= levels {
        let shared = args.shared;
        let error = format!(
            "--shared must be below the number of the model's levels, {levels}, but is {shared}"
        );
        return Err(error.into());
    }
    let n = args.n as usize;
    // As close to a square as possible.
    let columns = n.isqrt() + usize::from(n.isqrt().pow(2) < n);
    let mut samples = model.sample_sharing(args.shared, columns as u64, 0..n as u64, args.seed);
    if FileKind::by_name(&args.out) == Some(FileKind::Picture) {
        if n > MOST_IN_A_PICTURE {
            let out = args.out.display();
            return Err(format!(
                "{out}: a picture holds {MOST_IN_A_PICTURE} samples at most; .npy holds any number"
            )
            .into());
        }
        let rows: Vec<Vec<f64>> = samples.collect();
        let lines: Vec<(String, Vec<Vec<f64>>)> =
            rows.chunks(columns).map(|line| (String::new(), line.to_vec())).collect();
        write_rows(&args.out, &lines, &model)?;
    } else if model.text_unit().is_some() {
        if FileKind::by_name(&args.out) != Some(FileKind::Text) {
            let out = args.out.display();
            return Err(format!("{out}: samples of texts need a name that ends in .txt").into());
        }
        let lines: String = samples.filter_map(|row| Some(model.text(&row)? + "\n")).collect();
        write_file(&args.out, lines.as_bytes())?;
    } else {
        let format = format_of(&model, &args.out);
        let mut writer = RowWriter::create(&args.out, &format)?;
        samples.try_for_each(|row| writer.write(&format.row(&row)))?;
        writer.finish()?;
    }
    let summary = Summary { rows: args.n, out: args.out.clone() };
    out.write(&summary, || format!("{} samples are in {}", args.n, args.out.display()))
}
