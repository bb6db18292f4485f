//! Reading files into memory: megabytes of the files per second.
//!
//! `cargo bench --workspace --bench reading`; `python benches/peers/reading.py` reads the same files by Pillow, NumPy and
//! pandas. They are made in the folder `DVAE_READING` if it is set.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::BytesCount;
use dvae::data::{Dataset, Domain, Element, Format, Order, ReadOptions, RowWriter};
use dvae::random::Key;
use dvae_benches::{BATCH, backends, device};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

/// Folders of 100 pictures of 256 × 256, and files of rows.
const NAMES: [&str; 6] = ["png", "jpg", "tif", "bytes.npy", "doubles.npy", "table.csv"];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let own = || std::env::temp_dir().join(format!("dvae-reading-{}", std::process::id()));
    let folder = std::env::var_os("DVAE_READING").map_or_else(own, PathBuf::from);
    for kind in ["png", "jpg", "tif"] {
        let element = if kind == "tif" { Element::U16 } else { Element::U8 };
        let format = Format::new(&[3, 256, 256], element, Domain::Unit);
        for picture in 0..100 {
            let path = folder.join(kind).join(format!("{picture:03}.{kind}"));
            // A smooth picture with some grain.
            let value =
                |at: usize| 0.5 + 0.4 * (at as f64 / 9000.0).sin() + 0.1 * grain(at + picture);
            write(&path, &format, 1, value);
        }
    }
    let bytes = Format::new(&[28, 28], Element::U8, Domain::Unit);
    write(&folder.join("bytes.npy"), &bytes, 20_000, grain);
    let doubles = Format::new(&[64], Element::F64, Domain::Real);
    write(&folder.join("doubles.npy"), &doubles, 30_000, grain);
    let names = (0..10).map(|column| format!("column{column}")).collect();
    let table = Format::new(&[10], Element::F64, Domain::Real).named(Some(names));
    write(&folder.join("table.csv"), &table, 50_000, |at| (1e4 * grain(at)).round() / 1e2);
    folder
});

/// Something between 0 and 1 that has no pattern.
fn grain(at: usize) -> f64 {
    ((at as u32).wrapping_mul(2_654_435_761) >> 8) as f64 / f64::from(1 << 24)
}

fn write(path: &Path, format: &Format, rows: usize, value: impl Fn(usize) -> f64) {
    let width: usize = format.event.iter().product();
    let mut writer = RowWriter::create(path, format).expect("a place for files");
    for row in 0..rows {
        let values: Vec<f64> = (row * width..(row + 1) * width).map(&value).collect();
        writer.write(&format.row(&values)).expect("room for files");
    }
    writer.finish().expect("room for files");
}

fn size(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size(&entry.path())).sum(),
        Err(_) => path.metadata().map_or(0, |file| file.len()),
    }
}

#[divan::bench(args = NAMES, sample_count = 12)]
fn of_files(bencher: Bencher, name: &str) {
    let path = FOLDER.join(name);
    bencher.counter(BytesCount::new(size(&path))).bench_local(|| {
        Dataset::read(&path, &ReadOptions::default()).expect("what was just written")
    });
}

/// Batches of 128 rows in a random order, of rows in memory and of rows that stay in their file.
#[divan::bench(args = ["memory", "file"], sample_count = 30)]
fn batches(bencher: Bencher, place: &str) {
    let path = FOLDER.join("bytes.npy");
    let memory = (place == "file").then_some(0);
    let options = ReadOptions { memory, ..ReadOptions::default() };
    let rows = dvae::data::read_rows(&path, &options).and_then(|rows| rows.into_dataset(&path));
    let rows = rows.expect("what was just written");
    let device = device(backends()[0]);
    bencher.counter(BytesCount::new(size(&path))).bench_local(|| {
        let order = Order::Shuffled(Key::new(1));
        rows.batches::<3>(BATCH, order, &device).expect("whole batches").for_each(drop);
    });
}
