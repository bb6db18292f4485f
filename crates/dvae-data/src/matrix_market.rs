//! The Matrix Market exchange format, plain or gzip.
//!
//! Boisvert, Pozo & Remington (1996), "The Matrix Market Exchange Formats: Initial Design": a line that says what the matrix is,
//! comments, a line with the numbers of rows, columns and stored entries, then a line for each of these.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use dvae_checks::shown;
use flate2::bufread::MultiGzDecoder;

use crate::budget::Budget;
use crate::sparse::{Entries, check_shape};
use crate::{DataError, Element, Numbers};

/// The longest line: three numbers, with room.
const LONGEST: u64 = 1024;

/// Whether it is one, by its name.
pub(crate) fn is_matrix_market(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.ends_with(".mtx") || name.ends_with(".mtx.gz")
}

/// What the first line says of the entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Real,
    Integer,
    /// All are 1.
    Pattern,
}

/// Rows and columns of a matrix, and its stored entries.
pub(crate) fn read(path: &Path, budget: Budget) -> Result<([usize; 2], Entries), DataError> {
    let io = |source| DataError::Io { path: path.into(), source };
    let file = BufReader::new(File::open(path).map_err(io)?);
    let is_packed = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("gz"));
    let result = match is_packed {
        true => parse(BufReader::new(MultiGzDecoder::new(file)), budget),
        false => parse(file, budget),
    };
    result.map_err(|reason| DataError::File { path: path.into(), reason })
}

