//! Pictures that take more memory than they may: the same rows, from a file, and little memory.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::Path;

use burn::tensor::Device;
use dvae_data::{Crops, Dataset, Pairs, ReadOptions, Scaler, ValueRange, write_picture};
use dvae_random::{Key, Purpose};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SIDES: [usize; 2] = [300, 400];
const PICTURES: usize = 50;

fn pictures(folder: &Path, shift: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for at in 0..PICTURES {
        let pixel = |i: usize| ((i / 7 + at * 31 + shift) % 256) as f32 / 255.0;
        let pixels: Vec<f32> = (0..SIDES[0] * SIDES[1]).map(pixel).collect();
        let file = folder.join(format!("{at}.png"));
        write_picture(&file, &pixels, &[1, SIDES[0], SIDES[1]]).unwrap();
    }
}

/// Rows, scaled to a range that their percentiles are.
fn read(folder: &Path, memory: Option<u64>) -> Dataset {
    let crops = Crops { flips: true, turns: true, ..Crops::new([1, 40, 40]) };
    let pairs = Pairs::Damaged { path: folder.join("damaged") };
    let options = ReadOptions { memory, ..ReadOptions::default() };
    let key = Key::new(1).purpose(Purpose::Data);
    let clean = folder.join("clean");
    let (rows, _) = Dataset::read_crops(&clean, &options, crops, Some(&pairs), key).unwrap();
    let range = ValueRange::Percentiles([5.0, 95.0]);
    rows.scaled(&Scaler::of_range(range, &rows, 255.0).unwrap()).unwrap()
}

#[test]
fn rows_from_a_file_are_those_from_memory_in_less_of_it() {
    let folder = tempfile::tempdir().unwrap();
    pictures(&folder.path().join("clean"), 0);
    pictures(&folder.path().join("damaged"), 5);
    let peak = |memory| {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let rows = read(folder.path(), memory);
        let ids: Vec<u64> = (0..8).map(|at| at * 97).collect();
        let rows = rows.at_epoch(3);
        let clean = rows.gather::<4>(&ids, &Device::flex()).into_data();
        let damaged = rows.damaged::<4>(&ids, &Device::flex()).unwrap().into_data();
        let results = (rows.checksum(), rows.mean(), clean, damaged);
        (ALLOCATOR.peak_usage() - before, results)
    };
    let (held, expected) = peak(None);
    let numbers = 2 * PICTURES * SIDES[0] * SIDES[1];
    assert!(held > 4 * numbers, "{held} bytes"); // Of the scaled values alone.
    for memory in [0, 2_000_000] {
        let (peak, found) = peak(Some(memory));
        assert_eq!(found, expected);
        // At most what may be held of bytes and of scaled values, the sample of the percentiles (a million numbers, in a
        // vector that grew), and a picture in all precisions.
        let bound = 2 * memory as usize + 24 * (1 << 20) + 40 * SIDES[0] * SIDES[1];
        assert!(peak < bound, "{peak} bytes with {memory}: more than {bound}");
        assert!(peak < held, "{peak} of {held} bytes");
    }
}
