//! The entries of a data set, as small as they can be stored, in memory or in a file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;

use rayon::prelude::*;

use crate::numbers::AT_ONCE;
use crate::sparse::SparseValues;
use crate::stored_numbers::StoredNumbers;
use crate::{Domain, Element, Numbers};

/// The entries of all rows, side by side.
#[derive(Debug)]
pub(crate) struct Values {
    kind: Kind,
    /// The number of entries.
    len: usize,
    store: Store,
}

/// How an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gray values 0 to 255, which become `[0, 1]` when a batch is made.
    Bytes,
    /// Gray values 0 to 65535, which become `[0, 1]` when a batch is made.
    Words,
    /// Values that are used in batches unchanged.
    Singles,
    /// Values that are yet to be scaled.
    Doubles,
}

/// Where the entries are, in the machine's byte order.
#[derive(Debug)]
enum Store {
    Memory(Vec<u8>),
    /// A file without a name, which is gone when it is closed.
    File(File),
    /// In single precision, without zeros.
    Sparse(SparseValues),
    /// Numbers in the files of the data, as values of a domain.
    Stored(StoredNumbers, Domain),
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::Bytes => 1,
            Self::Words => 2,
            Self::Singles => 4,
            Self::Doubles => 8,
        }
    }

    /// The kind of numbers of a file as values of a domain.
    fn of(element: Element, domain: Domain) -> Self {
        match (element, domain) {
            (Element::U8, Domain::Unit) => Self::Bytes,
            (Element::U16, Domain::Unit) => Self::Words,
            (element, _) if element.fits_single() => Self::Singles,
            _ => Self::Doubles,
        }
    }
}

impl From<Vec<u8>> for Values {
    fn from(bytes: Vec<u8>) -> Self {
        Self::in_memory(Kind::Bytes, bytes)
    }
}

impl From<SparseValues> for Values {
    fn from(values: SparseValues) -> Self {
        Self { kind: Kind::Singles, len: values.len(), store: Store::Sparse(values) }
    }
}

impl From<&[f32]> for Values {
    fn from(values: &[f32]) -> Self {
        Self::in_memory(Kind::Singles, single_bytes(values))
    }
}

impl Values {
    fn in_memory(kind: Kind, bytes: Vec<u8>) -> Self {
        Self { kind, len: bytes.len() / kind.size(), store: Store::Memory(bytes) }
    }

    /// The numbers of a file as values of a domain.
    pub(crate) fn of(numbers: Numbers, domain: Domain) -> Self {
        let kind = Kind::of(numbers.element(), domain);
        Self::in_memory(kind, stored(numbers, domain, kind))
    }

    /// Numbers of files as values of a domain, which stay there.
    pub(crate) fn of_stored(numbers: StoredNumbers, domain: Domain) -> Self {
        let kind = Kind::of(numbers.element, domain);
        Self { kind, len: numbers.len(), store: Store::Stored(numbers, domain) }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The stored bytes of some entries.
    ///
    /// # Panics
    ///
    /// If a file that holds them cannot be read.
    fn bytes(&self, places: Range<usize>) -> Cow<'_, [u8]> {
        let size = self.kind.size();
        match &self.store {
            Store::Memory(bytes) => Cow::Borrowed(&bytes[places.start * size..places.end * size]),
            Store::File(file) => {
                let mut bytes = vec![0; places.len() * size];
                let read = read_at(file, &mut bytes, (places.start * size) as u64);
                read.expect("the temporary file of the data can be read");
                Cow::Owned(bytes)
            }
            Store::Sparse(values) => {
                let mut entries = vec![0.0; places.len()];
                values.fill(places, &mut entries);
                Cow::Owned(single_bytes(&entries))
            }
            Store::Stored(numbers, domain) => {
                let is_alike = match numbers.element {
                    Element::F32 | Element::F64 => true,
                    Element::U8 | Element::U16 => *domain == Domain::Unit,
                    _ => false,
                };
                let bytes = match is_alike {
                    true => numbers.bytes(places),
                    false => {
                        numbers.numbers(places).map(|numbers| stored(numbers, *domain, self.kind))
                    }
                };
                Cow::Owned(bytes.unwrap_or_else(|error| panic!("{error}")))
            }
        }
    }

    /// Entries as batches hold them; in double precision those that are yet to be scaled.
    pub(crate) fn doubles(&self, places: Range<usize>) -> Vec<f64> {
        let bytes = self.bytes(places);
        match self.kind {
            Kind::Bytes => bytes.iter().map(|&byte| f64::from(gray(byte))).collect(),
            Kind::Words => {
                bytes.as_chunks().0.iter().map(|&word| f64::from(deep_gray(word))).collect()
            }
            Kind::Singles => {
                let values = bytes.as_chunks().0.iter();
                values.map(|&value| f64::from(f32::from_ne_bytes(value))).collect()
            }
            Kind::Doubles => {
                bytes.as_chunks().0.iter().map(|&value| f64::from_ne_bytes(value)).collect()
            }
        }
    }

