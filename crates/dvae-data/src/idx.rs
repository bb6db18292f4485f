//! The IDX format of MNIST and similar data sets: a header of axes, then bytes.
//!
//! LeCun, Cortes and Burges, "The MNIST database of handwritten digits": two zero bytes, a type
//! (`08`, unsigned byte), the number of axes, each axis as a big-endian `u32`, then the values,
//! the last axis fastest.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::budget::Budget;
use crate::dataset::RowCollector;
use crate::npy::bad;
use crate::stored_numbers::StoredNumbers;
use crate::{DataError, Dataset, Domain, Element, Format, Numbers, ReadOptions, Sets};

/// The contents of an IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values, the last axis fastest.
    pub values: Vec<u8>,
}

/// Reads an IDX file, plain or gzip (detected by its first bytes, not by its name). No more is read than the header says.
pub fn read_idx(path: &Path) -> Result<Idx, DataError> {
    let mut reader = IdxReader::new(path)?;
    let mut values = vec![];
    reader.values(|part| {
        values.extend_from_slice(part);
        Ok(())
    })?;
    Ok(Idx { shape: reader.shape, values })
}

/// A file whose header was read.
struct IdxReader<'a> {
    path: &'a Path,
    shape: Vec<usize>,
    /// Bytes of the header.
    header: u64,
    /// Bytes that the header says follow it.
    expected: u64,
    /// The length of a file that is not compressed.
    length: Option<u64>,
    reader: Box<dyn Read>,
}

impl<'a> IdxReader<'a> {
    fn new(path: &'a Path) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.into(), source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        let budget = Budget::of(&metadata);
        let mut reader = BufReader::new(file);
        let is_gzip = reader.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]);
        let length = (metadata.is_file() && !is_gzip).then_some(metadata.len());
        let mut reader: Box<dyn Read> = match is_gzip {
            true => Box::new(MultiGzDecoder::new(reader)),
            false => Box::new(reader),
        };
        let mut read = |bytes: u64| -> Result<Vec<u8>, DataError> {
            let mut part = vec![];
            reader.by_ref().take(bytes).read_to_end(&mut part).map_err(io).map(|_| part)
        };
        let first = read(4)?;
        let &[0, 0, 0x08, axes] = &first[..] else {
            return Err(DataError::Magic { path: path.into(), found: first });
        };
        let header = 4 * u64::from(axes);
        let words = read(header)?;
        if words.len() as u64 != header {
            let found = words.len().to_string();
            let (path, expected) = (path.into(), header.into());
            return Err(DataError::Length { path, part: "first four", expected, found });
        }
        let axis = |word: &[u8]| word.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
        let shape: Vec<usize> = words.chunks(4).map(axis).collect();
        // Saturation keeps an absurd header from being taken for a small one.
        let expected = shape.iter().fold(1u128, |n, &axis| n.saturating_mul(axis as u128));
        let expected = u64::try_from(expected).ok().filter(|&all| all <= budget.bytes());
        let expected = expected.ok_or_else(|| {
            let most = budget.bytes();
            let reason = format!(
                "its header says {shape:?}: at most {most} bytes are read of a file of its length"
            );
            bad(path, reason)
        })?;
        Ok(Self { path, shape, header: 4 + header, expected, length, reader })
    }

    /// Reads the values part by part.
    fn values(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut part = vec![];
        let mut found = 0;
        // One byte more, which must not be there, also makes gzip verify its checksum.
        while found <= self.expected {
            part.clear();
            let most = (self.expected + 1 - found).min(1 << 20);
            let read = self.reader.by_ref().take(most).read_to_end(&mut part);
            read.map_err(|source| DataError::Io { path: self.path.into(), source })?;
            if part.is_empty() {
                break;
            }
            found += part.len() as u64;
            if found <= self.expected {
                each(&part)?;
            }
        }
        self.check(found)
    }

    /// An error if other than the expected bytes follow the header.
    fn check(&self, found: u64) -> Result<(), DataError> {
        if found == self.expected {
            return Ok(());
        }
        let found = if found > self.expected { "more".to_owned() } else { found.to_string() };
        let (path, expected) = (self.path.into(), self.expected.into());
        Err(DataError::Length { path, part: "header", expected, found })
    }

    /// The images of the file. Of more than [`ReadOptions::memory`], those of a file that is not compressed stay there.
    fn images(mut self, options: &ReadOptions) -> Result<Dataset, DataError> {
        let memory = options.memory.unwrap_or(u64::MAX);
        let event = match &self.shape[..] {
            &[_, height, width] => vec![1, height, width],
            shape => shape[1..].into(),
        };
        let format = Format::new(&event, Element::U8, options.domain.unwrap_or(Domain::Unit));
        match self.length {
            Some(length) if self.expected > memory => {
                self.check(length.saturating_sub(self.header))?;
                let count = self.expected as usize;
                let numbers =
                    StoredNumbers::new(self.path, self.header, count, Element::U8, false)?;
                Dataset::from_stored(numbers, &format, memory)
            }
            _ => {
                let mut images = RowCollector::new(&format, memory);
                self.values(|part| images.add(&Numbers::new(Element::U8, part.into())))?;
                images.finish()
            }
        }
    }
}

