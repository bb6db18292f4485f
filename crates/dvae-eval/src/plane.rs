//! One channel of an image, and what filters make of it.

use rayon::prelude::*;

/// One channel of an image.
#[derive(Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Plane<'_> {
    /// The value at a distance from a pixel; beyond the edge, that of the nearest pixel.
    fn at(self, row: usize, column: usize, [down, right]: [isize; 2]) -> f32 {
        let place = |at: usize, by: isize, len: usize| at.saturating_add_signed(by).min(len - 1);
        let (row, column) = (place(row, down, self.height), place(column, right, self.width));
        self.values[row * self.width + column]
    }

    fn pixels(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.height).flat_map(move |row| (0..self.width).map(move |column| (row, column)))
    }

    pub(crate) fn median(self, radius: usize) -> Vec<f32> {
        let around = square(radius);
        let mut window = vec![0.0; around.len()];
        self.pixels()
            .map(|(row, column)| {
                for (value, by) in window.iter_mut().zip(&around) {
                    *value = self.at(row, column, *by);
                }
                let middle = window.len() / 2;
                *window.select_nth_unstable_by(middle, f32::total_cmp).1
            })
            .collect()
    }

    pub(crate) fn gaussian(self, sigma: f32) -> Vec<f32> {
        let weights = gaussian_weights(sigma);
        let mean = |(row, column)| {
            weights.iter().map(|(by, weight)| weight * self.at(row, column, *by)).sum()
        };
        self.pixels().map(mean).collect()
    }

    pub(crate) fn normalized(self, sigma: f32, missing: &[f32]) -> Vec<f32> {
        let weights = gaussian_weights(sigma);
        let missing = Plane { values: missing, ..self };
        self.pixels()
            .map(|(row, column)| {
                if missing.at(row, column, [0, 0]) == 0.0 {
                    return self.at(row, column, [0, 0]);
                }
                let (mut sum, mut total) = (0.0, 0.0);
                for (by, weight) in &weights {
                    let weight = weight * (1.0 - missing.at(row, column, *by));
                    sum += weight * self.at(row, column, *by);
                    total += weight;
                }
                if total > 0.0 { sum / total } else { self.at(row, column, [0, 0]) }
            })
            .collect()
    }

    pub(crate) fn non_local_means(
        self,
        reach: usize,
        patch: usize,
        [sigma, strength]: [f32; 2],
    ) -> Vec<f32> {
        // The pixels, and those beyond the edge that a shifted patch needs.
        let border = reach + patch;
        let away = |at: usize| at as isize - border as isize;
        let width = self.width + 2 * border;
        let wide: Vec<f32> = (0..self.height + 2 * border)
            .flat_map(|row| (0..width).map(move |column| [away(row), away(column)]))
            .map(|by| self.at(0, 0, by))
            .collect();
        let means = Means { wide: &wide, width, reach, patch, sigma, strength };
        let mut out = vec![0.0; self.values.len()];
        // Strips of lines, each with all shifts.
        const STRIP: usize = 32;
        out.par_chunks_mut(STRIP * self.width)
            .enumerate()
            .for_each(|(at, out)| means.strip(at * STRIP, self.width, out));
        out
    }

    pub(crate) fn total_variation(self, weight: f32) -> Vec<f32> {
        const STEPS: usize = 200;
        // The step is 1/4, the largest that converges in two dimensions.
        const STEP: f32 = 0.25;
        let (width, area) = (self.width, self.values.len());
        let mut field = vec![[0.0f32; 2]; area];
        let mut out = self.values.to_vec();
        let (mut first, mut last) = (None, f64::INFINITY);
        for _ in 0..STEPS {
            let gradient = |at: usize| {
                let down = if at + width < area { out[at + width] - out[at] } else { 0.0 };
                let right = if at % width + 1 < width { out[at + 1] - out[at] } else { 0.0 };
                [down, right]
            };
            let step = |(at, field): (usize, &mut [f32; 2])| {
                let [down, right] = gradient(at);
                let norm = (down * down + right * right).sqrt();
                let scale = 1.0 / (1.0 + STEP / weight * norm);
                *field = [(field[0] - STEP * down) * scale, (field[1] - STEP * right) * scale];
                f64::from((out[at] - self.values[at]).powi(2) + weight * norm)
            };
            let lines = field.par_chunks_mut(width).enumerate();
            let energies = lines.map(|(row, line)| {
                let start = row * width;
                let fields = line.iter_mut().enumerate();
                fields.map(|(column, field)| step((start + column, field))).sum::<f64>()
            });
            // Summed in the order of lines, so that the same image always takes the same number of steps.
            let energy = energies.collect::<Vec<f64>>().iter().sum::<f64>() / area as f64;
            if (last - energy).abs() < 2e-4 * *first.get_or_insert(energy) {
                break;
            }
            last = energy;
            self.less_divergence(&field, &mut out);
        }
        out
    }

    /// The channel less the divergence of a field of downward and rightward parts.
    fn less_divergence(self, field: &[[f32; 2]], out: &mut [f32]) {
        let width = self.width;
        out.par_chunks_mut(width).enumerate().for_each(|(row, line)| {
            for (column, out) in line.iter_mut().enumerate() {
                let at = row * width + column;
                let above = if row > 0 { field[at - width][0] } else { 0.0 };
                let before = if column > 0 { field[at - 1][1] } else { 0.0 };
                *out = self.values[at] - field[at][0] - field[at][1] + above + before;
            }
        });
    }
}

