//! Makes the embedded part of Fashion-MNIST again from the full IDX files.
//!
//! ```text
//! apt-get install dataset-fashion-mnist
//! cargo run --release --example embed_fashion_mnist -- /usr/share/datasets/fashion-mnist
//! ```

use std::path::Path;

use dvae_data::{Idx, read_idx};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let source = std::env::args().nth(1).ok_or("usage: embed_fashion_mnist FOLDER_OF_IDX_FILES")?;
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fashion-mnist");
    embed(Path::new(&source), "train", &target.join("train"), 500)?;
    embed(Path::new(&source), "t10k", &target.join("test"), 100)
}

/// Writes the first `each` images of every class, in the original order, as one picture.
fn embed(source: &Path, set: &str, target: &Path, each: usize) -> Fallible<()> {
    let Idx { shape, values } = read_idx(&source.join(format!("{set}-images-idx3-ubyte.gz")))?;
    let labels = read_idx(&source.join(format!("{set}-labels-idx1-ubyte.gz")))?.values;
    let mut taken = [0; 10];
    let (mut pixels, mut kept) = (Vec::new(), Vec::new());
    for (image, &label) in values.chunks(shape[1] * shape[2]).zip(&labels) {
        if taken[usize::from(label)] < each {
            taken[usize::from(label)] += 1;
            pixels.extend_from_slice(image);
            kept.push(label);
        }
    }
    write_strip(&target.with_extension("png"), shape[2], &pixels)?;
    let name = target.file_name().ok_or("a target without a name")?.to_string_lossy();
    std::fs::write(target.with_file_name(format!("{name}-labels.bin")), kept)?;
    Ok(())
}

fn write_strip(path: &Path, width: usize, pixels: &[u8]) -> Fallible<()> {
    let file = std::fs::File::create(path)?;
    let mut encoder = png::Encoder::new(file, width as u32, (pixels.len() / width) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Adaptive);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(())
}
