//! Grids of images, drawn as one picture.

use burn::tensor::Tensor;

use crate::canvas::{Canvas, GAP, GLYPH, INK};

/// Rows of images with a label each, drawn as one picture.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # let (clean, cleaned) = (Tensor::<4>::zeros([8, 1, 28, 28], &Device::flex()),
/// #     Tensor::<4>::zeros([8, 1, 28, 28], &Device::flex()));
/// let png: Vec<u8> = dvae_eval::Grid::new().row("clean", clean).row("denoised", cleaned).png();
/// ```
#[derive(Clone, Debug)]
pub struct Grid {
    rows: Vec<Row>,
    /// The side of an image's pixel in the picture.
    zoom: usize,
}

#[derive(Clone, Debug)]
struct Row {
    label: String,
    /// Images, channels, height, width.
    shape: [usize; 4],
    pixels: Vec<f32>,
}

impl Grid {
    /// Creates an empty grid whose images will be drawn at twice their size.
    pub fn new() -> Self {
        Self { rows: vec![], zoom: 2 }
    }

    /// Draws images `zoom` times as large, at least once.
    pub fn zoom(self, zoom: usize) -> Self {
        Self { zoom: zoom.max(1), ..self }
    }

    /// Adds a row: `[images, channels, height, width]` with values in `[0, 1]` (others are clipped). One or
    /// two channels are drawn in gray (the first one), more in color (the first three).
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

    /// Adds a row with a caption above each image, cut to the image's width.
    pub fn captioned<'a>(
        self,
        captions: impl IntoIterator<Item = &'a str>,
        images: Tensor<4>,
    ) -> Self {
        let pitch = images.dims()[3] * self.zoom + GAP;
        let text =
            captions.into_iter().enumerate().fold(String::new(), |mut line, (i, caption)| {
                let start = (i * pitch).div_ceil(GLYPH);
                line.extend(std::iter::repeat_n(' ', start.saturating_sub(line.chars().count())));
                line.extend(caption.chars().take((pitch / GLYPH).saturating_sub(1)));
                line
            });
        self.heading(text).row("", images)
    }

    /// The picture as the bytes of a PNG file.
    pub fn png(&self) -> Vec<u8> {
        self.draw().png()
    }

    fn draw(&self) -> Canvas {
        let images = self.rows.iter().filter(|row| row.shape[0] > 0);
        let longest = images.map(|row| row.label.chars().count()).max().unwrap_or(0);
        let margin = 2 * GAP + longest * GLYPH;
        let row_width = |row: &Row| match row.shape {
            [0, ..] => 2 * GAP + row.label.chars().count() * GLYPH,
            [images, _, _, width] => margin + images * (width * self.zoom + GAP),
        };
        let width = self.rows.iter().map(row_width).max().unwrap_or(0).max(1);
        let height = GAP + self.rows.iter().map(|row| row.height(self.zoom) + GAP).sum::<usize>();
        let mut canvas = Canvas::new(width, height);
        let mut top = GAP;
        for row in &self.rows {
            let height = row.height(self.zoom);
            canvas.text(GAP, top + (height - GLYPH) / 2, &row.label, INK);
            let [images, _, _, width] = row.shape;
            for image in 0..images {
                let left = margin + image * (width * self.zoom + GAP);
                row.draw(image, &mut canvas, left, top, self.zoom);
            }
            top += height + GAP;
        }
        canvas
    }
}

impl Row {
    fn height(&self, zoom: usize) -> usize {
        (self.shape[2] * zoom).max(GLYPH)
    }

    fn draw(&self, image: usize, canvas: &mut Canvas, left: usize, top: usize, zoom: usize) {
        let [_, _, height, width] = self.shape;
        for y in 0..height {
            for x in 0..width {
                let color = self.color(image, y, x);
                canvas.fill(left + x * zoom, top + y * zoom, [zoom, zoom], color);
            }
        }
    }

    fn color(&self, image: usize, y: usize, x: usize) -> [u8; 3] {
        let [_, channels, height, width] = self.shape;
        let value = |channel: usize| {
            let index = ((image * channels + channel) * height + y) * width + x;
            // The cast saturates: NaN is 0.
            (self.pixels[index].clamp(0.0, 1.0) * 255.0).round() as u8
        };
        if channels < 3 { [value(0); 3] } else { [value(0), value(1), value(2)] }
    }
}

impl Default for Grid {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    const ZOOM: usize = 2;

    #[test]
    fn a_picture_has_its_rows_below_each_other_in_its_colors() {
        let device = Device::flex();
        let gray = Tensor::<4>::from_data([[[[0.0, f32::NAN]]], [[[2.0, -1.0]]]], &device);
        let red = Tensor::<4>::from_data([[[[1.0]], [[0.0]], [[0.0]]]], &device);
        let canvas = Grid::new().row("a", gray).row("", red).draw();
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
