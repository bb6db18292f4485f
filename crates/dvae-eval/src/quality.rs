//! How near pictures are to their clean originals, and what classical filters reach.

use serde::Serialize;

use crate::{Filter, NoiseEstimate, ssim};

/// How near a picture is to its clean original, both on the scale `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Peak signal-to-noise ratio over all channels, in decibels; at most 100: see [`psnr`](crate::psnr). NaN if a value is.
    pub psnr: f64,
    /// Structural similarity, a mean over channels: see [`ssim`]. `None` for a side below 7 pixels.
    pub ssim: Option<f64>,
}

impl Quality {
    /// Measures a picture `[channels, height, width]`. Values outside `[0, 1]` are cut off first, as in a file.
    ///
    /// # Panics
    ///
    /// If there are not as many values as the shape says.
    pub fn of(clean: &[f64], other: &[f64], [channels, height, width]: [usize; 3]) -> Self {
        assert_eq!(
            [clean.len(), other.len()],
            [channels * height * width; 2],
            "values of a picture"
        );
        let other: Vec<f64> = other.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        let squares = clean.iter().zip(&other).map(|(a, b)| (a - b) * (a - b));
        let error = squares.sum::<f64>() / clean.len() as f64;
        let area = height * width;
        let planes = clean.chunks(area).zip(other.chunks(area));
        let similarities = planes.map(|(clean, other)| ssim(clean, other, [height, width]));
        let sum: Option<f64> = similarities.sum();
        let ssim = sum.map(|sum| sum / channels as f64);
        // Equal pictures have an infinite ratio.
        let psnr = if error < 1e-10 { 100.0 } else { -10.0 * error.log10() };
        Self { psnr, ssim }
    }
}

/// What a kind of filter makes of a noisy picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Filtered {
    /// The kind.
    pub name: &'static str,
    /// The filter, with its settings.
    pub filter: Filter,
    /// The filtered picture.
    pub values: Vec<f64>,
    /// How near it is to the clean one.
    pub quality: Quality,
}

/// Cleans a noisy picture `[channels, height, width]` by filters of each kind.
///
/// Non-local means and total variation are set by the noise that is estimated from the noisy picture, the mean over its
/// channels ([`NoiseEstimate`]), as a person has to. Median and Gaussian mean have the setting that is best for this picture,
/// which a person could not know; so has the mean of the pixels that are there, if it is told which are `missing`: 1 where a
/// pixel is, and 0 elsewhere.
///
/// # Panics
///
/// If there are not as many values as the shape says.
pub fn classical_filters(
    clean: &[f64],
    noisy: &[f64],
    missing: Option<&[f32]>,
    shape: [usize; 3],
) -> Vec<Filtered> {
    let [channels, height, width] = shape;
    let planes = noisy.chunks(height * width);
    let sigmas = planes.map(|plane| NoiseEstimate::of(plane, [height, width]).sigma);
    let sigma = (sigmas.sum::<f64>() / channels as f64) as f32;
    let picture = Noisy { clean, noisy, missing, shape };
    let sigmas = [0.5, 0.7, 1.0, 1.4, 2.0];
    let mut filtered = vec![
        picture.best("median", [1, 2, 3].map(|radius| Filter::Median { radius }).into()),
        picture.best("Gaussian", sigmas.map(|sigma| Filter::Gaussian { sigma }).into()),
        picture.best("non-local means", vec![Filter::non_local_means(sigma)]),
        picture.best("total variation", vec![Filter::total_variation(sigma)]),
    ];
    if missing.is_some() {
        let normalized = sigmas.map(|sigma| Filter::Normalized { sigma });
        filtered.push(picture.best("normalized, told the holes", normalized.into()));
    }
    filtered
}

/// A picture to filter.
#[derive(Clone, Copy)]
struct Noisy<'a> {
    clean: &'a [f64],
    noisy: &'a [f64],
    missing: Option<&'a [f32]>,
    shape: [usize; 3],
}

