//! IDX files as users have them: right, wrong and damaged.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::Write;
use std::path::Path;

use dvae_data::{DataError, ReadOptions, read_idx, read_idx_folder, read_idx_folder_of};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let axes = shape.iter().flat_map(|axis| axis.to_be_bytes());
    [0, 0, 8, shape.len() as u8].into_iter().chain(axes).chain(values.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn two_images() -> Vec<u8> {
    idx(&[2, 1, 3], &[1, 2, 3, 4, 5, 6])
}

fn error_of(files: &[(&str, Vec<u8>)]) -> String {
    read_idx_folder(folder(files).path()).unwrap_err().to_string()
}

#[test]
fn a_folder_reads_plain_and_gzip_files_under_both_names_of_the_test_set() {
    for test_name in ["t10k-images-idx3-ubyte", "test-images.idx"] {
        let folder = folder(&[
            ("train-images-idx3-ubyte.gz", gzip(&two_images())),
            ("train-labels-idx1-ubyte", idx(&[2], &[7, 9])),
            (test_name, idx(&[1, 1, 3], &[0, 0, 0])),
        ]);
        let sets = read_idx_folder(folder.path()).unwrap();
        assert_eq!((sets.train.len(), sets.test.len()), (2, 1));
        assert_eq!(sets.train.event(), [1, 1, 3]);
        assert_eq!(sets.train.labels(), Some(vec![7, 9]));
        assert_eq!(sets.test.labels(), None);
    }
}

#[test]
fn names_with_a_dot_or_a_prefix_are_known() {
    let one = || idx(&[1, 1, 3], &[0, 0, 0]);
    let dotted = folder(&[
        ("train-images.idx3-ubyte", two_images()),
        ("train-labels.idx1-ubyte", idx(&[2], &[7, 9])),
        ("t10k-images.idx3-ubyte", one()),
    ]);
    assert_eq!(read_idx_folder(dotted.path()).unwrap().train.labels(), Some(vec![7, 9]));
    let prefixed = folder(&[
        ("emnist-balanced-train-images-idx3-ubyte.gz", gzip(&two_images())),
        ("emnist-balanced-test-images-idx3-ubyte", one()),
    ]);
    assert_eq!(
        read_idx_folder_of(prefixed.path(), "emnist-balanced", &ReadOptions::default())
            .unwrap()
            .train
            .len(),
        2
    );
    let error = read_idx_folder(prefixed.path()).unwrap_err().to_string();
    assert!(error.contains("`data.prefix`"), "{error}");
}

#[test]
fn four_axes_are_images_with_channels() {
    let images = idx(&[1, 3, 1, 2], &[1, 2, 3, 4, 5, 6]);
    let folder = folder(&[("train-images.idx", images.clone()), ("test-images.idx", images)]);
    assert_eq!(read_idx_folder(folder.path()).unwrap().train.event(), [3, 1, 2]);
}

#[test]
fn a_truncated_file_says_how_much_is_there() {
    let mut images = two_images();
    images.pop();
    let error = error_of(&[("train-images.idx", images)]);
    assert!(
        error.contains("train-images.idx should have 6 bytes after its header but has 5"),
        "{error}"
    );
    let error = error_of(&[("train-images.idx", idx(&[9], &[])[..6].to_vec())]);
    assert!(error.contains("should have 4 bytes after its first four but has 2"), "{error}");
}

#[test]
fn a_header_that_overflows_is_no_small_one() {
    let images = idx(&[u32::MAX, u32::MAX, u32::MAX], &[]);
    let error = error_of(&[("train-images.idx", images)]);
    assert!(
        error.contains("its header says [4294967295, 4294967295, 4294967295]: at most"),
        "{error}"
    );
}

#[test]
fn a_truncated_gzip_file_is_named() {
    let gz = gzip(&two_images());
    let error = error_of(&[("train-images.idx.gz", gz[..gz.len() - 12].to_vec())]);
    assert!(error.contains("cannot read") && error.contains("train-images.idx.gz"), "{error}");
}

#[test]
fn a_wrong_magic_number_is_shown_beside_the_right_one() {
    let error = error_of(&[("train-images.idx", b"\x89PNG and more".to_vec())]);
    assert!(error.contains("starts with [89, 50, 4e, 47], not with [00, 00, 08"), "{error}");
    let error = error_of(&[("train-images.idx", vec![])]);
    assert!(error.contains("starts with []"), "{error}");
}

#[test]
fn labels_and_images_must_be_as_many() {
    let error = error_of(&[
        ("train-images.idx", two_images()),
        ("train-labels.idx", idx(&[3], &[1, 2, 3])),
    ]);
    assert!(error.ends_with("train-labels.idx holds 3 labels for 2 images"), "{error}");
}

#[test]
fn an_empty_and_a_missing_folder_are_named() {
    let error = error_of(&[]);
    assert!(
        error.contains("holds no training images: expected a file such as train-images"),
        "{error}"
    );
    let error = error_of(&[("train-images.idx", two_images())]);
    assert!(error.contains("holds no test images: expected a file such as t10k-images"), "{error}");
    let error = read_idx_folder(Path::new("no/such/folder")).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }) && error.to_string().contains("no/such/folder"));
}

#[test]
fn images_must_have_the_axes_of_images_and_one_size() {
    let error = error_of(&[("train-images.idx", idx(&[6], &[0; 6]))]);
    assert!(error.contains("must have 3 axes") && error.contains("[6]"), "{error}");
    let error = error_of(&[("train-images.idx", idx(&[2, 0, 3], &[]))]);
    assert!(error.contains("[2, 0, 3]"), "{error}");
    let error = error_of(&[
        ("train-images.idx", two_images()),
        ("test-images.idx", idx(&[1, 2, 2], &[0; 4])),
    ]);
    assert_eq!(error, "training images are [1, 1, 3] but test images are [1, 2, 2]");
}

proptest! {
    // Any bytes at all, and any damage to a right file, end in a value or an error.
    #[test]
    fn no_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), cut in 0usize..64) {
        let header = idx(&[2, 1, 3], &bytes);
        for bytes in [bytes.clone(), header[..cut.min(header.len())].to_vec()] {
            let folder = folder(&[("a", bytes)]);
            let _ = read_idx(&folder.path().join("a"));
        }
    }
}
