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
    /// A mean of the pixels within a square around it, weighted by how much the patches around them are alike: Buades,
    /// Coll & Morel (2005), "A Non-Local Algorithm for Image Denoising". The weight of patches whose mean squared
    /// difference is `d²` is `exp(−max(d² − 2 sigma², 0) / strength²)`.
    NonLocalMeans {
        /// The distance of the farthest pixel, along an axis.
        reach: usize,
        /// The radius of a patch: 1 is a square of 3 pixels.
        patch: usize,
        /// The standard deviation of the noise, in units of the values; 0 if it is not known.
        sigma: f32,
        /// The difference at which a weight is `1/e`, in units of the values, as a root mean square.
        strength: f32,
    },
    /// The image of least total variation beside the squared distance: Rudin, Osher & Fatemi (1992), "Nonlinear Total
    /// Variation Based Noise Removal Algorithms", minimized as Chambolle (2004), "An Algorithm for Total Variation
    /// Minimization and Applications", section 3, in 200 steps at most.
    TotalVariation {
        /// The weight of the variation, in units of the values.
        weight: f32,
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
            Self::NonLocalMeans { strength, .. } => write!(f, "NLM {}", rounded(*strength)),
            Self::TotalVariation { weight } => write!(f, "TV {}", rounded(*weight)),
            Self::Normalized { sigma } => write!(f, "normalized {sigma}"),
        }
    }
}

/// A setting that was computed, as it is shown.
fn rounded(value: f32) -> f32 {
    (value * 1e4).round() / 1e4
}

impl Filter {
    /// Settings to choose from; [`Filter::Normalized`] is among them if it is known what is missing.
    pub fn candidates(missing: bool) -> Vec<Self> {
        let sigmas = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5];
        let medians = [1, 2].map(|radius| Self::Median { radius });
        let gaussians = sigmas.map(|sigma| Self::Gaussian { sigma });
        let means = [0.1, 0.15, 0.2, 0.3, 0.4];
        let means =
            means.map(|strength| Self::NonLocalMeans { reach: 5, patch: 1, sigma: 0.0, strength });
        let normalized = sigmas.map(|sigma| Self::Normalized { sigma });
        let normalized = normalized.into_iter().filter(|_| missing);
        medians.into_iter().chain(gaussians).chain(means).chain(normalized).collect()
    }

    /// Non-local means for noise of this standard deviation, in units of the values, with the settings that scikit-image's
    /// documentation gives: patches of 5 pixels, within 6, and a strength of 0.8 standard deviations.
    pub fn non_local_means(sigma: f32) -> Self {
        // Without noise every other pixel differs.
        Self::NonLocalMeans { reach: 6, patch: 2, sigma, strength: (0.8 * sigma).max(1e-6) }
    }

    /// Total variation for noise of this standard deviation, in units of the values: a weight of 0.9 standard deviations, which is
    /// about the best for photographs.
    pub fn total_variation(sigma: f32) -> Self {
        Self::TotalVariation { weight: (0.9 * sigma).max(1e-6) }
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
        let filter = |(values, missing)| self.of_plane(values, missing, [height, width]);
        let out: Vec<f32> = planes.flat_map_iter(filter).collect();
        Tensor::from_data(TensorData::new(out, shape), &device)
    }

    /// Filters one channel `[height, width]`, row by row; `missing` is 1 where a pixel is missing and 0 elsewhere.
    ///
    /// # Panics
    ///
    /// If there are not as many pixels as the sides say.
    pub fn of_plane(
        self,
        values: &[f32],
        missing: &[f32],
        [height, width]: [usize; 2],
    ) -> Vec<f32> {
        assert_eq!([values.len(), missing.len()], [height * width; 2], "pixels of a channel");
        let plane = Plane { values, height, width };
        match self {
            Self::Median { radius } => plane.median(radius),
            Self::Gaussian { sigma } => plane.gaussian(sigma),
            Self::NonLocalMeans { reach, patch, sigma, strength } => {
                plane.non_local_means(reach, patch, [sigma, strength])
            }
            Self::TotalVariation { weight } => plane.total_variation(weight),
            Self::Normalized { sigma } => plane.normalized(sigma, missing),
        }
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

    fn non_local_means(self, reach: usize, patch: usize, [sigma, strength]: [f32; 2]) -> Vec<f32> {
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

    fn total_variation(self, weight: f32) -> Vec<f32> {
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

/// Two images of 11 × 13 pixels for which references were computed with scikit-image 0.26.
#[cfg(test)]
pub(crate) fn reference_images() -> (Vec<f64>, Vec<f64>) {
    let pixel = |at: usize| (at / 13, at % 13);
    let clean = |(y, x): (usize, usize)| ((y * x * 7 + 3 * x + 5 * y) % 17) as f64 / 16.0;
    let noise = |(y, x): (usize, usize)| (((y * 5 + x * 3) % 7) as f64 - 3.0) / 20.0;
    let both =
        |at: usize| (clean(pixel(at)), (clean(pixel(at)) + noise(pixel(at))).clamp(0.0, 1.0));
    (0..11 * 13).map(both).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn of_reference(filter: Filter) -> Vec<f64> {
        let (_, noisy) = reference_images();
        let values: Vec<f32> = noisy.iter().map(|&value| value as f32).collect();
        let image =
            Tensor::<4>::from_data(TensorData::new(values, [1, 1, 11, 13]), &Device::flex());
        filter.apply(image.clone(), image.zeros_like()).into_data().iter::<f64>().collect()
    }

    // denoise_tv_chambolle(noisy, weight=0.1), which stops by the same criterion.
    #[test]
    fn total_variation_is_that_of_scikit_image() {
        let out = of_reference(Filter::TotalVariation { weight: 0.1 });
        for (at, expected) in
            [(0, 0.132_692_46), (71, 0.637_392_90), (142, 0.389_477_04), (12, 0.219_805_00)]
        {
            assert!((out[at] - expected).abs() < 1e-5, "{at}: {} is not {expected}", out[at]);
        }
    }

    // Reference values of a plain loop over all pairs of patches, in double precision.
    #[test]
    fn non_local_means_are_those_of_the_formula() {
        let filter = Filter::NonLocalMeans { reach: 6, patch: 2, sigma: 0.08, strength: 0.1 };
        let out = of_reference(filter);
        for (at, expected) in [(71, 0.837_177_94), (0, 0.024_425_0), (43, 0.712_372_0)] {
            assert!((out[at] - expected).abs() < 1e-5, "{at}: {} is not {expected}", out[at]);
        }
    }

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
        let out = filtered(
            Filter::NonLocalMeans { reach: 5, patch: 1, sigma: 0.0, strength: 0.2 },
            values,
            NONE,
        );
        assert!((out[0] - 0.05).abs() < 0.02 && out[11] > 8.9, "{out:?}");
    }
}