fn parse(mut reader: impl BufRead, budget: Budget) -> Result<([usize; 2], Entries), String> {
    let mut line = String::new();
    let mut number = 0;
    // The next line; none at the end.
    let mut next = |line: &mut String| -> Result<Option<usize>, String> {
        line.clear();
        number += 1;
        let read = (&mut reader).take(LONGEST).read_line(line);
        let read = read.map_err(|error| format!("line {number}: {error}"))?;
        if read as u64 == LONGEST {
            return Err(format!("line {number} is longer than {LONGEST} bytes"));
        }
        Ok((read > 0).then_some(number))
    };
    next(&mut line)?;
    let field = header(&line)?;
    let sizes = loop {
        let at = next(&mut line)?.ok_or("it ends before the numbers of rows and columns")?;
        let text = line.trim();
        if !text.is_empty() && !text.starts_with('%') {
            let sizes: Option<Vec<usize>> =
                text.split_whitespace().map(|n| n.parse().ok()).collect();
            let sizes = sizes.and_then(|sizes| <[usize; 3]>::try_from(sizes).ok());
            break sizes.ok_or_else(|| {
                format!(
                    "line {at}: the numbers of rows, columns and entries are expected, but there is `{}`",
                    shown(text)
                )
            })?;
        }
    };
    let [rows, columns, stored] = sizes;
    check_shape([rows, columns], stored, budget)?;
    let (mut of_rows, mut of_columns) = (vec![], vec![]);
    let (mut integers, mut reals): (Vec<i64>, Vec<f64>) = (vec![], vec![]);
    while let Some(at) = next(&mut line)? {
        let text = line.trim();
        if text.is_empty() || text.starts_with('%') {
            continue;
        }
        let wrong = || format!("line {at}: `{}` is no entry of the matrix", shown(text));
        let mut parts = text.split_whitespace();
        let mut place = |most: usize| -> Option<u32> {
            let place: usize = parts.next()?.parse().ok()?;
            u32::try_from(place.checked_sub(1).filter(|&place| place < most)?).ok()
        };
        let (row, column) = (place(rows), place(columns));
        let (Some(row), Some(column)) = (row, column) else {
            return Err(format!(
                "line {at}: `{}` begins with no row and column of {rows} and {columns}, counted from 1",
                shown(text)
            ));
        };
        let value = parts.next();
        match (field, value) {
            (Field::Pattern, None) => {}
            (Field::Integer, Some(value)) => integers.push(value.parse().map_err(|_| wrong())?),
            (Field::Real, Some(value)) => reals.push(value.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        of_rows.push(row);
        of_columns.push(column);
        if of_rows.len() > stored {
            break;
        }
    }
    if of_rows.len() != stored {
        let found = match of_rows.len() > stored {
            true => "more".to_owned(),
            false => of_rows.len().to_string(),
        };
        return Err(format!("it says that it has {stored} entries, but there are {found}"));
    }
    let numbers = match field {
        Field::Real => Numbers::from(&reals[..]),
        Field::Pattern => Numbers::new(Element::Bool, vec![1; stored]),
        Field::Integer => {
            let bytes = integers.iter().flat_map(|integer| integer.to_ne_bytes()).collect();
            Numbers::new(Element::I64, bytes)
        }
    };
    Ok(([rows, columns], Entries { rows: of_rows, columns: of_columns, numbers }))
}

/// What the entries are; an error says why the matrix cannot be read.
fn header(line: &str) -> Result<Field, String> {
    let line = line.to_lowercase();
    let parts: Vec<&str> = line.split_whitespace().collect();
    let &["%%matrixmarket", "matrix", form, field, symmetry] = &parts[..] else {
        return Err("it does not begin with `%%MatrixMarket matrix coordinate …`".to_owned());
    };
    if form != "coordinate" || symmetry != "general" {
        return Err(format!(
            "it is a matrix of form `{}` and symmetry `{}`: only `coordinate` and `general` are read",
            shown(form),
            shown(symmetry)
        ));
    }
    match field {
        "real" | "double" => Ok(Field::Real),
        "integer" => Ok(Field::Integer),
        "pattern" => Ok(Field::Pattern),
        other => Err(format!(
            "its entries are `{}`: `real`, `integer` or `pattern` are read",
            shown(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<([usize; 2], Entries), String> {
        parse(text.as_bytes(), Budget::of_length(text.len() as u64))
    }

    #[test]
    fn entries_are_read_with_their_places_from_0() {
        let text = "%%MatrixMarket matrix coordinate integer general\n% a comment\n\n3 4 2\n1 4 7\n3 1 -2\n";
        let ([rows, columns], entries) = of(text).unwrap();
        assert_eq!([rows, columns], [3, 4]);
        assert_eq!((&entries.rows[..], &entries.columns[..]), (&[0, 2][..], &[3, 0][..]));
        assert_eq!(entries.numbers.values(crate::Domain::Integers), [7.0, -2.0]);
        let pattern = "%%MatrixMarket matrix coordinate pattern general\n1 1 1\n1 1\n";
        assert_eq!(of(pattern).unwrap().1.numbers, Numbers::new(Element::Bool, vec![1]));
        let real = "%%MatrixMarket Matrix Coordinate Real General\n1 1 1\n1 1 2.5e-1";
        assert_eq!(of(real).unwrap().1.numbers.values(crate::Domain::Real), [0.25]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let whole =
            |lines: &str| format!("%%MatrixMarket matrix coordinate integer general\n{lines}");
        for (text, expected) in [
            (String::new(), "does not begin"),
            ("%%MatrixMarket matrix array real general\n1 1\n1\n".to_owned(), "form `array`"),
            (whole(""), "ends before"),
            (whole("2 x 1\n"), "line 2: the numbers"),
            (whole("2 2 1\n3 1 1\n"), "line 3: `3 1 1` begins with no row and column of 2 and 2"),
            (whole("2 2 1\n0 1 1\n"), "begins with no row"),
            (whole("2 2 1\n1 1 0.5\n"), "line 3: `1 1 0.5` is no entry"),
            (whole("2 2 1\n1 1 1 1\n"), "is no entry"),
            (whole("2 2 2\n1 1 1\n"), "2 entries, but there are 1"),
            (whole("2 2 1\n1 1 1\n2 2 1\n"), "1 entries, but there are more"),
            (whole("2 2 99999999999999999\n"), "numbers at once"),
            (whole(&"9".repeat(2000)), "line 2 is longer"),
        ] {
            let error = of(&text).err().unwrap();
            assert!(error.contains(expected), "{error}, not {expected}");
        }
    }
}
