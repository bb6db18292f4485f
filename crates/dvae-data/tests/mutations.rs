//! Files with changed bytes, by the million: an error or rows, never a panic, and no more memory than the file allows.
//!
//! `DVAE_MUTATIONS=10000000 cargo test --release --workspace --test mutations -- --nocapture` tries as many as it says.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::io::{Cursor, Write};
use std::path::Path;

use common::mutated;
use dvae_data::{Domain, Element, Format, ReadOptions, RowWriter, read_idx, read_rows};
use flate2::Compression;
use flate2::write::GzEncoder;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A kind of file: a name, and the bytes of a whole one.
type Whole = (&'static str, Vec<u8>);

fn wholes(folder: &Path) -> Vec<Whole> {
    let written = |name: &'static str, event: &[usize], element: Element, domain, rows: usize| {
        let format = Format::new(event, element, domain);
        let path = folder.join(name);
        let mut writer = RowWriter::create(&path, &format).unwrap();
        let width: usize = event.iter().product();
        for row in 0..rows {
            let value = |at: usize| ((at * 7 + row) % 11) as f64 / 11.0;
            writer.write(&format.row(&(0..width).map(value).collect::<Vec<_>>())).unwrap();
        }
        writer.finish().unwrap();
        (name, std::fs::read(path).unwrap())
    };
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 8]].concat();
    let mut zipped = zip::ZipWriter::new(Cursor::new(vec![]));
    let deflated = zip::write::SimpleFileOptions::default();
    zipped.start_file("x.npy", deflated).unwrap();
    zipped.write_all(&written("a.npy", &[2, 3], Element::F32, Domain::Real, 50).1).unwrap();
    let zipped = zipped.finish().unwrap().into_inner();
    let mut gzip = GzEncoder::new(vec![], Compression::best());
    gzip.write_all(&idx).unwrap();
    let table = "\u{feff}a;\"b\";c;\r\n1;\"x;\"\"y\";-4,5e2;\r\n\r\n;NA;3;\r\n";
    vec![
        written("a.npy", &[2, 3], Element::F64, Domain::Real, 4),
        written("a.png", &[3, 6, 5], Element::U16, Domain::Unit, 1),
        written("a.jpg", &[3, 9, 9], Element::U8, Domain::Unit, 1),
        written("a.tif", &[1, 5, 4], Element::U16, Domain::Unit, 2),
        written("b.tif", &[3, 4, 4], Element::F32, Domain::Real, 1),
        written("a.webp", &[3, 6, 5], Element::U8, Domain::Unit, 1),
        written("a.pgm", &[1, 3, 4], Element::U16, Domain::Unit, 1),
        written("a.csv", &[3], Element::F64, Domain::Real, 4),
        ("b.csv", table.as_bytes().to_vec()),
        ("a.idx", idx.clone()),
        ("b.idx", gzip.finish().unwrap()),
        ("a.npz", zipped),
    ]
}

fn read(path: &Path) {
    if path.extension().is_some_and(|kind| kind == "idx") {
        let _ = read_idx(path);
        return;
    }
    let Ok(rows) = read_rows(path, &ReadOptions::default()) else { return };
    let width: usize = rows.format.event.iter().product();
    for row in rows.flatten() {
        assert_eq!(row.values().len(), width, "a row of the shape that was announced");
    }
}

// Deflate expands by 1032 at most, and a picture is held as bytes, as numbers and as planes at once; a table of one-letter
// cells is held as doubles, texts and places. WebP stores a large area of one color in a few bytes.
fn most(name: &str, length: usize) -> usize {
    let any = if name == "a.webp" { 5 << 26 } else { 16 << 20 };
    any + 5 * 1032 * length
}

#[test]
fn changed_files_are_an_error_or_rows_and_take_no_more_memory_than_they_may() {
    let count: u64 = std::env::var("DVAE_MUTATIONS").map_or(20_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let wholes = wholes(folder.path());
    let (mut worst, mut read_whole) = (0, 0);
    for number in 0..count {
        let which = number as usize % wholes.len();
        let (name, whole) = &wholes[which];
        let other = &wholes[(which + 1 + number as usize / wholes.len() % 7) % wholes.len()].1;
        let bytes = mutated(whole, other, number);
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let result = std::panic::catch_unwind(|| read(&path));
        assert!(result.is_ok(), "mutation {number}, {name}: {bytes:02x?}");
        let taken = MEMORY.peak_usage().saturating_sub(before);
        let allowed = most(name, bytes.len());
        assert!(
            taken <= allowed,
            "mutation {number}, {name}: {taken} bytes of memory for {bytes:02x?}"
        );
        worst = worst.max(taken);
        read_whole += u64::from(bytes == *whole);
    }
    println!("{count} files, {read_whole} of them unchanged; {worst} bytes of memory at most");
}
