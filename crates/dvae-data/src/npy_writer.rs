//! A writer of NumPy's NPY format: see `npy.rs`.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use crate::DataError;
use crate::beside::{Beside, gray, write_at};
use crate::npy::MAGIC;

/// Writes rows to an NPY file one by one. The file is written under a temporary name and renamed when it is
/// finished.
#[derive(Debug)]
pub struct NpyWriter {
    place: Beside,
    file: BufWriter<File>,
    event: Vec<usize>,
    rows: usize,
    bytes: bool,
}

impl NpyWriter {
    /// Creates a file for rows of this shape: `f4`, or `u1` with `[0, 1]` as 0 to 255.
    pub fn create(path: &Path, event: &[usize], bytes: bool) -> Result<Self, DataError> {
        let (place, file) = Beside::create(path)?;
        let mut writer =
            Self { place, file: BufWriter::new(file), event: event.into(), rows: 0, bytes };
        writer.header().map_err(write_at(path))?;
        Ok(writer)
    }

    /// Appends a row.
    pub fn write(&mut self, row: &[f32]) -> Result<(), DataError> {
        self.rows += 1;
        let written = if self.bytes {
            let bytes: Vec<u8> = row.iter().map(|&value| gray(value)).collect();
            self.file.write_all(&bytes)
        } else {
            row.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()))
        };
        written.map_err(write_at(self.place.path()))
    }

    /// Writes the number of rows and moves the file to its final name.
    pub fn finish(mut self) -> Result<(), DataError> {
        let path = self.place.path().to_owned();
        let finished = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.header());
        finished
            .and_then(|()| self.file.flush())
            .and_then(|()| self.place.finish())
            .map_err(write_at(&path))
    }

    /// The header has the same length for any number of rows.
    fn header(&mut self) -> io::Result<()> {
        let (rows, descr) = (self.rows, if self.bytes { "|u1" } else { "<f4" });
        let axes: String = self.event.iter().map(|axis| format!(" {axis},")).collect();
        let text =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows},{axes}), }}");
        const UNPADDED: usize = MAGIC.len() + 2 + 2;
        let room = 20 - rows.to_string().len(); // The longest number has 20 digits.
        let length = (UNPADDED + text.len() + room + 1).next_multiple_of(64) - UNPADDED;
        self.file.write_all(MAGIC)?;
        self.file.write_all(&[1, 0])?;
        self.file.write_all(&(length as u16).to_le_bytes())?;
        writeln!(self.file, "{text:<width$}", width = length - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_npy_rows;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ä z.npy");
        for (bytes, expected) in [(false, [0.25f32, -2.0]), (true, [64.0 / 255.0, 0.0])] {
            let mut writer = NpyWriter::create(&path, &[1, 2], bytes).unwrap();
            for _ in 0..11 {
                writer.write(&[0.25, -2.0]).unwrap();
            }
            writer.finish().unwrap();
            assert!(std::fs::read(&path).unwrap().len().is_multiple_of(if bytes { 2 } else { 8 }));
            let rows = read_npy_rows(&path, None).unwrap();
            assert_eq!((rows.event.clone(), rows.count), (vec![1, 2], Some(11)));
            assert!(rows.map(Result::unwrap).all(|row| row == expected));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // An unfinished file leaves nothing behind, and the previous file is kept.
        let before = std::fs::read(&path).unwrap();
        NpyWriter::create(&path, &[2], false).unwrap().write(&[1.0, 2.0]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
