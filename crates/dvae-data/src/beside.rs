//! Files that are written under a temporary name and renamed when complete.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::DataError;

/// A gray value as a byte.
pub(crate) fn gray(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".dvae-tmp");
    name.into()
}

/// Writes a temporary file beside `path` and renames it: the file is either the old one or the new one, never
/// incomplete.
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), DataError> {
    let beside = beside(path);
    std::fs::write(&beside, contents).and_then(|()| std::fs::rename(&beside, path)).map_err(
        |error| {
            let _ = std::fs::remove_file(&beside);
            write_at(path)(error)
        },
    )
}

/// A temporary file, which is removed unless it is renamed.
#[derive(Debug)]
pub(crate) struct Beside {
    path: PathBuf,
    beside: PathBuf,
}

impl Beside {
    pub(crate) fn create(path: &Path) -> Result<(Self, File), DataError> {
        let beside = beside(path);
        let file = File::create(&beside).map_err(write_at(path))?;
        Ok((Self { path: path.into(), beside }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        std::fs::rename(&self.beside, &self.path)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.beside);
    }
}

pub(crate) fn write_at(path: &Path) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::Write { path: path.into(), source }
}
