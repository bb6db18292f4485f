//! Data sets of numbers as files store them: their domain and their precision.

use std::sync::Arc;

use crate::numbers::AT_ONCE;
use crate::sparse::SparseValues;
use crate::stored_numbers::StoredNumbers;
use crate::values::{Kind, Values, ValuesWriter};
use crate::{DataError, Dataset, Domain, Format, Numbers};

impl Dataset {
    /// Creates a set from the numbers of a file, with rows of shape `event`; NaN marks unobserved entries. An error
    /// names a number that is not in the domain, or an integer that double precision does not hold.
    ///
    /// Numbers that single precision does not hold stay as they are until they are [`scaled`](Self::scaled), or
    /// taken in [`single`](Self::single) precision.
    pub fn from_numbers(
        numbers: Numbers,
        event: &[usize],
        domain: Domain,
    ) -> Result<Self, DataError> {
        let is_declared = domain != numbers.element().domain();
        if let Some((at, value)) = numbers.first_beyond_double() {
            let row = at / event.iter().product::<usize>().max(1);
            return Err(DataError::Digits { row, value });
        }
        Self::from_values(Values::of(numbers, domain), event, domain, is_declared)
    }

    /// Creates a set from the entries of a sparse matrix.
    pub(crate) fn from_sparse(values: SparseValues, format: &Format) -> Result<Self, DataError> {
        let (domain, element) = (format.domain, format.element);
        let is_declared = domain != element.domain();
        Self::from_values(Values::from(values), &format.event, domain, is_declared)
    }

    /// Creates a set from numbers that stay in their files. What is made of them may take so many bytes in memory. An error
    /// is one of [`Self::from_numbers`].
    pub(crate) fn from_stored(
        numbers: StoredNumbers,
        format: &Format,
        memory: u64,
    ) -> Result<Self, DataError> {
        let is_declared = format.domain != numbers.element.domain();
        let values = Values::of_stored(numbers, format.domain);
        let rows = Self::from_values(values, &format.event, format.domain, is_declared)?;
        Ok(Self { memory, ..rows })
    }

    /// Creates a set from values, which are checked if their domain was declared.
    pub(super) fn from_values(
        values: Values,
        event: &[usize],
        domain: Domain,
        is_declared: bool,
    ) -> Result<Self, DataError> {
        let rows = Self::new(values, event, domain)?;
        let is_incomplete = rows.values.has_nan();
        let rows = Self { is_incomplete, ..rows }.finite()?;
        if is_declared && domain != Domain::Real {
            rows.check_domain()?;
        }
        Ok(rows)
    }

    fn check_domain(&self) -> Result<(), DataError> {
        let domain = self.domain;
        match self.find(|_, value| !domain.contains(value)) {
            Some((row, _, value)) => Err(DataError::OutsideDomain { row, value, domain }),
            None => Ok(()),
        }
    }

    /// The same numbers as values of another domain: bytes that are counts are not divided by 255. An error names one
    /// that is not in the domain.
    pub fn declared(self, domain: Domain) -> Result<Self, DataError> {
        if domain == self.domain {
            return Ok(self);
        }
        let integers = self.values.integers(self.memory).map_err(DataError::temporary)?;
        let rows = match integers {
            Some(integers) => Self { values: Arc::new(integers), domain, ..self },
            None => Self { domain, ..self },
        };
        rows.check_domain().map(|()| rows)
    }

    /// The rows in single precision, as batches hold them. An error names an entry that would become another number
    /// by that: a whole number of more than 24 bits, or one whose differences from the others would be lost.
    pub fn single(self) -> Result<Self, DataError> {
        if self.values.kind() != Kind::Doubles {
            return Ok(self);
        }
        let places = self.event()[0];
        let spreads = spreads(self.all_units().map(|unit| self.values.doubles(unit)), places);
        let mut singles = ValuesWriter::of_singles(self.memory);
        for (row, unit) in self.all_units().enumerate() {
            let entries = self.values.doubles(unit);
            let placed = entries.chunks(entries.len() / places).zip(&spreads).enumerate();
            for (place, (entries, spread)) in placed {
                if let Some(&value) = entries.iter().find(|&&value| is_lost(value, *spread)) {
                    return Err(DataError::Precision { row, place, value });
                }
            }
            let entries: Vec<f32> = entries.into_iter().map(|value| value as f32).collect();
            singles.singles(&entries).map_err(DataError::temporary)?;
        }
        Ok(Self { values: Arc::new(singles.finish()), ..self })
    }
}

/// Rows of a file that come one by one, and where they are kept: in memory, as long as they take no more of it than they may.
pub(crate) struct RowCollector<'a> {
    format: &'a Format,
    memory: u64,
    values: ValuesWriter,
    /// Numbers that are yet to be written, so that not each row is by itself.
    waiting: Numbers,
}

impl<'a> RowCollector<'a> {
    /// No row, of so many bytes at most in memory.
    pub(crate) fn new(format: &'a Format, memory: u64) -> Self {
        let values = ValuesWriter::of(format.element, format.domain, memory);
        Self { format, memory, values, waiting: Numbers::new(format.element, vec![]) }
    }

