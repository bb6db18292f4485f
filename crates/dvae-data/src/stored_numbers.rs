//! Numbers that stay in their files.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::numbers::AT_ONCE;
use crate::values::read_at;
use crate::{DataError, Element, Numbers};

/// The numbers of rows of one or several files, which are read when they are asked for. Clones share the files.
#[derive(Clone, Debug)]
pub(crate) struct StoredNumbers {
    pub(crate) element: Element,
    is_big_endian: bool,
    parts: Arc<[Part]>,
}

/// The numbers of a file.
#[derive(Clone, Debug)]
struct Part {
    path: PathBuf,
    file: Arc<File>,
    /// Where they begin in the file.
    offset: u64,
    /// Their places among those of all files.
    places: Range<usize>,
}

impl StoredNumbers {
    /// So many numbers that begin at a place of a file.
    pub(crate) fn new(
        path: &Path,
        offset: u64,
        count: usize,
        element: Element,
        is_big_endian: bool,
    ) -> Result<Self, DataError> {
        let file =
            File::open(path).map_err(|source| DataError::Io { path: path.into(), source })?;
        let part = Part { path: path.into(), file: Arc::new(file), offset, places: 0..count };
        Ok(Self { element, is_big_endian, parts: [part].into() })
    }

    /// The numbers of several files, one after the other; `None` if they are not stored in the same way, or if there are none.
    pub(crate) fn joined(all: &[Self]) -> Option<Self> {
        let first = all.first()?;
        let of = |numbers: &Self| (numbers.element, numbers.is_big_endian);
        let mut parts: Vec<Part> = vec![];
        for part in all.iter().flat_map(|numbers| &*numbers.parts) {
            let start = parts.last().map_or(0, |last| last.places.end);
            parts.push(Part { places: start..start + part.places.len(), ..part.clone() });
        }
        all.iter()
            .all(|numbers| of(numbers) == of(first))
            .then(|| Self { parts: parts.into(), ..first.clone() })
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.last().map_or(0, |part| part.places.end)
    }

    /// The bytes of some numbers, in the machine's order. An error names a file that has become shorter, or can no longer be
    /// read.
    pub(crate) fn bytes(&self, places: Range<usize>) -> Result<Vec<u8>, DataError> {
        let size = self.element.size();
        let mut bytes = vec![0; places.len() * size];
        let mut at = self.parts.partition_point(|part| part.places.end <= places.start);
        let mut from = places.start;
        while from < places.end {
            let part = &self.parts[at];
            let to = places.end.min(part.places.end);
            let out = &mut bytes[(from - places.start) * size..(to - places.start) * size];
            let offset = part.offset + ((from - part.places.start) * size) as u64;
            read_at(&part.file, out, offset)
                .map_err(|source| DataError::Io { path: part.path.clone(), source })?;
            (from, at) = (to, at + 1);
        }
        if self.is_big_endian != cfg!(target_endian = "big") {
            bytes.chunks_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    }

    /// Some numbers; an error is that of [`Self::bytes`].
    pub(crate) fn numbers(&self, places: Range<usize>) -> Result<Numbers, DataError> {
        Ok(Numbers::new(self.element, self.bytes(places)?))
    }

    /// Whether the largest of all bytes is 1.
    pub(crate) fn is_binary(&self) -> Result<bool, DataError> {
        let mut largest = 0;
        for start in (0..self.len()).step_by(AT_ONCE) {
            let bytes = self.bytes(start..self.len().min(start + AT_ONCE))?;
            largest = bytes.into_iter().fold(largest, u8::max);
            if largest > 1 {
                break;
            }
        }
        Ok(largest == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Words from the third byte on of one file, and from the first on of another.
    #[test]
    fn numbers_of_several_files_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), [9, 9, 0, 1, 0, 2, 0, 3]).unwrap();
        std::fs::write(at("b"), [0, 4, 0, 5]).unwrap();
        let of = |name, offset, count| {
            StoredNumbers::new(&at(name), offset, count, Element::U16, true).unwrap()
        };
        let all = StoredNumbers::joined(&[of("a", 2, 3), of("b", 0, 2)]).unwrap();
        assert_eq!(all.len(), 5);
        for (places, expected) in [(0..5, &[1u16, 2, 3, 4, 5][..]), (2..4, &[3, 4]), (4..5, &[5])] {
            assert_eq!(all.numbers(places).unwrap(), Numbers::from(expected));
        }
        let other = StoredNumbers::new(&at("a"), 0, 8, Element::U8, true).unwrap();
        assert!(StoredNumbers::joined(&[of("b", 0, 2), other.clone()]).is_none());
        assert!(!other.is_binary().unwrap());
        std::fs::write(at("b"), [0]).unwrap();
        let error = all.bytes(2..5).unwrap_err().to_string();
        assert!(error.contains(&at("b").display().to_string()), "{error}");
    }
}
