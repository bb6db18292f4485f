//! `dvae impute`.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use dvae::checks::listed;
use dvae::data::{FileKind, Format, ReadOptions, Row, RowWriter, TableColumn, table_columns};
use dvae::{Imputation, Pretrained};
use serde::Serialize;

use super::ModelArgs;
use super::impute_intervals::Intervals;
use crate::Error;
use crate::files::{counted, keep_data, keep_inputs};
use crate::inputs::Inputs;
use crate::output::{Output, path, table, warn};

/// Fill in the missing cells of a table, and change nothing else
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae impute runs/penguins penguins.csv -o filled.csv
  dvae impute runs/penguins penguins.csv -o filled.csv --multiple 10      ten tables: filled-1.csv to filled-10.csv
  dvae impute runs/penguins penguins.csv -o filled.csv --intervals        and between which values a cell is
  dvae impute runs/penguins x.npy -o filled.npy --samples 10000

Each missing cell gets its mean given the cells of its row that are there, from draws of the latent that are weighted by how
well they explain those (importance sampling). It is written with as many decimals as the cells of its column have at most, and
not below 0 if none of them is. All other cells come back as they are written, and so do columns that the model does not read,
and lines of which it knows no cell, or which it cannot explain.

With --multiple, each table is another draw of what the missing cells may be, for an analysis of each of them: their spread
says how sure it is. One table of means has too little spread for that.

With --intervals, columns follow for each column with holes: NAME_low and NAME_high, between which 95 % of such cells lie, or for
classes NAME_probability, the probability of the class that was filled in. How wide they have to be is learned from the validation rows of the training,
whose cells are hidden as often as those of the table are missing.

dvae denoise gives each cell, also those that are there, the value that the model makes of it.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: ModelArgs,
    #[command(flatten)]
    files: Inputs,
    /// The completed table or array
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
    /// Draws of the latent for each row
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: u32,
    /// Write this many complete tables, each another draw of the missing cells, in place of one with their means
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(2..=1000))]
    multiple: Option<u32>,
    /// Add columns with intervals that hold 95 % of the missing cells, and probabilities of classes
    #[arg(long, conflicts_with = "multiple")]
    intervals: bool,
}

#[derive(Serialize)]
struct Summary {
    rows: usize,
    /// Cells that were filled in.
    filled: usize,
    /// Rows without an observed cell, or that the model cannot explain: they are left as they are.
    unknown_rows: usize,
    /// Of rows with filled cells, the median number of draws that the weighted ones are worth.
    effective_draws: Option<f64>,
    columns: Vec<ColumnSummary>,
    /// Classes that the training has not seen: they stay, and count as missing.
    unseen: Vec<UnseenClasses>,
    #[serde(serialize_with = "paths")]
    out: Vec<PathBuf>,
}

/// What was filled in of a column.
#[derive(Serialize)]
struct ColumnSummary {
    column: String,
    filled: usize,
    /// The mean, over the filled cells, of the standard deviation of the cell given those of its row.
    deviation: Option<f64>,
}

/// Classes of a column that the training has not seen.
#[derive(Serialize)]
struct UnseenClasses {
    column: String,
    classes: Vec<String>,
}

fn paths<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Text<'a>(#[serde(serialize_with = "path")] &'a Path);
    serializer.collect_seq(paths.iter().map(|path| Text(path)))
}

/// Numbers of rows, and of draws of them, that are held at once.
const AT_ONCE: usize = 1 << 23;

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let model = args.run.load_of_numbers("impute")?;
    // A table is read more than once: its columns, its holes, its rows.
    let inputs = args.files.open_to_read_again()?;
    let options = inputs.options(model.read_options())?;
    let files = inputs.files()?;
    let [file] = &files[..] else {
        return Err(format!("one table is filled in at a time, not {}", files.len()).into());
    };
    check_kinds(&inputs.label(file), file, &args.out)?;
    let outputs = outputs(&args.out, args.multiple);
    let paths = || outputs.iter().map(PathBuf::as_path);
    keep_inputs(paths(), [&**file])?;
    keep_data(paths(), model.experiment())?;
    let rows = model.open(file, &options)?;
    let places = Places::of(file, &options, rows.format.names.as_deref(), &model)?;
    let mut format = rows.format.of_results();
    let intervals = match args.intervals {
        true => {
            let intervals =
                Intervals::learn(&model, file, &options, &places, args.samples as usize)?;
            format = format.with_columns(intervals.further.clone());
            Some(intervals)
        }
        false => None,
    };
    let writers = outputs.iter().map(|path| RowWriter::create(path, &format));
    let mut completion = Completion {
        model: &model,
        samples: args.samples as usize,
        format: &format,
        sums: vec![(0, 0.0); places.names.len()],
        unseen: vec![BTreeSet::new(); places.names.len()],
        places,
        intervals,
        writers: writers.collect::<Result<_, _>>()?,
        waiting: vec![],
        rows: 0,
        unknown_rows: 0,
        effective_draws: vec![],
    };
    let width: usize = model.event().iter().product();
    let at_once = (AT_ONCE / (width * (2 + completion.draws()))).clamp(1, 4096);
    for row in rows {
        completion.waiting.push(row?);
        if completion.waiting.len() == at_once {
            completion.fill()?;
        }
    }
    completion.fill()?;
    let summary = completion.finish(outputs)?;
    say(&summary);
    out.write(&summary, || describe(&summary))
}