    /// Entries as batches hold them.
    pub(crate) fn singles(&self, places: Range<usize>, out: &mut [f32]) {
        fn each<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
            out.iter_mut().zip(bytes.as_chunks().0).for_each(|(out, &bytes)| *out = value(bytes));
        }
        if let Store::Sparse(values) = &self.store {
            return values.fill(places, out);
        }
        let bytes = self.bytes(places);
        match self.kind {
            Kind::Bytes => each(&bytes, out, |[byte]| gray(byte)),
            Kind::Words => each(&bytes, out, deep_gray),
            Kind::Singles => each(&bytes, out, f32::from_ne_bytes),
            Kind::Doubles => each(&bytes, out, |value| f64::from_ne_bytes(value) as f32),
        }
    }

    /// Entries one after the other, as [`Self::doubles`]; few are held at a time.
    pub(crate) fn iter(&self, places: Range<usize>) -> impl Iterator<Item = f64> {
        let parts = places.clone().step_by(AT_ONCE);
        parts.flat_map(move |start| self.doubles(start..places.end.min(start + AT_ONCE)))
    }

    /// Whether the entries are in files: those of the data, or a temporary one.
    pub(crate) fn is_in_files(&self) -> bool {
        matches!(self.store, Store::Stored(..) | Store::File(_))
    }

    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self.store, Store::Sparse(_))
    }

    pub(crate) fn has_nan(&self) -> bool {
        self.find(f64::is_nan).is_some()
    }

    /// The place of the first float that is `wrong`; integers never are.
    pub(crate) fn find(&self, wrong: impl Fn(f64) -> bool + Sync) -> Option<usize> {
        match (self.kind, &self.store) {
            (Kind::Bytes | Kind::Words, _) => None,
            (_, Store::Sparse(values)) if !wrong(0.0) => values.find(wrong),
            (Kind::Singles | Kind::Doubles, _) => {
                let part = |part: usize| {
                    let start = part * AT_ONCE;
                    let entries = self.doubles(start..self.len.min(start + AT_ONCE));
                    entries.into_iter().position(&wrong).map(|at| start + at)
                };
                (0..self.len.div_ceil(AT_ONCE)).into_par_iter().find_map_first(part)
            }
        }
    }

    /// Adds entries to a checksum.
    pub(crate) fn hash(&self, places: Range<usize>, hasher: &mut crc32fast::Hasher) {
        for start in places.clone().step_by(AT_ONCE) {
            let mut bytes = self.bytes(start..places.end.min(start + AT_ONCE));
            if cfg!(target_endian = "big") {
                bytes.to_mut().chunks_mut(self.kind.size()).for_each(<[u8]>::reverse);
            }
            hasher.update(&bytes);
        }
    }

    /// Adds rows of so many entries to a checksum, each after its number.
    pub(crate) fn hash_rows(
        &self,
        places: Range<usize>,
        width: usize,
        numbers: impl Iterator<Item = [u8; 8]>,
        hasher: &mut crc32fast::Hasher,
    ) {
        let size = self.kind.size();
        let mut bytes = self.bytes(places);
        if cfg!(target_endian = "big") {
            bytes.to_mut().chunks_mut(size).for_each(<[u8]>::reverse);
        }
        for (row, number) in bytes.chunks(width * size).zip(numbers) {
            hasher.update(&number);
            hasher.update(row);
        }
    }

    /// All gray values that an entry may have; `None` of other kinds.
    pub(crate) fn possible(&self) -> Option<Vec<f32>> {
        match self.kind {
            Kind::Bytes => Some((0..=u8::MAX).map(gray).collect()),
            Kind::Words => Some((0..=u16::MAX).map(|word| deep_gray(word.to_ne_bytes())).collect()),
            Kind::Singles | Kind::Doubles => None,
        }
    }

    /// The gray values as the integers that they are stored as, of which so many bytes may be held; other entries are what they
    /// are.
    pub(crate) fn integers(&self, memory: u64) -> io::Result<Option<Self>> {
        let scale = match self.kind {
            Kind::Bytes => f64::from(u8::MAX),
            Kind::Words => f64::from(u16::MAX),
            Kind::Singles | Kind::Doubles => return Ok(None),
        };
        let mut integers = ValuesWriter::of_singles(memory);
        for start in (0..self.len).step_by(AT_ONCE) {
            let grays = self.doubles(start..self.len.min(start + AT_ONCE));
            let part: Vec<f32> = grays.iter().map(|gray| (gray * scale).round() as f32).collect();
            integers.singles(&part)?;
        }
        Ok(Some(integers.finish()))
    }
}

