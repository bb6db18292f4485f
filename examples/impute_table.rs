//! Fills in missing cells of a table, with intervals, beside column means and nearest neighbors.
//!
//! ```text
//! cargo run --release --example impute_table -- --help
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use dvae::data::{ReadOptions, read_rows};
use dvae::eval::{Prediction, Scatter};
use dvae::prelude::*;
use dvae::train::Interrupt;
use dvae::{Experiment, Pretrained, Run, Weights};
use dvae_examples::{Columns, Error, exit, neighbors};
use serde::Serialize;

/// Measurements of cell nuclei: see assets/README.md.
const TABLE: &str = include_str!("assets/breast-cancer.csv");
/// The model, and how it is trained: see the comments there.
const EXPERIMENT: &str = include_str!("configs/miwae.toml");
/// Columns that are drawn, each with so many cells at most.
const DRAWN: [usize; 2] = [6, 150];

/// Removes cells of a table at random, fills them in, and compares them with the truth.
#[derive(Parser, Serialize)]
struct Args {
    /// A table of numbers of your own (.csv), without holes [default: an embedded one, 569 × 30]
    #[arg(long)]
    table: Option<PathBuf>,
    /// The share of cells to remove
    #[arg(long, default_value_t = 0.5)]
    removed: f64,
    /// Passes over the rows of the training
    #[arg(long, default_value_t = 200)]
    epochs: usize,
    /// What all randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the results, new or empty [default: a numbered one in runs/]
    #[arg(long)]
    #[serde(skip)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Error> {
    if !(0.0..0.95).contains(&args.removed) {
        return Err(format!("`removed` is a share below 0.95, not {}", args.removed).into());
    }
    let (names, truth) = args.table.as_ref().map_or_else(embedded, |path| read(path))?;
    let folder = match &args.out {
        Some(path) => RunFolder::new(path)?,
        None => RunFolder::numbered("runs".as_ref(), "impute_table")?,
    };
    folder.write("config.toml", toml::to_string(args)?.as_bytes())?;
    folder.write("complete.csv", csv(&names, &truth).as_bytes())?;
    let rows = without(&truth, args.removed, args.seed);
    folder.write("holes.csv", csv(&names, &rows).as_bytes())?;
    let model = trained(args, &names, &folder)?;

    let ids: Vec<u64> = (0..rows.len() as u64).collect();
    let filled = model.impute(&rows, &ids, 2000, 0)?;
    let intervals = model.imputation_intervals(0.95, &vec![args.removed; names.len()], 200)?;
    let predicted = |row: usize, column: usize| {
        let (value, deviation) = (filled[row].values[column], filled[row].deviations[column]);
        let interval = intervals.about(column, value, deviation);
        Prediction { truth: truth[row][column], value, interval }
    };
    println!("\n{} rows, {} columns", rows.len(), names.len());
    print_errors(&rows, &truth, &predicted);

    let removed = Columns::of(&rows).missing(&rows);
    let mut scatter =
        Scatter::new("filled in (upward) against the truth; intervals of 95 %, orange: missed");
    for (column, name) in names.iter().enumerate().take(DRAWN[0]) {
        let of_column = removed.iter().filter(|at| at.1 == column).take(DRAWN[1]);
        scatter = scatter.panel(name, of_column.map(|&(row, column)| predicted(row, column)));
    }
    folder.write("imputed.png", &scatter.png())?;
    let whole: Vec<Vec<f64>> = filled.into_iter().map(|filled| filled.values).collect();
    folder.write("filled.csv", csv(&names, &whole).as_bytes())?;
    println!("\nThe picture and the table are in {}", folder.path().display());
    Ok(())
}