/// An error if input and output are not both tables, or both arrays.
fn check_kinds(label: &str, file: &Path, out: &Path) -> Result<(), Error> {
    let kinds = [file, out].map(FileKind::by_name);
    let are = |kind: FileKind| kinds == [Some(kind); 2];
    if are(FileKind::Table) || are(FileKind::Array) {
        return Ok(());
    }
    let text = "a table (.csv, .tsv) is filled in to a table, and an array (.npy) to an array";
    Err(format!("{label} and {}: {text}", out.display()).into())
}

/// The files that are written: `filled-1.csv` and so on for several.
fn outputs(out: &Path, multiple: Option<u32>) -> Vec<PathBuf> {
    let Some(tables) = multiple else { return vec![out.into()] };
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let ending = out.extension().unwrap_or_default().to_string_lossy();
    (1..=tables).map(|at| out.with_file_name(format!("{stem}-{at}.{ending}"))).collect()
}

/// What the entries of a row belong to: the columns of a table, or the places on the first axis of an array.
pub(super) struct Places {
    pub(super) names: Vec<String>,
    /// How many entries each place has.
    entries: usize,
    /// The columns of a table, to which numbers are fitted.
    pub(super) columns: Option<Vec<TableColumn>>,
}

impl Places {
    fn of(
        file: &Path,
        options: &ReadOptions,
        names: Option<&[String]>,
        model: &Pretrained,
    ) -> Result<Self, Error> {
        let event = model.event();
        let width: usize = event.iter().product();
        let numbered = |places: usize| (1..=places).map(|at| at.to_string()).collect();
        if FileKind::by_name(file) != Some(FileKind::Table) {
            let (names, entries) = (numbered(event[0]), width / event[0]);
            return Ok(Self { names, entries, columns: None });
        }
        let names: Vec<String> = names.map_or_else(|| numbered(width), <[String]>::to_vec);
        let columns = match &model.data().kinds {
            Some(columns) => Some(columns.clone()),
            // Of numbers alone, those of the table itself.
            None => {
                let all = table_columns(file, options)?.into_iter().map(TableColumn::from);
                let mut all: HashMap<String, TableColumn> =
                    all.map(|column| (column.name.clone(), column)).collect();
                names.iter().map(|name| all.remove(name)).collect()
            }
        };
        Ok(Self { names, entries: 1, columns })
    }

    /// The place of an entry.
    fn place(&self, entry: usize) -> usize {
        entry / self.entries
    }

    /// The number that stands for a value of an entry.
    fn fitted(&self, entry: usize, value: f64) -> f64 {
        self.columns.as_ref().map_or(value, |columns| columns[self.place(entry)].fitted(value))
    }
}

/// Rows that are completed and written.
struct Completion<'a> {
    model: &'a Pretrained,
    samples: usize,
    format: &'a Format,
    places: Places,
    intervals: Option<Intervals>,
    writers: Vec<RowWriter>,
    waiting: Vec<Row>,
    rows: usize,
    unknown_rows: usize,
    effective_draws: Vec<f64>,
    /// For each place, the cells that were filled in, and the sum of their deviations.
    sums: Vec<(usize, f64)>,
    /// For each place, classes that the training has not seen.
    unseen: Vec<BTreeSet<String>>,
}

