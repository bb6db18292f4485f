//! The folder of a run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TrainError;

/// Where a run keeps what it makes:
///
/// ```text
/// config.toml      the resolved configuration
/// metrics.jsonl    one line an epoch
/// checkpoints/     the last two, each complete
/// *.png, …         whatever else is saved
/// ```
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A new folder `root/name-001`, or with the next number that is free.
    pub fn numbered(root: &Path, name: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(root).map_err(TrainError::io("make the folder", root))?;
        for number in 1u32.. {
            let path = root.join(format!("{name}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(TrainError::io("make the folder", &path)(source)),
            }
        }
        unreachable!("four thousand million runs")
    }

    /// The folder `path`, new or empty.
    pub fn new(path: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(TrainError::io("make the folder", path))?;
        let mut entries = fs::read_dir(path).map_err(TrainError::io("read the folder", path))?;
        if entries.next().is_some() {
            return Err(TrainError::Occupied { path: path.into() });
        }
        let folder = Self { path: path.into() };
        // A folder that exists may still be one that cannot be written.
        folder.write("config.toml", b"")?;
        Ok(folder)
    }

    /// A folder of its own within this one, new.
    pub fn subfolder(&self, name: &str) -> Result<Self, TrainError> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(TrainError::io("make the folder", &path))?;
        Ok(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where [`JsonLines`](crate::JsonLines) goes.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Where checkpoints go.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes a file of the run: beside its place first, then renamed.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), TrainError> {
        write_atomically(&self.path.join(name), contents)
    }
}

/// Writes beside `path` and renames: the file is the old one or the new one, never a part.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), TrainError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    fs::write(&beside, contents)
        .and_then(|()| fs::File::open(&beside)?.sync_all())
        .and_then(|()| fs::rename(&beside, path))
        .map_err(TrainError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_and_a_used_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let first = RunFolder::numbered(root.path(), "run").unwrap();
        let second = RunFolder::numbered(root.path(), "run").unwrap();
        assert!(first.path().ends_with("run-001") && second.path().ends_with("run-002"));
        first.write("config.toml", b"a = 1").unwrap();
        let error = RunFolder::new(first.path()).unwrap_err().to_string();
        assert!(error.contains("run-001 exists and is not empty"), "{error}");
    }

    #[test]
    fn a_place_that_is_a_file_cannot_be_a_run_folder() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        for error in [RunFolder::new(&file), RunFolder::numbered(&file, "run")] {
            let error = error.unwrap_err().to_string();
            assert!(
                error.starts_with("cannot make the folder") && error.contains("file"),
                "{error}"
            );
        }
    }
}
