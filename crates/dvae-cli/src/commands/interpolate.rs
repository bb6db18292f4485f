//! `dvae interpolate`.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{counted, keep_data, keep_inputs, write_rows};
use crate::inputs::Inputs;
use crate::output::{Output, path};

/// Interpolate from row to row in the latent space
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae interpolate runs/run-001 a.png b.png c.png -o path.png
  dvae interpolate runs/run-001 x.npy --rows 0,7 --steps 9 -o path.npy

Between two rows the latents go straight from one posterior mean to the other.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    #[command(flatten)]
    files: Inputs,
    /// The rows of an array or a table, from 0 [default: the first two]
    #[arg(long, value_name = "I,J,…", value_delimiter = ',')]
    rows: Vec<usize>,
    /// Pictures from one row to the next, including both ends
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    steps: u32,
    /// A picture (.png), an array (.npy) or a table (.csv)
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Summary {
    rows: usize,
    #[serde(serialize_with = "path")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load_of_numbers("interpolate")?;
    let inputs = args.files.open()?;
    let options = inputs.options(model.read_options())?;
    let files = inputs.files()?;
    keep_inputs([&*args.out], files.iter().map(|file| &**file))?;
    keep_data([&*args.out], model.experiment())?;
    let mut ends = vec![];
    for input in &files {
        let wanted = if args.rows.is_empty() { &[0, 1][..] } else { &args.rows };
        let mut found = HashMap::new();
        for (place, row) in model.open(input, &options)?.enumerate() {
            if wanted.contains(&place) {
                found.insert(place, row?.values());
            }
            if wanted.iter().all(|place| found.contains_key(place)) {
                break;
            }
        }
        for place in wanted {
            match found.get(place) {
                Some(row) => ends.push(row.clone()),
                None if args.rows.is_empty() => {}
                None => return Err(format!("{} has no row {place}", input.display()).into()),
            }
        }
    }
    if ends.len() < 2 {
        return Err("two rows at least are needed to go from one to the other".into());
    }
    let latents = model.embed(&ends);
    let lines: Vec<(String, Vec<Vec<f64>>)> = latents
        .windows(2)
        .map(|pair| (String::new(), model.decode(&between(&pair[0], &pair[1], args.steps))))
        .collect();
    write_rows(&args.out, &lines, &model)?;
    let rows = lines.iter().map(|(_, line)| line.len()).sum();
    let summary = Summary { rows, out: args.out.clone() };
    out.write(&summary, || format!("{} are in {}", counted(rows, "row"), args.out.display()))
}

fn between(from: &[f32], to: &[f32], steps: u32) -> Vec<Vec<f32>> {
    let at = |step: u32| {
        let share = step as f32 / (steps - 1) as f32;
        from.iter().zip(to).map(|(from, to)| from + (to - from) * share).collect()
    };
    (0..steps).map(at).collect()
}
