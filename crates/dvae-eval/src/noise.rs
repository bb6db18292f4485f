//! How much noise an image has, from the image alone.

use rayon::prelude::*;
use serde::Serialize;

/// Daubechies (1992), "Ten Lectures on Wavelets", table 6.1: the filters of two vanishing moments.
const LOW: [f64; 4] = [
    -0.129_409_522_550_921_45,
    0.224_143_868_041_857_35,
    0.836_516_303_737_469,
    0.482_962_913_144_690_25,
];
const HIGH: [f64; 4] = [-LOW[3], LOW[2], -LOW[1], LOW[0]];
/// The third quartile of a standard normal.
const QUARTILE: f64 = 0.674_489_750_196_081_7;
/// Coefficients of one brightness.
const GROUP: usize = 256;
/// Groups of brightness, at most.
const GROUPS: usize = 64;

/// The noise of one channel of an image.
///
/// ```
/// # let (height, width) = (64, 64);
/// # let pixels: Vec<f64> = (0..height * width).map(|at| (at as f64).sin().abs()).collect();
/// let noise = dvae_eval::NoiseEstimate::of(&pixels, [height, width]);
/// println!("standard deviation {}", noise.sigma);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NoiseEstimate {
    /// The standard deviation, if it is the same everywhere, in units of the pixels: the median of the absolute diagonal
    /// coefficients of the finest scale over 0.6745, as Donoho & Johnstone (1994), "Ideal Spatial Adaptation by Wavelet
    /// Shrinkage", section 4.2. Coefficients of 0 do not count, as in scikit-image's `estimate_sigma`, and here neither do
    /// those that rounding moved off 0; an image without others has 0.
    pub sigma: f64,
    /// The variance as a line over the brightness, if the image has at least two groups of 256 coefficients that differ in
    /// brightness.
    pub line: Option<NoiseLine>,
}

/// The variance of noise from counted light and from electronics, `gain · brightness + offset`: Foi et al. (2008),
/// "Practical Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data", equation 3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NoiseLine {
    /// In units of the pixels; at least 0. A picture of Poisson counts has 1, and that divided by `n` has `1 / n`.
    pub gain: f64,
    /// In squared units of the pixels. It is below 0 where black is above 0.
    pub offset: f64,
}

/// A place at the finest scale.
#[derive(Clone, Copy, Debug)]
struct Coefficient {
    diagonal: f64,
    brightness: f64,
    /// Whether a pixel under it is at an end of the range, where noise is cut off.
    is_clipped: bool,
}

impl NoiseEstimate {
    /// Measures one channel, row by row; NaN is a pixel that was not observed. Fine texture counts as noise.
    ///
    /// For the line, coefficients are grouped by brightness; the variance of a group is a robust one, as `sigma` is, and
    /// groups weigh by their precision. Left out of it are pixels where values were cut off: at the lowest or highest value,
    /// if it is more frequent than the one next to it.
    ///
    /// # Panics
    ///
    /// If there are not as many pixels as the sides say.
    pub fn of(pixels: &[f64], sides: [usize; 2]) -> Self {
        assert_eq!(pixels.len(), sides[0] * sides[1], "pixels of an image of {sides:?}");
        let coefficients = match pixels.is_empty() {
            true => vec![],
            false => coefficients(pixels, sides),
        };
        let largest = pixels.iter().fold(0.0, |largest: f64, pixel| largest.max(pixel.abs()));
        let rounding = 1e-12 * largest;
        let sizes = coefficients.iter().map(|at| at.diagonal.abs());
        let mut sizes: Vec<f64> = sizes.filter(|&size| size > rounding).collect();
        Self { sigma: median(&mut sizes) / QUARTILE, line: line(coefficients) }
    }
}

