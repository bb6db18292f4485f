//! How near pictures are to their clean originals, and what classical filters reach.

use serde::Serialize;

use crate::{Filter, NoiseEstimate, ssim};

/// How near a picture is to its clean original, both on the scale `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Peak signal-to-noise ratio over all channels, in decibels; at most 100: see [`psnr`](crate::psnr).
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
        Self { psnr: (-10.0 * error.max(1e-10).log10()).min(100.0), ssim }
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

/// The kinds of [`classical_filters`], in their order.
pub const CLASSICAL: [&str; 4] = ["median", "Gaussian", "non-local means", "total variation"];

/// Cleans a noisy picture `[channels, height, width]` by filters of each kind.
///
/// Non-local means and total variation are set by the noise that is estimated from the noisy picture, the mean over its
/// channels ([`NoiseEstimate`]), as a person has to. Median and Gaussian mean have the setting that is best for this picture,
/// which a person could not know.
///
/// # Panics
///
/// If there are not as many values as the shape says.
pub fn classical_filters(clean: &[f64], noisy: &[f64], shape: [usize; 3]) -> Vec<Filtered> {
    let [channels, height, width] = shape;
    let planes = noisy.chunks(height * width);
    let sigmas = planes.map(|plane| NoiseEstimate::of(plane, [height, width]).sigma);
    let sigma = (sigmas.sum::<f64>() / channels as f64) as f32;
    let single: Vec<f32> = noisy.iter().map(|&value| value as f32).collect();
    let none_missing = vec![0.0; height * width];
    let best = |name, filters: Vec<Filter>| {
        let filtered = filters.into_iter().map(|filter| {
            let planes = single.chunks(height * width);
            let planes = planes.map(|plane| filter.of_plane(plane, &none_missing, [height, width]));
            let values: Vec<f64> = planes.flatten().map(f64::from).collect();
            let quality = Quality::of(clean, &values, shape);
            Filtered { name, filter, values, quality }
        });
        filtered
            .max_by(|a, b| a.quality.psnr.total_cmp(&b.quality.psnr))
            .expect("a filter at least")
    };
    let sigmas = [0.5, 0.7, 1.0, 1.4, 2.0].map(|sigma| Filter::Gaussian { sigma });
    let [median, gaussian, means, variation] = CLASSICAL;
    vec![
        best(median, [1, 2, 3].map(|radius| Filter::Median { radius }).into()),
        best(gaussian, sigmas.into()),
        best(means, vec![Filter::non_local_means(sigma)]),
        best(variation, vec![Filter::total_variation(sigma)]),
    ]
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
        let filtered = classical_filters(&clean, &noisy, shape);
        assert_eq!(filtered.iter().map(|filtered| filtered.name).collect::<Vec<_>>(), CLASSICAL);
        for filtered in &filtered {
            let quality = filtered.quality;
            assert!(quality.psnr > before.psnr + 3.0, "{}: {quality:?}", filtered.name);
            assert!(quality.ssim > before.ssim, "{}: {quality:?}", filtered.name);
        }
        let [_, gaussian, means, variation] = &filtered[..] else { unreachable!() };
        assert!(means.quality.psnr > gaussian.quality.psnr);
        assert!(variation.quality.psnr > gaussian.quality.psnr);
    }
}