impl Completion<'_> {
    /// How many whole rows are drawn for each.
    fn draws(&self) -> usize {
        if self.writers.len() > 1 { self.writers.len() } else { 0 }
    }

    /// Fills in the rows that wait, and writes them.
    fn fill(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        let (mut known, mut ids) = (vec![], vec![]);
        for (row, id) in waiting.iter().zip(self.rows as u64..) {
            if is_known(row) {
                known.push(row.values());
                ids.push(id);
            }
        }
        let filled = self.model.impute(&known, &ids, self.samples, self.draws())?;
        let mut filled = filled.into_iter();
        self.rows += waiting.len();
        for row in &waiting {
            for (place, class) in row.unseen(self.format) {
                self.unseen[place].insert(class);
            }
            // Nothing is known of a row without an observed entry, nor of one that the model cannot explain.
            let filled = if is_known(row) { filled.next() } else { None };
            match filled.filter(|filled| filled.effective_draws > 0.0) {
                Some(filled) => self.write(row, filled)?,
                None => {
                    self.unknown_rows += 1;
                    for writer in &mut self.writers {
                        writer.write(&row.with_values(self.format, &row.values()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes a row that was filled in.
    fn write(&mut self, row: &Row, filled: Imputation) -> Result<(), Error> {
        let observed = row.values();
        let mut missing: Vec<usize> =
            (0..observed.len()).filter(|&at| observed[at].is_nan()).collect();
        let unseen = row.unseen(self.format);
        missing.retain(|&at| unseen.iter().all(|(place, _)| *place != at));
        if !missing.is_empty() {
            self.effective_draws.push(filled.effective_draws);
        }
        for &at in &missing {
            let (cells, deviations) = &mut self.sums[self.places.place(at)];
            *cells += 1;
            *deviations += filled.deviations[at];
        }
        let cells = self.intervals.as_ref().map(|of| of.cells(&self.places, &filled, &missing));
        let cells = cells.unwrap_or_default();
        let tables = if self.draws() == 0 { vec![filled.values] } else { filled.draws };
        for (writer, mut values) in self.writers.iter_mut().zip(tables) {
            for &at in &missing {
                values[at] = self.places.fitted(at, values[at]);
            }
            writer.write(&row.with_values(self.format, &values).appended(cells.clone()))?;
        }
        Ok(())
    }

    fn finish(mut self, out: Vec<PathBuf>) -> Result<Summary, Error> {
        for writer in self.writers {
            writer.finish()?;
        }
        self.effective_draws.sort_by(f64::total_cmp);
        let column = |(name, &(filled, sum)): (&String, &(usize, f64))| ColumnSummary {
            column: name.clone(),
            filled,
            deviation: (filled > 0).then(|| sum / filled as f64),
        };
        let columns: Vec<ColumnSummary> =
            self.places.names.iter().zip(&self.sums).map(column).collect();
        let unseen = std::mem::take(&mut self.unseen).into_iter().zip(&self.places.names);
        let unseen = unseen.filter(|(classes, _)| !classes.is_empty()).map(|(classes, column)| {
            UnseenClasses { column: column.clone(), classes: classes.into_iter().collect() }
        });
        let unseen = unseen.collect();
        Ok(Summary {
            rows: self.rows,
            filled: columns.iter().map(|column| column.filled).sum(),
            unseen,
            unknown_rows: self.unknown_rows,
            effective_draws: self.effective_draws.get(self.effective_draws.len() / 2).copied(),
            columns,
            out,
        })
    }
}

/// Whether an entry of the row was observed.
fn is_known(row: &Row) -> bool {
    row.values().iter().any(|value| !value.is_nan())
}

/// Warns of what a reader of the table should know.
fn say(summary: &Summary) {
    const FEW: f64 = 10.0;
    if summary.unknown_rows > 0 {
        let rows = counted(summary.unknown_rows, "row");
        warn(&format!(
            "{rows} without a cell that the model knows, or beyond what it can explain, stay as they are"
        ));
    }
    for UnseenClasses { column, classes } in &summary.unseen {
        let classes = listed(classes);
        warn(&format!(
            "column {column} has classes that the training has not seen ({classes}): they stay, and tell the model nothing"
        ));
    }
    if let Some(draws) = summary.effective_draws.filter(|&draws| draws < FEW) {
        warn(&format!(
            "half of the rows hang on {draws:.1} draws of the latent, or fewer: raise --samples"
        ));
    }
}

fn describe(summary: &Summary) -> String {
    let lines: Vec<Vec<String>> = summary
        .columns
        .iter()
        .filter(|column| column.filled > 0)
        .map(|column| {
            let deviation = column.deviation.map_or("-".to_owned(), |value| format!("{value:.4}"));
            vec![column.column.clone(), column.filled.to_string(), deviation]
        })
        .collect();
    let (cells, rows) = (counted(summary.filled, "cell"), counted(summary.rows, "row"));
    let out: Vec<String> = summary.out.iter().map(|path| path.display().to_string()).collect();
    let out = match &out[..] {
        [first, .., last] => format!("{first} to {last}"),
        out => out.join(""),
    };
    let heading = format!("{cells} of {rows} filled in: {out}");
    if lines.is_empty() {
        return heading;
    }
    format!("{heading}\n\n{}", table(&["column", "filled", "deviation"], &lines))
}
