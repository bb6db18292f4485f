//! Any bytes as a file of each kind: the first byte chooses which.

#![no_main]

use dvae::data::{ReadOptions, read_idx, read_rows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    const NAMES: [&str; 11] = [
        "a.npy", "a.npz", "a.png", "a.jpg", "a.tif", "a.webp", "a.pgm", "a.csv", "a.tsv", "a.idx", "a.mtx",
    ];
    let name = NAMES[usize::from(kind) % NAMES.len()];
    let folder = tempfile::tempdir().expect("a place for files");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a small file");
    if name == "a.idx" {
        let _ = read_idx(&path);
    } else if let Ok(rows) = read_rows(&path, &ReadOptions::default()) {
        rows.for_each(|row| drop(row));
    }
});
