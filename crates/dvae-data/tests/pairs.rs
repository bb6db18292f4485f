//! Pictures of one scene: the same crops of both, targets without the noise of the input, and what is missing is named.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::Path;

use burn::tensor::Device;
use dvae_data::{Crops, Dataset, Order, Pairs, ReadOptions, write_picture};
use dvae_random::{Key, Purpose};

fn picture(file: &Path, [height, width]: [usize; 2], pixel: impl Fn(usize) -> f32) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let pixels: Vec<f32> = (0..height * width).map(pixel).collect();
    write_picture(file, &pixels, &[1, height, width]).unwrap();
}

/// A pixel with a value of its own.
fn value(i: usize) -> f32 {
    (i * 37 % 256) as f32 / 255.0
}

const CROPS: Crops = Crops { shape: [1, 6, 6], flips: true, turns: true };

fn read(folder: &Path, pairs: &Pairs) -> Result<Dataset, String> {
    let key = Key::new(3).purpose(Purpose::Data);
    let read = Dataset::read_crops(folder, &ReadOptions::default(), CROPS, Some(pairs), key);
    read.map(|(rows, _)| rows).map_err(|error| error.to_string())
}

/// The entries of all rows and of their counterparts.
fn entries(rows: &Dataset) -> Vec<[f32; 2]> {
    let batches = rows.batches::<4>(5, Order::Stored, &Device::flex()).unwrap();
    batches
        .flat_map(|batch| {
            let [clean, damaged] = [batch.clean, batch.damaged.unwrap()]
                .map(|t| t.into_data().iter::<f32>().collect::<Vec<f32>>());
            clean.into_iter().zip(damaged).map(|(a, b)| [a, b]).collect::<Vec<_>>()
        })
        .collect()
}

fn damaged(folder: &Path) -> Pairs {
    Pairs::Damaged { path: folder.join("damaged") }
}

#[test]
fn a_row_and_its_counterpart_are_the_same_crop() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for (name, sides) in [("a.png", [20, 13]), ("more/b.png", [9, 30])] {
        picture(&place("clean").join(name), sides, value);
        picture(&place("damaged").join(name), sides, |i| 1.0 - value(i));
    }
    // Another ending, and a folder with several to draw from.
    picture(&place("clean/c.png"), [12, 12], value);
    picture(&place("damaged/c.tif"), [12, 12], |i| 1.0 - value(i));
    picture(&place("clean/d.png"), [12, 12], |_| 0.2);
    picture(&place("damaged/d/1.png"), [12, 12], |_| 0.4);
    picture(&place("damaged/d/2.png"), [12, 12], |_| 0.6);
    let rows = read(&place("clean"), &damaged(folder.path())).unwrap();
    let mut drawn = vec![];
    for epoch in 0..6 {
        for [clean, damaged] in entries(&rows.at_epoch(epoch)) {
            if (clean - 0.2).abs() < 1e-6
                && ((damaged - 0.4).abs() < 1e-6 || (damaged - 0.6).abs() < 1e-6)
            {
                drawn.push((damaged * 10.0).round() as i32);
                continue;
            }
            assert!((clean + damaged - 1.0).abs() < 1e-6, "{clean} {damaged}");
        }
    }
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn, [4, 6]);
    // Without them a row is its own input.
    assert!(rows.is_paired() && !rows.unpaired().is_paired());
    let one = rows.unpaired().batches::<4>(5, Order::Stored, &Device::flex()).unwrap().next();
    assert!(one.unwrap().damaged.is_none());
}

// Shots of 0.1, 0.4 and 0.7: the mean of the two that are not the input.
#[test]
fn the_target_of_a_shot_is_the_mean_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for (at, shade) in [25, 102, 179].into_iter().enumerate() {
        let file = folder.path().join(format!("scene/{at}.png"));
        picture(&file, [24, 24], |_| shade as f32 / 255.0);
    }
    let rows = read(folder.path(), &Pairs::Shots {}).unwrap();
    let mut inputs = vec![];
    for epoch in 0..4 {
        for [target, input] in entries(&rows.at_epoch(epoch)) {
            let sum = (25.0 + 102.0 + 179.0) / 255.0;
            assert!((2.0 * target + input - sum).abs() < 1e-5, "{target} {input}");
            inputs.push((input * 255.0).round() as i32);
        }
    }
    inputs.sort_unstable();
    inputs.dedup();
    assert_eq!(inputs, [25, 102, 179]);
}

#[test]
fn what_has_no_counterpart_or_another_size_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    picture(&place("clean/a.png"), [9, 9], value);
    picture(&place("damaged/a.png"), [9, 9], value);
    assert!(read(&place("clean"), &damaged(folder.path())).is_ok());
    picture(&place("damaged/alone.png"), [9, 9], value);
    let error = read(&place("clean"), &damaged(folder.path())).unwrap_err();
    assert!(error.contains("alone.png") && error.contains("no clean picture"), "{error}");
    picture(&place("clean/alone.png"), [9, 10], value);
    let error = read(&place("clean"), &damaged(folder.path())).unwrap_err();
    assert!(error.contains("alone.png") && error.contains("[9, 9]"), "{error}");
    picture(&place("clean/other.png"), [9, 10], value);
    let error = read(&place("clean"), &damaged(folder.path())).unwrap_err();
    assert!(error.contains("other.png") && error.contains("no picture other"), "{error}");
    picture(&place("shots/one/1.png"), [9, 9], value);
    let error = read(&place("shots"), &Pairs::Shots {}).unwrap_err();
    assert!(error.contains("1.png") && error.contains("only shot"), "{error}");
    let error = read(&place("clean"), &Pairs::Shots {}).unwrap_err();
    assert!(error.contains("no folder of its scene"), "{error}");
}

// The damaged pictures decide a run too.
#[test]
fn a_checksum_is_one_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    picture(&place("clean/a.png"), [9, 9], value);
    let checksum = |offset: usize| {
        picture(&place("damaged/a.png"), [9, 9], |i| value(i + offset));
        read(&place("clean"), &damaged(folder.path())).unwrap().checksum()
    };
    assert_eq!(checksum(0), checksum(0));
    assert_ne!(checksum(0), checksum(1));
}
