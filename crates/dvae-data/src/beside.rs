//! Files that are written under a temporary name and renamed when complete.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::DataError;

/// Writes a temporary file beside `path` and renames it: the file is either the old one or the new one, never
/// incomplete. Its folder is made if there is none, and a link keeps pointing to the file.
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), DataError> {
    let (place, mut file) = Beside::create(path)?;
    file.write_all(contents).and_then(|()| place.finish()).map_err(write_at(path))
}

/// A temporary file, which is removed unless it is renamed.
///
/// It is locked while its process lives. So one that was killed is known by its leftovers, which are removed when
/// the same file is written again.
#[derive(Debug)]
pub(crate) struct Beside {
    path: PathBuf,
    /// The file that is written: `path`, or what it links to.
    target: PathBuf,
    temporary: NamedTempFile,
}

/// The end of the name of a temporary file.
const ENDING: &str = ".dvae-tmp";

impl Beside {
    pub(crate) fn create(path: &Path) -> Result<(Self, File), DataError> {
        let opened = || {
            let target = target(path)?;
            let folder = match target.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
                _ => PathBuf::from("."),
            };
            fs::create_dir_all(&folder)?;
            let prefix = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
            remove_leftovers(&folder, &prefix);
            let mut builder = Builder::new();
            builder.prefix(&prefix).suffix(ENDING);
            if let Some(permissions) = permissions(&target) {
                builder.permissions(permissions);
            }
            let temporary = builder.tempfile_in(&folder)?;
            let _ = temporary.as_file().try_lock(); // Not every file system has locks.
            let file = temporary.as_file().try_clone()?;
            Ok((Self { path: path.into(), target, temporary }, file))
        };
        opened().map_err(write_at(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.temporary.persist(&self.target).map(|_| ()).map_err(|error| error.error)
    }
}

/// The file that a path means: what it links to, if it is a link.
fn target(path: &Path) -> io::Result<PathBuf> {
    if !path.is_symlink() {
        return Ok(path.into());
    }
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link to a file that is yet to be written.
            Ok(path.parent().unwrap_or(Path::new("")).join(fs::read_link(path)?))
        }
        target => target,
    }
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
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(ENDING));
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
        let dead = folder.join(".a.bin.dead.dvae-tmp");
        let other = folder.join(".b.bin.dead.dvae-tmp");
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
        write_file(&at("dangling"), b"x").unwrap();
        assert_eq!(fs::read(at("later")).unwrap(), b"x");
    }
}
