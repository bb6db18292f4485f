//! Files that are written under a temporary name and renamed when complete.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};

use crate::DataError;

/// Writes a temporary file beside `path` and renames it when it is on the disk: the file is either the old one or the
/// new one, never incomplete, even after a power cut. Its folder is made if there is none, and a link keeps pointing
/// to the file.
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), DataError> {
    let (place, mut file) = Beside::create(path)?;
    file.write_all(contents).and_then(|()| place.finish()).map_err(write_at(path))
}

/// A temporary file, which is removed unless it is renamed.
///
/// Its name is random, and nothing of that name exists before. It is locked while its process lives: so one that was
/// killed is known by its leftovers, which are removed when the same file is written again.
#[derive(Debug)]
pub(crate) struct Beside {
    path: PathBuf,
    /// The file that is written: `path`, or what it links to.
    target: PathBuf,
    folder: PathBuf,
    temporary: NamedTempFile,
    _entry: Entry,
}

/// The temporary files of this process.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of all files that this process is writing, for a process that is about to exit because of
/// a signal. Whoever begins or finishes a file afterwards waits forever.
pub fn remove_unfinished_files() {
    let files = unfinished();
    for file in &*files {
        let _ = fs::remove_file(file);
    }
    std::mem::forget(files);
}

/// A temporary file in the list of unfinished ones.
#[derive(Debug)]
struct Entry(PathBuf);

impl Entry {
    fn new(path: &Path, list: &mut BTreeSet<PathBuf>) -> Self {
        list.insert(path.into());
        Self(path.into())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

/// The end of the name of a temporary file.
const ENDING: &str = ".dvae-tmp";
/// The length of the random part of the name.
const RANDOM: usize = 6;

impl Beside {
    pub(crate) fn create(path: &Path) -> Result<(Self, File), DataError> {
        let opened = || {
            let target = followed(path)?;
            if target.exists() && !target.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
            }
            let folder = match target.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
                _ => PathBuf::from("."),
            };
            fs::create_dir_all(&folder)?;
            let prefix = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
            remove_leftovers(&folder, &prefix);
            let mut builder = Builder::new();
            builder.prefix(&prefix).suffix(ENDING).rand_bytes(RANDOM);
            if let Some(permissions) = permissions(&target) {
                builder.permissions(permissions);
            }
            loop {
                let mut list = unfinished();
                let temporary = builder.tempfile_in(&folder)?;
                let _entry = Entry::new(temporary.path(), &mut list);
                drop(list);
                let _ = temporary.as_file().lock(); // Not every file system has locks.
                if !temporary.path().exists() {
                    continue; // Another process took it for a leftover before it was locked.
                }
                let file = temporary.as_file().try_clone()?;
                return Ok((Self { path: path.into(), target, folder, temporary, _entry }, file));
            }
        };
        opened().map_err(write_at(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the contents of another file in place of what was written so far.
    #[cfg(feature = "parquet")]
    pub(crate) fn copy(&self, source: &Path) -> io::Result<()> {
        let mut file = self.temporary.as_file();
        file.set_len(0)?;
        io::Seek::rewind(&mut file)?;
        io::copy(&mut File::open(source)?, &mut file).map(|_| ())
    }

    /// Moves the file to its name when its contents are on the disk.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        drop(unfinished()); // Not while files are removed.
        self.temporary.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(&self.folder)
    }
}

/// Makes the names in a folder durable, on systems that support it.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// The file that a path leads to by symbolic links, whether or not it exists.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    // As many links as Linux follows.
    for _ in 0..40 {
        let Ok(link) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(link);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "its links form a circle"))
}

/// The permissions of the file that is replaced, or those of any new file.
fn permissions(target: &Path) -> Option<Permissions> {
    if let Ok(metadata) = fs::metadata(target) {
        return Some(metadata.permissions());
    }
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    #[cfg(not(unix))]
    None
}

/// Removes temporary files of the same target whose processes have ended.
fn remove_leftovers(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(ENDING));
        let is_ours = random.is_some_and(|random| random.len() == RANDOM)
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_ours && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

pub(crate) fn write_at(path: &Path) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::Write { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_leftovers_of_the_killed_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/deep/a.bin");
        write_file(&path, b"one").unwrap();
        let folder = path.parent().unwrap();
        let dead = folder.join(".a.bin.killed.dvae-tmp");
        let other = folder.join(".b.bin.killed.dvae-tmp");
        fs::write(&dead, "half").unwrap();
        fs::write(&other, "of another file").unwrap();
        let (alive, _file) = Beside::create(&path).unwrap();
        write_file(&path, b"two").unwrap();
        assert!(!dead.exists() && other.exists());
        alive.finish().unwrap(); // It was left alone: its process is this one.
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_permissions_stay_those_of_the_file() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("real"), "old").unwrap();
        fs::set_permissions(at("real"), Permissions::from_mode(0o640)).unwrap();
        symlink("real", at("link")).unwrap();
        write_file(&at("link"), b"new").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(fs::read(at("real")).unwrap(), b"new");
        assert_eq!(fs::metadata(at("real")).unwrap().permissions().mode() & 0o777, 0o640);
        symlink("later", at("dangling")).unwrap();
        symlink(at("dangling"), at("chain")).unwrap();
        write_file(&at("chain"), b"x").unwrap();
        assert_eq!(fs::read(at("later")).unwrap(), b"x");
        symlink("circle", at("circle")).unwrap();
        symlink("/dev/null", at("null")).unwrap();
        for name in ["circle", "null"] {
            assert!(write_file(&at(name), b"x").is_err());
        }
    }

    // Names that someone else may have put there.
    #[cfg(unix)]
    #[test]
    fn nothing_that_lies_beside_a_file_is_written_to() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("precious"), "mine").unwrap();
        let names = ["a.csv.dvae-tmp", ".a.csv.dvae-tmp", "a.csv.tmp"];
        for name in names {
            std::os::unix::fs::symlink("precious", at(name)).unwrap();
        }
        write_file(&at("a.csv"), b"new").unwrap();
        assert_eq!(fs::read(at("precious")).unwrap(), b"mine");
        assert!(names.iter().all(|name| at(name).is_symlink()));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2 + names.len());
    }
}
