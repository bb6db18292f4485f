//! `dvae evaluate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dvae::data::{DataError, Domain, Element, FileKind, Format, RowWriter, pictures_in};
use dvae::eval::{MolecularCrossValidation, active_units};
use dvae::prelude::*;
use dvae::train::{Communicator, MeanElbo};
use dvae::{ExperimentError, Pretrained};
use serde::Serialize;

use super::{ModelArgs, held_out};
use crate::Error;
use crate::files::{keep_data, keep_inputs};
use crate::inputs::Reading;
use crate::output::{Output, table, warn};
use crate::processes;

/// Evaluate the model of a run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae evaluate runs/run-001                              on its test rows, damaged as in training
  dvae evaluate runs/run-001 --corruption gaussian:0.3 --corruption masking:0.5
  dvae evaluate runs/run-001 --data other.csv --samples 100 --json
  dvae evaluate runs/run-001 --data photos/ --per-row rows.csv

Metrics on clean and on corrupted input stand apart. Bounds are means over rows, in nats: the ELBO, and
with --samples the importance-weighted bound of so many draws, which is nearer to log p(x).
Pictures of several sizes are evaluated by their crops, if the model was trained on crops: as many as cover them. A ladder
measures pictures of one size whole.
With data.scaling or data.range they are bounds on scaled values; those in the data's own units stand beside them.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    /// Rows to evaluate on, in the format of its training data [default: its test rows, or else its
    /// validation rows]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// A corruption, such as gaussian:0.3; may be given several times [default: that of training]
    #[arg(long, value_name = "CORRUPTION")]
    corruption: Vec<CorruptionConfig>,
    /// Draws of the latent for an importance-weighted bound
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: Option<u32>,
    /// Also write the bound of each row: a table (.csv) with the file and the place of each row, and a column for clean
    /// input and for each corruption
    #[arg(long, value_name = "OUT")]
    per_row: Option<PathBuf>,
}

#[derive(Serialize)]
struct Metrics {
    rows: usize,
    rows_are: &'static str,
    /// Rows without an observed entry, which are left out.
    unobserved_rows: usize,
    active_latents: usize,
    /// The active units of each level of latents, top first.
    active_by_level: Vec<usize>,
    latents: usize,
    corruptions: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    corruption: String,
    clean: Bounds,
    corrupted: Bounds,
    /// In decibels; only for rows whose values lie in `[0, 1]`, and only if the corruption changed some.
    psnr_input: Option<f64>,
    /// In decibels; only for rows whose values lie in `[0, 1]`.
    psnr_output: Option<f64>,
    /// The share of the rows that the corruption left unchanged; the ratios are those of the other rows.
    left_clean: Option<f64>,
    /// Of counts, under binomial thinning.
    molecular: Option<MolecularCrossValidation>,
}

