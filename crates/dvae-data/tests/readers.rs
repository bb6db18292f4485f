//! Readers meet bytes that are not what they should be: an error, or rows, and never a panic or an allocation
//! that a header talked them into.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dvae_data::{
    Dataset, Domain, Element, Format, ReadOptions, RowWriter, read_idx, read_rows, write_picture,
};
use proptest::prelude::*;

/// Whole files of each kind, by name.
static WHOLE: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let array = Format::new(&[2, 3], Element::F32, Domain::Real);
    write(&at("a.npy"), &array, (0..4).map(|row| vec![f64::from(row); 6]));
    let npy = std::fs::read(at("a.npy")).unwrap();
    for (name, method) in [
        ("stored.npz", zip::CompressionMethod::Stored),
        ("packed.npz", zip::CompressionMethod::Deflated),
    ] {
        let mut archive = zip::ZipWriter::new(std::fs::File::create(at(name)).unwrap());
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file("x.npy", options).unwrap();
        archive.write_all(&npy).unwrap();
        archive.finish().unwrap();
    }
    write_picture(&at("a.png"), &[0.5; 12], &[3, 2, 2]).unwrap();
    write_picture(&at("a.jpg"), &[0.5; 64], &[1, 8, 8]).unwrap();
    write_picture(&at("a.webp"), &[0.25; 12], &[3, 2, 2]).unwrap();
    write_picture(&at("a.pgm"), &[0.5; 4], &[1, 2, 2]).unwrap();
    let words = Format::new(&[1, 2, 3], Element::U16, Domain::Unit);
    write(&at("a.tif"), &words, (0..2).map(|page| vec![f64::from(page) / 4.0; 6]));
    std::fs::write(at("a.csv"), "a,b\n1,2\n3,\n-4.5,6e2\n").unwrap();
    std::fs::write(at("a.mtx"), MATRIX).unwrap();
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 8]].concat();
    std::fs::write(at("a.idx"), idx).unwrap();
    NAMES.map(|name| (name, std::fs::read(at(name)).unwrap())).into()
});

/// A sparse matrix of three rows and four columns.
const MATRIX: &str =
    "%%MatrixMarket matrix coordinate integer general\n% counts\n3 4 3\n1 4 7\n3 1 2\n3 3 1\n";

const NAMES: [&str; 11] = [
    "a.npy",
    "stored.npz",
    "packed.npz",
    "a.png",
    "a.jpg",
    "a.csv",
    "a.idx",
    "a.webp",
    "a.pgm",
    "a.tif",
    "a.mtx",
];

fn write(path: &Path, format: &Format, rows: impl Iterator<Item = Vec<f64>>) {
    let mut writer = RowWriter::create(path, format).unwrap();
    rows.for_each(|row| writer.write(&format.row(&row)).unwrap());
    writer.finish().unwrap();
}

/// Reads a file to its end; how many values it had, or what was said of it.
fn read(path: &Path) -> Result<usize, String> {
    if path.extension().is_some_and(|kind| kind == "idx") {
        return read_idx(path).map(|idx| idx.values.len()).map_err(|error| error.to_string());
    }
    let rows = read_rows(path, &ReadOptions::default()).map_err(|error| error.to_string())?;
    let width: usize = rows.format.event.iter().product();
    let mut values = 0;
    for row in rows {
        let row = row.map_err(|error| error.to_string())?;
        assert_eq!(row.values().len(), width, "a row of the shape that was announced");
        values += width;
    }
    Ok(values)
}

fn written(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn whole_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<usize> =
        WHOLE.iter().map(|(name, bytes)| read(&written(&folder, name, bytes)).unwrap()).collect();
    assert_eq!(values, [24, 24, 24, 12, 64, 6, 8, 12, 4, 12, 12]);
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_or_shorter() {
    let folder = tempfile::tempdir().unwrap();
    for (name, whole) in WHOLE.iter() {
        let all = read(&written(&folder, name, whole)).unwrap();
        for length in 0..whole.len() {
            if let Ok(values) = read(&written(&folder, name, &whole[..length])) {
                // A table may end after any line, and a picture's last bytes may say nothing.
                assert!(values <= all, "{name} cut at {length}");
                let is_whole_or_none = [".npy", ".idx", ".jpg", ".pgm"];
                assert!(
                    !is_whole_or_none.iter().any(|ending| name.ends_with(ending)),
                    "{name} cut at {length}"
                );
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_packed_values_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, whole) in WHOLE.iter().filter(|(name, _)| name.ends_with(".npz")) {
        // Somewhere in the data, behind the archive's own header.
        let mut bytes = whole.clone();
        let at = if *name == "stored.npz" { bytes.len() / 2 } else { 60 };
        bytes[at] ^= 4;
        let error = read(&written(&folder, name, &bytes)).unwrap_err();
        assert!(error.contains(name), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_an_error_or_rows(
        file in 0..NAMES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (name, whole) = &WHOLE[file];
        let mut bytes = whole.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = written(&folder, name, &bytes);
        if let Err(error) = read(&path) {
            prop_assert!(error.contains(name), "{} in {}", name, error);
        }
        // In memory it is the same.
        if !name.ends_with(".idx") {
            let _ = Dataset::read(&path, &ReadOptions::default());
        }
    }

    #[test]
    fn any_header_of_an_array_is_an_error_or_rows(
        text in "[(){}'\\[\\],: a-z0-9<>|]{0,120}",
        descr in "(<f4|<f8|\\|u1|>f4|<i8|\\|O|f4|<U9|>i2|<f2|=u4)",
        shape in "\\(([0-9]{0,20}, ?){0,5}\\)",
        order in "(False|True)",
        well in any::<bool>(),
        values in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let header = match well {
            true => format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"),
            false => text,
        };
        let length = (header.len() as u16).to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &values].concat();
        let folder = tempfile::tempdir().unwrap();
        let _ = read(&written(&folder, "x.npy", &bytes));
    }

    #[test]
    fn any_text_is_a_table_or_an_error(text in "\\PC{0,200}", lines in "[0-9a,.\"\n\r;-]{0,200}") {
        let folder = tempfile::tempdir().unwrap();
        let _ = read(&written(&folder, "a.csv", text.as_bytes()));
        let _ = read(&written(&folder, "b.csv", lines.as_bytes()));
    }
}
