//! `dvae benchmark`.

use std::path::{Path, PathBuf};

use dvae::burn::tensor::TensorData;
use dvae::data::{Domain, write_file};
use dvae::eval::{Grid, Quality, classical_filters};
use dvae::prelude::*;
use dvae::{PictureOptions, Pretrained};
use serde::Serialize;

use super::ModelArgs;
use crate::Error;
use crate::files::{check_png, counted, keep_data, keep_inputs};
use crate::inputs::Inputs;
use crate::output::{Output, table};

/// Compare a model with classical filters on your pictures
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae benchmark photographs photos/ --corruption gaussian:0.1 --corruption jpeg:2
  dvae benchmark runs/run-001 photos/ --corruption gaussian:0.1
  dvae benchmark runs/run-001 a.png b.png --corruption gaussian:0.1 --corruption jpeg:2 --picture beside.png

The inputs are clean pictures of any size. Each is damaged, and cleaned by the model and by filters: the median and the
Gaussian mean with the setting that is best for the picture, non-local means and total variation set by the noise that is
estimated from the damaged picture, as in `dvae noise`; if the model is shown which pixels are missing, so is a mean of the
others. PSNR is in decibels, SSIM is scikit-image's by default; both are means over pictures.")]
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

const CLEAN: &str = "clean";
const INPUT: &str = "input";
const MODEL: &str = "model";

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let models = args.run.models()?;
    let inputs = args.files.open()?;
    let files = inputs.files()?;
    let first = files.first().ok_or("there is no picture to measure")?;
    let model = models.of(first, &inputs)?;
    for file in &files {
        if !std::ptr::eq(models.of(file, &inputs)?, model) {
            let (file, first) = (inputs.label(file), inputs.label(first));
            return Err(format!(
                "{file} and {first} are not both gray, or both in color: measure each kind by itself"
            )
            .into());
        }
    }
    let options = inputs.options(model.read_options())?;
    if let Some(path) = &args.picture {
        check_png(path)?;
        keep_inputs([&**path], files.iter().map(|file| &**file))?;
        keep_data([&**path], model.experiment())?;
    }
    let corruptions = match &args.corruption[..] {
        [] => vec![model.experiment().corruption.clone()],
        given => given.to_vec(),
    };
    let (mut sections, mut grid) = (vec![], Grid::new());
    for corruption in &corruptions {
        let mut section = Section { args, model, corruption, lines: vec![], drawn: vec![] };
        for file in &files {
            let rows = model.open_of_any_size(file, &options)?;
            section.file(file, &inputs.label(file), rows)?;
        }
        if section.lines.is_empty() {
            return Err("there is no picture to measure".into());
        }
        if args.picture.is_some() {
            grid = drawn(grid.heading(corruption.to_string()), &section.drawn)?;
        }
        sections.push(section.lines);
    }
    if let Some(path) = &args.picture {
        write_file(path, &grid.png())?;
    }
    let lines: Vec<&Line> = sections.iter().flatten().flatten().collect();
    out.write(&lines, || sections.iter().map(|lines| text(lines)).collect::<Vec<_>>().join("\n"))
}

/// The pictures under one corruption.
struct Section<'a> {
    args: &'a Args,
    model: &'a Pretrained,
    corruption: &'a CorruptionConfig,
    /// Of each picture, a line for each method.
    lines: Vec<Vec<Line>>,
    /// The middle of the first pictures, for each method.
    drawn: Vec<Vec<Middle>>,
}

impl Section<'_> {
    /// Measures the pictures of a file.
    fn file(&mut self, file: &Path, label: &str, rows: dvae::data::Rows) -> Result<(), Error> {
        let event = rows.format.event.clone();
        let Some(shape) = self.model.picture(&event) else {
            return Err(format!("{label}: rows of shape {event:?} are not pictures").into());
        };
        let has_range = self.model.experiment().data.range.is_some();
        if self.model.data().domain != Domain::Unit && !has_range {
            let domain = self.model.data().domain;
            return Err(format!(
                "{}: the model is for values that are {domain}, and PSNR is for numbers in [0, 1]: say by `data.range` \
                 what 0 and 1 are",
                file.display()
            )
            .into());
        }
        for (row, clean) in rows.enumerate() {
            let clean = clean?.values();
            if clean.iter().any(|value| value.is_nan()) {
                return Err(format!(
                    "{label}: row {row} has pixels that were not observed: nothing can be compared with them"
                )
                .into());
            }
            let number = self.lines.len() as u64;
            let test = Test { model: self.model, args: self.args, shape, number };
            let results = test.results(self.corruption, &clean)?;
            if self.args.picture.is_some() && self.drawn.len() < DRAWN {
                self.drawn.push(results.iter().map(|result| Middle::of(result, shape)).collect());
            }
            let measured = results.into_iter().filter(|result| result.method != CLEAN);
            let lines = measured.map(|Cleaned { method, filter, quality, .. }| {
                let corruption = self.corruption.to_string();
                Line { corruption, file: label.into(), row, method, filter, quality }
            });
            self.lines.push(lines.collect());
        }
        Ok(())
    }
}

