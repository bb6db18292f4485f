//! Classical filters, which clean images without having seen others: what a model has to be better than.

use std::fmt;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use serde::Serialize;

/// A filter for images, channel by channel; its setting is in pixels, or in units of the values.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # let noisy = Tensor::<4>::zeros([8, 1, 28, 28], &Device::flex());
/// let none_missing = noisy.zeros_like();
/// let cleaned = dvae_eval::Filter::Median { radius: 1 }.apply(noisy, none_missing);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Filter {
    /// The median of a square of `2 radius + 1` pixels.
    Median {
        /// In pixels.
        radius: usize,
    },
    /// A weighted mean, with weights that fall off as a normal density.
    Gaussian {
        /// The density's standard deviation, in pixels.
        sigma: f32,
    },
    /// A mean of the pixels within 5 of it, weighted by how much the squares of 3 pixels around them are alike: Buades,
    /// Coll & Morel (2005), "A Non-Local Algorithm for Image Denoising".
    NonLocalMeans {
        /// The difference at which a weight is `1/e`, in units of the values, as a root mean square.
        strength: f32,
    },
    /// The Gaussian mean of the pixels that are not missing: Knutsson & Westin (1993), "Normalized and Differential
    /// Convolution". It is told which are missing, and keeps the others.
    Normalized {
        /// The density's standard deviation, in pixels.
        sigma: f32,
    },
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Median { radius } => write!(f, "median {0}×{0}", 2 * radius + 1),
            Self::Gaussian { sigma } => write!(f, "Gaussian {sigma}"),
            Self::NonLocalMeans { strength } => write!(f, "NLM {strength}"),
            Self::Normalized { sigma } => write!(f, "normalized {sigma}"),
        }
    }
}

impl Filter {
    /// Settings to choose from; [`Filter::Normalized`] is among them if it is known what is missing.
    pub fn candidates(missing: bool) -> Vec<Self> {
        let sigmas = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5];
        let medians = [1, 2].map(|radius| Self::Median { radius });
        let gaussians = sigmas.map(|sigma| Self::Gaussian { sigma });
        let means = [0.1, 0.15, 0.2, 0.3, 0.4].map(|strength| Self::NonLocalMeans { strength });
        let normalized = sigmas.map(|sigma| Self::Normalized { sigma });
        let normalized = normalized.into_iter().filter(|_| missing);
        medians.into_iter().chain(gaussians).chain(means).chain(normalized).collect()
    }

    /// Filters images `[batch, channels, height, width]`; `missing` has the same shape, 1 where a pixel is missing and 0
    /// elsewhere.
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    pub fn apply(self, images: Tensor<4>, missing: Tensor<4>) -> Tensor<4> {
        let shape @ [_, _, height, width] = images.dims();
        assert_eq!(shape, missing.dims(), "what is missing");
        let device = images.device();
        let read = |tensor: Tensor<4>| tensor.into_data().iter::<f32>().collect::<Vec<f32>>();
        let (images, missing) = (read(images), read(missing));
        let planes = images.par_chunks(height * width).zip(missing.par_chunks(height * width));
        let filter = |(values, missing)| {
            let plane = Plane { values, height, width };
            match self {
                Self::Median { radius } => plane.median(radius),
                Self::Gaussian { sigma } => plane.gaussian(sigma),
                Self::NonLocalMeans { strength } => plane.non_local_means(strength),
                Self::Normalized { sigma } => plane.normalized(sigma, missing),
            }
        };
        let out: Vec<f32> = planes.flat_map_iter(filter).collect();
        Tensor::from_data(TensorData::new(out, shape), &device)
    }
}

