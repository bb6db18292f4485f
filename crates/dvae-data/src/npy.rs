//! NumPy's NPY format, and NPZ, which is a ZIP archive of NPY files.
//!
//! NumPy's documentation, `numpy.lib.format`: `\x93NUMPY`, a version, the length of the header, the header (a
//! Python dictionary of `descr`, `fortran_order` and `shape`), then the values.
//!
//! Headers are parsed here, not by a library, because a header cannot be trusted about its own length, the
//! shape, or its nesting depth.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dvae_checks::listed;
use zip::CompressionMethod;

use crate::budget::Budget;
use crate::format::Layout;
use crate::npy_header::{Header, Order};
use crate::stored_rows::{Checks, numbers_of_npy};
use crate::{Channels, DataError, Fit, Format, Numbers, ReadOptions, Rows};

/// Opens the rows of an NPY file, or of an array of an NPZ file: axis 0 of the array. NaN marks an unobserved entry.
pub(crate) fn read_npy_rows(path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
    let file = File::open(path).map_err(io_at(path))?;
    let metadata = file.metadata().map_err(io_at(path))?;
    let budget = Budget::of(&metadata);
    if is_archive(path) {
        let (reader, length) = open_array(path, file, options.key.as_deref())?;
        return rows(reader, Some(length), budget, path, options);
    }
    let length = metadata.is_file().then_some(metadata.len());
    let rows = rows(BufReader::new(file), length, budget, path, options)?;
    match (length, options.memory) {
        (Some(length), Some(memory)) if length > memory => {
            Ok(Rows { stored: numbers_of_npy(path, options)?, ..rows })
        }
        _ => Ok(rows),
    }
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("npz"))
}

/// The names of the arrays of an NPZ or a safetensors file; none for any other file.
pub fn array_names(path: &Path) -> Result<Vec<String>, DataError> {
    if crate::safetensors::is_safetensors(path) {
        return crate::safetensors::names(path);
    }
    if !is_archive(path) {
        return Ok(vec![]);
    }
    let file = File::open(path).map_err(io_at(path))?;
    let archive = zip::ZipArchive::new(BufReader::new(file));
    Ok(names(&archive.map_err(|error| bad(path, error.to_string()))?))
}

fn names<R: Read + Seek>(archive: &zip::ZipArchive<R>) -> Vec<String> {
    let names = archive.file_names();
    names.filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned())).collect()
}

pub(crate) fn io_at(path: &Path) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::Io { path: path.into(), source }
}

pub(crate) fn bad(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::File { path: path.into(), reason: reason.into() }
}

/// An array of an archive: its reader, and its claimed length.
pub(crate) fn open_array(
    path: &Path,
    file: File,
    key: Option<&str>,
) -> Result<(impl Read + Send + 'static, u64), DataError> {
    let zip_error = |error: zip::result::ZipError| bad(path, error.to_string());
    let again = file.try_clone().map_err(io_at(path))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(again)).map_err(zip_error)?;
    let names = names(&archive);
    let wanted = match (key, &names[..]) {
        (Some(key), names) if names.iter().any(|name| name == key) => key,
        (None, [only]) => only,
        (Some(key), _) => {
            return Err(bad(path, format!("it has no array `{key}`, but {}", listed(&names))));
        }
        (None, []) => return Err(bad(path, "it has no array")),
        (None, several) => {
            let several = listed(several);
            return Err(bad(
                path,
                format!("it has several arrays: choose one by `key`: {several}"),
            ));
        }
    };
    let entry = archive.by_name(&format!("{wanted}.npy")).map_err(zip_error)?;
    let (length, compressed, crc) = (entry.size(), entry.compressed_size(), entry.crc32());
    let (method, start) = (entry.compression(), entry.data_start());
    drop(entry);
    let start = start.ok_or_else(|| bad(path, "it does not say where its data begin"))?;
    drop(archive);
    let mut file = file;
    file.seek(SeekFrom::Start(start)).map_err(io_at(path))?;
    let stored = BufReader::new(file.take(compressed));
    let reader: Box<dyn Read + Send> = match method {
        CompressionMethod::Stored => Box::new(stored),
        CompressionMethod::Deflated => Box::new(flate2::bufread::DeflateDecoder::new(stored)),
        other => return Err(bad(path, format!("arrays compressed by {other} are not read"))),
    };
    Ok((Checked { reader, hasher: crc32fast::Hasher::new(), expected: crc }, length))
}