#[derive(Serialize)]
struct Bounds {
    elbo: f64,
    log_likelihood: f64,
    kl: f64,
    importance_weighted: Option<f64>,
    /// The ELBO in the data's own units; only if `data.scaling` or `data.range` changes the units.
    elbo_in_data_units: Option<f64>,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<ExitCode, Error> {
    processes::shared(|group| run_in(args, out, group))
}

fn run_in(args: &Args, out: Output, group: &Arc<dyn Communicator>) -> Result<ExitCode, Error> {
    let is_first = group.rank() == 0;
    let model = args.run.load()?.communicator(group.clone());
    let (all, rows_are) = match &args.data {
        Some(path) => {
            let options = args.reading.options(model.read_options(), std::slice::from_ref(path))?;
            if path.is_dir() {
                pictures_in(path).iter().flat_map(|found| &found.omissions).for_each(warn);
            }
            match model.read(path, &options) {
                // Pictures of several sizes, as the model was trained on.
                Err(ExperimentError::Data(
                    DataError::Unlike { .. } | DataError::ForModel { .. },
                )) if model.is_of_crops() => (model.read_crops(path)?, "cropped"),
                rows => (rows?, "given"),
            }
        }
        None => {
            args.reading.options(model.read_options(), &[])?;
            let held_out = held_out(&model, "name the rows to evaluate on by `--data PATH`")?;
            (held_out.rows, held_out.set)
        }
    };
    let rows = all.with_observed_entries();
    let corruptions = match &args.corruption[..] {
        [] => vec![model.experiment().corruption.clone()],
        given => given.to_vec(),
    };
    let clean = rows.unpaired();
    let measured = Measured { model: &model, samples: args.samples };
    let in_unit = model.has_peak();
    let mut lines = vec![];
    for corruption in &corruptions {
        let ratios = if in_unit { Some(model.denoising(&rows, corruption)?) } else { None };
        lines.push(Line {
            corruption: corruption.to_string(),
            clean: measured.bounds(&clean, &CorruptionConfig::None {})?,
            corrupted: measured.bounds(&rows, corruption)?,
            psnr_input: ratios.and_then(|ratios| ratios.psnr_input),
            psnr_output: ratios.map(|ratios| ratios.psnr_output),
            left_clean: ratios.map(|ratios| ratios.left_clean),
            molecular: model.molecular(&rows, corruption)?,
        });
    }
    if let Some(path) = &args.per_row {
        per_row(args, path, &measured, [&clean, &rows], &corruptions, is_first)?;
    }
    let activity = model.activity(&rows)?;
    let active_by_level = activity.iter().map(|level| active_units(level)).collect::<Vec<_>>();
    let metrics = Metrics {
        rows: rows.len(),
        rows_are,
        unobserved_rows: all.len() - rows.len(),
        active_latents: active_by_level.iter().sum(),
        active_by_level,
        latents: activity.iter().map(Vec::len).sum(),
        corruptions: lines,
    };
    if is_first {
        out.write(&metrics, || describe(&metrics))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures the bound of each row, and writes it if this process is to.
fn per_row(
    args: &Args,
    path: &Path,
    measured: &Measured,
    [clean, rows]: [&Dataset; 2],
    corruptions: &[CorruptionConfig],
    is_written: bool,
) -> Result<(), Error> {
    if FileKind::by_name(path) != Some(FileKind::Table) {
        return Err(format!("{}: a name that ends in .csv is needed", path.display()).into());
    }
    if measured.model.text_unit().is_some() {
        return Err(
            "--per-row is for rows of numbers: a row of texts has no place in its file".into()
        );
    }
    keep_inputs([path], args.data.as_deref())?;
    keep_data([path], measured.model.experiment())?;
    let mut bounds = vec![measured.of_rows(clean, &CorruptionConfig::None {})?];
    let mut names = vec!["clean".to_owned()];
    for corruption in corruptions {
        bounds.push(measured.of_rows(rows, corruption)?);
        names.push(corruption.to_string());
    }
    if !is_written {
        return Ok(());
    }
    let format = Format::new(&[bounds.len()], Element::F64, Domain::Real)
        .named(Some(names))
        .labeled(&["file", "row"]);
    let files = Files::of(args.data.as_deref())?;
    let mut writer = RowWriter::create(path, &format)?;
    for (place, &(id, _)) in bounds[0].iter().enumerate() {
        let values: Vec<f64> = bounds.iter().map(|bounds| bounds[place].1).collect();
        let labels = files.labels(id, rows.picture_of(id));
        writer.write(&format.row(&values).labeled(labels))?;
    }
    Ok(writer.finish()?)
}

/// Where rows come from.
enum Files {
    /// The model's own data.
    Own,
    One(PathBuf),
    /// A folder, with a row for each picture; a file of several pages has more.
    Folder(PathBuf, Vec<PathBuf>),
}

impl Files {
    fn of(data: Option<&Path>) -> Result<Self, Error> {
        Ok(match data {
            None => Self::Own,
            Some(path) if path.is_dir() => {
                // It may be one of IDX files.
                let pictures = pictures_in(path).unwrap_or_default().files;
                let has_pages = pictures.iter().any(|picture| {
                    let kind = picture.extension().unwrap_or_default();
                    kind.eq_ignore_ascii_case("tif") || kind.eq_ignore_ascii_case("tiff")
                });
                Self::Folder(path.into(), if has_pages { vec![] } else { pictures })
            }
            Some(path) => Self::One(path.into()),
        })
    }

    /// The file of a row, and its place there; of a crop, its picture and its place among the crops of that.
    fn labels(&self, id: u64, crop: Option<[usize; 2]>) -> Vec<String> {
        let of = |path: &Path, place: u64| vec![path.display().to_string(), place.to_string()];
        match self {
            Self::Own => vec![String::new(), id.to_string()],
            Self::One(path) => of(path, id),
            Self::Folder(folder, pictures) => {
                let [picture, place] = crop.unwrap_or([id as usize, 0]);
                match pictures.get(picture) {
                    Some(picture) => of(picture, place as u64),
                    None => of(folder, id),
                }
            }
        }
    }
}

/// A measurement and the rows it was made on.
struct Measured<'a> {
    model: &'a Pretrained,
    samples: Option<u32>,
}

impl Measured<'_> {
    /// The tightest bound that was asked for, of each row.
    fn of_rows(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
    ) -> Result<Vec<(u64, f64)>, Error> {
        let draws = self.samples.map(|draws| Objective::diwae(1, draws as usize));
        let objective = draws.unwrap_or_default();
        Ok(self.model.row_bounds(rows, corruption, &objective)?)
    }

    fn bounds(&self, rows: &Dataset, corruption: &CorruptionConfig) -> Result<Bounds, Error> {
        let plain = self.model.evaluate(rows, corruption, &Objective::default())?;
        let importance_weighted = match self.samples {
            Some(draws) => {
                let latents = draws as usize;
                let objective = Objective::diwae(1, latents);
                Some(self.model.evaluate(rows, corruption, &objective)?.bound)
            }
            None => None,
        };
        let MeanElbo { elbo, log_likelihood, kl } = plain.mean;
        let shift = self.model.units_shift(rows);
        let elbo_in_data_units = shift.map(|shift| elbo + shift);
        Ok(Bounds { elbo, log_likelihood, kl, importance_weighted, elbo_in_data_units })
    }
}

fn describe(metrics: &Metrics) -> String {
    let number = |value: f64| format!("{value:.2}");
    let option = |value: Option<f64>| value.map_or("-".to_owned(), number);
    let is_scaled = metrics.corruptions.iter().any(|line| line.clean.elbo_in_data_units.is_some());
    let cells = |name: String, bounds: &Bounds, psnr: [String; 2]| {
        let [input, output] = psnr;
        let bound = option(bounds.importance_weighted);
        let terms = [bounds.elbo, bounds.log_likelihood, bounds.kl].map(number);
        let units = is_scaled.then(|| option(bounds.elbo_in_data_units));
        [vec![name], terms.to_vec(), vec![bound, input, output], units.into_iter().collect()]
            .concat()
    };
    let none = || ["-".to_owned(), "-".to_owned()];
    let mut rows = vec![];
    if let Some(first) = metrics.corruptions.first() {
        rows.push(cells("clean".to_owned(), &first.clean, none()));
    }
    for line in &metrics.corruptions {
        let psnr = [option(line.psnr_input), option(line.psnr_output)];
        rows.push(cells(line.corruption.clone(), &line.corrupted, psnr));
    }
    let mut head = vec!["input", "ELBO", "log p(x|z)", "KL", "IWAE", "PSNR in", "PSNR out"];
    let mut note = "Bounds are means over rows, in nats; PSNR is in decibels.".to_owned();
    if is_scaled {
        head.push("ELBO, data's units");
        note += "\nValues are scaled (data.scaling or data.range), and bounds are on scaled values; the last column is the ELBO on \
                 values in the data's own units.";
    }
    for line in &metrics.corruptions {
        if let Some(MolecularCrossValidation { input, output, rows }) = &line.molecular {
            let name = &line.corruption;
            note += &format!(
                "\n{name}: from the counts that are left of {rows} rows, those that were lost are predicted with a Poisson \
                 deviance of {:.4} (by the counts themselves: {:.4}) and a squared error of {:.4} ({:.4}), means over entries.",
                output.deviance, input.deviance, output.squared_error, input.squared_error
            );
        }
        if let Some(share) = line.left_clean.filter(|&share| share > 0.0 && share < 1.0) {
            let (name, share) = (&line.corruption, 100.0 * share);
            note += &format!(
                "\n{name} left {share:.0} % of the rows clean: PSNR is that of the others."
            );
        }
    }
    if metrics.unobserved_rows > 0 {
        let count = metrics.unobserved_rows;
        note += &format!("\n{count} rows without any observed entry are left out.");
    }
    format!("{}\n\n{}\n{note}", heading(metrics), table(&head, &rows))
}

fn heading(metrics: &Metrics) -> String {
    let Metrics { rows, rows_are, active_latents, latents, active_by_level, .. } = metrics;
    let mut text = format!(
        "{rows} {rows_are} row{}; {active_latents} of {latents} latents are active",
        if *rows == 1 { "" } else { "s" }
    );
    if active_by_level.len() > 1 {
        let levels: Vec<String> = active_by_level.iter().map(usize::to_string).collect();
        text += &format!(" ({} by level, top first)", levels.join(", "));
    }
    text
}
