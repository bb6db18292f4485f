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

use zip::CompressionMethod;

use crate::{DataError, Rows};

pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy itself rejects longer headers.
const LONGEST_HEADER: usize = 10_000;

/// Opens the rows of an NPY file, or of the array `key` of an NPZ file: axis 0 of the array.
///
/// Bytes (`u1`) are scaled to `[0, 1]` like those of images; all other numbers are converted to `f32`
/// unchanged. NaN marks an unobserved entry.
pub fn read_npy_rows(path: &Path, key: Option<&str>) -> Result<Rows, DataError> {
    let is_archive = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("npz"));
    match (is_archive, key) {
        (true, key) => {
            let (reader, length) = open_array(path, key)?;
            rows(reader, length, path)
        }
        (false, None) => {
            let file = File::open(path).map_err(io_at(path))?;
            let length = file.metadata().map_err(io_at(path))?.len();
            rows(BufReader::new(file), length, path)
        }
        (false, Some(_)) => Err(bad(path, "only an NPZ file has arrays by name")),
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::Io { path: path.into(), source }
}

fn bad(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::File { path: path.into(), reason: reason.into() }
}

/// An array of an archive: its reader, and its claimed length.
fn open_array(
    path: &Path,
    key: Option<&str>,
) -> Result<(impl Read + Send + 'static, u64), DataError> {
    let file = File::open(path).map_err(io_at(path))?;
    let zip_error = |error: zip::result::ZipError| bad(path, error.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(zip_error)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned()))
        .collect();
    let wanted = match (key, &names[..]) {
        (Some(key), names) if names.iter().any(|name| name == key) => key,
        (None, [only]) => only,
        (Some(key), _) => {
            return Err(bad(path, format!("it has no array `{key}`, but {}", names.join(", "))));
        }
        (None, []) => return Err(bad(path, "it has no array")),
        (None, several) => {
            let several = several.join(", ");
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
    let mut file = File::open(path).map_err(io_at(path))?;
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

fn rows(
    mut reader: impl Read + Send + 'static,
    length: u64,
    path: &Path,
) -> Result<Rows, DataError> {
    let header = Header::read(&mut reader, path)?;
    let (&count, event) =
        header.shape.split_first().ok_or_else(|| bad(path, "it holds one number, not rows"))?;
    let event = if event.is_empty() { vec![1] } else { event.to_vec() };
    let width = event.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let bytes = width.and_then(|width| width.checked_mul(header.kind.size()));
    let total = bytes.and_then(|bytes| bytes.checked_mul(count)).map(|bytes| bytes as u64);
    let expected = total.and_then(|total| total.checked_add(header.length));
    let (Some(bytes), true) = (bytes, expected == Some(length)) else {
        let shape = &header.shape;
        let reason =
            format!("its header says {shape:?} of {}, which is not its length", header.descr);
        return Err(bad(path, reason));
    };
    if bytes == 0 {
        return Err(bad(path, format!("rows of shape {event:?} are empty")));
    }
    let (path, kind) = (PathBuf::from(path), header.kind);
    let mut left = count;
    let next = std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        left -= 1;
        let row = read_row(&mut reader, bytes, kind).and_then(|row| match left {
            _ if row.iter().any(|value| value.is_infinite()) => {
                let reason = format!("row {} holds an infinite value", count - left - 1);
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
            0 => reader.read(&mut [0]).map(|_| row), // Reading at the end verifies the checksum.
            _ => Ok(row),
        });
        if row.is_err() {
            left = 0;
        }
        Some(row.map_err(|error| bad(&path, error.to_string())))
    });
    Ok(Rows {
        event,
        names: None,
        bytes: kind == Kind::U8,
        count: Some(count),
        rows: Box::new(next),
    })
}

/// Memory grows with the data that is present, not with the header's claims.
fn read_row(reader: &mut impl Read, bytes: usize, kind: Kind) -> io::Result<Vec<f32>> {
    let mut row = Vec::new();
    reader.take(bytes as u64).read_to_end(&mut row)?;
    if row.len() != bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a row"));
    }
    Ok(kind.decode(&row))
}

/// The header of an NPY file.
struct Header {
    kind: Kind,
    descr: String,
    shape: Vec<usize>,
    /// The number of bytes before the values.
    length: u64,
}