impl Noisy<'_> {
    /// The best of several filters.
    fn best(self, name: &'static str, filters: Vec<Filter>) -> Filtered {
        let filtered = filters.into_iter().map(|filter| {
            let values = self.filtered(filter);
            let quality = Quality::of(self.clean, &values, self.shape);
            Filtered { name, filter, values, quality }
        });
        let best = filtered.max_by(|a, b| a.quality.psnr.total_cmp(&b.quality.psnr));
        best.expect("a filter at least")
    }

    fn filtered(self, filter: Filter) -> Vec<f64> {
        let sides = [self.shape[1], self.shape[2]];
        let area = sides[0] * sides[1];
        let none = vec![0.0; area];
        let plane = |(channel, plane): (usize, &[f64])| {
            let plane: Vec<f32> = plane.iter().map(|&value| value as f32).collect();
            let missing =
                self.missing.map_or(&none[..], |all| &all[channel * area..(channel + 1) * area]);
            filter.of_plane(&plane, missing, sides)
        };
        let planes = self.noisy.chunks(area).enumerate();
        planes.flat_map(plane).map(f64::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvae_random::Key;

    // An error of 0.1 in half of the values is 23.01 dB; what is above 1 is white.
    #[test]
    fn quality_is_hand_worked_and_cut_off_as_a_file_would_be() {
        let clean = vec![0.5, 0.5, 1.0, 1.0];
        let quality = Quality::of(&clean, &[0.6, 0.4, 1.0, 1.7], [1, 2, 2]);
        assert!((quality.psnr - 23.0103).abs() < 1e-3 && quality.ssim.is_none(), "{quality:?}");
        assert_eq!(Quality::of(&clean, &clean, [1, 2, 2]).psnr, 100.0);
        assert!(Quality::of(&clean, &[f64::NAN; 4], [1, 2, 2]).psnr.is_nan());
    }

    // Steps of light in noise: every kind helps, and those that keep edges do better than a Gaussian mean.
    #[test]
    fn filters_clean_a_noisy_picture_of_edges() {
        let sides = [48, 56];
        let clean: Vec<f64> =
            (0..48 * 56).map(|at| 0.2 + 0.2 * ((at % 56 / 14 + at / 56 / 16) % 4) as f64).collect();
        let mut noise = vec![0.0f32; clean.len()];
        Key::new(1).rows(&[0]).row(0).normal(&mut noise);
        let noisy: Vec<f64> =
            clean.iter().zip(noise).map(|(value, noise)| value + 0.1 * f64::from(noise)).collect();
        let shape = [1, sides[0], sides[1]];
        let before = Quality::of(&clean, &noisy, shape);
        let filtered = classical_filters(&clean, &noisy, None, shape);
        assert_eq!(filtered.len(), 4);
        for filtered in &filtered {
            let quality = filtered.quality;
            assert!(quality.psnr > before.psnr + 3.0, "{}: {quality:?}", filtered.name);
            assert!(quality.ssim > before.ssim, "{}: {quality:?}", filtered.name);
        }
        let [_, gaussian, means, variation] = &filtered[..] else { unreachable!() };
        assert!(means.quality.psnr > gaussian.quality.psnr);
        assert!(variation.quality.psnr > gaussian.quality.psnr);
    }

    // Every fifth pixel is missing: the mean of the others is the best, because it knows which.
    #[test]
    fn a_filter_that_is_told_the_holes_is_among_them() {
        let clean: Vec<f64> = (0..30 * 30).map(|at| 0.5 + 0.01 * (at / 30) as f64).collect();
        let missing: Vec<f32> = (0..30 * 30).map(|at| f32::from(at % 5 == 0)).collect();
        let holes = clean.iter().zip(&missing);
        let noisy: Vec<f64> = holes.map(|(value, &hole)| value * f64::from(1.0 - hole)).collect();
        let filtered = classical_filters(&clean, &noisy, Some(&missing), [1, 30, 30]);
        let best = filtered.iter().max_by(|a, b| a.quality.psnr.total_cmp(&b.quality.psnr));
        assert!(matches!(best.unwrap().filter, Filter::Normalized { .. }), "{best:?}");
    }
}
