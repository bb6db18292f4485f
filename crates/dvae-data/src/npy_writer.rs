//! A writer of NumPy's NPY format: see `npy.rs`.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use crate::beside::{Beside, write_at};
use crate::format::Layout;
use crate::npy_header::{MAGIC, descr};
use crate::{Channels, DataError, Element, Format, Numbers, Row};

/// Writes rows to an NPY file one by one. The file is written under a temporary name and renamed when it is
/// finished.
#[derive(Debug)]
pub(crate) struct NpyWriter {
    place: Beside,
    file: BufWriter<File>,
    element: Element,
    /// The shape of a row, channels first.
    event: Vec<usize>,
    channels: Channels,
    rows: usize,
}

impl NpyWriter {
    /// Creates a file for rows of this format.
    pub(crate) fn create(path: &Path, format: &Format) -> Result<Self, DataError> {
        let (place, file) = Beside::create(path)?;
        let channels = match format.layout {
            Layout::Array(channels) => channels,
            _ => Channels::First,
        };
        let (element, event) = (format.element, format.event.clone());
        let file = BufWriter::new(file);
        let mut writer = Self { place, file, element, event, channels, rows: 0 };
        writer.header().map_err(write_at(path))?;
        Ok(writer)
    }

    /// Appends a row.
    pub(crate) fn write(&mut self, row: &Row) -> Result<(), DataError> {
        self.rows += 1;
        let written = match (self.channels, &self.event[..]) {
            (Channels::Last, &[channels, height, width]) if channels > 1 => {
                let area = height * width;
                let places = (0..area * channels).map(|at| at % channels * area + at / channels);
                self.append(row.numbers.at(places))
            }
            _ => self.append(row.numbers.clone()),
        };
        written.map_err(write_at(self.place.path()))
    }

    fn append(&mut self, numbers: Numbers) -> io::Result<()> {
        let mut bytes = numbers.into_bytes();
        if cfg!(target_endian = "big") {
            bytes.chunks_mut(self.element.size()).for_each(<[u8]>::reverse);
        }
        self.file.write_all(&bytes)
    }

    /// Writes the number of rows and moves the file to its final name.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        let path = self.place.path().to_owned();
        let finished = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.header());
        finished
            .and_then(|()| self.file.flush())
            .and_then(|()| self.place.finish())
            .map_err(write_at(&path))
    }

    /// The header has the same length for any number of rows.
    fn header(&mut self) -> io::Result<()> {
        let (rows, descr) = (self.rows, descr(self.element));
        let event = match (self.channels, &self.event[..]) {
            (Channels::Last, &[channels, height, width]) => vec![height, width, channels],
            (_, event) => event.to_vec(),
        };
        let axes: String = event.iter().map(|axis| format!(" {axis},")).collect();
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
    use crate::{Domain, ReadOptions, read_rows};

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ä z.npy");
        for (element, domain) in [
            (Element::F32, Domain::Real),
            (Element::U8, Domain::Unit),
            (Element::I16, Domain::Integers),
        ] {
            let format = Format::new(&[1, 2], element, domain);
            let row = format.row(if element.is_whole() { &[1.0, 0.0] } else { &[0.25, -2.0] });
            let mut writer = NpyWriter::create(&path, &format).unwrap();
            (0..11).for_each(|_| writer.write(&row).unwrap());
            writer.finish().unwrap();
            let rows = read_rows(&path, &ReadOptions::default()).unwrap();
            assert_eq!((&rows.format.event[..], rows.count), (&[1, 2][..], Some(11)));
            assert!(rows.map(Result::unwrap).all(|read| read.numbers == row.numbers));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // An unfinished file leaves nothing behind, and the previous file is kept.
        let before = std::fs::read(&path).unwrap();
        let format = Format::new(&[2], Element::F32, Domain::Real);
        NpyWriter::create(&path, &format).unwrap().write(&format.row(&[1.0, 2.0])).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn channels_that_came_last_go_out_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let layout = Layout::Array(Channels::Last);
        let format = Format { layout, ..Format::new(&[3, 1, 2], Element::U8, Domain::Counts) };
        let mut writer = NpyWriter::create(&path, &format).unwrap();
        writer.write(&format.row(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
        writer.finish().unwrap();
        let stored = std::fs::read(&path).unwrap();
        assert_eq!(stored[stored.len() - 6..], [1, 3, 5, 2, 4, 6]);
        assert!(String::from_utf8_lossy(&stored).contains("(1, 1, 2, 3,)"));
    }
}
