//! Files with changed bytes, by the million: an error or rows, never a panic, and no more memory than the file allows.
//!
//! `DVAE_MUTATIONS=10000000 cargo test --release --workspace --test mutations -- --nocapture` tries as many as it says.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Mutex;

use common::mutated;
use dvae_data::{Domain, Element, Format, ReadOptions, RowWriter, read_idx, read_rows};
use flate2::Compression;
use flate2::write::GzEncoder;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
/// Held while memory is measured.
static MEASURED: Mutex<()> = Mutex::new(());

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
        ("a.mtx", MATRIX.as_bytes().to_vec()),
        ("sparse.npz", scipy()),
        ("a.safetensors", tensors()),
    ]
}

const MATRIX: &str =
    "%%MatrixMarket matrix coordinate real general\n%\n3 5 4\n1 4 7\n3 1 2e1\n3 3 1.5\n2 2 1\n";

/// A safetensors file of four rows of three numbers.
fn tensors() -> Vec<u8> {
    let header = r#"{"x":{"dtype":"F32","shape":[4,3],"data_offsets":[0,48]}}"#;
    let values = [1.5f32, -2.0, 0.25].repeat(4).into_iter().flat_map(f32::to_le_bytes);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()]
        .concat()
        .into_iter()
        .chain(values)
        .collect()
}

/// A matrix of three rows as SciPy's `save_npz` writes it.
fn scipy() -> Vec<u8> {
    let mut zipped = zip::ZipWriter::new(Cursor::new(vec![]));
    let deflated = zip::write::SimpleFileOptions::default();
    let array = |descr: &str, shape: &str, values: &[u8]| {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes(), values].concat()
    };
    let integers = |numbers: &[i32]| {
        let values: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        array("<i4", &format!("{},", numbers.len()), &values)
    };
    for (name, bytes) in [
        ("indices", integers(&[3, 1, 0, 2])),
        ("indptr", integers(&[0, 1, 2, 4])),
        ("format", array("|S3", "", b"csr")),
        ("shape", integers(&[3, 5])),
        ("data", integers(&[7, 1, 20, 2])),
    ] {
        zipped.start_file(format!("{name}.npy"), deflated).unwrap();
        zipped.write_all(&bytes).unwrap();
    }
    zipped.finish().unwrap().into_inner()
}

#[test]
fn a_sparse_matrix_is_read_from_both_of_its_formats() {
    let _alone = MEASURED.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (market, scipy_file) = (folder.path().join("a.mtx"), folder.path().join("a.npz"));
    std::fs::write(&market, MATRIX).unwrap();
    std::fs::write(&scipy_file, scipy()).unwrap();
    let rows = |path: &Path, transposed: bool| -> Vec<Vec<f64>> {
        let options = ReadOptions { transposed, ..ReadOptions::default() };
        read_rows(path, &options).unwrap().map(|row| row.unwrap().values()).collect()
    };
    let matrix = rows(&market, false);
    let expected =
        [[0.0, 0.0, 0.0, 7.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0], [20.0, 0.0, 1.5, 0.0, 0.0]];
    assert_eq!(matrix, expected);
    let turned = rows(&market, true);
    assert_eq!((turned.len(), &turned[0][..]), (5, &[0.0, 0.0, 20.0][..]));
    let mut whole = rows(&scipy_file, false);
    assert_eq!(std::mem::replace(&mut whole[2][2], 1.5), 2.0);
    assert_eq!(whole, expected);
}

// 30,000 rows of 2,000 columns, one entry in a thousand: 240 MB with their zeros.
#[test]
fn a_sparse_matrix_becomes_a_data_set_without_its_zeros() {
    let _alone = MEASURED.lock().unwrap();
    let (rows, columns) = (30_000, 2_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.mtx");
    let entry = |row: usize| (row * 7 % 1000, row * 7 % 1000 + 1000);
    let mut text = format!(
        "%%MatrixMarket matrix coordinate integer general\n{rows} {columns} {}\n",
        2 * rows
    );
    for row in 0..rows {
        let (first, second) = entry(row);
        text +=
            &format!("{} {} 3\n{} {} {}\n", row + 1, first + 1, row + 1, second + 1, row % 50 + 1);
    }
    std::fs::write(&path, &text).unwrap();
    let options = ReadOptions { domain: Some(Domain::Counts), ..ReadOptions::default() };
    drop(text);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let set = read_rows(&path, &options).unwrap().into_dataset(&path).unwrap().single().unwrap();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken < 12 << 20, "{taken} bytes");
    assert_eq!((set.len(), set.event(), set.domain()), (rows, &[columns][..], Domain::Counts));
    let (train, held) = set.split(1000, dvae_random::Key::new(1)).unwrap();
    assert_eq!((train.len(), held.len()), (rows - 1000, 1000));
    let id = held.ids()[17];
    let row = set.gather::<2>(&[id], &burn::tensor::Device::flex()).into_data();
    let row: Vec<f32> = row.try_to_vec().unwrap();
    let (first, second) = entry(id as usize);
    let mut expected = vec![0.0; columns];
    (expected[first], expected[second]) = (3.0, (id % 50 + 1) as f32);
    assert_eq!(row, expected);
    let mean: f32 = set.mean().iter().sum();
    assert!((mean - 28.5).abs() < 0.01, "{mean}");
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
    let _alone = MEASURED.lock().unwrap();
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
