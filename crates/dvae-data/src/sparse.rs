//! Matrices of which only the entries other than 0 are stored.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::budget::Budget;
use crate::dataset::is_lost;
use crate::format::Layout;
use crate::rows::Extra;
use crate::{Channels, DataError, Domain, Element, Format, Numbers, ReadOptions, Row, Rows};

/// The entries that any matrix may stand for, and how many times as many as it stores: so a small file that claims a large matrix is an
/// error.
const ANY: usize = 1 << 16;
const PER_STORED: usize = 4096;

/// Where the stored entries of a matrix are: those of a row side by side, in the order of the columns.
#[derive(Debug)]
pub(crate) struct Pattern {
    columns: usize,
    /// For each row the number of entries before it, and at the end that of all.
    starts: Vec<usize>,
    /// The column of each entry.
    places: Vec<u32>,
}

/// A matrix with numbers of one type, as a file has them.
#[derive(Debug)]
pub(crate) struct Sparse {
    pattern: Arc<Pattern>,
    numbers: Numbers,
}

/// Entries of a matrix in any order, as files have them.
pub(crate) struct Entries {
    pub(crate) rows: Vec<u32>,
    pub(crate) columns: Vec<u32>,
    pub(crate) numbers: Numbers,
}

/// An error if a matrix of this shape with so many stored entries takes too much memory, or a single row of it.
pub(crate) fn check_shape(
    [rows, columns]: [usize; 2],
    stored: usize,
    budget: Budget,
) -> Result<(), String> {
    if rows == 0 || columns == 0 {
        return Err(format!("a matrix of {rows} rows and {columns} columns is empty"));
    }
    let most = stored.saturating_mul(PER_STORED).saturating_add(ANY);
    let entries = rows.checked_mul(columns).filter(|&entries| entries <= most);
    if rows.max(columns) > u32::MAX as usize || entries.is_none() {
        return Err(format!(
            "it stores {stored} entries of a matrix of {rows} rows and {columns} columns: fewer than one in {PER_STORED} are not read"
        ));
    }
    let numbers = (rows as u128).max(columns as u128) + 3 * stored as u128;
    budget.check_numbers(numbers)
}

impl Sparse {
    /// From entries in any order. An error names one outside of the matrix, or two at one place.
    pub(crate) fn new([rows, columns]: [usize; 2], entries: Entries) -> Result<Self, String> {
        let Entries { rows: of_rows, columns: of_columns, numbers } = entries;
        let at = |k: usize| (of_rows[k], of_columns[k]);
        let stored = numbers.len();
        let outside = |&k: &usize| at(k).0 as usize >= rows || at(k).1 as usize >= columns;
        if let Some(k) = (0..stored).find(outside) {
            let (row, column) = at(k);
            return Err(format!(
                "an entry is at row {row} and column {column}, counted from 0, of {rows} rows and {columns} columns"
            ));
        }
        let mut order: Vec<usize> = (0..stored).collect();
        if !order.is_sorted_by_key(|&k| at(k)) {
            order.sort_by_key(|&k| at(k));
        }
        if let Some(pair) = order.windows(2).find(|pair| at(pair[0]) == at(pair[1])) {
            let (row, column) = at(pair[0]);
            return Err(format!(
                "two entries are at row {row} and column {column}, counted from 0: add them up first, as SciPy's \
                 sum_duplicates() does"
            ));
        }
        let mut starts = vec![0; rows + 1];
        of_rows.iter().for_each(|&row| starts[row as usize + 1] += 1);
        (0..rows).for_each(|row| starts[row + 1] += starts[row]);
        let places = order.iter().map(|&k| of_columns[k]).collect();
        let numbers = numbers.at(order.into_iter());
        Ok(Self { pattern: Arc::new(Pattern { columns, starts, places }), numbers })
    }

    /// The numbers of a row, zeros included.
    fn row(&self, row: usize) -> Numbers {
        let element = self.numbers.element();
        let size = element.size();
        let mut bytes = vec![0; self.pattern.columns * size];
        let all = self.numbers.as_bytes();
        for k in self.pattern.starts[row]..self.pattern.starts[row + 1] {
            let place = self.pattern.places[k] as usize * size;
            bytes[place..place + size].copy_from_slice(&all[k * size..(k + 1) * size]);
        }
        Numbers::new(element, bytes)
    }

