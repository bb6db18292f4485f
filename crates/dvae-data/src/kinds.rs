//! Columns of several kinds, as a model reads them.

use std::collections::BTreeMap;
use std::path::Path;

use dvae_checks::{listed, shown};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cells::{Cell, Cells};
use crate::columns::{Column, ColumnKind, table_columns};
use crate::{DataError, DateFormat, ReadOptions};

/// What a user says that a column is: `"numeric"`, `{ ordinal = ["low", "middle", "high"] }` or `{ date = "%d.%m.%Y" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a kind of a column is \"numeric\", \"positive\", \"count\", \"binary\", \"ordinal\", \"categorical\", \"date\", \
                 \"pass-through\" or \"ignore\", or { ordinal = [\"low\", \"middle\", \"high\"] }, or { date = \"%d.%m.%Y\" }"
)]
pub enum KindConfig {
    /// A kind.
    Kind(ColumnKind),
    /// Classes with an order.
    Ordered(Ordered),
    /// Dates of a format.
    Dated(Dated),
}

impl KindConfig {
    fn kind(&self) -> ColumnKind {
        match self {
            Self::Kind(kind) => *kind,
            Self::Ordered(_) => ColumnKind::Ordinal,
            Self::Dated(_) => ColumnKind::Date,
        }
    }

    /// The column as one of this kind, or why its cells are none.
    fn applied(self, mut column: Column, options: &ReadOptions) -> Result<TableColumn, String> {
        let kind = self.kind();
        if let Some(why) = misfit(kind, &column) {
            return Err(why);
        }
        let are_numbers = column.range.is_some();
        match self {
            Self::Ordered(Ordered { ordinal }) => {
                let cells = Cells::Classes(ordinal.clone());
                for (class, name) in ordinal.iter().enumerate() {
                    // One of those before it, by its text or its number.
                    let before = Cells::Classes(ordinal[..class].to_vec());
                    match before.read(name, options.decimal, &options.missing) {
                        Cell::Missing => {
                            return Err(format!(
                                "`{}` stands for a missing cell: write another word into the table",
                                shown(name)
                            ));
                        }
                        Cell::Unseen => {}
                        _ => return Err(format!("`{}` is named twice", shown(name))),
                    }
                }
                let is_other =
                    |text: &&String| cells.read(text, options.decimal, &[]) == Cell::Unseen;
                if let Some(other) = column.texts.iter().find(is_other) {
                    return Err(format!("it holds `{}`, which is not named", shown(other)));
                }
                column.texts = ordinal;
            }
            Self::Kind(ColumnKind::Ordinal) if !are_numbers && column.values > 2 => {
                let texts = column.texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>();
                return Err(format!(
                    "texts have no order of their own: name them from first to last, as {{ ordinal = [{}] }}",
                    texts.join(", ")
                ));
            }
            Self::Kind(ColumnKind::Date) if column.date.is_none() => {
                return Err(format!(
                    "its cells, such as {}, are not all of one of the formats {}: name theirs, as {{ date = \"%d.%m.%Y\" }}",
                    column.examples.join(", "),
                    DateFormat::USUAL.join(", ")
                ));
            }
            Self::Kind(_) => {}
            Self::Dated(Dated { date }) => column.date = Some(date),
        }
        Ok(of_kind(kind, column))
    }
}

impl From<ColumnKind> for KindConfig {
    fn from(kind: ColumnKind) -> Self {
        Self::Kind(kind)
    }
}

/// The classes of a column, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ordered {
    /// Their texts.
    pub ordinal: Vec<String>,
}

/// The format of the dates of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dated {
    /// By the directives of `strftime`: see [`DateFormat`].
    pub date: DateFormat,
}

/// A column that a model reads, with what its training table held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What its cells are, neither [`ColumnKind::PassThrough`] nor [`ColumnKind::Ignore`].
    pub kind: ColumnKind,
    /// The most digits behind the decimal separator of its numbers, zeros at the end aside; `None` for texts, and for numbers with
    /// an exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
    /// Whether all cells are numbers of which none is below 0.
    pub is_nonnegative: bool,
    /// The texts of its classes, in the order of their numbers from 0: as they were named, or else numbers by size and others by the
    /// alphabet. None for a column of numbers or dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The format of dates, of a column of dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<DateFormat>,
}

