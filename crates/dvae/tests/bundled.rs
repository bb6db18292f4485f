//! The models in the box, on a photograph that they were not trained on.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::Path;

use burn::tensor::Tensor;
use dvae::data::read_picture;
use dvae::eval::Quality;
use dvae::prelude::*;
use dvae::{Bundled, Experiment, LatentChoice, PictureOptions, Pretrained, Uncertainty};

/// The photograph of a cup of coffee, in so many channels: what the model makes of it, and of its intervals.
struct Cleaned {
    clean: Vec<f64>,
    noisy: Vec<f64>,
    mean: Vec<f64>,
    half_width: Option<Vec<f64>>,
    shape: [usize; 3],
}

fn cleaned(bundled: Bundled, sigma: f64, latents: LatentChoice) -> Cleaned {
    let device = Device::flex();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets/coffee.png");
    let color = read_picture(&file).unwrap().gather::<4>(&[0], &device);
    let clean = match bundled {
        Bundled::GrayPhotographs => color.mean_dim(1),
        Bundled::ColorPhotographs => color,
    };
    let [_, channels, height, width] = clean.dims();
    let noise = Gaussian::new(sigma / 255.0).unwrap().clipped(0.0, 1.0).unwrap();
    let noisy = noise.corrupt(clean.clone(), &mut Key::new(5).rows(&[0])).input;
    let values = |t: Tensor<4>| t.into_data().iter::<f64>().collect::<Vec<f64>>();
    let (clean, noisy) = (values(clean), values(noisy));
    let shape = [channels, height, width];
    let model = Pretrained::bundled(bundled, Some(&device)).unwrap();
    let options = PictureOptions { latents, ..PictureOptions::default() };
    let (mean, half_width) = model.denoise_values(shape, options, &noisy);
    Cleaned { clean, noisy, mean, half_width, shape }
}

#[test]
fn they_clean_noise_of_unknown_strength() {
    for bundled in Bundled::ALL {
        for (sigma, gain) in [(15.0, 5.0), (25.0, 7.0), (50.0, 10.0)] {
            let Cleaned { clean, noisy, mean, shape, .. } =
                cleaned(bundled, sigma, LatentChoice::Mean);
            let ratio = |picture: &[f64]| Quality::of(&clean, picture, shape).psnr;
            let (before, after) = (ratio(&noisy), ratio(&mean));
            println!("{} {sigma}: {before:.2} → {after:.2}", bundled.name());
            assert!(after > before + gain, "{} {sigma}: {before} {after}", bundled.name());
        }
    }
}

// One photograph, and noise of one strength, of the many that they were calibrated on.
#[test]
fn their_intervals_hold_about_what_they_promise() {
    for bundled in Bundled::ALL {
        let model = Pretrained::bundled(bundled, None).unwrap();
        let samples = model.calibration().unwrap().samples;
        let latents =
            LatentChoice::Draws { samples, id: 0, uncertainty: Uncertainty::Interval(0.95) };
        let Cleaned { clean, mean, half_width, .. } = cleaned(bundled, 25.0, latents);
        let each = clean.iter().zip(&mean).zip(half_width.unwrap());
        let held = each.filter(|((clean, mean), half)| (*clean - *mean).abs() <= *half).count();
        let share = held as f64 / clean.len() as f64;
        println!("{}: {share:.3}", bundled.name());
        assert!((share - 0.95).abs() < 0.04, "{}: {share}", bundled.name());
    }
}

#[test]
fn they_are_small_and_do_not_tell_where_they_were_trained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/photographs");
    let files = ["gray", "color"].map(|name| folder.join(format!("{name}.safetensors")));
    let bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= 2_000_000, "{bytes}");
    for bundled in Bundled::ALL {
        let model = Pretrained::bundled(bundled, None).unwrap();
        let experiment = model.experiment();
        let paths = experiment.data.source.paths();
        assert!(paths.iter().all(|path| path.components().count() == 1), "{paths:?}");
        let channels = if bundled == Bundled::GrayPhotographs { 1 } else { 3 };
        // The recipe beside them is theirs, of its second part.
        let recipe = folder.join(if channels == 1 { "gray-2.toml" } else { "color-2.toml" });
        let recipe = Experiment::load(Some(&recipe), &[]).unwrap();
        assert_eq!(
            (&recipe.model, &recipe.corruption),
            (&experiment.model, &experiment.corruption)
        );
        assert_eq!(model.picture(&[channels, 300, 200]), Some([channels, 300, 200]));
    }
}
