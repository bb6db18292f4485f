//! Parts of pictures: some lines and columns of a row.

use std::ops::Range;

use dvae_random::Window;

use crate::numbers::AT_ONCE;
use crate::picture::{over_white, under_white};
use crate::rows::Extra;
use crate::{Domain, Numbers, Row};

impl Row {
    /// The values of a part of a picture, `[channels, lines, columns]`: see [`Row::values`].
    ///
    /// # Panics
    ///
    /// If the part does not lie within the picture.
    pub fn part(&self, part: &Window) -> Vec<f64> {
        let mut values = vec![];
        for (line, of_alpha) in self.lines(part) {
            let mut colors = self.numbers.values_of(line, self.domain);
            if let Some(alpha) = self.alpha() {
                over_white(&mut colors, &alpha.values_of(of_alpha, Domain::Unit));
            }
            values.extend(colors);
        }
        values
    }

    /// Replaces the values of a part of a picture: see [`Row::replace`].
    ///
    /// # Panics
    ///
    /// If the part does not lie within the picture, or has another number of values.
    pub fn replace_part(&mut self, part: &Window, values: &[f64]) {
        let (lines, columns): (Vec<_>, _) = (self.lines(part).collect(), part.columns.len());
        assert_eq!(values.len(), lines.len() * columns, "values of {part:?}");
        for ((line, of_alpha), values) in lines.into_iter().zip(values.chunks(columns)) {
            let Some(alpha) = self.alpha() else {
                self.numbers.set_from(line.start, self.domain, values);
                continue;
            };
            let alpha = alpha.values_of(of_alpha, Domain::Unit);
            // A pixel that nobody sees keeps its color.
            for ((at, &value), alpha) in line.zip(values).zip(alpha).filter(|(_, a)| *a > 0.0) {
                self.numbers.set(at, self.domain, under_white(value, alpha));
            }
        }
    }

    /// The places of the lines of a part of a picture, channel by channel, in its numbers and in its transparency.
    fn lines(&self, part: &Window) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<> {
        let [height, width] = part.sides;
        let is_within = part.lines.end <= height && part.columns.end <= width;
        assert!(is_within && height * width > 0, "{part:?} lies within its picture");
        let channels = self.numbers.len() / (height * width);
        let part = part.clone();
        (0..channels).flat_map(move |channel| {
            let columns = part.columns.clone();
            part.lines.clone().map(move |line| {
                let start = line * width + columns.start;
                let of_channel = channel * height * width + start;
                (of_channel..of_channel + columns.len(), start..start + columns.len())
            })
        })
    }

    fn alpha(&self) -> Option<&Numbers> {
        match &self.extra {
            Extra::Picture { alpha, .. } => alpha.as_ref(),
            _ => None,
        }
    }

    /// The first value that is `wrong`: see [`Row::values`].
    pub fn find(&self, wrong: impl Fn(f64) -> bool) -> Option<f64> {
        let area = self.alpha().map_or(0, Numbers::len);
        if area == 0 {
            let mut starts = (0..self.numbers.len()).step_by(AT_ONCE);
            return starts.find_map(|start| {
                let places = start..self.numbers.len().min(start + AT_ONCE);
                let values = self.numbers.values_of(places, self.domain);
                values.into_iter().find(|&value| wrong(value))
            });
        }
        let whole = Window { sides: [1, area], lines: 0..1, columns: 0..area };
        let starts = (0..area).step_by(AT_ONCE);
        let mut parts = starts
            .map(|start| Window { columns: start..area.min(start + AT_ONCE), ..whole.clone() });
        parts.find_map(|part| self.part(&part).into_iter().find(|&value| wrong(value)))
    }
}