impl TableColumn {
    /// The nearest number that could stand in this column: with as many decimals as its cells have at most, and not below 0
    /// if none of them is. NaN stays NaN, and a class as it is.
    pub fn fitted(&self, value: f64) -> f64 {
        if self.kind.is_class() {
            return value;
        }
        let value = if value < 0.0 && self.is_nonnegative { 0.0 } else { value };
        let value = match self.decimals {
            // The text of a number of so many decimals is read as the nearest one. There is no -0.
            Some(decimals @ 0..=15) => {
                let text = format!("{value:.*}", decimals as usize);
                text.parse().map_or(value, |value: f64| value + 0.0)
            }
            _ => value,
        };
        // What is above 0 stays so.
        if self.kind == ColumnKind::Positive && value == 0.0 { self.step() } else { value }
    }

    /// What its cells are.
    pub(crate) fn cells(&self) -> Cells {
        match &self.date {
            _ if !self.classes.is_empty() => Cells::Classes(self.classes.clone()),
            Some(format) => Cells::Dates(format.clone()),
            None => Cells::Numbers,
        }
    }

    /// The distance of neighboring numbers of the column; 0 if it is not known.
    fn step(&self) -> f64 {
        self.decimals.map_or(0.0, |decimals| 10f64.powi(-(decimals.min(15) as i32)))
    }

    /// The narrowest interval between numbers that could stand in this column that holds all of the given one that could.
    pub fn fitted_interval(&self, [low, high]: [f64; 2]) -> [f64; 2] {
        let step = self.step();
        let [mut from, mut to] = [low, high].map(|end| self.fitted(end));
        if from > low {
            from = self.fitted(from - step);
        }
        if to < high {
            to = self.fitted(to + step);
        }
        [from, to]
    }
}

impl From<Column> for TableColumn {
    /// The column as one of numbers.
    fn from(column: Column) -> Self {
        of_kind(ColumnKind::Numeric, column)
    }
}

