//! `dvae benchmark`.

use std::path::PathBuf;

use dvae::data::{Domain, Element, Format, write_file};
use dvae::eval::{CLASSICAL, Grid, Quality, classical_filters};
use dvae::prelude::*;
use dvae::{PictureOptions, Pretrained};
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{counted, keep_data, keep_inputs};
use crate::inputs::Inputs;
use crate::output::{Output, table};

/// Compare a model with classical filters on your pictures
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae benchmark runs/run-001 photos/ --corruption gaussian:0.1
  dvae benchmark runs/run-001 a.png b.png --corruption gaussian:0.1 --corruption jpeg:30 --picture beside.png

The inputs are clean pictures of any size. Each is damaged, and cleaned by the model and by filters: the median and the
Gaussian mean with the setting that is best for the picture, non-local means and total variation set by the noise that is
estimated from the damaged picture, as in `dvae noise`. PSNR is in decibels, SSIM is scikit-image's by default; both are means
over pictures.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    #[command(flatten)]
    files: Inputs,
    /// A corruption, such as gaussian:0.1; may be given several times [default: that of training]
    #[arg(long, value_name = "CORRUPTION")]
    corruption: Vec<CorruptionConfig>,
    /// Also draw the middle of the first four pictures, damaged and cleaned by each: a PNG file
    #[arg(long, value_name = "OUT")]
    picture: Option<PathBuf>,
    /// Average the model's results for the eight turns and mirrors of each picture
    #[arg(long)]
    flips: bool,
    /// Memory for the model's work on a large picture, in megabytes, about
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
}

/// What one method makes of one damaged picture.
#[derive(Serialize)]
struct Line {
    corruption: String,
    file: String,
    /// Its place in the file.
    row: usize,
    /// `input`, `model`, or a kind of filter.
    method: &'static str,
    /// The filter's settings.
    filter: Option<String>,
    #[serde(flatten)]
    quality: Quality,
}

const INPUT: &str = "input";
const MODEL: &str = "model";

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load()?;
    let inputs = args.files.open()?;
    let options = inputs.options(model.read_options())?;
    let files = inputs.files()?;
    if let Some(path) = &args.picture {
        keep_inputs([&**path], files.iter().map(|file| &**file))?;
        keep_data([&**path], model.experiment())?;
    }
    let corruptions = match &args.corruption[..] {
        [] => vec![model.experiment().corruption.clone()],
        given => given.to_vec(),
    };
    let (mut lines, mut grid) = (vec![], Grid::new());
    for corruption in &corruptions {
        let (mut number, mut first) = (0, vec![]);
        for file in &files {
            let rows = model.open_of_any_size(file, &options)?;
            let label = inputs.label(file);
            let Some(shape) = model.picture(&rows.format.event) else {
                let event = &rows.format.event;
                return Err(format!("{label}: rows of shape {event:?} are not pictures").into());
            };
            if rows.format.domain != Domain::Unit {
                let domain = rows.format.domain;
                return Err(format!("{label}: its values are {domain}, not in [0, 1]").into());
            }
            for (place, row) in rows.enumerate() {
                let test = Test { model: &model, corruption, shape, args, number };
                let results = test.results(&row?.values())?;
                number += 1;
                let measured = results.iter().filter(|result| result.method != CLEAN);
                lines.extend(measured.map(|result| Line {
                    corruption: corruption.to_string(),
                    file: label.clone(),
                    row: place,
                    method: result.method,
                    filter: result.filter.clone(),
                    quality: result.quality,
                }));
                if args.picture.is_some() && first.len() < DRAWN {
                    first.push((shape, results));
                }
            }
        }
        if args.picture.is_some() {
            grid = drawn(grid.heading(&corruption.to_string()), &first)?;
        }
    }
    if let Some(path) = &args.picture {
        write_file(path, &grid.png())?;
    }
    out.write(&lines, || {
        let texts = corruptions.iter().map(|corruption| text(&lines, &corruption.to_string()));
        texts.collect::<Vec<_>>().join("\n")
    })
}

/// A picture that is to be damaged and cleaned.
struct Test<'a> {
    model: &'a Pretrained,
    corruption: &'a CorruptionConfig,
    shape: [usize; 3],
    args: &'a Args,
    /// The number of the picture, which decides its noise.
    number: u64,
}

/// A picture that a method made.
struct Cleaned {
    method: &'static str,
    filter: Option<String>,
    values: Vec<f64>,
    quality: Quality,
}

const CLEAN: &str = "clean";

