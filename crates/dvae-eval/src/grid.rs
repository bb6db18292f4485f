//! Pictures of many images.

use burn::tensor::Tensor;
use font8x8::UnicodeFonts;

/// Pixels that each pixel of an image becomes, along either side.
const ZOOM: usize = 2;
/// Pixels between images.
const GAP: usize = 4;
/// Side of a character.
const GLYPH: usize = 8;
const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [40; 3];

/// Rows of images with a label each, drawn as one picture.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # let (clean, cleaned) = (Tensor::<4>::zeros([8, 1, 28, 28], &Device::flex()),
/// #     Tensor::<4>::zeros([8, 1, 28, 28], &Device::flex()));
/// let png: Vec<u8> = dvae_eval::Grid::new().row("clean", clean).row("denoised", cleaned).png();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Grid {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    label: String,
    /// Images, channels, height, width.
    shape: [usize; 4],
    pixels: Vec<f32>,
}

impl Grid {
    /// A picture of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row: `[images, channels, height, width]` with values in `[0, 1]` (others are clipped),
    /// grey for 1 or 2 channels, the first three as colours otherwise.
    pub fn row(mut self, label: impl Into<String>, images: Tensor<4>) -> Self {
        let shape = images.dims();
        let pixels = images.into_data().iter::<f32>().collect();
        self.rows.push(Row { label: label.into(), shape, pixels });
        self
    }

    /// Adds a line of text, or an empty one, between rows.
    pub fn heading(mut self, text: impl Into<String>) -> Self {
        self.rows.push(Row { label: text.into(), shape: [0; 4], pixels: vec![] });
        self
    }

    /// The picture as the bytes of a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let canvas = self.draw();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, canvas.width as u32, canvas.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&canvas.pixels))
            .expect("memory takes whatever is written");
        bytes
    }

    fn draw(&self) -> Canvas {
        let images = self.rows.iter().filter(|row| row.shape[0] > 0);
        let longest = images.map(|row| row.label.chars().count()).max().unwrap_or(0);
        let margin = 2 * GAP + longest * GLYPH;
        let row_width = |row: &Row| match row.shape {
            [0, ..] => 2 * GAP + row.label.chars().count() * GLYPH,
            [images, _, _, width] => margin + images * (width * ZOOM + GAP),
        };
        let width = self.rows.iter().map(row_width).max().unwrap_or(0).max(1);
        let height = GAP + self.rows.iter().map(|row| row.height() + GAP).sum::<usize>();
        let mut canvas = Canvas { width, height, pixels: PAPER.repeat(width * height) };
        let mut top = GAP;
        for row in &self.rows {
            canvas.text(GAP, top + (row.height() - GLYPH) / 2, &row.label);
            let [images, _, _, width] = row.shape;
            for image in 0..images {
                canvas.image(margin + image * (width * ZOOM + GAP), top, row, image);
            }
            top += row.height() + GAP;
        }
        canvas
    }
}

impl Row {
    fn height(&self) -> usize {
        (self.shape[2] * ZOOM).max(GLYPH)
    }

    fn colour(&self, image: usize, y: usize, x: usize) -> [u8; 3] {
        let [_, channels, height, width] = self.shape;
        let value = |channel: usize| {
            let index = ((image * channels + channel) * height + y) * width + x;
            // The cast saturates: NaN is 0.
            (self.pixels[index].clamp(0.0, 1.0) * 255.0).round() as u8
        };
        if channels < 3 { [value(0); 3] } else { [value(0), value(1), value(2)] }
    }
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        let start = 3 * (y * self.width + x);
        self.pixels[start..start + 3].copy_from_slice(&colour);
    }

    fn image(&mut self, left: usize, top: usize, row: &Row, image: usize) {
        let [_, _, height, width] = row.shape;
        for y in 0..height * ZOOM {
            for x in 0..width * ZOOM {
                self.set(left + x, top + y, row.colour(image, y / ZOOM, x / ZOOM));
            }
        }
    }

    fn text(&mut self, left: usize, top: usize, text: &str) {
        for (i, character) in text.chars().enumerate() {
            let glyph = font8x8::BASIC_FONTS
                .get(character)
                .or_else(|| font8x8::LATIN_FONTS.get(character))
                .or_else(|| font8x8::GREEK_FONTS.get(character))
                .unwrap_or([0; GLYPH]);
            for (y, bits) in glyph.iter().enumerate() {
                for x in (0..GLYPH).filter(|x| bits >> x & 1 == 1) {
                    self.set(left + i * GLYPH + x, top + y, INK);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_picture_has_its_rows_below_each_other_in_its_colours() {
        let device = Device::flex();
        let grey = Tensor::<4>::from_data([[[[0.0, f32::NAN]]], [[[2.0, -1.0]]]], &device);
        let red = Tensor::<4>::from_data([[[[1.0]], [[0.0]], [[0.0]]]], &device);
        let canvas = Grid::new().row("a", grey).row("", red).draw();
        let left = 2 * GAP + GLYPH;
        let at = |x: usize, y: usize| canvas.pixels[3 * (y * canvas.width + x)..][..3].to_vec();
        assert_eq!(canvas.width, left + 2 * (2 * ZOOM + GAP));
        assert_eq!(canvas.height, GAP + 2 * (GLYPH + GAP));
        assert_eq!(at(left, GAP), [0, 0, 0]);
        assert_eq!(at(left + ZOOM, GAP), [0, 0, 0]); // NaN
        assert_eq!(at(left + 2 * ZOOM + GAP, GAP), [255, 255, 255]); // clipped from 2
        assert_eq!(at(left, 2 * GAP + GLYPH), [255, 0, 0]);
    }

    #[test]
    fn a_grid_of_nothing_is_a_picture_too() {
        assert!(Grid::new().png().starts_with(b"\x89PNG"));
        assert!(Grid::new().heading("σ").png().len() > Grid::new().png().len());
    }
}