/// A reader that fails at the end if the data does not have the expected checksum.
struct Checked<R> {
    reader: R,
    hasher: crc32fast::Hasher,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        if n == 0 && !buffer.is_empty() && self.hasher.clone().finalize() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum does not hold"));
        }
        Ok(n)
    }
}

/// The rows of an array of this length, if it is known.
fn rows(
    mut reader: impl Read + Send + 'static,
    length: Option<u64>,
    budget: Budget,
    path: &Path,
    options: &ReadOptions,
) -> Result<Rows, DataError> {
    let mut header = Header::read(&mut reader).map_err(|reason| bad(path, reason))?;
    if options.transposed {
        let axes = header.shape.len();
        header.transpose().ok_or_else(|| {
            bad(path, format!("`transposed` is for arrays of two axes, and it has {axes}"))
        })?;
    }
    let (&count, event) =
        header.shape.split_first().ok_or_else(|| bad(path, "it holds one number, not rows"))?;
    let event = if event.is_empty() { vec![1] } else { event.to_vec() };
    let bytes = row_bytes(&header, &event, count, length).map_err(|reason| bad(path, reason))?;
    // An array in Fortran's order is read at once.
    let at_once = if header.order == Order::Fortran { count.max(1) } else { 1 };
    let numbers = (bytes / header.element.size()) as u128 * at_once as u128;
    budget.check_numbers(numbers).map_err(|reason| bad(path, reason))?;
    let channels = channels(&event, options).map_err(|reason| bad(path, reason))?;
    let domain = options.domain.unwrap_or(header.element.domain());
    let stored = Stored { header, bytes, channels, event, count };
    let layout = Layout::Array(channels);
    let format = Format { layout, ..Format::new(&stored.event(), stored.header.element, domain) };
    let rows: Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send> = match stored.header.order {
        Order::C => Box::new(stored.rows(reader)),
        Order::Fortran => Box::new(stored.turned(reader)),
    };
    let mut checks = Checks::new(path, &format, count);
    let path = PathBuf::from(path);
    let rows = rows.map(move |bytes| {
        let bytes = bytes.map_err(|error| bad(&path, error.to_string()))?;
        checks.row(stored.numbers(bytes))
    });
    Ok(Rows::new(format, Some(count), rows))
}

/// The bytes of a row; an error if the header contradicts the length of the file.
pub(crate) fn row_bytes(
    header: &Header,
    event: &[usize],
    count: usize,
    length: Option<u64>,
) -> Result<usize, String> {
    let width = event.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let bytes = width.and_then(|width| width.checked_mul(header.element.size()));
    let total = bytes.and_then(|bytes| bytes.checked_mul(count)).map(|bytes| bytes as u64);
    let expected = total.and_then(|total| total.checked_add(header.length));
    match bytes {
        Some(0) => Err(format!("rows of shape {event:?} are empty")),
        Some(bytes) if expected.is_some() && (length.is_none() || length == expected) => Ok(bytes),
        _ => Err(format!(
            "its header says {:?} of {}, which is not its length",
            header.shape, header.descr
        )),
    }
}

/// Where rows of this shape have their channels; an error asks if it cannot be told.
pub(crate) fn channels(event: &[usize], options: &ReadOptions) -> Result<Channels, String> {
    let &[first, rows, last] = event else { return Ok(Channels::First) };
    if let Some(channels) = options.channels {
        return Ok(channels);
    }
    let is_last = match &options.fit {
        Fit::Model(model) => Some(model != event && *model == [last, first, rows]),
        Fit::Channels(channels) => Some(first != *channels && last == *channels),
        Fit::Stored | Fit::Resized(_) => None,
    };
    if let Some(is_last) = is_last {
        return Ok(if is_last { Channels::Last } else { Channels::First });
    }
    let few = |axis| matches!(axis, 1 | 3 | 4);
    if few(last) && !few(first) {
        return Err(format!(
            "rows of shape {event:?} look as if they had {last} channels on their last axis: say so by \
             `data.channels = \"last\"` or --channels last, or \"first\" if they have {first}"
        ));
    }
    Ok(Channels::First)
}