    /// The numbers so far.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.waiting.len()
    }

    /// Adds numbers of rows. An error names an integer that double precision does not hold.
    pub(crate) fn add(&mut self, numbers: &Numbers) -> Result<(), DataError> {
        self.waiting.extend(numbers);
        if self.waiting.len() < AT_ONCE { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), DataError> {
        let waiting = Numbers::new(self.format.element, vec![]);
        let numbers = std::mem::replace(&mut self.waiting, waiting);
        if let Some((at, value)) = numbers.first_beyond_double() {
            let width = self.format.event.iter().product::<usize>().max(1);
            return Err(DataError::Digits { row: (self.values.len() + at) / width, value });
        }
        self.values.numbers(numbers, self.format.domain).map_err(DataError::temporary)
    }

    /// The set of all rows. An error is one of [`Dataset::from_numbers`].
    pub(crate) fn finish(mut self) -> Result<Dataset, DataError> {
        self.write()?;
        let Format { event, domain, element, .. } = self.format;
        let is_declared = *domain != element.domain();
        let rows = Dataset::from_values(self.values.finish(), event, *domain, is_declared)?;
        Ok(Dataset { memory: self.memory, ..rows })
    }
}

/// The distance from the smallest to the largest observed entry at each place on the first axis of a row.
fn spreads(rows: impl Iterator<Item = Vec<f64>>, places: usize) -> Vec<f64> {
    let mut ends = vec![(f64::INFINITY, f64::NEG_INFINITY); places];
    for row in rows {
        for ((low, high), entries) in ends.iter_mut().zip(row.chunks(row.len() / places)) {
            for &value in entries {
                (*low, *high) = (low.min(value), high.max(value)); // NaN is neither.
            }
        }
    }
    ends.into_iter().map(|(low, high)| (high - low).max(0.0)).collect()
}

/// Whether single precision changes a whole number, or loses what tells a value from others that are so far spread.
pub(crate) fn is_lost(value: f64, spread: f64) -> bool {
    let loss = (f64::from(value as f32) - value).abs();
    // Whole numbers of 24 bits are held. Beyond 53 bits every number is whole, and few are meant to be.
    let size = value.abs();
    let is_integer = size > 16_777_216.0 && size < 2f64.powi(53) && value.fract() == 0.0;
    let overflows = (value as f32).is_infinite();
    overflows || loss > 0.0 && (is_integer || (spread > 0.0 && loss > 1e-5 * spread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Element;

    fn of(values: &[f64], domain: Domain) -> Result<Dataset, DataError> {
        Dataset::from_numbers(Numbers::from(values), &[1], domain)
    }

    // 2²⁰ + 1 rows of two bytes.
    #[test]
    fn rows_beyond_the_memory_are_in_a_file_and_very_many_are_vast() {
        let format = Format::new(&[2], Element::U8, Domain::Unit);
        let row = Numbers::new(Element::U8, vec![7, 255]);
        for (memory, rows, is_in_file) in
            [(100_000, 10, false), (100_000, 1 << 19, true), (u64::MAX, (1 << 20) + 1, false)]
        {
            let mut collector = RowCollector::new(&format, memory);
            (0..rows).for_each(|_| collector.add(&row).unwrap());
            let set = collector.finish().unwrap();
            assert_eq!((set.len(), set.values.is_in_files()), (rows, is_in_file));
            assert!(!set.is_vast());
        }
        let mut collector = RowCollector::new(&format, 0);
        (0..=1 << 20).for_each(|_| collector.add(&row).unwrap());
        let set = collector.finish().unwrap();
        assert!(set.is_vast());
        assert_eq!(set.mean(), [7.0 / 255.0, 1.0]);
        assert_eq!(set.entries_at(1).filter(|entry| *entry == 1.0).count(), (1 << 20) + 1);
    }

    #[test]
    fn what_is_declared_is_checked() {
        let error = of(&[0.5, 1.5], Domain::Unit).unwrap_err().to_string();
        assert_eq!(error, "row 1 holds 1.5, but the data are declared to be numbers in [0, 1]");
        assert!(of(&[2.0, -1.0], Domain::Counts).is_err() && of(&[0.5], Domain::Integers).is_err());
        let bytes = Dataset::from_bytes(vec![7, 255], &[1]).unwrap();
        let counts = bytes.declared(Domain::Counts).unwrap();
        assert_eq!((counts.mean(), counts.domain()), (vec![131.0], Domain::Counts));
    }

    #[test]
    fn single_precision_changes_no_whole_number_and_loses_no_difference() {
        for values in [&[0.1, 0.2][..], &[16_777_216.0, 3.0], &[1e30, -1e30], &[0.1, f64::NAN]] {
            of(values, Domain::Real).unwrap().single().unwrap();
        }
        for values in
            [&[16_777_217.0, 0.0][..], &[1_700_000_000.5, 1_700_000_000.75], &[1e300, 0.0]]
        {
            assert!(of(values, Domain::Real).unwrap().single().is_err(), "{values:?}");
        }
        let words = Numbers::of_values(Element::U16, Domain::Integers, &[65535.0]);
        let words = Dataset::from_numbers(words, &[1], Domain::Unit).unwrap().single().unwrap();
        assert_eq!(words.mean(), [1.0]);
    }
}
