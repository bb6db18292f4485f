//! `dvae sample`.

use std::path::PathBuf;

use serde::Serialize;

use super::Run;
use crate::Error;
use crate::files::write_rows;
use crate::output::Output;

/// Draw rows from the model's prior
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae sample runs/run-001 -n 64 -o grid.png
  dvae sample runs/run-001 -n 1000 -o samples.npy

Each is the mean of p(x | z) at a draw of z from the prior.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: Run,
    /// How many
    #[arg(short, long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// A picture (.png), an array (.npy) or a table (.csv)
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// What all randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Summary {
    rows: u32,
    out: PathBuf,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    let rows = model.sample(args.n as usize, args.seed);
    // As near to a square as it gets.
    let columns = (1..).find(|columns| columns * columns >= rows.len()).unwrap_or(1);
    let lines: Vec<(String, Vec<Vec<f32>>)> =
        rows.chunks(columns).map(|line| (String::new(), line.to_vec())).collect();
    write_rows(&args.out, &lines, model.event())?;
    let summary = Summary { rows: args.n, out: args.out.clone() };
    out.write(&summary, || format!("{} samples are in {}", args.n, args.out.display()))
}
