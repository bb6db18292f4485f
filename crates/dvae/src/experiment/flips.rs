//! Turns and mirrors of a picture.

use dvae_random::Window;

/// A mirroring of the columns, or none, after some quarter turns: one of the eight symmetries of a square.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flip {
    is_mirrored: bool,
    turns: usize,
}

impl Flip {
    pub(super) const ALL: [Self; 8] = {
        let mut all = [Self { is_mirrored: false, turns: 0 }; 8];
        let mut at = 0;
        while at < 8 {
            all[at] = Self { is_mirrored: at >= 4, turns: at % 4 };
            at += 1;
        }
        all
    };

    /// The sides of the picture after it.
    pub(super) fn sides(self, [height, width]: [usize; 2]) -> [usize; 2] {
        if self.turns.is_multiple_of(2) { [height, width] } else { [width, height] }
    }

    /// Where the pixel at a place after it was in a picture of these sides.
    fn source(self, [y, x]: [usize; 2], sides @ [height, width]: [usize; 2]) -> [usize; 2] {
        let x = if self.is_mirrored { self.sides(sides)[1] - 1 - x } else { x };
        match self.turns {
            0 => [y, x],
            1 => [x, width - 1 - y],
            2 => [height - 1 - y, width - 1 - x],
            _ => [height - 1 - x, y],
        }
    }

    /// A part of the picture after it.
    pub(super) fn part(
        self,
        part: &Window,
        [channels, height, width]: [usize; 3],
        read: &mut impl FnMut(&Window) -> Vec<f64>,
    ) -> Vec<f64> {
        let sides = [height, width];
        let corners = [
            self.source([part.lines.start, part.columns.start], sides),
            self.source([part.lines.end - 1, part.columns.end - 1], sides),
        ];
        let between = |axis: usize| {
            let [a, b] = [corners[0][axis], corners[1][axis]];
            a.min(b)..a.max(b) + 1
        };
        let window = Window { sides, lines: between(0), columns: between(1) };
        let values = read(&window);
        let (lines, columns) = (window.lines.len(), window.columns.len());
        let value = |channel: usize, y: usize, x: usize| {
            let [y, x] = self.source([y, x], sides);
            let line = channel * lines + y - window.lines.start;
            values[line * columns + x - window.columns.start]
        };
        let mut turned = Vec::with_capacity(values.len());
        for channel in 0..channels {
            for y in part.lines.clone() {
                turned.extend(part.columns.clone().map(|x| value(channel, y, x)));
            }
        }
        turned
    }
}

/// Means over the turns and mirrors of a picture, `[channels, height, width]`.
pub(super) struct Sums {
    pub(super) sides: [usize; 2],
    pub(super) mean: Vec<f64>,
    pub(super) spread: Option<Vec<f64>>,
}

impl Sums {
    /// Adds an eighth of the results for a part of a turned picture.
    pub(super) fn add(&mut self, flip: Flip, part: &Window, mean: &[f64], spread: Option<&[f64]>) {
        let (sides, columns) = (self.sides, part.columns.len());
        let area = part.lines.len() * columns;
        let place = |at: usize| {
            let within = at % area;
            let turned =
                [part.lines.start + within / columns, part.columns.start + within % columns];
            let [y, x] = flip.source(turned, sides);
            (at / area * sides[0] + y) * sides[1] + x
        };
        let add = |sums: &mut [f64], values: &[f64]| {
            values.iter().enumerate().for_each(|(at, value)| sums[place(at)] += value / 8.0);
        };
        add(&mut self.mean, mean);
        if let (Some(sums), Some(values)) = (&mut self.spread, spread) {
            add(sums, values);
        }
    }
}
