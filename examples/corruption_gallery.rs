//! Every corruption at five severities, on a photograph: one PNG each, and a contact sheet.
//!
//! ```text
//! cargo run --release --example corruption_gallery -- --help
//! ```

use std::process::ExitCode;

use clap::Parser;
use dvae::prelude::*;
use dvae_examples::{Error, PictureOptions, exit};
use serde::Serialize;

/// Chelsea the cat: see assets/README.md.
const PICTURE: &[u8] = include_bytes!("assets/chelsea.png");
/// The width at which a small image is drawn, in pixels.
const TILE: usize = 248;
/// Images in a line of the contact sheet.
const COLUMNS: usize = 6;

/// Draws every corruption at five severities, and prints what their levels mean.
#[derive(Parser, Serialize)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    options: PictureOptions,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Error> {
    let device = Backend::first().ok_or("no back end is compiled in")?.device()?;
    let clean = args.options.picture(PICTURE, &device)?;
    let folder = args.options.folder("corruption_gallery")?;
    folder.write("config.toml", toml::to_string(args)?.as_bytes())?;
    let key = Key::new(args.options.seed).purpose(Purpose::EvaluationCorruption);
    // The same row at every severity gets the same noise, at a higher level.
    let damaged = |config: &CorruptionConfig, severity| -> Result<Tensor<4>, Error> {
        let process = config.build::<4>(Domain::Unit)?.at_level(Level::Severity(severity))?;
        Ok(process.corrupt(clean.clone(), &mut key.rows(&[0])).input)
    };

    let all = CorruptionConfig::all();
    for config in &all {
        let images = (1..=5).map(|severity| damaged(config, severity)).collect::<Result<_, _>>()?;
        let scale = config.strength().ok_or("a process that cannot be built")?.scale;
        let captions = scale.severities.map(|level| format!("{} {level}", scale.name));
        let grid = Grid::new()
            .zoom(TILE / clean.dims()[3])
            .heading(format!("{}, severities 1 to 5", config.name()))
            .captioned(captions.iter().map(String::as_str), Tensor::cat(images, 0));
        folder.write(&format!("{}.png", config.name()), &grid.png())?;
    }

    let mut sheet = Grid::new().zoom(1);
    for part in all.chunks(COLUMNS) {
        let images = part.iter().map(|config| damaged(config, 4)).collect::<Result<_, _>>()?;
        let names = part.iter().map(CorruptionConfig::name);
        sheet = sheet.captioned(names, Tensor::cat(images, 0));
    }
    folder.write("contact_sheet.png", &sheet.png())?;
    let catalog = CorruptionConfig::catalog();
    folder.write("catalog.txt", catalog.as_bytes())?;
    println!("{catalog}");
    println!("A picture of each is in {}", folder.path().display());
    Ok(())
}