impl Header {
    fn read(reader: &mut impl Read, path: &Path) -> Result<Self, DataError> {
        let mut start = [0; 8];
        let none = |_| bad(path, "it is no NPY file");
        reader.read_exact(&mut start).map_err(none)?;
        if !start.starts_with(MAGIC) {
            return Err(bad(path, "it is no NPY file"));
        }
        let mut size = [0; 4];
        let size_bytes = if start[6] == 1 { 2 } else { 4 };
        reader.read_exact(&mut size[..size_bytes]).map_err(none)?;
        let size = u32::from_le_bytes(size) as usize;
        if size > LONGEST_HEADER {
            return Err(bad(path, format!("a header of {size} bytes is too long")));
        }
        let mut text = vec![0; size];
        reader.read_exact(&mut text).map_err(|_| bad(path, "it ends within its header"))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let unknown = || bad(path, format!("its header is not understood: {}", text.trim()));
        let descr = quoted(after(&text, "descr").ok_or_else(unknown)?).ok_or_else(unknown)?;
        let shape = tuple(after(&text, "shape").ok_or_else(unknown)?).ok_or_else(unknown)?;
        let order = after(&text, "fortran_order").ok_or_else(unknown)?;
        if !order.starts_with("False") && shape.len() > 1 {
            let reason =
                "its values are in Fortran's order: save numpy.ascontiguousarray(x) instead";
            return Err(bad(path, reason));
        }
        let Some(kind) = Kind::of(descr) else {
            let reason =
                format!("its values are of type {descr}: save x.astype(\"float32\") instead");
            return Err(bad(path, reason));
        };
        let length = (8 + size_bytes + size) as u64;
        Ok(Self { kind, descr: descr.to_owned(), shape, length })
    }
}

/// The text after the colon of a key in a Python dictionary.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
    Some(text[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| "'\"".contains(*quote))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let axes = inside.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    axes.map(|axis| axis.trim_end_matches('L').parse().ok()).collect()
}

/// The type of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    F32,
    F64,
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    /// Big-endian 32-bit floats, and so on.
    BigF32,
    BigF64,
}

impl Kind {
    fn of(descr: &str) -> Option<Self> {
        Some(match descr {
            "<f4" => Self::F32,
            "<f8" => Self::F64,
            ">f4" => Self::BigF32,
            ">f8" => Self::BigF64,
            "|b1" => Self::Bool,
            "|u1" => Self::U8,
            "|i1" => Self::I8,
            "<u2" => Self::U16,
            "<i2" => Self::I16,
            "<u4" => Self::U32,
            "<i4" => Self::I32,
            "<u8" => Self::U64,
            "<i8" => Self::I64,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::F32 | Self::BigF32 | Self::U32 | Self::I32 => 4,
            Self::F64 | Self::BigF64 | Self::U64 | Self::I64 => 8,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|bytes| one(*bytes)).collect()
        }
        match self {
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::BigF32 => each(bytes, f32::from_be_bytes),
            Self::BigF64 => each(bytes, |b| f64::from_be_bytes(b) as f32),
            Self::Bool => each(bytes, |[b]| f32::from(b != 0)),
            Self::U8 => each(bytes, |[b]| f32::from(b) / 255.0),
            Self::I8 => each(bytes, |[b]| f32::from(b as i8)),
            Self::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
            Self::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::U64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let size = (text.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &size, text.as_bytes(), values].concat()
    }

    fn read(contents: &[u8]) -> Result<(Vec<usize>, Vec<Vec<f32>>), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        std::fs::write(&path, contents).unwrap();
        let rows = read_npy_rows(&path, None).map_err(|error| error.to_string())?;
        let event = rows.event.clone();
        let rows: Result<Vec<_>, _> = rows.collect();
        rows.map(|rows| (event, rows)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_of_every_type_become_floats() {
        assert_eq!(read(&bytes("|u1", "(2, 1)", &[0, 255])).unwrap().1, [[0.0], [1.0]]);
        assert_eq!(read(&bytes("<i2", "(2,)", &[0xff, 0xff, 2, 0])).unwrap().1, [[-1.0], [2.0]]);
        let pi = 3.25f64;
        assert_eq!(read(&bytes("<f8", "(1, 1)", &pi.to_le_bytes())).unwrap().1, [[3.25]]);
        assert_eq!(read(&bytes(">f8", "(1, 1)", &pi.to_be_bytes())).unwrap().1, [[3.25]]);
        assert_eq!(
            read(&bytes("|b1", "(1, 1, 2)", &[0, 1])).unwrap(),
            (vec![1, 2], vec![vec![0.0, 1.0]])
        );
    }

    #[test]
    fn what_lies_is_refused() {
        let short = read(&bytes("<f4", "(2, 2)", &[0; 12])).unwrap_err();
        assert!(short.contains("x.npy cannot be used: its header says [2, 2] of <f4"), "{short}");
        let huge = read(&bytes("<f4", "(18446744073709551615, 4)", &[0; 12])).unwrap_err();
        assert!(huge.contains("which is not its length"), "{huge}");
        let objects = read(&bytes("|O", "(2, 2)", &[0; 12])).unwrap_err();
        assert!(objects.contains("of type |O: save x.astype"), "{objects}");
        assert!(read(b"PK").unwrap_err().contains("no NPY file"));
        let long = [MAGIC, &[2, 0], &u32::MAX.to_le_bytes(), b"{"].concat();
        assert!(read(&long).unwrap_err().contains("too long"));
    }
}
