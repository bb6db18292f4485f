//! A table of metrics as colored cells.

use crate::canvas::{Canvas, Color, GAP, GLYPH, INK, PAPER};

/// Metrics in rows and columns, drawn as one picture; higher values are brighter.
///
/// ```
/// let map = dvae_eval::Heatmap::new("PSNR, dB")
///     .columns("tested at", ["0", "0.5"])
///     .row("trained at 0", [20.0, 11.5])
///     .row("trained at 0.5", [19.0, 17.25]);
/// let png: Vec<u8> = map.png();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Heatmap {
    title: String,
    axis: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<f64>)>,
}

/// Width and height of a cell, in pixels.
const CELL: [usize; 2] = [72, 40];

impl Heatmap {
    /// Creates an empty map.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Names the columns, and the quantity that they vary.
    pub fn columns<T: Into<String>>(
        mut self,
        axis: impl Into<String>,
        names: impl IntoIterator<Item = T>,
    ) -> Self {
        self.axis = axis.into();
        self.columns = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a row below the others.
    pub fn row(mut self, name: impl Into<String>, values: impl Into<Vec<f64>>) -> Self {
        self.rows.push((name.into(), values.into()));
        self
    }

    /// The picture as the bytes of a PNG file. Values that are not finite are gray.
    pub fn png(&self) -> Vec<u8> {
        self.draw().png()
    }

    fn draw(&self) -> Canvas {
        let longest = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let cells = self.rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let left = 2 * GAP + longest * GLYPH;
        let top = 3 * (GLYPH + GAP) + 2 * GAP;
        let heading = (self.title.chars().count().max(self.axis.chars().count()) + 1) * GLYPH;
        let width = (left + cells.max(self.columns.len()) * CELL[0] + GAP).max(left + heading);
        let mut canvas = Canvas::new(width, top + self.rows.len() * CELL[1] + GAP);
        canvas.text(left, GAP, &self.title, INK);
        canvas.text(left, 2 * GAP + GLYPH, &self.axis, INK);
        for (i, name) in self.columns.iter().enumerate() {
            centered(&mut canvas, left + i * CELL[0], top - GLYPH - GAP, name, INK);
        }
        let (low, high) = self.range();
        for (y, (name, values)) in self.rows.iter().enumerate() {
            let line = top + y * CELL[1];
            canvas.text(GAP, line + (CELL[1] - GLYPH) / 2, name, INK);
            for (x, &value) in values.iter().enumerate() {
                let share = if high > low { (value - low) / (high - low) } else { 0.5 };
                let column = left + x * CELL[0];
                canvas.fill(column, line, [CELL[0] - 1, CELL[1] - 1], color(share));
                // Dark text on bright cells.
                let ink = if share > 0.55 { INK } else { PAPER };
                let text = format!("{value:.1}");
                centered(&mut canvas, column, line + (CELL[1] - GLYPH) / 2, &text, ink);
            }
        }
        canvas
    }

    fn range(&self) -> (f64, f64) {
        let values = self.rows.iter().flat_map(|(_, values)| values).filter(|v| v.is_finite());
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)))
    }
}

/// Text in the middle of a cell, cut to the cell's width.
fn centered(canvas: &mut Canvas, left: usize, top: usize, text: &str, color: Color) {
    let text: String = text.chars().take(CELL[0] / GLYPH).collect();
    let space = CELL[0] - text.chars().count() * GLYPH;
    canvas.text(left + space / 2, top, &text, color);
}

/// A color from dark blue through green to yellow, increasingly bright: five points of the viridis map (Smith
/// & van der Walt 2015), interpolated linearly.
fn color(share: f64) -> Color {
    const POINTS: [[f64; 3]; 5] = [
        [68.0, 1.0, 84.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [253.0, 231.0, 37.0],
    ];
    if !share.is_finite() {
        return [128; 3];
    }
    let place = share.clamp(0.0, 1.0) * (POINTS.len() - 1) as f64;
    let first = (place as usize).min(POINTS.len() - 2);
    let t = place - first as f64;
    std::array::from_fn(|i| {
        (POINTS[first][i] + t * (POINTS[first + 1][i] - POINTS[first][i])).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_figure_is_the_brightest_and_no_figure_is_gray() {
        let map = Heatmap::new("a").columns("b", ["1", "2"]).row("row", [3.0, f64::NAN]);
        let canvas = map.row("other", [5.0, 4.0]).draw();
        let (left, top) = (2 * GAP + 5 * GLYPH, 3 * (GLYPH + GAP) + 2 * GAP);
        let at = |column: usize, row: usize| {
            let (x, y) = (left + column * CELL[0] + 1, top + row * CELL[1] + 1);
            canvas.pixels[3 * (y * canvas.width + x)..][..3].to_vec()
        };
        assert_eq!(at(0, 0), [68, 1, 84]);
        assert_eq!(at(1, 0), [128; 3]);
        assert_eq!(at(0, 1), [253, 231, 37]);
        assert_eq!(at(1, 1), [33, 145, 140]);
    }

    #[test]
    fn a_map_of_nothing_or_of_equal_metrics_is_a_picture_too() {
        assert!(Heatmap::new("").png().starts_with(b"\x89PNG"));
        assert!(Heatmap::new("a").row("long name", [1.0]).png().starts_with(b"\x89PNG"));
    }
}
