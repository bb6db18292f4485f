//! Classical filters, which clean images without having seen others: what a model has to be better than.

use std::fmt;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use serde::Serialize;

use crate::plane::Plane;

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