/// An array as it is stored.
struct Stored {
    header: Header,
    /// Of a row.
    bytes: usize,
    channels: Channels,
    /// The shape of a stored row.
    event: Vec<usize>,
    count: usize,
}

impl Stored {
    /// The shape of a row, channels first.
    fn event(&self) -> Vec<usize> {
        match (self.channels, &self.event[..]) {
            (Channels::Last, &[height, width, channels]) => vec![channels, height, width],
            (_, event) => event.to_vec(),
        }
    }

    /// The bytes of each row. Memory grows with the data that is present, not with the header's claims.
    fn rows<R: Read + Send + 'static>(
        &self,
        mut reader: R,
    ) -> impl Iterator<Item = io::Result<Vec<u8>>> + Send + use<R> {
        let (bytes, mut left) = (self.bytes, self.count);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let row = read_exactly(&mut reader, bytes).and_then(|row| match left {
                0 => reader.read(&mut [0]).map(|_| row), // Reading at the end verifies the checksum.
                _ => Ok(row),
            });
            if row.is_err() {
                left = 0;
            }
            Some(row)
        })
    }

    /// The same of an array in Fortran's order, in which axis 0 is the fastest: all of it is read for the first row.
    fn turned<R: Read + Send + 'static>(
        &self,
        mut reader: R,
    ) -> impl Iterator<Item = io::Result<Vec<u8>>> + Send + use<R> {
        let (size, count, bytes) = (self.header.element.size(), self.count, self.bytes);
        let mut all: Option<Vec<u8>> = None;
        // Strides, in numbers, of the axes of a row.
        let mut stride = count;
        let strides: Vec<usize> = self
            .event
            .iter()
            .map(|axis| {
                stride *= axis;
                stride / axis
            })
            .collect();
        let event = self.event.clone();
        (0..count).map(move |row| {
            let all = match &mut all {
                Some(all) => all,
                none => {
                    let read = read_exactly(&mut reader, bytes * count)?;
                    let _ = reader.read(&mut [0])?; // At the end, which verifies the checksum.
                    none.insert(read)
                }
            };
            let mut turned = Vec::with_capacity(bytes);
            for at in 0..bytes / size {
                let (mut rest, mut place) = (at, row);
                for (axis, stride) in event.iter().zip(&strides).rev() {
                    place += rest % axis * stride;
                    rest /= axis;
                }
                turned.extend_from_slice(&all[place * size..(place + 1) * size]);
            }
            Ok(turned)
        })
    }

    /// The numbers of a row, channels first.
    fn numbers(&self, mut bytes: Vec<u8>) -> Numbers {
        let element = self.header.element;
        if self.header.big_endian != cfg!(target_endian = "big") {
            bytes.chunks_mut(element.size()).for_each(<[u8]>::reverse);
        }
        let numbers = Numbers::new(element, bytes);
        match (self.channels, &self.event[..]) {
            (Channels::Last, &[height, width, channels]) if channels > 1 => {
                let area = height * width;
                numbers.at((0..area * channels).map(|at| at % area * channels + at / area))
            }
            _ => numbers,
        }
    }
}