    /// The rows, of which one is in memory at a time with its zeros.
    pub(crate) fn into_rows(self, path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
        let bad = |reason: String| DataError::File { path: path.into(), reason };
        if let Some(at) = self.numbers.first_infinite() {
            let row = self.pattern.starts.partition_point(|&start| start <= at) - 1;
            return Err(bad(format!("row {row} holds an infinite value")));
        }
        let element = self.numbers.element();
        let domain = options.domain.unwrap_or(match element {
            Element::U8 => Domain::Integers, // No gray values.
            element => element.domain(),
        });
        if domain == Domain::Unit && element.is_whole() && element != Element::Bool {
            return Err(bad(
                "integers of a sparse matrix are no levels of gray: save them as floats in [0, 1], or leave `data.domain` out"
                    .to_owned(),
            ));
        }
        let layout = Layout::Array(Channels::First);
        let format = Format { layout, ..Format::new(&[self.pattern.columns], element, domain) };
        let count = self.pattern.starts.len() - 1;
        let own = Arc::new(self);
        let matrix = own.clone();
        let rows = (0..count)
            .map(move |row| Ok(Row { numbers: matrix.row(row), domain, extra: Extra::None }));
        Ok(Rows { sparse: Some(own), ..Rows::new(format, Some(count), rows) })
    }

    /// The matrix in single precision, as batches hold it. An error names a number that would become another one by that: see
    /// [`Dataset::single`](crate::Dataset::single).
    pub(crate) fn singles(&self, domain: Domain) -> Result<SparseValues, String> {
        if let Some((at, value)) = self.numbers.first_beyond_double() {
            return Err(self.lost(at, &value.to_string()));
        }
        let values = self.numbers.values(domain);
        // Beside what is stored there are zeros.
        let mut ends = vec![[0.0f64; 2]; self.pattern.columns];
        for (&place, &value) in self.pattern.places.iter().zip(&values) {
            let [low, high] = &mut ends[place as usize];
            (*low, *high) = (low.min(value), high.max(value));
        }
        let lost = |at: &usize| {
            let [low, high] = ends[self.pattern.places[*at] as usize];
            is_lost(values[*at], high - low)
        };
        if let Some(at) = (0..values.len()).find(lost) {
            return Err(self.lost(at, &values[at].to_string()));
        }
        let values = values.into_iter().map(|value| value as f32).collect();
        Ok(SparseValues { pattern: self.pattern.clone(), values })
    }

    fn lost(&self, at: usize, value: &str) -> String {
        let row = self.pattern.starts.partition_point(|&start| start <= at) - 1;
        format!("row {row} holds {value}, which single precision does not hold: divide it first")
    }
}

/// The entries of a matrix in single precision.
#[derive(Debug)]
pub(crate) struct SparseValues {
    pattern: Arc<Pattern>,
    values: Vec<f32>,
}

impl SparseValues {
    /// The number of entries, zeros included.
    pub(crate) fn len(&self) -> usize {
        self.pattern.columns * (self.pattern.starts.len() - 1)
    }

    /// The place of the first entry that is `wrong`, which 0 is not.
    pub(crate) fn find(&self, wrong: impl Fn(f64) -> bool) -> Option<usize> {
        let at = self.values.iter().position(|&value| wrong(value.into()))?;
        let Pattern { columns, starts, places } = &*self.pattern;
        let row = starts.partition_point(|&start| start <= at) - 1;
        Some(row * columns + places[at] as usize)
    }

    /// Entries of rows side by side, zeros included.
    pub(crate) fn fill(&self, places: Range<usize>, out: &mut [f32]) {
        out.fill(0.0);
        let Pattern { columns, starts, places: columns_of } = &*self.pattern;
        if places.is_empty() {
            return;
        }
        for row in places.start / columns..=(places.end - 1) / columns {
            let stored = starts[row]..starts[row + 1];
            let first = places.start.saturating_sub(row * columns);
            let within = &columns_of[stored.clone()];
            let from = stored.start + within.partition_point(|&place| (place as usize) < first);
            let entries = columns_of[from..stored.end].iter().zip(&self.values[from..stored.end]);
            let placed = entries.map(|(&column, value)| (row * columns + column as usize, value));
            for (at, &value) in placed.take_while(|(at, _)| *at < places.end) {
                out[at - places.start] = value;
            }
        }
    }
}

