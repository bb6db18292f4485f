//! Predictions against the truth, as points with intervals.

use crate::canvas::{Canvas, Color, GAP, GLYPH, INK, PAPER};

/// A predicted number, such as a missing cell that was filled in, beside the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The truth.
    pub truth: f64,
    /// The prediction.
    pub value: f64,
    /// The ends of an interval that is to hold the truth, the lower first.
    pub interval: Option<[f64; 2]>,
}

/// Predictions against their truths, drawn as one picture of panels: the truth to the right, the prediction upward, with a line where
/// both are the same. An interval is a vertical line, blue if it holds the truth and orange if not.
///
/// ```
/// use dvae_eval::{Prediction, Scatter};
///
/// let found = [Prediction { truth: 1.0, value: 1.2, interval: Some([0.5, 1.9]) }];
/// let png: Vec<u8> = Scatter::new("lengths, mm").panel("bill", found).panel("flipper", []).png();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scatter {
    title: String,
    panels: Vec<(String, Vec<Prediction>)>,
}

/// The side of a panel, in pixels.
const SIDE: usize = 260;
/// Panels in a line.
const ACROSS: usize = 3;
/// Space above a panel for its name, and below it for its numbers.
const ABOVE: usize = GLYPH + 2 * GAP;
const BELOW: usize = GLYPH + 3 * GAP;
const GROUND: Color = [246, 246, 246];
const HOLDS: Color = [158, 188, 218];
const MISSES: Color = [230, 120, 40];
const DIAGONAL: Color = [170, 170, 170];

impl Scatter {
    /// Creates a picture without panels.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), panels: vec![] }
    }

    /// Adds a panel. Points that are not finite are left out.
    pub fn panel(
        mut self,
        name: impl Into<String>,
        found: impl IntoIterator<Item = Prediction>,
    ) -> Self {
        let is_finite = |found: &Prediction| found.truth.is_finite() && found.value.is_finite();
        self.panels.push((name.into(), found.into_iter().filter(is_finite).collect()));
        self
    }

    /// The picture as the bytes of a PNG file.
    pub fn png(&self) -> Vec<u8> {
        self.draw().png()
    }

    fn draw(&self) -> Canvas {
        let across = self.panels.len().clamp(1, ACROSS);
        let lines = self.panels.len().div_ceil(ACROSS);
        let heading = self.title.chars().count() * GLYPH + 2 * GAP;
        let width = (across * (SIDE + 3 * GAP) + GAP).max(heading);
        let top = GLYPH + 3 * GAP;
        let mut canvas = Canvas::new(width, top + lines * (ABOVE + SIDE + BELOW));
        canvas.text(GAP, GAP, &self.title, INK);
        for (at, (name, found)) in self.panels.iter().enumerate() {
            let left = 2 * GAP + at % ACROSS * (SIDE + 3 * GAP);
            panel(&mut canvas, [left, top + at / ACROSS * (ABOVE + SIDE + BELOW)], name, found);
        }
        canvas
    }
}

