//! The folder of a run.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dvae_data::write_file;

use crate::TrainError;

/// The folder where a run keeps its files:
///
/// ```text
/// config.toml         the experiment
/// data.toml           values determined by the data: shape, scaling, columns, checksum
/// metrics.jsonl       one line per measurement
/// checkpoints/        the latest ones, each complete
/// best.safetensors    the weights with the largest bound on held-out rows
/// last.safetensors    the weights at the end of the training so far
/// log.txt, events/    for people, and for TensorBoard
/// *.png, …            any other file that is saved
/// ```
///
/// While it is held, no other process can hold the same folder: it locks the file `.lock` there.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Released when the last clone is dropped or the process ends, for whatever reason.
    _lock: Arc<File>,
}

const LOCK: &str = ".lock";

impl RunFolder {
    /// Creates a folder `root/name-001`, or with the next free number.
    pub fn numbered(root: &Path, name: &str) -> Result<Self, TrainError> {
        fs::create_dir_all(root).map_err(TrainError::io("make the folder", root))?;
        for number in 1u32.. {
            let path = root.join(format!("{name}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Self::locked(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(TrainError::io("make the folder", &path)(source)),
            }
        }
        unreachable!("four thousand million runs")
    }

    /// Creates the folder `path`, which must be new or empty.
    pub fn new(path: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(TrainError::io("make the folder", path))?;
        let mut entries = fs::read_dir(path).map_err(TrainError::io("read the folder", path))?;
        // A run that failed to start leaves its lock and the files it was about to write.
        let leftover = |name: &std::ffi::OsStr| {
            let name = name.to_string_lossy();
            let half = |file: &str| name.starts_with(file) && name.ends_with(".dvae-tmp");
            name == LOCK || name == "data.toml" || half(".data.toml.") || half(".config.toml.")
        };
        if entries.any(|entry| entry.is_ok_and(|entry| !leftover(&entry.file_name()))) {
            return Err(TrainError::Occupied { path: path.into() });
        }
        Self::locked(path.into())
    }

    /// Opens the folder of a run to continue it.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        fs::read_dir(path).map_err(TrainError::io("read the folder", path))?;
        Self::locked(path.into())
    }

    /// Locks the folder, which also shows that it is writable.
    fn locked(path: PathBuf) -> Result<Self, TrainError> {
        let lock_path = path.join(LOCK);
        let open = OpenOptions::new().create(true).append(true).open(&lock_path);
        let lock = open.map_err(TrainError::io("write", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(TrainError::InUse { path }),
            Err(TryLockError::Error(error)) => Err(TrainError::io("lock", &lock_path)(error)),
        }
    }

    /// Creates a new subfolder.
    pub fn subfolder(&self, name: &str) -> Result<Self, TrainError> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(TrainError::io("make the folder", &path))?;
        Self::locked(path)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file for [`JsonLines`](crate::JsonLines).
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The file for [`TextLog`](crate::TextLog).
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// The folder for [`TensorBoard`](crate::TensorBoard).
    pub fn events(&self) -> PathBuf {
        self.path.join("events")
    }

    /// The folder for checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        Self::checkpoints_in(&self.path)
    }

    /// The folder for checkpoints of the run in a folder.
    pub fn checkpoints_in(folder: &Path) -> PathBuf {
        folder.join("checkpoints")
    }

    /// Appends the reason why the run failed to its log, with the time, if it can be written at all.
    pub fn log_failure(&self, error: &dyn fmt::Display) {
        crate::text_log::log_failure(&self.log(), error);
    }

    /// Writes a file of the run: [`write_file`].
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), TrainError> {
        Ok(write_file(&self.path.join(name), contents)?)
    }
}

/// Reads a file of a run whole. An error names one that is no file, such as a device, which may have no end.
pub fn read_file(path: &Path) -> Result<Vec<u8>, TrainError> {
    check_is_file(path)?;
    fs::read(path).map_err(TrainError::io("read", path))
}

pub(crate) fn check_is_file(path: &Path) -> Result<(), TrainError> {
    let check = |is: fs::Metadata| match is.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")),
    };
    fs::metadata(path).and_then(check).map_err(TrainError::io("read", path))
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
    fn a_folder_is_held_by_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let folder = RunFolder::new(&path).unwrap();
        let error = RunFolder::open(&path).unwrap_err().to_string();
        assert!(error.contains("run is in use by another process"), "{error}");
        let clone = folder.clone();
        drop(folder);
        assert!(RunFolder::open(&path).is_err());
        drop(clone);
        RunFolder::open(&path).unwrap();
        assert!(RunFolder::open(&root.path().join("none")).is_err());
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
