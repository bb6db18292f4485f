//! Cleans a noisy photograph with the model in the box, beside classical filters. Nothing is trained.
//!
//! ```text
//! cargo run --release --example denoise_photograph -- --help
//! ```

use std::process::ExitCode;

use clap::Parser;
use dvae::burn::tensor::TensorData;
use dvae::eval::{Quality, classical_filters};
use dvae::prelude::*;
use dvae::{Bundled, PictureOptions, Pretrained};
use dvae_examples::{Error, exit};
use serde::Serialize;

/// A cup of coffee: see assets/README.md.
const PICTURE: &[u8] = include_bytes!("assets/coffee.png");
/// The longest side of what is drawn of the photograph, in pixels.
const SIDE: usize = 160;

/// Damages a photograph, cleans it with the model in the box and with filters, and draws them all.
#[derive(Parser, Serialize)]
struct Args {
    /// The standard deviation of the noise, of 255: the model is not told
    #[arg(long, default_value_t = 25.0)]
    sigma: f64,
    #[command(flatten)]
    #[serde(flatten)]
    options: dvae_examples::PictureOptions,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Error> {
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let clean = args.options.picture(PICTURE, &device)?;
    let [_, channels, height, width] = clean.dims();
    let (shape, model) = match channels {
        1 => ([1, height, width], Bundled::GrayPhotographs),
        3 => ([3, height, width], Bundled::ColorPhotographs),
        _ => return Err(format!("the photograph has {channels} channels, not 1 or 3").into()),
    };
    let noise = Gaussian::new(args.sigma / 255.0)?.clipped(0.0, 1.0)?;
    let key = Key::new(args.options.seed).purpose(Purpose::EvaluationCorruption);
    let noisy = noise.corrupt(clean.clone(), &mut key.rows(&[0])).input;
    // As a file of eight bits has it.
    let noisy = (noisy * 255.0).round() / 255.0;
    let [clean, noisy] = [clean, noisy].map(|t| t.into_data().iter::<f64>().collect::<Vec<f64>>());

    let mut results = vec![("noisy", noisy.clone())];
    let filtered = classical_filters(&clean, &noisy, None, shape);
    results.extend(filtered.into_iter().map(|filtered| (filtered.name, filtered.values)));
    let pretrained = Pretrained::bundled(model, Some(&device))?;
    let once = PictureOptions::default();
    for (name, options) in
        [("model", once), ("model, 8 flips", PictureOptions { flips: true, ..once })]
    {
        results.push((name, pretrained.denoise_values(shape, options, &noisy).0));
    }

    println!("{height} × {width} pixels, noise of {} of 255, {}\n", args.sigma, model.name());
    println!("{:16} PSNR, dB     SSIM", "");
    for (name, values) in &results {
        let Quality { psnr, ssim } = Quality::of(&clean, values, shape);
        println!("{name:16} {psnr:8.2} {:8.3}", ssim.unwrap_or(f64::NAN));
    }
    let folder = args.options.folder("denoise_photograph")?;
    folder.write("config.toml", toml::to_string(args)?.as_bytes())?;
    results.insert(0, ("clean", clean));
    let mut grid = Grid::new().zoom(2);
    for line in results.chunks(4) {
        let images = line.iter().map(|(_, values)| middle(values, shape, &device)).collect();
        grid = grid.captioned(line.iter().map(|(name, _)| *name), Tensor::cat(images, 0));
    }
    folder.write("photograph.png", &grid.png())?;
    println!("\nThe middle of each is in {}", folder.path().join("photograph.png").display());
    Ok(())
}

/// The middle of a picture.
fn middle(values: &[f64], [channels, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let whole = TensorData::new(values, [1, channels, height, width]);
    let [lines, columns] = [height.min(SIDE), width.min(SIDE)];
    let (top, left) = ((height - lines) / 2, (width - columns) / 2);
    Tensor::from_data(whole, device).narrow(2, top, lines).narrow(3, left, columns)
}