/// A picture that is to be damaged and cleaned.
struct Test<'a> {
    model: &'a Pretrained,
    args: &'a Args,
    shape: [usize; 3],
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

/// A damaged picture.
struct Damaged {
    values: Vec<f64>,
    /// 1 where a pixel is missing, if the model is shown it.
    missing: Option<Vec<f32>>,
}

impl Test<'_> {
    /// The clean picture, the damaged one, and what each method makes of it.
    fn results(&self, corruption: &CorruptionConfig, clean: &[f64]) -> Result<Vec<Cleaned>, Error> {
        let Damaged { values: noisy, missing } = self.damaged(corruption, clean)?;
        // The peak is 1 in the files, or else what the range calls so.
        let has_range = self.model.experiment().data.range.is_some();
        let scaled = |values: &[f64]| match &self.model.data().scaler {
            Some(scaler) if has_range => scaler.apply(values).into_iter().map(f64::from).collect(),
            _ => values.to_vec(),
        };
        let (clean, scaled_noisy) = (scaled(clean), scaled(&noisy));
        let result = |method, values: Vec<f64>| {
            let quality = Quality::of(&clean, &values, self.shape);
            Cleaned { method, filter: None, values, quality }
        };
        let mut results = vec![result(CLEAN, clean.clone()), result(INPUT, scaled_noisy.clone())];
        let filtered = classical_filters(&clean, &scaled_noisy, missing.as_deref(), self.shape);
        results.extend(filtered.into_iter().map(|filtered| {
            let filter = Some(filtered.filter.to_string());
            let (method, values, quality) = (filtered.name, filtered.values, filtered.quality);
            Cleaned { method, filter, values, quality }
        }));
        results.push(result(MODEL, scaled(&self.cleaned(noisy, missing.as_deref()))));
        Ok(results)
    }

    /// The picture, damaged in the units in which the model is trained.
    fn damaged(&self, corruption: &CorruptionConfig, clean: &[f64]) -> Result<Damaged, Error> {
        let data = self.model.data();
        let experiment = self.model.experiment();
        let process = corruption.build::<4>(data.model_domain(&experiment.data))?;
        process.check(&self.shape)?;
        let values: Vec<f32> = match &data.scaler {
            Some(scaler) => scaler.apply(clean),
            None => clean.iter().map(|&value| value as f32).collect(),
        };
        let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
        let [channels, height, width] = self.shape;
        let values = TensorData::new(values, [1, channels, height, width]);
        let key = Key::new(experiment.train.seed);
        let mut draws = key.purpose(Purpose::EvaluationCorruption).rows(&[self.number]);
        let damaged = process.corrupt(Tensor::<4>::from_data(values, &device), &mut draws);
        // Without the mask, if one is shown after the picture.
        let values: Vec<f32> = damaged.input.narrow(1, 0, channels).into_data().iter().collect();
        let values = match &data.scaler {
            Some(scaler) => scaler.undo(&values),
            None => values.into_iter().map(f64::from).collect(),
        };
        let missing = process
            .shows_mask()
            .then(|| damaged.changed.float().into_data().iter::<f32>().collect::<Vec<f32>>());
        Ok(Damaged { values, missing })
    }

    /// What the model makes of the picture; missing pixels are unobserved to it.
    fn cleaned(&self, mut noisy: Vec<f64>, missing: Option<&[f32]>) -> Vec<f64> {
        for (value, missing) in noisy.iter_mut().zip(missing.unwrap_or_default()) {
            if *missing > 0.0 {
                *value = f64::NAN;
            }
        }
        let options = PictureOptions {
            memory: (self.args.memory as usize) << 20,
            flips: self.args.flips,
            ..PictureOptions::default()
        };
        self.model.denoise_values(self.shape, options, &noisy).0
    }
}

