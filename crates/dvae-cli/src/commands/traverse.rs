//! `dvae traverse`.

use std::path::PathBuf;

use serde::Serialize;

use super::{ModelArgs, held_out};
use crate::Error;
use crate::files::{keep_data, keep_inputs, write_rows};
use crate::inputs::Reading;
use crate::output::{Output, path};

/// Change one latent at a time
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae traverse runs/run-001 -o latents.png                  around the prior's center
  dvae traverse runs/run-001 --input a.png --latents 3,17 -o two.png

Each line of the picture is a latent, from -range to +range; those that vary most come first. Latents of several\nlevels are numbered one level after another, top first.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    /// A file whose first row gives the other latents [default: all 0]
    #[arg(long, value_name = "INPUT")]
    input: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// The latents to change, from 0 [default: the eight that vary most over the test or validation rows]
    #[arg(long, value_name = "I,J,…", value_delimiter = ',')]
    latents: Vec<usize>,
    /// The distance from 0 in either direction
    #[arg(long, default_value_t = 3.0)]
    range: f32,
    /// Pictures in a line
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(2..=1000))]
    steps: u32,
    /// A picture (.png), an array (.npy) or a table (.csv)
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Summary {
    latents: Vec<usize>,
    #[serde(serialize_with = "path")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load_of_numbers("traverse")?;
    if !(args.range > 0.0 && args.range.is_finite()) {
        return Err(format!("--range must be finite and above 0, but is {}", args.range).into());
    }
    keep_data([&*args.out], model.experiment())?;
    let center = match &args.input {
        None => {
            args.reading.options(model.read_options(), &[])?;
            vec![0.0; model.latent()]
        }
        Some(path) => {
            keep_inputs([&*args.out], [&**path])?;
            let options = args.reading.options(model.read_options(), std::slice::from_ref(path))?;
            let mut rows = model.open(path, &options)?;
            let row = rows.next().transpose()?.ok_or("the input has no rows")?;
            model.embed(&[row.values()]).concat()
        }
    };
    let latents = match &args.latents[..] {
        [] => {
            let rows = held_out(&model, "name the latents by `--latents I,J`")?.rows;
            let activity = model.activity(&rows)?.concat();
            let mut order: Vec<usize> = (0..activity.len()).collect();
            order.sort_by(|&a, &b| activity[b].total_cmp(&activity[a]));
            order.truncate(8);
            order
        }
        chosen => chosen.to_vec(),
    };
    if let Some(wrong) = latents.iter().find(|&&latent| latent >= model.latent()) {
        return Err(format!(
            "there is no latent {wrong}: they are numbered 0 to {}",
            model.latent() - 1
        )
        .into());
    }
    let names = model.latent_names();
    let line = |&latent: &usize| {
        let at = |step: u32| {
            let mut point = center.clone();
            point[latent] = args.range * (2.0 * step as f32 / (args.steps - 1) as f32 - 1.0);
            point
        };
        let points: Vec<Vec<f32>> = (0..args.steps).map(at).collect();
        (names[latent].clone(), model.decode(&points))
    };
    let lines: Vec<(String, Vec<Vec<f64>>)> = latents.iter().map(line).collect();
    write_rows(&args.out, &lines, &model)?;
    let summary = Summary { latents: latents.clone(), out: args.out.clone() };
    out.write(&summary, || {
        let latents: Vec<String> = latents.iter().map(usize::to_string).collect();
        format!("Latents {} are in {}", latents.join(", "), args.out.display())
    })
}
