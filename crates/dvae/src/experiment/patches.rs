//! Patches of a picture, for networks of one size.

use super::tiles::{mirrored, weight};

/// The patch of these sides that begins at a column of some lines, mirrored where it goes beyond them.
pub(super) fn patch(
    values: &[f64],
    [channels, height, width]: [usize; 3],
    [rows, columns]: [usize; 2],
    left: usize,
) -> Vec<f64> {
    let mut patch = Vec::with_capacity(channels * rows * columns);
    for channel in 0..channels {
        for row in 0..rows {
            let start = (channel * height + mirrored(row, height)) * width;
            patch.extend((left..left + columns).map(|x| values[start + mirrored(x, width)]));
        }
    }
    patch
}

/// Lines of a picture to which patches are added, from the first line that is not complete on.
pub(super) struct Band {
    channels: usize,
    patch: [usize; 2],
    width: usize,
    mean: Vec<f64>,
    spread: Option<Vec<f64>>,
    /// The sum of the weights of each pixel of a channel.
    weights: Vec<f64>,
}

impl Band {
    pub(super) fn new(channels: usize, patch: [usize; 2], width: usize, with_spread: bool) -> Self {
        let area = patch[0] * width;
        let zeros = || vec![0.0; channels * area];
        let spread = with_spread.then(zeros);
        Self { channels, patch, width, mean: zeros(), spread, weights: vec![0.0; area] }
    }

    /// Adds a patch that begins at a column of the first line.
    pub(super) fn add(&mut self, left: usize, mean: &[f64], spread: Option<&[f64]>) {
        let [rows, columns] = self.patch;
        let within = columns.min(self.width - left);
        for row in 0..rows {
            for column in 0..within {
                let weight = weight(row, rows) * weight(column, columns);
                let place = row * self.width + left + column;
                self.weights[place] += weight;
                for channel in 0..self.channels {
                    let from = (channel * rows + row) * columns + column;
                    let to = channel * rows * self.width + place;
                    self.mean[to] += weight * mean[from];
                    if let (Some(sums), Some(spread)) = (&mut self.spread, spread) {
                        sums[to] += weight * spread[from];
                    }
                }
            }
        }
    }

    /// The means of the first lines, which are complete, and how sure they are; the lines after them become the first.
    pub(super) fn take(&mut self, lines: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let (all, taken) = (self.patch[0] * self.width, lines * self.width);
        let weights = &self.weights;
        let take = |sums: &mut Vec<f64>| {
            let mut means = Vec::with_capacity(self.channels * taken);
            for plane in sums.chunks_mut(all) {
                means.extend(plane[..taken].iter().zip(weights).map(|(sum, weight)| sum / weight));
                plane.copy_within(taken.., 0);
                plane[all - taken..].fill(0.0);
            }
            means
        };
        let mean = take(&mut self.mean);
        let spread = self.spread.as_mut().map(take);
        self.weights.copy_within(taken.., 0);
        self.weights[all - taken..].fill(0.0);
        (mean, spread)
    }
}