/// A model of the cells that are there.
fn trained(args: &Args, names: &[String], folder: &RunFolder) -> Result<Pretrained, Error> {
    folder.write("experiment.toml", EXPERIMENT.as_bytes())?;
    let settings = [
        format!("data.path={}", folder.path().join("holes.csv").display()),
        format!("data.columns={names:?}"),
        "data.validation=0.1".to_owned(), // Intervals are learned from these rows.
        format!("train.epochs={}", args.epochs),
        format!("train.seed={}", args.seed),
    ];
    let experiment = Experiment::load(Some(&folder.path().join("experiment.toml")), &settings)?;
    let mut run = Run::create_at(&experiment, folder.path().join("run"))?;
    println!("training on the cells that are there …");
    run.train(vec![], &Interrupt::new())?;
    Ok(run.model(Weights::Last, None)?)
}

/// Prints how far the removed cells are off in each way, in squared standard deviations of a column, and how many of them the
/// intervals hold.
fn print_errors(
    rows: &[Vec<f64>],
    truth: &[Vec<f64>],
    predicted: &dyn Fn(usize, usize) -> Prediction,
) {
    let columns = Columns::of(rows);
    let removed = columns.missing(rows);
    let near = neighbors(rows, &columns);
    let error = |of: &dyn Fn(usize, usize) -> f64| {
        let square = |&(row, column): &(usize, usize)| {
            ((of(row, column) - truth[row][column]) / columns.deviations[column]).powi(2)
        };
        removed.iter().map(square).sum::<f64>() / removed.len().max(1) as f64
    };
    let held = removed.iter().filter(|&&(row, column)| {
        let Prediction { truth, interval, .. } = predicted(row, column);
        interval.is_some_and(|[low, high]| (low..=high).contains(&truth))
    });
    let held = held.count() as f64 / removed.len().max(1) as f64;
    println!("{} cells removed: squared errors in squared deviations of a column\n", removed.len());
    println!("{:24} {:>18}   in intervals of 95 %", "", "mean squared error");
    println!("{:24} {:>18.3}", "column means", error(&|_, column| columns.means[column]));
    println!("{:24} {:>18.3}", "10 nearest neighbors", error(&|row, column| near[row][column]));
    let own = error(&|row, column| predicted(row, column).value);
    println!("{:24} {own:>18.3}   {:.1} %", "model", 100.0 * held);
}

/// The names of columns, and the cells of rows.
type Table = (Vec<String>, Vec<Vec<f64>>);

fn embedded() -> Result<Table, Error> {
    let mut lines = TABLE.lines();
    let names = lines.next().unwrap_or_default().split(',').map(str::to_owned).collect();
    let row = |line: &str| line.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>();
    Ok((names, lines.map(row).collect::<Result<_, _>>()?))
}

/// A table of numbers of one's own.
fn read(path: &Path) -> Result<Table, Error> {
    let rows = read_rows(path, &ReadOptions::default())?;
    let names = rows.format.names.clone().ok_or("the columns of the table have no names")?;
    let rows: Vec<Vec<f64>> =
        rows.map(|row| row.map(|row| row.values())).collect::<Result<_, _>>()?;
    match rows.iter().flatten().all(|cell| cell.is_finite()) {
        true => Ok((names, rows)),
        false => {
            Err("cells of the table are missing: to know the truth, take one without holes".into())
        }
    }
}

/// The rows with a share of the cells NaN.
fn without(rows: &[Vec<f64>], share: f64, seed: u64) -> Vec<Vec<f64>> {
    let ids: Vec<u64> = (0..rows.len() as u64).collect();
    let width = rows.first().map_or(0, Vec::len);
    let uniforms =
        Key::new(seed).purpose(Purpose::EvaluationCorruption).rows(&ids).uniform_host(width);
    let removed = |(cell, u): (&f64, &f32)| if f64::from(*u) < share { f64::NAN } else { *cell };
    let of_rows = rows.iter().zip(uniforms.chunks(width.max(1)));
    of_rows.map(|(row, uniforms)| row.iter().zip(uniforms).map(removed).collect()).collect()
}

fn csv(names: &[String], rows: &[Vec<f64>]) -> String {
    let cell = |x: &f64| if x.is_nan() { "NA".to_owned() } else { x.to_string() };
    let line = |row: &Vec<f64>| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
    names.join(",") + "\n" + &rows.iter().map(line).collect::<String>()
}