/// How many pictures are drawn.
const DRAWN: usize = 4;
/// The longest side of what is drawn of a picture, in pixels.
const SIDE: usize = 128;

/// The middle of a picture.
struct Middle {
    method: &'static str,
    shape: [usize; 3],
    values: Vec<f32>,
}

impl Middle {
    fn of(cleaned: &Cleaned, shape @ [_, height, width]: [usize; 3]) -> Self {
        let values: Vec<f32> = cleaned.values.iter().map(|&value| value as f32).collect();
        let whole = Self { method: cleaned.method, shape, values };
        whole.cut([height.min(SIDE), width.min(SIDE)])
    }

    /// The middle of it, of these sides.
    fn cut(&self, [lines, columns]: [usize; 2]) -> Self {
        let [channels, height, width] = self.shape;
        let (top, left) = ((height - lines) / 2, (width - columns) / 2);
        let line = |at: usize| {
            let start = (at / lines * height + top + at % lines) * width + left;
            &self.values[start..start + columns]
        };
        let values = (0..channels * lines).flat_map(line).copied().collect();
        Self { method: self.method, shape: [channels, lines, columns], values }
    }
}

/// Draws the middle of pictures, a line for each method.
fn drawn(mut grid: Grid, pictures: &[Vec<Middle>]) -> Result<Grid, Error> {
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let side = pictures.iter().flatten().flat_map(|middle| middle.shape[1..].iter()).min();
    let side = side.copied().unwrap_or(0);
    for place in 0..pictures.first().map_or(0, Vec::len) {
        let middles: Vec<Middle> =
            pictures.iter().map(|middles| middles[place].cut([side, side])).collect();
        let shape = [pictures.len(), middles[0].shape[0], side, side];
        let values: Vec<f32> = middles.iter().flat_map(|middle| middle.values.clone()).collect();
        let values = Tensor::<4>::from_data(TensorData::new(values, shape), &device);
        grid = grid.row(middles[0].method, values);
    }
    Ok(grid)
}

/// The table of a corruption, and which method wins. A picture has a line for each method.
fn text(pictures: &[Vec<Line>]) -> String {
    let methods: Vec<&str> = pictures[0].iter().map(|line| line.method).collect();
    let psnr = |line: &Line| if line.quality.psnr.is_nan() { f64::MIN } else { line.quality.psnr };
    let mean = |part: &dyn Fn(&[Line]) -> Option<f64>| -> Option<f64> {
        let parts: Option<Vec<f64>> = pictures.iter().map(|lines| part(lines)).collect();
        parts.map(|parts| parts.iter().sum::<f64>() / parts.len() as f64)
    };
    let mean_psnr = |at: usize| mean(&|lines| Some(lines[at].quality.psnr)).unwrap_or(f64::NAN);
    let cells = |(at, method): (usize, &&str)| {
        let ssim = mean(&|lines| lines[at].quality.ssim);
        let ssim = ssim.map_or("-".to_owned(), |value| format!("{value:.3}"));
        // On how many pictures no other method has a higher ratio.
        let is_best = |lines: &&Vec<Line>| lines.iter().all(|line| psnr(line) <= psnr(&lines[at]));
        let best = pictures.iter().filter(is_best).count();
        vec![(*method).to_owned(), format!("{:.2}", mean_psnr(at)), ssim, best.to_string()]
    };
    let rows: Vec<Vec<String>> = methods.iter().enumerate().map(cells).collect();
    let ranked = |at: &usize| if mean_psnr(*at).is_nan() { f64::MIN } else { mean_psnr(*at) };
    let best = (0..methods.len()).max_by(|a, b| ranked(a).total_cmp(&ranked(b))).unwrap_or(0);
    let conclusion = match methods[best] {
        MODEL => "The model has the highest mean PSNR.".to_owned(),
        INPUT => "Nothing improves on the input: it has the highest mean PSNR.".to_owned(),
        filter => format!("A filter has the highest mean PSNR: {filter}."),
    };
    let (corruption, count) = (&pictures[0][0].corruption, counted(pictures.len(), "picture"));
    let table = table(&["", "PSNR", "SSIM", "best on"], &rows);
    format!("{corruption}: {count}\n{table}{conclusion}\n")
}
