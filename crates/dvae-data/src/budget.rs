//! How much memory a file can demand.

use std::fs::{self, Metadata};
use std::path::Path;

use crate::pictures_in;

/// The most that is read of one file at a time, in bytes: 1 GiB of numbers in double precision, or 128 times the length of
/// the file, if that is more. So a small file that expands, or whose header claims much, is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget(u64);

/// What any file may take.
const ANY: u64 = 1 << 30;
/// What a file may take for each of its bytes: 16 numbers, which is more than JPEG files of photographs hold.
const PER_BYTE: u64 = 128;

impl Budget {
    /// Of a file of this length. One that has none, such as a pipe, may take what any file may.
    pub(crate) fn of(file: &Metadata) -> Self {
        Self::of_length(if file.is_file() { file.len() } else { 0 })
    }

    /// Of a file, or of all pictures of a folder together. What has no length, such as a pipe, is asked for by name, and has
    /// no end that is known.
    pub(crate) fn of_all(path: &Path) -> Self {
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        match fs::metadata(path) {
            Ok(folder) if folder.is_dir() => {
                let files = pictures_in(path).unwrap_or_default().files;
                Self::of_length(files.iter().map(|file| length(file)).sum())
            }
            Ok(file) if file.is_file() => Self::of(&file),
            _ => Self(u64::MAX),
        }
    }

    pub(crate) fn of_length(length: u64) -> Self {
        Self(ANY.max(length.saturating_mul(PER_BYTE)))
    }

    pub(crate) fn bytes(self) -> u64 {
        self.0
    }

    /// An error if so many numbers are too many.
    pub(crate) fn check_numbers(self, numbers: u128) -> Result<(), String> {
        if numbers.saturating_mul(8) <= u128::from(self.0) {
            return Ok(());
        }
        Err(format!(
            "it has {numbers} numbers at once: at most {} are read of a file of its length",
            self.0 / 8
        ))
    }
}
