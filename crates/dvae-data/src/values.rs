//! The entries of a data set, as small as they can be stored.

use std::ops::Range;

use crate::{Domain, Element, Numbers};

/// The entries of all rows, side by side.
#[derive(Debug)]
pub(crate) enum Values {
    /// Gray values 0 to 255, which become `[0, 1]` when a batch is made.
    Bytes(Vec<u8>),
    /// Gray values 0 to 65535, which become `[0, 1]` when a batch is made.
    Words(Vec<u16>),
    /// Values that are used in batches unchanged.
    Singles(Vec<f32>),
    /// Values that are yet to be scaled.
    Doubles(Vec<f64>),
}

impl Values {
    /// The numbers of a file as values of a domain.
    pub(crate) fn of(numbers: Numbers, domain: Domain) -> Self {
        match (numbers.element(), domain) {
            (Element::U8, Domain::Unit) => Self::Bytes(numbers.into_bytes()),
            (Element::U16, Domain::Unit) => {
                let words = numbers.as_bytes().as_chunks().0.iter();
                Self::Words(words.map(|&bytes| u16::from_ne_bytes(bytes)).collect())
            }
            (element, _) if element.fits_single() => Self::Singles(numbers.singles(domain)),
            _ => Self::Doubles(numbers.values(domain)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Words(values) => values.len(),
            Self::Singles(values) => values.len(),
            Self::Doubles(values) => values.len(),
        }
    }

    pub(crate) fn has_nan(&self) -> bool {
        match self {
            Self::Bytes(_) | Self::Words(_) => false,
            Self::Singles(values) => values.iter().any(|value| value.is_nan()),
            Self::Doubles(values) => values.iter().any(|value| value.is_nan()),
        }
    }

    /// The place of the first float that is `wrong`; integers never are.
    pub(crate) fn find(&self, wrong: impl Fn(f64) -> bool) -> Option<usize> {
        match self {
            Self::Bytes(_) | Self::Words(_) => None,
            Self::Singles(values) => values.iter().position(|&value| wrong(f64::from(value))),
            Self::Doubles(values) => values.iter().position(|&value| wrong(value)),
        }
    }

    /// An entry as batches hold it; in double precision if it is yet to be scaled.
    pub(crate) fn get(&self, at: usize) -> f64 {
        match self {
            Self::Bytes(values) => f64::from(f32::from(values[at]) / 255.0),
            Self::Words(values) => f64::from(f32::from(values[at]) / 65535.0),
            Self::Singles(values) => f64::from(values[at]),
            Self::Doubles(values) => values[at],
        }
    }

    /// Entries as batches hold them.
    pub(crate) fn singles(&self, places: Range<usize>, out: &mut [f32]) {
        match self {
            Self::Bytes(values) => {
                for (out, &byte) in out.iter_mut().zip(&values[places]) {
                    *out = f32::from(byte) / 255.0;
                }
            }
            Self::Words(values) => {
                for (out, &word) in out.iter_mut().zip(&values[places]) {
                    *out = f32::from(word) / 65535.0;
                }
            }
            Self::Singles(values) => out.copy_from_slice(&values[places]),
            Self::Doubles(values) => {
                for (out, &value) in out.iter_mut().zip(&values[places]) {
                    *out = value as f32;
                }
            }
        }
    }

    /// Adds entries to a checksum.
    pub(crate) fn hash(&self, places: Range<usize>, hasher: &mut crc32fast::Hasher) {
        match self {
            Self::Bytes(values) => hasher.update(&values[places]),
            Self::Words(values) => {
                values[places].iter().for_each(|value| hasher.update(&value.to_le_bytes()));
            }
            Self::Singles(values) => {
                values[places].iter().for_each(|value| hasher.update(&value.to_le_bytes()));
            }
            Self::Doubles(values) => {
                values[places].iter().for_each(|value| hasher.update(&value.to_le_bytes()));
            }
        }
    }
}
