//! `dvae table`.

use dvae::data::{Column, FileKind, ReadOptions, table_columns};
use serde::Serialize;

use crate::Error;
use crate::files::counted;
use crate::inputs::Inputs;
use crate::output::{Output, table};

/// Show what the columns of a table hold: their kinds, holes and values
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dvae table penguins.csv
  dvae table survey.csv --delimiter ';' --decimal-comma --json
  dvae table weather.csv --missing -999,none

numeric       numbers on a scale of equal steps
positive      numbers above 0 that spread over more than two powers of ten
count         whole numbers from 0 on, of more than ten values
ordinal       classes with an order: whole numbers of three to ten values
binary        two values
categorical   texts of few values
pass-through  what is nothing to learn from, and is kept: texts that hardly repeat, dates, numbers of lines
ignore        columns without a value, or with a single one

In the configuration of a model, data.kinds names those that are to be others: { grade = \"numeric\", size = { ordinal = [\"S\", \"M\", \"L\"] },
born = \"date\" }, or with their format { date = \"%d.%m.%Y\" }.")]
pub(crate) struct Args {
    #[command(flatten)]
    files: Inputs,
    /// Texts of missing cells, beside empty ones, NA, NaN, null and ?
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',', allow_hyphen_values = true)]
    missing: Vec<String>,
}

#[derive(Serialize)]
struct Table {
    file: String,
    columns: Vec<Column>,
}

pub(crate) fn run(args: &Args, out: Output) -> Result<(), Error> {
    let inputs = args.files.open()?;
    let base = ReadOptions { missing: args.missing.clone(), ..ReadOptions::default() };
    let options = inputs.options(base)?;
    let mut tables = vec![];
    for file in inputs.files()? {
        let label = inputs.label(&file);
        if FileKind::of(&file)? != FileKind::Table {
            return Err(format!("{label} is no table (.csv, .tsv)").into());
        }
        tables.push(Table { file: label, columns: table_columns(&file, &options)? });
    }
    out.write(&tables, || tables.iter().map(describe).collect::<Vec<_>>().join("\n\n"))
}

fn describe(of: &Table) -> String {
    let line = |column: &Column| {
        let values = match column.values {
            Column::MOST_VALUES => format!("{} or more", Column::MOST_VALUES),
            values => values.to_string(),
        };
        let range = column.range.map(|ends| ends.map(|end| end.to_string()).join(" to "));
        vec![
            column.name.clone(),
            column.kind.name().to_owned(),
            column.holes.to_string(),
            values,
            range.unwrap_or_else(|| column.examples.join(", ")),
        ]
    };
    let lines: Vec<Vec<String>> = of.columns.iter().map(line).collect();
    let rows = of.columns.first().map_or(0, |column| column.rows);
    let (rows, columns) = (counted(rows as usize, "row"), counted(of.columns.len(), "column"));
    let head = ["column", "kind", "holes", "values", "range or examples"];
    format!("{}: {rows}, {columns}\n\n{}", of.file, table(&head, &lines))
}
