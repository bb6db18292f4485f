//! How sure a model is: deviations of the data and of the signal, and intervals that hold what they promise.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fmt::Write;
use std::path::Path;

use burn::tensor::Tensor;
use dvae::data::ReadOptions;
use dvae::eval::COVERAGES;
use dvae::prelude::*;
use dvae::train::{Interrupt, Precision};
use dvae::{Experiment, Pretrained, Run, Uncertainty, Weights, from_pretrained};

/// Rows of eight columns that lie near a plane, in units that differ.
fn table(seed: u64, rows: usize) -> String {
    let device = Device::flex();
    let ids: Vec<u64> = (0..rows as u64).collect();
    let numbers: Tensor<2> =
        Key::new(seed).purpose(Purpose::Data).rows(&ids).normal([rows, 10], &device);
    let numbers: Vec<f32> = numbers.into_data().iter().collect();
    let mut text = "a,b,c,d,e,f,g,h\n".to_owned();
    for row in numbers.chunks(10) {
        let cell = |column: usize| {
            let angle = column as f32 * 0.7;
            let value = angle.cos() * row[0] + angle.sin() * row[1] + 0.1 * row[2 + column];
            (value * 10f32.powi(column as i32 - 3)).to_string()
        };
        let cells: Vec<String> = (0..8).map(cell).collect();
        writeln!(text, "{}", cells.join(",")).unwrap();
    }
    text
}

fn trained(folder: &Path, corruption: &str, likelihood: &str) -> Pretrained {
    std::fs::write(folder.join("train.csv"), table(1, 12_000)).unwrap();
    std::fs::write(folder.join("fresh.csv"), table(2, 8_000)).unwrap();
    let text = format!(
        "corruption = {corruption}\n\
         [data]\nsource = \"csv\"\npath = {:?}\nscaling = \"standard\"\nvalidation = 0.3\n\
         [model]\nlatent = 4\nnetwork = \"mlp\"\nlikelihood = {likelihood}\n\
         [train]\nepochs = 6\nlearning_rate = 0.003\n",
        folder.join("train.csv")
    );
    std::fs::write(folder.join("experiment.toml"), text).unwrap();
    let experiment = Experiment::load(Some(&folder.join("experiment.toml")), &[]).unwrap();
    let mut run = Run::create_at(&experiment, folder.join("run")).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    run.model(Weights::Best, None).unwrap()
}

const LEARNED: &str = "{ type = \"learned-normal\", min_scale = 0.01 }";

/// Rows of a file, as they are.
fn rows(model: &Pretrained, file: &Path) -> Vec<Vec<f64>> {
    let options: ReadOptions = model.read_options();
    model.open(file, &options).unwrap().map(|row| row.unwrap().values()).collect()
}

// Fresh rows, with noise of half a standard deviation of their column, drawn here. Of 64,000 entries a share of 0.95 has a
// standard deviation of 0.001, more for entries of a row that err together.
#[test]
fn intervals_hold_the_share_of_fresh_entries_that_they_promise() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = trained(folder.path(), "'gaussian:0.5'", LEARNED);
    let corruption = model.experiment().corruption.clone();
    let validation = model.validation().unwrap();
    for coverage in model.calibrate(&validation, &corruption, 8).unwrap() {
        assert!((coverage.empirical - coverage.nominal).abs() < 0.02, "{coverage:?}");
    }
    let file = folder.path().join("calibrated.safetensors");
    model.save(&file).unwrap();
    let model = from_pretrained(&file).unwrap();
    let clean = rows(&model, &folder.path().join("fresh.csv"));
    let ids: Vec<u64> = (0..clean.len() as u64).collect();
    let noise: Tensor<2> = Key::new(99).rows(&ids).normal([clean.len(), 8], &Device::flex());
    let noise: Vec<f32> = noise.into_data().iter().collect();
    let scale = model.data().scaler.clone().unwrap().scale;
    let damaged: Vec<Vec<f64>> = clean
        .iter()
        .zip(noise.chunks(8))
        .map(|(row, noise)| {
            let noise =
                noise.iter().zip(&scale).map(|(noise, scale)| 0.5 * f64::from(*noise) * scale);
            row.iter().zip(noise).map(|(value, noise)| value + noise).collect()
        })
        .collect();
    for coverage in COVERAGES {
        let uncertainty = Uncertainty::Interval(coverage);
        let samples = model.calibration().unwrap().samples;
        let (mean, half) = model.denoise_by_samples(&damaged, &ids, samples, uncertainty);
        let mut held = 0;
        for ((clean, mean), half) in clean.iter().zip(&mean).zip(&half) {
            let [low, high] = model.interval(mean, half);
            let each = clean.iter().zip(low).zip(high);
            held += each.filter(|((value, low), high)| (low..=high).contains(value)).count();
        }
        let share = held as f64 / (8 * clean.len()) as f64;
        // At 95 %, as is promised; where half are held, chance has more room.
        let bound = if coverage < 0.9 { 0.02 } else { 0.01 };
        assert!((share - coverage).abs() < bound, "{coverage}: {share}");
    }
}

