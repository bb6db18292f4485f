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
use crate::npy::bad;
use crate::{DataError, Dataset, Sets};

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
    let io = |source| DataError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let budget = Budget::of(&file.metadata().map_err(io)?);
    let mut reader = BufReader::new(file);
    let is_gzip = reader.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]);
    match is_gzip {
        true => parse(MultiGzDecoder::new(reader), path, budget),
        false => parse(reader, path, budget),
    }
}

fn parse(mut reader: impl Read, path: &Path, budget: Budget) -> Result<Idx, DataError> {
    let mut read = |bytes: u64| -> Result<Vec<u8>, DataError> {
        let mut part = vec![];
        let read = reader.by_ref().take(bytes).read_to_end(&mut part);
        read.map_err(|source| DataError::Io { path: path.into(), source }).map(|_| part)
    };
    let first = read(4)?;
    let &[0, 0, 0x08, axes] = &first[..] else {
        return Err(DataError::Magic { path: path.into(), found: first });
    };
    let length = |part, expected: u128, found: usize| {
        let found = if found as u128 > expected { "more".to_owned() } else { found.to_string() };
        DataError::Length { path: path.into(), part, expected, found }
    };
    let header = 4 * u64::from(axes);
    let words = read(header)?;
    if words.len() as u64 != header {
        return Err(length("first four", header.into(), words.len()));
    }
    let axis = |word: &[u8]| word.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
    let shape: Vec<usize> = words.chunks(4).map(axis).collect();
    // Saturation keeps an absurd header from being taken for a small one.
    let expected = shape.iter().fold(1u128, |n, &axis| n.saturating_mul(axis as u128));
    let all = u64::try_from(expected).ok().filter(|&all| all <= budget.bytes());
    let all = all.ok_or_else(|| {
        let most = budget.bytes();
        let reason = format!(
            "its header says {shape:?}: at most {most} bytes are read of a file of its length"
        );
        bad(path, reason)
    })?;
    // One byte more, which must not be there, also makes gzip verify its checksum.
    let values = read(all + 1)?;
    if values.len() as u64 != all {
        return Err(length("header", expected, values.len()));
    }
    Ok(Idx { shape, values })
}

/// Reads the training and test images of a folder, with their labels if there are any.
///
/// Files are named as MNIST's are, `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte` (or
/// `test-images…`), with or without `.gz`; `train-images.idx3-ubyte` and `train-images.idx` are accepted too.
pub fn read_idx_folder(folder: &Path) -> Result<Sets, DataError> {
    read_idx_folder_of(folder, "")
}

/// [`read_idx_folder`] for files whose names begin with a prefix and a hyphen, as those of EMNIST do:
/// `emnist-balanced-train-images-idx3-ubyte` has the prefix `emnist-balanced`.
pub fn read_idx_folder_of(folder: &Path, prefix: &str) -> Result<Sets, DataError> {
    std::fs::read_dir(folder).map_err(|source| DataError::Io { path: folder.into(), source })?;
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}-") };
    let named =
        |names: &[&str]| names.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>();
    let train = read_images(folder, "training", &named(&["train"]))?;
    let test = read_images(folder, "test", &named(&["t10k", "test"]))?;
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
) -> Result<Dataset, DataError> {
    let Some(path) = find(folder, prefixes, "images") else {
        return Err(DataError::Missing { path: folder.into(), set, file: prefixes[0].clone() });
    };
    let Idx { shape, values } = read_idx(&path)?;
    if !(3..=4).contains(&shape.len()) || shape.contains(&0) {
        return Err(DataError::Shape { path, shape });
    }
    let images = shape[0];
    let event = if shape.len() == 3 { vec![1, shape[1], shape[2]] } else { shape[1..].into() };
    let dataset = Dataset::from_bytes(values, &event)?;
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