impl Test<'_> {
    /// The clean picture, the damaged one, and what each method makes of it.
    fn results(&self, clean: &[f64]) -> Result<Vec<Cleaned>, Error> {
        let noisy = self.damaged(clean)?;
        let result = |method, values: Vec<f64>| {
            let quality = Quality::of(clean, &values, self.shape);
            Cleaned { method, filter: None, values, quality }
        };
        let mut results = vec![result(CLEAN, clean.to_vec()), result(INPUT, noisy.clone())];
        results.extend(classical_filters(clean, &noisy, self.shape).into_iter().map(|filtered| {
            let filter = Some(filtered.filter.to_string());
            let (method, values, quality) = (filtered.name, filtered.values, filtered.quality);
            Cleaned { method, filter, values, quality }
        }));
        results.push(result(MODEL, self.cleaned(&noisy)));
        Ok(results)
    }

    fn damaged(&self, clean: &[f64]) -> Result<Vec<f64>, Error> {
        let process = self.corruption.build::<4>(Domain::Unit)?;
        process.check(&self.shape)?;
        let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
        let [channels, height, width] = self.shape;
        let values: Vec<f32> = clean.iter().map(|&value| value as f32).collect();
        let values = dvae::burn::tensor::TensorData::new(values, [1, channels, height, width]);
        let key = Key::new(self.model.experiment().train.seed);
        let mut draws = key.purpose(Purpose::EvaluationCorruption).rows(&[self.number]);
        let damaged = process.corrupt(Tensor::<4>::from_data(values, &device), &mut draws);
        // Without the mask, if one is shown after the picture.
        Ok(damaged.input.narrow(1, 0, channels).into_data().iter::<f64>().collect())
    }

    fn cleaned(&self, noisy: &[f64]) -> Vec<f64> {
        let format = Format::new(&self.shape, Element::F32, Domain::Unit);
        let (input, mut cleaned) = (format.row(noisy), format.row(noisy));
        let options = PictureOptions {
            memory: (self.args.memory as usize) << 20,
            flips: self.args.flips,
            ..PictureOptions::default()
        };
        self.model.denoise_picture(
            self.shape,
            options,
            |part| input.part(part),
            |part, values, _| cleaned.replace_part(part, values),
        );
        cleaned.values()
    }
}

/// How many pictures are drawn.
const DRAWN: usize = 4;
/// The longest side of what is drawn of a picture, in pixels.
const SIDE: usize = 128;

/// Draws the middle of pictures, a line for each method.
fn drawn(mut grid: Grid, pictures: &[([usize; 3], Vec<Cleaned>)]) -> Result<Grid, Error> {
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let sides = pictures.iter().flat_map(|(shape, _)| [shape[1], shape[2]]);
    let side = sides.min().unwrap_or(0).min(SIDE);
    let Some(([channels, ..], first)) = pictures.first() else { return Ok(grid) };
    for (place, Cleaned { method, .. }) in first.iter().enumerate() {
        let mut values: Vec<f32> = vec![];
        for ([_, height, width], results) in pictures {
            let (top, left) = ((height - side) / 2, (width - side) / 2);
            let lines =
                (0..*channels).flat_map(|channel| (top..top + side).map(move |y| (channel, y)));
            for (channel, y) in lines {
                let start = (channel * height + y) * width + left;
                let line = &results[place].values[start..start + side];
                values.extend(line.iter().map(|&value| value as f32));
            }
        }
        let shape = [pictures.len(), *channels, side, side];
        let values = dvae::burn::tensor::TensorData::new(values, shape);
        grid = grid.row(*method, Tensor::<4>::from_data(values, &device));
    }
    Ok(grid)
}

/// The table of a corruption, and which method wins.
fn text(lines: &[Line], corruption: &str) -> String {
    let lines: Vec<&Line> = lines.iter().filter(|line| line.corruption == corruption).collect();
    let methods = [&[INPUT][..], &CLASSICAL, &[MODEL]].concat();
    let of = |method: &'static str| lines.iter().filter(move |line| line.method == method);
    let pictures = of(INPUT).count();
    let mean = |method: &'static str, part: fn(&Quality) -> Option<f64>| -> Option<f64> {
        let parts: Option<Vec<f64>> = of(method).map(|line| part(&line.quality)).collect();
        parts.map(|parts| parts.iter().sum::<f64>() / parts.len().max(1) as f64)
    };
    // How often no other method has a higher ratio.
    let wins = |method: &'static str| {
        let best = |line: &&&Line| {
            let others =
                lines.iter().filter(|other| (&other.file, other.row) == (&line.file, line.row));
            others.clone().all(|other| other.quality.psnr <= line.quality.psnr)
        };
        of(method).filter(best).count()
    };
    let cells = |method: &&'static str| {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let psnr = mean(method, |quality| Some(quality.psnr));
        let ssim = mean(method, |quality| quality.ssim);
        vec![(*method).to_owned(), number(psnr, 2), number(ssim, 3), wins(method).to_string()]
    };
    let rows: Vec<Vec<String>> = methods.iter().map(cells).collect();
    let head = ["", "PSNR", "SSIM", "best on"];
    let psnr =
        |method: &&&'static str| mean(method, |quality| Some(quality.psnr)).unwrap_or(f64::NAN);
    let best = methods.iter().max_by(|a, b| psnr(a).total_cmp(&psnr(b))).unwrap_or(&MODEL);
    let pictures = counted(pictures, "picture");
    format!(
        "{corruption}: {pictures}\n{}{}\n",
        table(&head, &rows),
        match *best {
            MODEL => "The model has the highest mean PSNR.".to_owned(),
            INPUT => "Nothing improves on the input: it has the highest mean PSNR.".to_owned(),
            other => format!("The filter has the highest mean PSNR: {other}."),
        }
    )
}