/// Opens a sparse matrix, if the file is one; `None` for any other.
pub(crate) fn read_sparse_rows(
    path: &Path,
    options: &ReadOptions,
) -> Result<Option<Rows>, DataError> {
    let bad = |reason: String| DataError::File { path: PathBuf::from(path), reason };
    let metadata = std::fs::metadata(path);
    let budget =
        Budget::of(&metadata.map_err(|source| DataError::Io { path: path.into(), source })?);
    let is_named = options.key.is_some() && !options.is_key_of_model;
    let read = match crate::matrix_market::is_matrix_market(path) {
        true => Some(crate::matrix_market::read(path, budget)?),
        false if is_named => None,
        false => crate::scipy::read(path, budget)?,
    };
    let Some(([rows, columns], entries)) = read else { return Ok(None) };
    let matrix = match options.transposed {
        true => {
            let Entries { rows: columns_of, columns: rows_of, numbers } = entries;
            let entries = Entries { rows: rows_of, columns: columns_of, numbers };
            Sparse::new([columns, rows], entries)
        }
        false => Sparse::new([rows, columns], entries),
    };
    matrix.map_err(bad)?.into_rows(path, options).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(of: &[(u32, u32, f32)]) -> Entries {
        let numbers: Vec<f32> = of.iter().map(|entry| entry.2).collect();
        Entries {
            rows: of.iter().map(|entry| entry.0).collect(),
            columns: of.iter().map(|entry| entry.1).collect(),
            numbers: Numbers::from(&numbers[..]),
        }
    }

    #[test]
    fn any_part_of_the_entries_is_that_of_the_whole_matrix() {
        let of = [(3, 4, 5.0), (0, 1, 1.0), (2, 0, 3.0), (0, 3, 2.0), (2, 4, 4.0)];
        let matrix = Sparse::new([4, 5], entries(&of)).unwrap();
        let mut whole = vec![0.0; 20];
        of.iter().for_each(|&(row, column, x)| whole[(row * 5 + column) as usize] = x);
        let values = matrix.singles(Domain::Real).unwrap();
        assert_eq!(values.len(), 20);
        for start in 0..20 {
            for end in start..=20 {
                let mut out = vec![7.0; end - start];
                values.fill(start..end, &mut out);
                assert_eq!(out, whole[start..end], "{start}..{end}");
            }
        }
        let rows: Vec<f32> = (0..4).flat_map(|row| matrix.row(row).singles(Domain::Real)).collect();
        assert_eq!(rows, whole);
    }

    #[test]
    fn entries_that_cannot_be_are_named() {
        let error = |of: &[(u32, u32, f32)]| Sparse::new([2, 3], entries(of)).unwrap_err();
        let text = error(&[(1, 2, 1.0), (0, 0, 1.0), (1, 2, 4.0)]);
        assert!(text.contains("two entries are at row 1 and column 2"), "{text}");
        let text = error(&[(2, 0, 1.0)]);
        assert!(text.contains("row 2 and column 0, counted from 0, of 2 rows"), "{text}");
        let budget = Budget::of_length(100);
        for shape in [[0, 3], [usize::MAX, 9], [1 << 30, 1 << 30], [1, 1 << 32]] {
            assert!(check_shape(shape, 1000, budget).is_err(), "{shape:?}");
        }
        assert!(check_shape([2, 2], usize::MAX, budget).is_err());
        assert!(check_shape([68_579, 32_738], 40_000_000, budget).is_ok());
        let large = Sparse::new([1, 1], entries(&[(0, 0, 3e38)])).unwrap();
        assert!(large.singles(Domain::Real).is_ok());
        let numbers = Numbers::from(&[16_777_217.0][..]);
        let large = Entries { rows: vec![0], columns: vec![0], numbers };
        let error = Sparse::new([1, 1], large).unwrap().singles(Domain::Counts).unwrap_err();
        assert!(error.starts_with("row 0 holds 16777217"), "{error}");
    }
}