fn gray(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

fn deep_gray(word: [u8; 2]) -> f32 {
    f32::from(u16::from_ne_bytes(word)) / 65535.0
}

/// Numbers as they are stored.
fn stored(numbers: Numbers, domain: Domain, kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Bytes | Kind::Words => numbers.into_bytes(),
        Kind::Singles => single_bytes(&numbers.singles(domain)),
        Kind::Doubles => Numbers::from(&numbers.values(domain)[..]).into_bytes(),
    }
}

fn single_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(values)];
    let places = bytes.as_chunks_mut().0.iter_mut();
    places.zip(values).for_each(|(place, value)| *place = value.to_ne_bytes());
    bytes
}

#[cfg(unix)]
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[done..], at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => done += read,
        }
    }
    Ok(())
}

/// Entries that come part by part. What takes more memory than it may goes to a file without a name, in the folder for
/// temporary files.
#[derive(Debug)]
pub(crate) struct ValuesWriter {
    kind: Kind,
    /// Bytes that may be held.
    memory: u64,
    len: usize,
    store: Store,
}

impl ValuesWriter {
    /// For numbers of files as values of a domain.
    pub(crate) fn of(element: Element, domain: Domain, memory: u64) -> Self {
        Self::new(Kind::of(element, domain), memory)
    }

    /// For gray values.
    pub(crate) fn of_bytes(memory: u64) -> Self {
        Self::new(Kind::Bytes, memory)
    }

    /// For values in single precision.
    pub(crate) fn of_singles(memory: u64) -> Self {
        Self::new(Kind::Singles, memory)
    }

    fn new(kind: Kind, memory: u64) -> Self {
        Self { kind, memory, len: 0, store: Store::Memory(vec![]) }
    }

    /// The entries so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends numbers of the type that the entries are made of.
    pub(crate) fn numbers(&mut self, numbers: Numbers, domain: Domain) -> io::Result<()> {
        debug_assert_eq!(Kind::of(numbers.element(), domain), self.kind, "numbers of one type");
        self.append(&stored(numbers, domain, self.kind))
    }

    /// Appends values in single precision.
    pub(crate) fn singles(&mut self, values: &[f32]) -> io::Result<()> {
        debug_assert_eq!(self.kind, Kind::Singles);
        self.append(&single_bytes(values))
    }

    /// Appends gray values.
    pub(crate) fn bytes(&mut self, values: &[u8]) -> io::Result<()> {
        debug_assert_eq!(self.kind, Kind::Bytes);
        self.append(values)
    }

    fn append(&mut self, more: &[u8]) -> io::Result<()> {
        self.len += more.len() / self.kind.size();
        match &mut self.store {
            Store::Memory(bytes) if (bytes.len() + more.len()) as u64 > self.memory => {
                let mut file = tempfile::tempfile()?;
                file.write_all(bytes)?;
                file.write_all(more)?;
                self.store = Store::File(file);
            }
            Store::Memory(bytes) => bytes.extend_from_slice(more),
            Store::File(file) => file.write_all(more)?,
            Store::Sparse(_) | Store::Stored(..) => unreachable!("a writer begins in memory"),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Values {
        let Self { kind, len, store, .. } = self;
        Values { kind, len, store }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is read does not depend on where it is.
    #[test]
    fn entries_in_a_file_are_those_in_memory() {
        let words: Vec<u16> = (0..200_000u32).map(|at| (at * 7919 % 65_536) as u16).collect();
        let doubles: Vec<f64> = (0..150_000).map(|at| f64::from(at) * 1e-3 + 1e9).collect();
        for (numbers, domain) in [
            (Numbers::from(&words[..]), Domain::Unit),
            (Numbers::from(&words[..]), Domain::Integers),
            (Numbers::from(&doubles[..]), Domain::Real),
        ] {
            let held = Values::of(numbers.clone(), domain);
            for memory in [0, 1000, u64::MAX] {
                let mut writer = ValuesWriter::of(numbers.element(), domain, memory);
                for start in (0..numbers.len()).step_by(70_000) {
                    let end = numbers.len().min(start + 70_000);
                    writer.numbers(numbers.at(start..end), domain).unwrap();
                }
                let values = writer.finish();
                assert_eq!(matches!(values.store, Store::File(_)), memory < 1 << 20);
                assert_eq!((values.len(), values.kind()), (held.len(), held.kind()));
                assert_eq!(values.doubles(99_990..100_010), held.doubles(99_990..100_010));
                let all = |values: &Values| values.iter(3..values.len()).collect::<Vec<f64>>();
                assert_eq!(all(&values), all(&held));
                let [mut one, mut other] = [[0.0; 9]; 2];
                values.singles(5..14, &mut one);
                held.singles(5..14, &mut other);
                assert_eq!(one, other);
                let sum = |values: &Values| {
                    let mut hasher = crc32fast::Hasher::new();
                    values.hash(1..values.len(), &mut hasher);
                    hasher.finalize()
                };
                assert_eq!(sum(&values), sum(&held));
            }
        }
    }
}