// The predictive deviation is the posterior's and the likelihood's: √(s² + σ²), in the units of each column.
#[test]
fn the_predictive_deviation_has_that_of_the_likelihood() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "'gaussian:0.5'", "{ type = \"normal\", scale = 0.3 }");
    let rows = rows(&model, &folder.path().join("fresh.csv"))[..20].to_vec();
    let ids: Vec<u64> = (0..20).collect();
    let (mean, signal) = model.denoise_by_samples(&rows, &ids, 4, Uncertainty::Posterior);
    let (same, data) = model.denoise_by_samples(&rows, &ids, 4, Uncertainty::Predictive);
    assert_eq!(mean, same);
    let scale = model.data().scaler.clone().unwrap().scale;
    for (signal, data) in signal.iter().zip(&data) {
        for ((signal, data), scale) in signal.iter().zip(data).zip(&scale) {
            let expected = signal.hypot(0.3 * scale);
            assert!((data - expected).abs() < 1e-5 * scale, "{data}, not {expected}");
            assert!(*signal > 0.0);
        }
    }
}

// Hidden entries are what a model that is shown the holes fills in: they err far more than those that it sees.
#[test]
fn a_model_that_is_shown_holes_is_calibrated_on_what_it_fills_in() {
    let folder = tempfile::tempdir().unwrap();
    let masking = "{ process = 'show-mask', of = { process = 'masking', level = 0.3 } }";
    let mut model = trained(folder.path(), masking, LEARNED);
    let corruption = model.experiment().corruption.clone();
    let validation = model.validation().unwrap();
    let held = model.calibrate(&validation, &corruption, 4).unwrap();
    assert!(held.iter().all(|of| (of.empirical - of.nominal).abs() < 0.03), "{held:?}");
    // About 30 % of the 3600 · 8 entries.
    let entries = model.calibration().unwrap().entries as f64 / (3600.0 * 8.0);
    assert!((entries - 0.3).abs() < 0.02, "{entries}");
}

#[test]
fn an_exported_model_is_the_same_in_half_the_size_and_does_not_tell_where_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = trained(folder.path(), "'gaussian:0.5'", LEARNED);
    let corruption = model.experiment().corruption.clone();
    let validation = model.validation().unwrap();
    model.calibrate(&validation, &corruption, 4).unwrap();
    let files = ["single", "half"].map(|name| folder.path().join(format!("{name}.safetensors")));
    model.export(&files[0], Precision::Single).unwrap();
    model.export(&files[1], Precision::Half).unwrap();
    let [single, half] = files.each_ref().map(|file| std::fs::read(file).unwrap());
    assert!(half.len() * 10 < single.len() * 6, "{} {}", half.len(), single.len());
    let place = folder.path().to_str().unwrap();
    for bytes in [&single, &half] {
        assert!(!String::from_utf8_lossy(bytes).contains(place));
    }
    let rows = rows(&model, &folder.path().join("fresh.csv"))[..50].to_vec();
    let expected = model.denoise(&rows);
    let scale = model.data().scaler.clone().unwrap().scale;
    for (file, bound) in [(&files[0], 0.0), (&files[1], 0.02)] {
        let loaded = from_pretrained(file).unwrap();
        assert_eq!(loaded.calibration(), model.calibration());
        for (row, expected) in loaded.denoise(&rows).iter().zip(&expected) {
            for ((value, expected), scale) in row.iter().zip(expected).zip(&scale) {
                assert!((value - expected).abs() <= bound * scale, "{value}, not {expected}");
            }
        }
    }
}