/// Finds the columns of a table that a model reads, and their kinds; `kinds` says those of some columns, by name.
///
/// An error names a column whose cells are not of the kind that was said, a kind for a column that there is not, or says that
/// no column is left.
pub fn columns_by_kind(
    path: &Path,
    options: &ReadOptions,
    kinds: &BTreeMap<String, KindConfig>,
) -> Result<Vec<TableColumn>, DataError> {
    let bad = |reason: String| DataError::File { path: path.into(), reason };
    if options.no_header {
        let reason = "kinds are for columns with names: give them some in a first line";
        return Err(bad(reason.to_owned()));
    }
    let mut columns = table_columns(path, options)?;
    let all: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    if let Some(wanted) = &options.columns {
        columns.retain(|column| wanted.contains(&column.name));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let asked = options.columns.iter().flatten();
    if let Some(name) = kinds.keys().chain(asked).find(|name| !all.contains(name)) {
        return Err(bad(format!("it has no column `{}`, but {}", shown(name), listed(&all))));
    }
    if let Some(name) = kinds.keys().find(|name| !names.contains(name)) {
        let name = shown(name);
        return Err(bad(format!(
            "`data.kinds` names column `{name}`, which `data.columns` leaves out"
        )));
    }
    let mut modeled = vec![];
    for column in columns {
        let said = kinds.get(&column.name).cloned().unwrap_or(KindConfig::Kind(column.kind));
        let kind = said.kind();
        // A column without a name is an index, or what follows the last delimiter.
        if matches!(kind, ColumnKind::PassThrough | ColumnKind::Ignore) || column.name.is_empty() {
            continue;
        }
        let name = shown(&column.name).to_string();
        let column = said
            .applied(column, options)
            .map_err(|why| bad(format!("column `{name}` cannot be {}: {why}", kind.name())))?;
        modeled.push(column);
    }
    let is_twice = |at: &usize| {
        modeled[..*at].iter().any(|other: &TableColumn| other.name == modeled[*at].name)
    };
    if let Some(twice) = (0..modeled.len()).find(is_twice) {
        let name = shown(&modeled[twice].name);
        return Err(bad(format!("it has several columns `{name}`: give each a name of its own")));
    }
    if modeled.is_empty() {
        let reason = "no column of it has cells to learn from: say by `data.kinds` what they are";
        return Err(bad(reason.to_owned()));
    }
    Ok(modeled)
}

/// Why the cells of a column are not of this kind.
fn misfit(kind: ColumnKind, column: &Column) -> Option<String> {
    let values = column.values;
    if column.is_opaque {
        return Some("it holds neither numbers nor texts".to_owned());
    }
    match kind {
        ColumnKind::Numeric | ColumnKind::Positive | ColumnKind::Count => {
            let Some([low, _]) = column.range else {
                if values == 0 {
                    return Some("it has no cell with a value".to_owned());
                }
                let examples = column.examples.join(", ");
                return Some(format!("it has cells that are no numbers, among {examples}"));
            };
            match kind {
                ColumnKind::Positive if low <= 0.0 => Some(format!("it holds {low}")),
                ColumnKind::Count if low < 0.0 => Some(format!("it holds {low}")),
                ColumnKind::Count if column.decimals != Some(0) => {
                    Some("not all of its numbers are whole".to_owned())
                }
                _ => None,
            }
        }
        _ if values < 2 => Some("it has no two values".to_owned()),
        ColumnKind::Date => None,
        ColumnKind::Binary if values != 2 => Some(format!("it has {values} values")),
        _ if values >= Column::MOST_VALUES => Some(format!("it has {values} values or more")),
        _ => None,
    }
}

fn of_kind(kind: ColumnKind, column: Column) -> TableColumn {
    let Column { name, decimals, range, texts, date, .. } = column;
    let classes = if kind.is_class() { texts } else { vec![] };
    let date = date.filter(|_| kind == ColumnKind::Date);
    // Dates are whole numbers of their units.
    let decimals = if date.is_some() { Some(0) } else { decimals };
    let is_nonnegative = range.is_some_and(|[low, _]| low >= 0.0) && date.is_none();
    TableColumn { name, kind, decimals, is_nonnegative, classes, date }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_table(text: &str, kinds: &[(&str, ColumnKind)]) -> Result<Vec<TableColumn>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let kinds = kinds.iter().map(|&(name, kind)| (name.to_owned(), kind.into())).collect();
        let options = ReadOptions::default();
        columns_by_kind(&path, &options, &kinds).map_err(|error| error.to_string())
    }

    const TABLE: &str = "id,town,size,grade,note\n\
        a,Ulm,1.5,2,x1\nb,Bonn,2.5,10,x2\nc,Ulm,NA,2.0,x3\nd,,0.5,10,x4\ne,Bonn,3,3,x5\nf,Ulm,4,3,x6\n";

    #[test]
    fn columns_are_of_the_kinds_that_were_found_or_said() {
        let found = of_table(TABLE, &[]).unwrap();
        let names: Vec<&str> = found.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["town", "size", "grade"]);
        assert_eq!(found[0].classes, ["Bonn", "Ulm"]);
        assert_eq!(
            (found[2].kind, &found[2].classes[..]),
            (ColumnKind::Ordinal, &["2".to_owned(), "3".into(), "10".into()][..])
        );
        assert!(found[1].classes.is_empty() && found[1].is_nonnegative);
        assert_eq!(found[1].fitted(-0.26), 0.0);
        let said =
            of_table(TABLE, &[("grade", ColumnKind::Count), ("town", ColumnKind::Ignore)]).unwrap();
        assert_eq!(
            said.iter().map(|column| column.kind).collect::<Vec<_>>(),
            [ColumnKind::Numeric, ColumnKind::Count]
        );
        for (kinds, why) in [
            (
                ("town", ColumnKind::Numeric),
                "column `town` cannot be numeric: it has cells that are no numbers, among Ulm, Bonn",
            ),
            (("grade", ColumnKind::Binary), "it has 3 values"),
            (("size", ColumnKind::Count), "not all of its numbers are whole"),
            (("hamlet", ColumnKind::Count), "no column `hamlet`"),
        ] {
            let error = of_table(TABLE, &[kinds]).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn classes_have_the_order_that_was_said_and_dates_their_format() {
        let text = "size,born,met,seen\nM,01.02.2020,2020-05-01,2020-05-01 10:00\nS,,2020-05-03,\nM,31.12.2019,,2021-05-01 23:59\n\
                    L,05.06.2020,2020-06-01,NA\nL,05.06.2020,2020-06-01,2020-01-01 00:00\nS,,,\n";
        let of = |kinds: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.csv");
            std::fs::write(&path, text).unwrap();
            let kinds: BTreeMap<String, KindConfig> =
                serde_json::from_str(kinds).map_err(|error| error.to_string())?;
            columns_by_kind(&path, &ReadOptions::default(), &kinds)
                .map_err(|error| error.to_string())
        };
        let found = of(
            r#"{"size": {"ordinal": ["S", "M", "L", "XL"]}, "born": {"date": "%d.%m.%Y"}, "met": "date", "seen": "date"}"#,
        )
        .unwrap();
        assert_eq!((found[0].kind, found[0].classes.len()), (ColumnKind::Ordinal, 4));
        assert_eq!(found[0].cells().read("L", crate::Decimal::Point, &[]), Cell::Value(2.0));
        let formats: Vec<&str> =
            found[1..].iter().map(|column| column.date.as_ref().unwrap().as_str()).collect();
        assert_eq!(formats, ["%d.%m.%Y", "%Y-%m-%d", "%Y-%m-%d %H:%M"]);
        assert_eq!((found[1].fitted(-3.4), found[1].decimals), (-3.0, Some(0)));
        for (kinds, why) in [
            (r#"{"size": "ordinal"}"#, r#"{ ordinal = ["L", "M", "S"] }"#),
            (r#"{"size": {"ordinal": ["S", "M"]}}"#, "it holds `L`, which is not named"),
            (r#"{"size": {"ordinal": ["S", "M", "L", "S"]}}"#, "`S` is named twice"),
            (r#"{"size": {"ordinal": ["1", "1.0"]}}"#, "`1.0` is named twice"),
            (
                r#"{"size": {"ordinal": ["S", "M", "L", "none"]}}"#,
                "`none` stands for a missing cell",
            ),
            (r#"{"born": "date"}"#, "01.02.2020, 31.12.2019, 05.06.2020"),
            (r#"{"born": {"date": "%Y"}}"#, "a kind of a column is"),
            (r#"{"size": "sorted"}"#, "a kind of a column is"),
        ] {
            let error = of(kinds).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_number_is_fitted_to_the_decimals_and_the_sign_of_its_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a,b,c,d\n1.5,10,-3,1e-9\n2.25,20,4,3\n").unwrap();
        let found = table_columns(&path, &ReadOptions::default()).unwrap();
        let found: Vec<TableColumn> = found.into_iter().map(TableColumn::from).collect();
        assert!(found[0].fitted(f64::NAN).is_nan());
        assert_eq!(found[2].fitted(-0.2).to_bits(), 0.0f64.to_bits());
        assert_eq!([1.238, -0.4].map(|value| found[0].fitted(value)), [1.24, 0.0]);
        assert_eq!([12.5001, -3.0].map(|value| found[1].fitted(value)), [13.0, 0.0]);
        assert_eq!(found[2].fitted(-2.6), -3.0);
        assert_eq!(found[3].fitted(0.123_456), 0.123_456);
        assert_eq!(found[0].fitted_interval([1.238, 2.342]), [1.23, 2.35]);
        assert_eq!(found[1].fitted_interval([-3.0, 12.2]), [0.0, 13.0]);
        assert_eq!(found[2].fitted_interval([-2.0, 5.0]), [-2.0, 5.0]);
        assert_eq!(found[3].fitted_interval([0.12, 0.34]), [0.12, 0.34]);
    }
}