pub(crate) fn read_exactly(reader: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut row = Vec::with_capacity(bytes.min(1 << 16));
    reader.take(bytes as u64).read_to_end(&mut row)?;
    if row.len() != bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a row"));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Domain, read_rows};

    const MAGIC: &[u8] = crate::npy_header::MAGIC;

    fn bytes(descr: &str, order: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let size = (text.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &size, text.as_bytes(), values].concat()
    }

    type Read = Result<(Vec<usize>, Vec<Vec<f64>>), String>;

    fn read_as(contents: &[u8], options: &ReadOptions) -> Read {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        std::fs::write(&path, contents).unwrap();
        let rows = read_rows(&path, options).map_err(|error| error.to_string())?;
        let event = rows.format.event.clone();
        let rows: Result<Vec<_>, _> = rows.map(|row| Ok(row?.values())).collect();
        rows.map(|rows| (event, rows)).map_err(|error: DataError| error.to_string())
    }

    fn read(contents: &[u8]) -> Read {
        read_as(contents, &ReadOptions::default())
    }

    #[test]
    fn values_of_every_type_and_byte_order_are_read() {
        let c = |descr: &str, shape: &str, values: &[u8]| {
            read(&bytes(descr, "False", shape, values)).unwrap().1
        };
        assert_eq!(c("|u1", "(2, 1)", &[0, 255]), [[0.0], [1.0]]);
        assert_eq!(c("<i2", "(2,)", &[0xff, 0xff, 2, 0]), [[-1.0], [2.0]]);
        assert_eq!(c(">i2", "(2,)", &[0xff, 0xff, 0, 2]), [[-1.0], [2.0]]);
        assert_eq!(c("<f2", "(1,)", &half::f16::from_f64(0.5).to_le_bytes()), [[0.5]]);
        assert_eq!(c(">u8", "(1,)", &(1u64 << 40).to_be_bytes()), [[(1u64 << 40) as f64]]);
        let pi = 3.25f64;
        assert_eq!(c("<f8", "(1, 1)", &pi.to_le_bytes()), [[3.25]]);
        assert_eq!(c(">f8", "(1, 1)", &pi.to_be_bytes()), [[3.25]]);
        assert_eq!(c("|b1", "(1, 1, 2)", &[0, 1]), [[0.0, 1.0]]);
        let counts = ReadOptions { domain: Some(Domain::Counts), ..ReadOptions::default() };
        let declared = read_as(&bytes("|u1", "False", "(2, 1)", &[7, 255]), &counts).unwrap();
        assert_eq!(declared.1, [[7.0], [255.0]]);
    }

    // The array [[1, 2, 3], [4, 5, 6]] of two rows: in Fortran's order 1 4 2 5 3 6.
    #[test]
    fn fortran_order_is_turned() {
        let turned = read(&bytes("|i1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6])).unwrap().1;
        assert_eq!(turned, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        // Two rows of [[1, 2], [3, 4]] and [[5, 6], [7, 8]].
        let deep = read(&bytes("|i1", "True", "(2, 2, 2)", &[1, 5, 3, 7, 2, 6, 4, 8])).unwrap().1;
        assert_eq!(deep, [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]);
    }

    #[test]
    fn channels_that_come_last_are_asked_for_and_turned() {
        let array = bytes("|i1", "False", "(1, 2, 2, 3)", &(0..12).collect::<Vec<u8>>());
        let error = read(&array).unwrap_err();
        assert!(error.contains("`data.channels = \"last\"`"), "{error}");
        let last = ReadOptions { channels: Some(Channels::Last), ..ReadOptions::default() };
        let model = ReadOptions { fit: Fit::Model(vec![3, 2, 2]), ..ReadOptions::default() };
        let sides = ReadOptions { fit: Fit::Channels(3), ..ReadOptions::default() };
        for options in [last, model, sides] {
            let (event, rows) = read_as(&array, &options).unwrap();
            assert_eq!(event, [3, 2, 2]);
            assert_eq!(rows[0][..4], [0.0, 3.0, 6.0, 9.0]);
        }
        let first = ReadOptions { channels: Some(Channels::First), ..ReadOptions::default() };
        assert_eq!(read_as(&array, &first).unwrap().0, [2, 2, 3]);
    }

    #[test]
    fn what_lies_is_refused() {
        let read = |descr, shape, values| read(&bytes(descr, "False", shape, values)).unwrap_err();
        let short = read("<f4", "(2, 2)", &[0; 12]);
        assert!(short.contains("x.npy cannot be used: its header says [2, 2] of <f4"), "{short}");
        let huge = read("<f4", "(18446744073709551615, 4)", &[0; 12]);
        assert!(huge.contains("which is not its length"), "{huge}");
        let objects = read("|O", "(2, 2)", &[0; 12]);
        assert!(objects.contains("of type |O: save x.astype"), "{objects}");
        assert!(super::tests::read(b"PK").unwrap_err().contains("no NPY file"));
        let long = [MAGIC, &[2, 0], &u32::MAX.to_le_bytes(), b"{"].concat();
        assert!(super::tests::read(&long).unwrap_err().contains("too long"));
    }
}
