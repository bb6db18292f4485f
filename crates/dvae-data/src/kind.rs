//! Kinds of files, and the files of a folder.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use dvae_checks::shown_path;

use crate::DataError;
use crate::matrix_market::is_matrix_market;

/// The type of an input, by its name's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An image: one of [`FileKind::PICTURES`].
    Picture,
    /// A folder of images.
    Folder,
    /// An array: `.npy`, `.npz`, `.safetensors`, or a sparse matrix: `.mtx`, `.mtx.gz`.
    Array,
    /// A table: `.csv`, `.tsv`, and `.parquet` with the cargo feature `parquet`.
    Table,
    /// Lines of text: `.txt`.
    Text,
}

impl FileKind {
    /// The extensions of images.
    pub const PICTURES: [&str; 10] =
        ["png", "jpg", "jpeg", "tif", "tiff", "webp", "pgm", "ppm", "pnm", "pam"];

    /// The type of an input; an error if it does not exist or its type is not supported.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        if is_pattern(path) {
            return Self::by_name(path).ok_or_else(|| DataError::Kind { path: path.into() });
        }
        let metadata = std::fs::metadata(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        Self::by_name(path).ok_or_else(|| DataError::Kind { path: path.into() })
    }

    /// The type of file that a name implies.
    pub fn by_name(path: &Path) -> Option<Self> {
        if is_matrix_market(path) {
            return Some(Self::Array);
        }
        let extension = path.extension()?.to_str()?.to_lowercase();
        Some(match extension.as_str() {
            "npy" | "npz" | "safetensors" => Self::Array,
            "csv" | "tsv" | "parquet" => Self::Table,
            "txt" => Self::Text,
            picture if Self::PICTURES.contains(&picture) => Self::Picture,
            _ => return None,
        })
    }
}

/// Whether a path is a pattern for several files, such as `part-*.npy`, and no file itself.
pub(crate) fn is_pattern(path: &Path) -> bool {
    !path.exists() && parts_of_pattern(path).is_some()
}

/// The folder of a pattern, and the rest of it, which has wildcards; `None` if it has none.
fn parts_of_pattern(path: &Path) -> Option<(&Path, &str)> {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir())?;
    let rest = path.strip_prefix(folder).ok()?.to_str()?;
    rest.contains(['*', '?', '[']).then_some((folder, rest))
}

/// The files that a path stands for: those of a pattern such as `part-*.npy`, in the order of their names, or the path itself. An error
/// says that no file has such a name.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let Some((folder, rest)) = parts_of_pattern(path).filter(|_| !path.exists()) else {
        return Ok(vec![path.into()]);
    };
    let bad = |reason: String| DataError::File { path: path.into(), reason };
    let folder = folder.to_str().ok_or_else(|| bad("its folder is no UTF-8".to_owned()))?;
    let folder = glob::Pattern::escape(folder);
    let pattern = if folder.is_empty() {
        rest.to_owned()
    } else {
        Path::new(&folder).join(rest).display().to_string()
    };
    let found = glob::glob(&pattern)
        .map_err(|error| bad(format!("it is no pattern for names of files: {error}")))?;
    let files = found.map(|file| {
        file.map_err(|error| DataError::Io { path: error.path().into(), source: error.into() })
    });
    let files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err(bad("no file has such a name".to_owned()));
    }
    Ok(files)
}

/// What is said of a Parquet file without the feature.
#[cfg(not(feature = "parquet"))]
pub(crate) const NO_PARQUET: &str = "Parquet files are read and written by builds with the cargo feature `parquet`: add --features parquet, or save it as .csv";

pub(crate) fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("parquet"))
}

/// The images of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// The files.
    pub files: Vec<PathBuf>,
    /// What lies there and cannot be a picture or a folder of pictures.
    pub omissions: Vec<Omission>,
}

/// An entry of a folder that is left out, for a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// The entry.
    pub path: PathBuf,
    /// What it is.
    pub reason: &'static str,
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is left out: {}", shown_path(&self.path), self.reason)
    }
}

/// The image files of a folder and of the folders in it, in the order of their names; an error if there are none.
/// Hidden files and folders, whose names begin with a dot, and files with other endings are left out, and so is what
/// is listed as omissions: pipes and devices, links to nothing, and folders that hold themselves.
pub fn pictures_in(folder: &Path) -> Result<Pictures, DataError> {
    let mut pictures = Pictures::default();
    pictures.collect(folder, &mut vec![], &mut HashSet::new())?;
    if pictures.files.is_empty() {
        return Err(match pictures.omissions.first() {
            None => DataError::NoPicture { path: folder.into() },
            Some(omission) => {
                let reason = format!("it holds no picture: {omission}");
                DataError::File { path: folder.into(), reason }
            }
        });
    }
    Ok(pictures)
}

/// Folders within folders that are searched.
const DEEPEST: usize = 32;