/// One channel of an image.
#[derive(Clone, Copy)]
struct Plane<'a> {
    values: &'a [f32],
    height: usize,
    width: usize,
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

    fn median(self, radius: usize) -> Vec<f32> {
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

    fn gaussian(self, sigma: f32) -> Vec<f32> {
        let weights = gaussian_weights(sigma);
        let mean = |(row, column)| {
            weights.iter().map(|(by, weight)| weight * self.at(row, column, *by)).sum()
        };
        self.pixels().map(mean).collect()
    }

    fn normalized(self, sigma: f32, missing: &[f32]) -> Vec<f32> {
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

    fn non_local_means(self, strength: f32) -> Vec<f32> {
        const REACH: usize = 5;
        // The pixels, and those beyond the edge that a shifted square needs.
        let border = REACH + 1;
        let width = self.width + 2 * border;
        let away = |at: usize| at as isize - border as isize;
        let wide: Vec<f32> = (0..self.height + 2 * border)
            .flat_map(|row| (0..width).map(move |column| [away(row), away(column)]))
            .map(|by| self.at(0, 0, by))
            .collect();
        let mut squares = vec![0.0; wide.len()];
        let (mut sums, mut totals) = (vec![0.0; self.values.len()], vec![0.0; self.values.len()]);
        for [down, right] in square(REACH) {
            let shift = down * width as isize + right;
            for row in border - 1..=border + self.height {
                for column in border - 1..=border + self.width {
                    let at = row * width + column;
                    squares[at] = (wide[at] - wide[at.saturating_add_signed(shift)]).powi(2);
                }
            }
            for (place, (row, column)) in self.pixels().enumerate() {
                let at = (row + border) * width + column + border;
                let three = |at: usize| squares[at - 1] + squares[at] + squares[at + 1];
                let mean = (three(at - width) + three(at) + three(at + width)) / 9.0;
                let weight = (-mean / (strength * strength)).exp();
                sums[place] += weight * wide[at.saturating_add_signed(shift)];
                totals[place] += weight;
            }
        }
        sums.iter().zip(totals).map(|(sum, total)| sum / total).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn filtered(filter: Filter, values: [[f32; 4]; 3], missing: [[f32; 4]; 3]) -> Vec<f32> {
        let device = Device::flex();
        let image = |values| Tensor::<2>::from_data(values, &device).reshape([1, 1, 3, 4]);
        filter.apply(image(values), image(missing)).into_data().try_to_vec().unwrap()
    }

    const NONE: [[f32; 4]; 3] = [[0.0; 4]; 3];

    // The window of the second pixel of the middle row has 1, 2, 3, 5, 6, 7, 9, 10, 11; beyond the edge pixels repeat, so
    // that of the first pixel of all has 1, 1, 1, 1, 2, 2, 5, 5, 6.
    #[test]
    fn a_median_is_that_of_its_window() {
        let values = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]];
        let out = filtered(Filter::Median { radius: 1 }, values, NONE);
        assert_eq!((out[5], out[0]), (6.0, 2.0));
    }

    #[test]
    fn every_filter_keeps_what_is_even() {
        for filter in Filter::candidates(true) {
            let out = filtered(filter, [[0.25; 4]; 3], NONE);
            assert!(out.iter().all(|value| (value - 0.25).abs() < 1e-6), "{filter}: {out:?}");
        }
    }

    // Beside the middle, weights are e^(−1/2) and e^(−1) of its own: with all other pixels 0, the middle gets its share.
    #[test]
    fn a_gaussian_mean_has_the_weights_of_the_density() {
        let mut values = [[0.0; 4]; 3];
        values[1][1] = 1.0;
        let out = filtered(Filter::Gaussian { sigma: 1.0 }, values, NONE);
        assert!((out[6] / out[5] - (-0.5f32).exp()).abs() < 1e-6, "{out:?}");
        assert!((out[2] / out[5] - (-1.0f32).exp()).abs() < 1e-6, "{out:?}");
    }

    // Only the missing pixel changes, to the mean of the others.
    #[test]
    fn a_normalized_mean_leaves_out_what_is_missing() {
        let (mut values, mut missing) = ([[0.5; 4]; 3], NONE);
        (values[1][2], missing[1][2]) = (0.0, 1.0);
        values[0][0] = 0.75;
        let out = filtered(Filter::Normalized { sigma: 0.5 }, values, missing);
        assert!((out[6] - 0.5).abs() < 1e-3, "{out:?}");
        assert_eq!((out[0], out[1]), (0.75, 0.5));
        // Where everything is missing there is nothing to take a mean of.
        let out = filtered(Filter::Normalized { sigma: 0.5 }, [[0.0; 4]; 3], [[1.0; 4]; 3]);
        assert_eq!(out, [0.0; 12]);
    }

    // A pixel that differs from all around it by much more than the strength keeps its value.
    #[test]
    fn non_local_means_mix_what_is_alike() {
        let values = [[0.0, 0.1, 0.0, 0.1], [0.1, 0.0, 0.1, 0.0], [0.0, 0.1, 0.0, 9.0]];
        let out = filtered(Filter::NonLocalMeans { strength: 0.2 }, values, NONE);
        assert!((out[0] - 0.05).abs() < 0.02 && out[11] > 8.9, "{out:?}");
    }
}