/// Non-local means over a channel with a border.
struct Means<'a> {
    wide: &'a [f32],
    /// Of a line with its border.
    width: usize,
    reach: usize,
    patch: usize,
    sigma: f32,
    strength: f32,
}

impl Means<'_> {
    /// The means of some lines of `columns` pixels, from line `first` on.
    fn strip(&self, first: usize, columns: usize, out: &mut [f32]) {
        let &Self { width, reach, patch, .. } = self;
        let (mut totals, mut sums) = (vec![0.0; out.len()], vec![0.0; width]);
        for [down, right] in square(reach) {
            let shift = down * width as isize + right;
            // Of each column, the sum of squared differences over the lines of a patch.
            sums.fill(0.0);
            (0..2 * patch)
                .for_each(|row| self.add_line(&mut sums, first + reach + row, shift, 1.0));
            let lines = out.chunks_mut(columns).zip(totals.chunks_mut(columns));
            for (row, (out, totals)) in lines.enumerate() {
                let top = first + reach + row;
                self.add_line(&mut sums, top + 2 * patch, shift, 1.0);
                for (column, (out, total)) in out.iter_mut().zip(totals).enumerate() {
                    let start = column + reach;
                    let weight = self.weight(sums[start..=start + 2 * patch].iter().sum());
                    let at = (top + patch) * width + start + patch;
                    *out += weight * self.wide[at.saturating_add_signed(shift)];
                    *total += weight;
                }
                self.add_line(&mut sums, top, shift, -1.0);
            }
        }
        out.iter_mut().zip(totals).for_each(|(sum, total)| *sum /= total);
    }

    /// Adds the squared differences of a line to itself, shifted.
    fn add_line(&self, sums: &mut [f32], row: usize, shift: isize, sign: f32) {
        let columns = self.reach..self.width - self.reach;
        for (sum, column) in sums[columns.clone()].iter_mut().zip(columns) {
            let at = row * self.width + column;
            let other = self.wide[at.saturating_add_signed(shift)];
            *sum += sign * (self.wide[at] - other).powi(2);
        }
    }

    /// The weight of a patch, from its sum of squared differences.
    fn weight(&self, squares: f32) -> f32 {
        let side = (2 * self.patch + 1) as f32;
        let excess = squares / (side * side) - 2.0 * self.sigma * self.sigma;
        (-excess.max(0.0) / (self.strength * self.strength)).exp()
    }
}

/// All distances of at most `radius` in each direction.
fn square(radius: usize) -> Vec<[isize; 2]> {
    let radius = radius as isize;
    (-radius..=radius).flat_map(|y| (-radius..=radius).map(move |x| [y, x])).collect()
}

/// Distances up to three standard deviations, and their weights, whose sum is 1.
fn gaussian_weights(sigma: f32) -> Vec<([isize; 2], f32)> {
    let around = square((3.0 * sigma).ceil() as usize);
    let weight = |[y, x]: [isize; 2]| (-((y * y + x * x) as f32) / (2.0 * sigma * sigma)).exp();
    let total: f32 = around.iter().map(|by| weight(*by)).sum();
    around.into_iter().map(|by| (by, weight(by) / total)).collect()
}
