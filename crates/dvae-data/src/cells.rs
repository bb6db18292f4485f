//! How the cells of a column of a table are numbers.

use crate::table_text::{number, number_text};
use crate::{DateFormat, Decimal};

/// What the cells of a column are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cells {
    #[default]
    Numbers,
    /// The texts of classes, in the order of their numbers from 0.
    Classes(Vec<String>),
    Dates(DateFormat),
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Value(f64),
    /// A class that is not among those of the column.
    Unseen,
    /// No number, or no date of the format.
    Wrong,
}

impl Cells {
    /// What the text of a cell, without quotes, is. Classes that are numbers are compared as numbers: 1 and 1.0 are one class.
    pub(crate) fn read(&self, text: &str, decimal: Decimal, missing: &[String]) -> Cell {
        let value = number(text, decimal, missing);
        match (self, value) {
            (_, Some(value)) if value.is_nan() => Cell::Missing,
            (Self::Numbers, value) => value.map_or(Cell::Wrong, Cell::Value),
            (Self::Dates(format), _) => format.number(text).map_or(Cell::Wrong, Cell::Value),
            (Self::Classes(classes), value) => {
                let by_text = classes.iter().position(|class| class == text);
                let by_number =
                    |value| classes.iter().position(|class| class_number(class) == Some(value));
                let class = by_text.or_else(|| value.and_then(by_number));
                class.map_or(Cell::Unseen, |class| Cell::Value(class as f64))
            }
        }
    }

    /// The text of a value; NaN becomes an empty one.
    pub(crate) fn text(&self, value: f64, decimal: Decimal) -> String {
        match self {
            _ if value.is_nan() => String::new(),
            Self::Numbers => number_text(value, decimal),
            Self::Dates(format) => format.date_text(value),
            Self::Classes(classes) => {
                let class = (value.round().max(0.0) as usize).min(classes.len() - 1);
                class_text(&classes[class], decimal)
            }
        }
    }

    /// Whether two values have one text.
    pub(crate) fn are_one(&self, old: f64, new: f64) -> bool {
        match self {
            Self::Numbers => old.to_bits() == new.to_bits(),
            Self::Dates(_) | Self::Classes(_) => old == new.round(),
        }
    }
}

/// The number that the text of a class is, with the decimal separator that it was written with.
fn class_number(class: &str) -> Option<f64> {
    [Decimal::Point, Decimal::Comma].into_iter().find_map(|decimal| number(class, decimal, &[]))
}

/// The text of a class as a table with this decimal separator has it.
fn class_text(class: &str, decimal: Decimal) -> String {
    match decimal {
        _ if class_number(class).is_none() => class.to_owned(),
        Decimal::Point => class.replace(',', "."),
        Decimal::Comma => class.replace('.', ","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_found_by_its_text_or_number() {
        let classes = Cells::Classes(vec!["0".to_owned(), "1.5".into(), "red".into()]);
        let of = |text| classes.read(text, Decimal::Point, &["-9".to_owned()]);
        assert_eq!(["0.0", "1.50", "red"].map(of), [0.0, 1.0, 2.0].map(Cell::Value));
        assert_eq!(["", "NA", "-9"].map(of), [Cell::Missing; 3]);
        assert_eq!(["Red", "2"].map(of), [Cell::Unseen; 2]);
        let of = |text| classes.read(text, Decimal::Comma, &[]);
        assert_eq!(["0,0", "1,5"].map(of), [0.0, 1.0].map(Cell::Value));
        assert_eq!(classes.text(1.2, Decimal::Comma), "1,5");
        assert_eq!(class_text("a.b", Decimal::Comma), "a.b");
    }

    #[test]
    fn dates_are_numbers_of_days_and_come_back_in_their_format() {
        let dates = Cells::Dates(DateFormat::new("%d.%m.%Y").unwrap());
        let of = |text| dates.read(text, Decimal::Point, &["never".to_owned()]);
        assert_eq!(of("02.01.1970"), Cell::Value(1.0));
        assert_eq!(["", "NA", "never"].map(of), [Cell::Missing; 3]);
        assert_eq!(["1970-01-02", "7"].map(of), [Cell::Wrong; 2]);
        assert_eq!(dates.text(1.4, Decimal::Comma), "02.01.1970");
        assert!(dates.are_one(1.0, 1.4) && !Cells::Numbers.are_one(1.0, 1.4));
    }
}
