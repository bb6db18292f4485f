//! A picture to draw on: colored rectangles, text, PNG.

use font8x8::UnicodeFonts;

/// The side of a character, in pixels.
pub(crate) const GLYPH: usize = 8;
/// Pixels between drawn elements.
pub(crate) const GAP: usize = 4;

/// The number of bytes from which a picture is compressed quickly.
const LARGE: usize = 1_500_000;

pub(crate) type Color = [u8; 3];
pub(crate) const PAPER: Color = [255; 3];
pub(crate) const INK: Color = [40; 3];

#[derive(Debug)]
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<u8>,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: PAPER.repeat(width * height) }
    }

    pub(crate) fn set(&mut self, x: usize, y: usize, color: Color) {
        let start = 3 * (y * self.width + x);
        self.pixels[start..start + 3].copy_from_slice(&color);
    }

    pub(crate) fn fill(&mut self, left: usize, top: usize, [w, h]: [usize; 2], color: Color) {
        for y in top..top + h {
            for x in left..left + w {
                self.set(x, y, color);
            }
        }
    }

    pub(crate) fn text(&mut self, left: usize, top: usize, text: &str, color: Color) {
        for (i, character) in text.chars().enumerate() {
            let glyph = font8x8::BASIC_FONTS
                .get(character)
                .or_else(|| font8x8::LATIN_FONTS.get(character))
                .or_else(|| font8x8::GREEK_FONTS.get(character))
                .unwrap_or([0; GLYPH]);
            for (y, bits) in glyph.iter().enumerate() {
                for x in (0..GLYPH).filter(|x| bits >> x & 1 == 1) {
                    self.set(left + i * GLYPH + x, top + y, color);
                }
            }
        }
    }

    /// The bytes of a PNG file.
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        // The best compression takes seconds for a picture of several megabytes, and gains little.
        let small = self.pixels.len() < LARGE;
        encoder.set_compression(if small {
            png::Compression::High
        } else {
            png::Compression::Fast
        });
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels))
            .expect("memory takes whatever is written");
        bytes
    }
}