impl Pictures {
    /// Adds those of a folder that lies in the folders `above`, if it is none of those that were searched.
    fn collect(
        &mut self,
        folder: &Path,
        above: &mut Vec<PathBuf>,
        searched: &mut HashSet<PathBuf>,
    ) -> Result<(), DataError> {
        let io = |source| DataError::Io { path: folder.into(), source };
        let own = folder.canonicalize().map_err(io)?;
        if above.contains(&own) {
            self.omit(folder, "a folder that holds itself");
            return Ok(());
        }
        if !searched.insert(own.clone()) {
            self.omit(folder, "the same folder as one before");
            return Ok(());
        }
        if above.len() > DEEPEST {
            self.omit(folder, "more than 32 folders lie around it");
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>();
        let mut entries = entries.map_err(io)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        above.push(own);
        for entry in entries {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match fs::metadata(&path) {
                Err(_) if path.is_symlink() => self.omit(&path, "a link that leads nowhere"),
                Err(source) => return Err(DataError::Io { path, source }),
                Ok(is) if is.is_dir() => self.collect(&path, above, searched)?,
                Ok(is) if !is.is_file() => self.omit(&path, "a pipe or a device"),
                Ok(_) if FileKind::by_name(&path) == Some(FileKind::Picture) => {
                    self.files.push(path);
                }
                Ok(_) => {}
            }
        }
        above.pop();
        Ok(())
    }

    fn omit(&mut self, path: &Path, reason: &'static str) {
        self.omissions.push(Omission { path: path.into(), reason });
    }
}

/// The class of each picture, if all lie in folders of the folder: the number, in order of names, of the folder
/// that holds it. `None` if a picture lies in the folder itself, or if there are more than 256 classes.
pub(crate) fn classes(folder: &Path, pictures: &[PathBuf]) -> Option<Vec<u8>> {
    let class = |picture: &PathBuf| {
        let mut parts = picture.strip_prefix(folder).ok()?.components();
        let first = parts.next()?.as_os_str().to_owned();
        parts.next().map(|_| first)
    };
    let names = pictures.iter().map(class).collect::<Option<Vec<_>>>()?;
    let mut known = names.clone();
    known.sort();
    known.dedup();
    let number = |name| u8::try_from(known.binary_search(name).ok()?).ok();
    names.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_in_the_order_of_names_and_hidden_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("b/deep")).unwrap();
        std::fs::create_dir_all(at(".git")).unwrap();
        std::fs::create_dir_all(at("a")).unwrap();
        let files = ["b/deep/2.PNG", "b/1.tif", "a/x.webp", ".git/y.png", "._z.png", "t.txt"];
        files.iter().for_each(|name| std::fs::write(at(name), "").unwrap());
        let found = pictures_in(folder.path()).unwrap().files;
        assert_eq!(found, [at("a/x.webp"), at("b/1.tif"), at("b/deep/2.PNG")]);
        assert_eq!(classes(folder.path(), &found), Some(vec![0, 1, 1]));
        std::fs::write(at("z.png"), "").unwrap();
        let found = pictures_in(folder.path()).unwrap().files;
        assert_eq!((found.len(), classes(folder.path(), &found)), (4, None));
        let error = pictures_in(&at(".git/none")).unwrap_err().to_string();
        assert!(error.contains("cannot read"), "{error}");
    }

    #[test]
    fn a_pattern_stands_for_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("run [1]");
        std::fs::create_dir(&inner).unwrap();
        let at = |name: &str| inner.join(name);
        ["part-2.npy", "part-1.npy", "odd*.npy"]
            .iter()
            .for_each(|name| std::fs::write(at(name), "").unwrap());
        assert_eq!(files_of(&at("part-*.npy")).unwrap(), [at("part-1.npy"), at("part-2.npy")]);
        assert_eq!(files_of(&at("odd*.npy")).unwrap(), [at("odd*.npy")]);
        assert_eq!(files_of(&at("none.npy")).unwrap(), [at("none.npy")]);
        assert!(is_pattern(&at("p*.npy")) && !is_pattern(&at("odd*.npy")));
        assert!(!is_pattern(&at("none.npy")));
        let error = files_of(&at("none-?.npy")).unwrap_err().to_string();
        assert!(error.contains("no file has such a name"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_named() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("in")).unwrap();
        std::fs::write(at("in/1.png"), "").unwrap();
        symlink("..", at("in/loop")).unwrap();
        symlink("nowhere", at("gone.png")).unwrap();
        symlink("/dev/zero", at("zero.png")).unwrap();
        symlink("in", at("same")).unwrap();
        symlink("in/1.png", at("same.png")).unwrap();
        let found = pictures_in(folder.path()).unwrap();
        assert_eq!(found.files, [at("in/1.png"), at("same.png")]);
        let omissions: Vec<_> =
            found.omissions.iter().map(|s| (s.path.clone(), s.reason)).collect();
        let expected = [
            (at("gone.png"), "a link that leads nowhere"),
            (at("in/loop"), "a folder that holds itself"),
            (at("same"), "the same folder as one before"),
            (at("zero.png"), "a pipe or a device"),
        ];
        assert_eq!(omissions, expected);
    }
}