/// The coefficients at the finest scale of a wavelet transform whose edges are mirrored, where all pixels were observed.
fn coefficients(pixels: &[f64], [height, width]: [usize; 2]) -> Vec<Coefficient> {
    let ends = clipped_ends(pixels);
    let taps = |place: usize, side: usize| -> [usize; 4] {
        std::array::from_fn(|tap| mirrored(2 * place as isize + 1 - tap as isize, side))
    };
    let at = |(y, x): (usize, usize)| {
        let (rows, columns) = (taps(y, height), taps(x, width));
        let (mut diagonal, mut low, mut is_clipped) = (0.0, 0.0, false);
        for (i, row) in rows.into_iter().enumerate() {
            for (j, column) in columns.into_iter().enumerate() {
                let pixel = pixels[row * width + column];
                diagonal += HIGH[i] * HIGH[j] * pixel;
                low += LOW[i] * LOW[j] * pixel;
                is_clipped |= ends.contains(&Some(pixel));
            }
        }
        // A constant of 1 has a low coefficient of 2.
        Coefficient { diagonal, brightness: 0.5 * low, is_clipped }
    };
    let places = |side: usize| (side + 3) / 2;
    (0..places(height))
        .into_par_iter()
        .flat_map_iter(|y| (0..places(width)).map(move |x| at((y, x))))
        .filter(|coefficient| !coefficient.diagonal.is_nan())
        .collect()
}

/// A place outside the side, mirrored at the edge of the pixels.
fn mirrored(at: isize, side: usize) -> usize {
    let period = 2 * side as isize;
    let at = at.rem_euclid(period);
    at.min(period - 1 - at) as usize
}

/// The lowest and the highest value, if more pixels have it than the value next to it: there they were cut off.
fn clipped_ends(pixels: &[f64]) -> [Option<f64>; 2] {
    let seen = || pixels.iter().copied().filter(|pixel| !pixel.is_nan());
    let count = |value: f64| seen().filter(|&pixel| pixel == value).count();
    let end = |best: fn(f64, f64) -> f64| {
        let end = seen().reduce(best)?;
        let next = seen().filter(|&pixel| pixel != end).reduce(best)?;
        (count(end) > count(next)).then_some(end)
    };
    [end(f64::min), end(f64::max)]
}

/// Half-way between the two in the middle, if their number is even; 0 of none.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().reduce(f64::max);
    match values.len() % 2 {
        0 => 0.5 * (lower.unwrap_or(upper) + upper),
        _ => upper,
    }
}

/// Mean brightness and variance of a group, and the number of its coefficients.
struct Group {
    brightness: f64,
    variance: f64,
    count: f64,
}

/// Fits the line, with weights that are the precision of a variance of normal noise: `n / (2 σ⁴)`.
fn line(mut coefficients: Vec<Coefficient>) -> Option<NoiseLine> {
    coefficients.retain(|at| !at.is_clipped);
    coefficients.sort_by(|a, b| a.brightness.total_cmp(&b.brightness));
    let count = coefficients.len().div_ceil(GROUPS).max(GROUP);
    let groups: Vec<Group> = coefficients.chunks_exact(count).map(group).collect();
    let [first, .., last] = &groups[..] else { return None };
    if last.brightness <= first.brightness {
        return None;
    }
    let mean = groups.iter().map(|group| group.variance).sum::<f64>() / groups.len() as f64;
    let mut fitted = NoiseLine { gain: 0.0, offset: mean };
    if mean == 0.0 {
        return Some(fitted);
    }
    for _ in 0..20 {
        fitted = weighted(&groups, |group| {
            let variance = fitted.gain * group.brightness + fitted.offset;
            // No group is so quiet that the others do not count.
            group.count / (variance / mean).max(0.05).powi(2)
        });
    }
    Some(fitted)
}

fn group(coefficients: &[Coefficient]) -> Group {
    let count = coefficients.len() as f64;
    let brightness = coefficients.iter().map(|at| at.brightness).sum::<f64>() / count;
    let mut sizes: Vec<f64> = coefficients.iter().map(|at| at.diagonal.abs()).collect();
    let sigma = median(&mut sizes) / QUARTILE;
    Group { brightness, variance: sigma * sigma, count }
}