/// Reads the training and test images of a folder, with their labels if there are any.
///
/// Files are named as MNIST's are, `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte` (or
/// `test-images…`), with or without `.gz`; `train-images.idx3-ubyte` and `train-images.idx` are accepted too.
pub fn read_idx_folder(folder: &Path) -> Result<Sets, DataError> {
    read_idx_folder_of(folder, "", &ReadOptions::default())
}

/// [`read_idx_folder`] for files whose names begin with a prefix and a hyphen, as those of EMNIST do:
/// `emnist-balanced-train-images-idx3-ubyte` has the prefix `emnist-balanced`. Of the options, `domain` and `memory` count: more images
/// than that stay in their file, or, if it is compressed, in one without a name in the folder for temporary files.
pub fn read_idx_folder_of(
    folder: &Path,
    prefix: &str,
    options: &ReadOptions,
) -> Result<Sets, DataError> {
    std::fs::read_dir(folder).map_err(|source| DataError::Io { path: folder.into(), source })?;
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}-") };
    let named =
        |names: &[&str]| names.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>();
    let train = read_images(folder, "training", &named(&["train"]), options)?;
    let test = read_images(folder, "test", &named(&["t10k", "test"]), options)?;
    if train.event() != test.event() {
        let (train, test) = (train.event().into(), test.event().into());
        return Err(DataError::Mismatch { train, test });
    }
    Ok(Sets { train, test })
}

fn read_images(
    folder: &Path,
    set: &'static str,
    prefixes: &[String],
    options: &ReadOptions,
) -> Result<Dataset, DataError> {
    let Some(path) = find(folder, prefixes, "images") else {
        return Err(DataError::Missing { path: folder.into(), set, file: prefixes[0].clone() });
    };
    let reader = IdxReader::new(&path)?;
    let shape = &reader.shape;
    if !(3..=4).contains(&shape.len()) || shape.contains(&0) {
        return Err(DataError::Shape { shape: shape.clone(), path });
    }
    let images = shape[0];
    let dataset = reader.images(options)?;
    let Some(path) = find(folder, prefixes, "labels") else {
        return Ok(dataset);
    };
    let labels = read_idx(&path)?.values;
    if labels.len() != images {
        return Err(DataError::Labels { path, images, labels: labels.len() });
    }
    Ok(dataset.labeled(labels))
}

fn find(folder: &Path, prefixes: &[String], what: &str) -> Option<PathBuf> {
    const SUFFIXES: [&str; 7] = [
        "-idx3-ubyte",
        "-idx1-ubyte",
        "-idx4-ubyte",
        ".idx3-ubyte",
        ".idx1-ubyte",
        ".idx4-ubyte",
        ".idx",
    ];
    let names = prefixes.iter().flat_map(|prefix| {
        SUFFIXES.iter().flat_map(move |suffix| {
            ["", ".gz"].map(|gz| folder.join(format!("{prefix}-{what}{suffix}{gz}")))
        })
    });
    names.into_iter().find(|path| path.is_file())
}
