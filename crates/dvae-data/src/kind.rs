//! Kinds of files, and the files of a folder.

use std::path::{Path, PathBuf};

use crate::DataError;

/// The type of an input, by its name's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An image: one of [`FileKind::PICTURES`].
    Picture,
    /// A folder of images.
    Folder,
    /// An array: `.npy`, `.npz`.
    Array,
    /// A table: `.csv`, `.tsv`.
    Table,
}

impl FileKind {
    /// The extensions of images.
    pub const PICTURES: [&str; 10] =
        ["png", "jpg", "jpeg", "tif", "tiff", "webp", "pgm", "ppm", "pnm", "pam"];

    /// The type of an input; an error if it does not exist or its type is not supported.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path)
            .map_err(|source| DataError::Io { path: path.into(), source })?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        Self::by_name(path).ok_or_else(|| DataError::Kind { path: path.into() })
    }

    /// The type of file that a name implies.
    pub fn by_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        Some(match extension.as_str() {
            "npy" | "npz" => Self::Array,
            "csv" | "tsv" => Self::Table,
            picture if Self::PICTURES.contains(&picture) => Self::Picture,
            _ => return None,
        })
    }
}

/// The image files of a folder and of the folders in it, in the order of their names; an error if there are none.
/// Hidden files and folders, whose names begin with a dot, are left out.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut pictures = vec![];
    collect(folder, 0, &mut pictures)?;
    if pictures.is_empty() {
        return Err(DataError::NoPicture { path: folder.into() });
    }
    Ok(pictures)
}

/// Folders within folders that are searched: links may form a circle.
const DEEPEST: usize = 32;

fn collect(folder: &Path, depth: usize, pictures: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let io = |source| DataError::Io { path: folder.into(), source };
    let entries = std::fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>();
    let mut entries = entries.map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            if depth < DEEPEST {
                collect(&path, depth + 1, pictures)?;
            }
        } else if FileKind::by_name(&path) == Some(FileKind::Picture) && path.is_file() {
            pictures.push(path);
        }
    }
    Ok(())
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
        let found = pictures_in(folder.path()).unwrap();
        assert_eq!(found, [at("a/x.webp"), at("b/1.tif"), at("b/deep/2.PNG")]);
        assert_eq!(classes(folder.path(), &found), Some(vec![0, 1, 1]));
        std::fs::write(at("z.png"), "").unwrap();
        let found = pictures_in(folder.path()).unwrap();
        assert_eq!((found.len(), classes(folder.path(), &found)), (4, None));
        let error = pictures_in(&at(".git/none")).unwrap_err().to_string();
        assert!(error.contains("cannot read"), "{error}");
    }
}
