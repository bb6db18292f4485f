//! `dvae noise`.

use std::path::Path;

use dvae::data::{Domain, ReadOptions, read_rows};
use dvae::eval::{NoiseEstimate, NoiseLine};
use serde::Serialize;

use crate::Error;
use crate::inputs::Inputs;
use crate::output::{Output, table};

/// Estimate how noisy pictures are
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae noise photo.png
  dvae noise stack.npy --json
  dvae noise photos/ > noise.txt

sigma is the standard deviation of noise that is the same everywhere, in units of the values: of a picture, 1 is white.
gain and offset are for noise that grows with the light: its variance is gain x brightness + offset. Fine texture counts
as noise, so take pictures with smooth parts.")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Inputs,
}

/// The noise of a channel of a picture.
#[derive(Serialize)]
struct Line {
    file: String,
    /// Its place in the file.
    row: usize,
    channel: usize,
    #[serde(flatten)]
    noise: NoiseEstimate,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let inputs = args.files.open()?;
    let options = inputs.options(ReadOptions::default())?;
    let (mut lines, mut are_pictures) = (vec![], true);
    for file in inputs.files()? {
        are_pictures &= measure(&file, &inputs.label(&file), &options, &mut lines)?;
    }
    out.write(&lines, || text(&lines, are_pictures))
}

/// Adds the lines of a file; whether its values are between black, 0, and white, 1.
fn measure(
    file: &Path,
    label: &str,
    options: &ReadOptions,
    lines: &mut Vec<Line>,
) -> Result<bool, Error> {
    let rows = read_rows(file, options)?;
    let domain = rows.format.domain;
    let event = rows.format.event.clone();
    let (&[.., height, width], 2 | 3) = (&event[..], event.len()) else {
        return Err(format!("{label}: rows of shape {event:?} are not pictures").into());
    };
    for (row, values) in rows.enumerate() {
        for (channel, pixels) in values?.values().chunks(height * width).enumerate() {
            let noise = NoiseEstimate::of(pixels, [height, width]);
            lines.push(Line { file: label.into(), row, channel, noise });
        }
    }
    Ok(domain == Domain::Unit)
}

fn text(lines: &[Line], are_pictures: bool) -> String {
    let cells = |line: &Line| {
        let of_line = |part: fn(NoiseLine) -> f64| match line.noise.line {
            Some(line) => digits(part(line)),
            None => "-".into(),
        };
        let mut cells = vec![line.file.clone(), line.row.to_string(), line.channel.to_string()];
        cells.push(digits(line.noise.sigma));
        if are_pictures {
            cells.push(format!("{:.1}", 255.0 * line.noise.sigma));
        }
        cells.extend([of_line(|line| line.gain), of_line(|line| line.offset)]);
        cells
    };
    let head = ["file", "row", "channel", "sigma", "of 255", "gain", "offset"];
    let head: Vec<&str> =
        head.into_iter().filter(|&name| are_pictures || name != "of 255").collect();
    table(&head, &lines.iter().map(cells).collect::<Vec<_>>())
}

/// Four digits.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().max(1e-9).log10().floor();
    format!("{value:.*}", (3.0 - magnitude).clamp(0.0, 12.0) as usize)
}