/// Weighted least squares, with a slope of at least 0.
fn weighted(groups: &[Group], weight: impl Fn(&Group) -> f64) -> NoiseLine {
    let sum = |term: &dyn Fn(&Group) -> f64| -> f64 {
        groups.iter().map(|group| weight(group) * term(group)).sum()
    };
    let total = sum(&|_| 1.0);
    let [brightness, variance] = [sum(&|g| g.brightness) / total, sum(&|g| g.variance) / total];
    let along = |g: &Group| g.brightness - brightness;
    let slope = sum(&|g| along(g) * (g.variance - variance)) / sum(&|g| along(g).powi(2));
    let gain = slope.max(0.0);
    NoiseLine { gain, offset: variance - gain * brightness }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_random::Key;

    // `skimage.restoration.estimate_sigma` of scikit-image 0.26.
    #[test]
    fn sigma_is_that_of_scikit_image() {
        for ([height, width], expected) in [
            ([16, 16], 0.174_389_911_882_005_42),
            ([33, 20], 0.170_921_737_172_384_01),
            ([7, 31], 0.331_127_460_230_803_2),
            ([4, 4], 0.593_179_650_457_270_7),
        ] {
            let pixel = |at: usize| {
                let (y, x) = ((at / width) as f64, (at % width) as f64);
                0.5 + 0.5 * (12.9898 * y + 78.233 * x + 0.37 * y * x).sin()
            };
            let pixels: Vec<f64> = (0..height * width).map(pixel).collect();
            let noise = NoiseEstimate::of(&pixels, [height, width]);
            assert!((noise.sigma - expected).abs() < 1e-10, "{height} × {width}: {}", noise.sigma);
        }
    }

    fn ramp([height, width]: [usize; 2]) -> Vec<f64> {
        (0..height * width).map(|at| 0.1 + 0.8 * (at % width) as f64 / width as f64).collect()
    }

    fn normals(count: usize, seed: u64) -> Vec<f64> {
        let values = Key::new(seed).rows(&[0]).normal::<2>([1, count], &Device::flex());
        values.into_data().iter::<f64>().collect()
    }

    #[test]
    fn known_noise_is_found() {
        let sides = [400, 500];
        let clean = ramp(sides);
        for (gain, offset) in [(0.0, 0.01), (0.01, 0.0), (0.02, 0.001), (0.002, 0.0001)] {
            let noise = normals(clean.len(), 3);
            let noisy = clean.iter().zip(&noise).map(|(x, e)| x + (gain * x + offset).sqrt() * e);
            let noisy: Vec<f64> = noisy.collect();
            let found = NoiseEstimate::of(&noisy, sides).line.unwrap();
            let at = |line: NoiseLine, brightness: f64| line.gain * brightness + line.offset;
            for brightness in [0.2, 0.5, 0.8] {
                let expected = at(NoiseLine { gain, offset }, brightness);
                let ratio = at(found, brightness) / expected;
                assert!(
                    (ratio - 1.0).abs() < 0.06,
                    "{gain} x + {offset}, at {brightness}: {found:?}"
                );
            }
            if gain == 0.0 {
                let sigma = NoiseEstimate::of(&noisy, sides).sigma;
                assert!((sigma / offset.sqrt() - 1.0).abs() < 0.02, "{sigma}");
            }
        }
    }

    // Clipped at 0 and 1, and rounded to 256 steps.
    #[test]
    fn clipped_pixels_do_not_bend_the_line() {
        let sides = [400, 500];
        let clean: Vec<f64> = ramp(sides).iter().map(|x| 1.5 * (x - 0.5) + 0.5).collect();
        let noisy: Vec<f64> = clean
            .iter()
            .zip(normals(clean.len(), 4))
            .map(|(x, e)| (255.0 * (x + 0.05 * e).clamp(0.0, 1.0)).round() / 255.0)
            .collect();
        let line = NoiseEstimate::of(&noisy, sides).line.unwrap();
        for brightness in [0.2, 0.5, 0.8] {
            let sigma = (line.gain * brightness + line.offset).sqrt();
            assert!((sigma / 0.05 - 1.0).abs() < 0.06, "{sigma} at {brightness}");
        }
    }

    #[test]
    fn small_constant_and_unobserved_images_have_an_estimate() {
        for sides in [[1, 1], [1, 7], [2, 2], [3, 40], [0, 0], [0, 5]] {
            let pixels = vec![0.5; sides[0] * sides[1]];
            let noise = NoiseEstimate::of(&pixels, sides);
            assert_eq!(noise, NoiseEstimate { sigma: 0.0, line: None }, "{sides:?}");
        }
        let unobserved = NoiseEstimate::of(&[f64::NAN; 64], [8, 8]);
        assert_eq!(unobserved, NoiseEstimate { sigma: 0.0, line: None });
        let mut some = normals(10_000, 5);
        some[5_050] = f64::NAN;
        let sigma = NoiseEstimate::of(&some, [100, 100]).sigma;
        assert!((sigma - 1.0).abs() < 0.05, "{sigma}");
    }
}