/// Draws a panel with its left upper corner here.
fn panel(canvas: &mut Canvas, [left, above]: [usize; 2], name: &str, found: &[Prediction]) {
    let top = above + ABOVE;
    let cut = |text: &str| text.chars().take(SIDE / GLYPH).collect::<String>();
    canvas.text(left, above + GAP, &cut(name), INK);
    canvas.fill(left, top, [SIDE, SIDE], GROUND);
    // Intervals are cut at the range of the points.
    let ends = found.iter().flat_map(|found| [found.truth, found.value]);
    let (low, high) =
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    if low > high {
        return;
    }
    let margin = if high > low { 0.03 * (high - low) } else { 1.0 };
    let (low, high) = (low - margin, high + margin);
    let place = |x: f64| {
        let share = ((x - low) / (high - low)).clamp(0.0, 1.0);
        (share * (SIDE - 1) as f64).round() as usize
    };
    let up = |x: f64| top + SIDE - 1 - place(x);
    for step in 0..SIDE {
        canvas.set(left + step, top + SIDE - 1 - step, DIAGONAL);
    }
    for &Prediction { truth, interval, .. } in found {
        let Some([from, to]) = interval else { continue };
        let color = if (from..=to).contains(&truth) { HOLDS } else { MISSES };
        let (first, last) = (up(to), up(from));
        canvas.fill(left + place(truth), first, [1, last.max(first) - first + 1], color);
    }
    for &Prediction { truth, value, .. } in found {
        let (x, y) = (left + place(truth), up(value));
        for [dx, dy] in [[1, 1], [0, 1], [2, 1], [1, 0], [1, 2]] {
            let (x, y) = ((x + dx).max(left + 1) - 1, (y + dy).max(top + 1) - 1);
            canvas.set(x.min(left + SIDE - 1), y.min(top + SIDE - 1), INK);
        }
    }
    let text = |x: f64| {
        let decimals = (2.0 - (high - low).log10().floor()).clamp(0.0, 9.0) as usize;
        match x.abs() < 1e9 {
            true => format!("{x:.decimals$}"),
            false => format!("{x:.2e}"),
        }
    };
    let (first, last) = (cut(&text(low + margin)), cut(&text(high - margin)));
    canvas.text(left, top + SIDE + GAP, &first, INK);
    let end = left + SIDE - (last.chars().count() * GLYPH).min(SIDE);
    canvas.fill(end, top + SIDE + GAP, [left + SIDE - end, GLYPH], PAPER);
    canvas.text(end, top + SIDE + GAP, &last, INK);
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of points at (0, 0) and (10, 10), and one at (6, 0) whose interval misses 6, in a range from −0.3 to 10.3.
    #[test]
    fn points_stand_at_their_places_and_intervals_have_their_color() {
        let at = |truth: f64, value: f64, interval| Prediction { truth, value, interval };
        let points = [
            at(0.0, 0.0, Some([-1.0, 4.0])),
            at(10.0, 10.0, None),
            at(6.0, 0.0, Some([2.0, 4.0])),
            at(f64::NAN, 1.0, None),
        ];
        let scatter = Scatter::new("a").panel("x", points);
        assert_eq!(scatter.panels[0].1.len(), 3);
        let canvas = scatter.draw();
        let (left, top) = (2 * GAP, GLYPH + 3 * GAP + ABOVE);
        let place = |x: f64| ((x + 0.3) / 10.6 * (SIDE - 1) as f64).round() as usize;
        let color = |x: f64, y: f64| {
            let (x, y) = (left + place(x), top + SIDE - 1 - place(y));
            canvas.pixels[3 * (y * canvas.width + x)..][..3].to_vec()
        };
        for (x, y) in [(0.0, 0.0), (10.0, 10.0), (6.0, 0.0)] {
            assert_eq!(color(x, y), INK);
        }
        assert_eq!((color(0.0, 3.0), color(6.0, 3.0)), (HOLDS.to_vec(), MISSES.to_vec()));
        assert_eq!((color(7.0, 7.0), color(7.0, 9.0)), (DIAGONAL.to_vec(), GROUND.to_vec()));
    }

    #[test]
    fn panels_of_nothing_or_of_one_number_are_pictures_too() {
        assert!(Scatter::new("").png().starts_with(b"\x89PNG"));
        let one = Prediction { truth: 3.0, value: 3.0, interval: Some([f64::NEG_INFINITY, 9e99]) };
        let huge = Prediction { truth: 1e300, value: -1e300, interval: None };
        assert!(Scatter::new("").panel("", [huge]).png().starts_with(b"\x89PNG"));
        let many = (0..5).fold(Scatter::new("a").panel("", []), |all, _| all.panel("long", [one]));
        assert!(many.png().starts_with(b"\x89PNG"));
    }
}
