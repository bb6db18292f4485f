//! Shot noise: light counted photon by photon, optionally clipped to a range.

use burn::tensor::Tensor;
use dvae_kernels::math::exp;
use dvae_random::{RowStream, RowStreams};
use pulp::{Arch, Simd, WithSimd};

use crate::clip::Clip;
use crate::rows::each_row;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Shot (Poisson) noise, for data of at least 0.
///
/// ```text
/// x̃ᵢ = clip(g nᵢ),   nᵢ ~ Poisson(xᵢ / g) independently
/// ```
///
/// The gain `g` is the brightness of one photon: the variance of an entry is `g xᵢ`. Hendrycks & Dietterich
/// (2019), section 4.1, use `g` = 1/60 to 1/3 in their code. There is no law for values below 0:
/// [`Corruption::check_value`] rejects them, and they count as 0.
///
/// Up to a mean of 16 photons the count is drawn by inversion, exactly up to the 24 bits of the uniform
/// (Devroye 1986, "Non-Uniform Random Variate Generation", section X.3.3). Above that, it is rounded from a
/// normal variate with a skewness correction, `λ + √λ ε + (ε² − 1) / 6` (Cornish & Fisher 1938, "Moments and
/// Cumulants in the Specification of Distributions"); its distribution function is then off by at most 0.002.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shot {
    level: Level,
    clip: Clip,
}

impl Shot {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "gain",
        meaning: "brightness of one photon, in units of the data",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.016, 0.04, 0.08, 0.16, 0.33],
    };

    /// Photons of brightness `gain`, in `[0, 1]`.
    pub fn new(gain: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(gain)?, clip: Clip::default() })
    }

    /// Clips the result to `[low, high]`.
    pub fn clipped(self, low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self { clip: Clip::to(low, high)?, ..self })
    }
}

/// The mean from which a count is approximated.
const LARGE: f32 = 16.0;
/// The number of entries whose counts are searched in parallel lanes.
const LANES: usize = 16;

/// The deterministic part of [`Shot`]: turns `clean` into counts, with one uniform for each entry, and one
/// normal where the mean is large.
fn count(
    clean: &[f32],
    gain: f32,
    uniforms: &[f32],
    normals: impl FnOnce() -> Vec<f32>,
    out: &mut [f32],
) {
    Arch::new().dispatch(Search { clean, gain, uniforms, out });
    if clean.iter().any(|clean| clean / gain > LARGE) {
        for ((out, clean), e) in out.iter_mut().zip(clean).zip(normals()) {
            let mean = clean / gain;
            if mean > LARGE {
                *out = gain * (mean + mean.sqrt() * e + (e * e - 1.0) / 6.0).round().max(0.0);
            }
        }
    }
    for (out, clean) in out.iter_mut().zip(clean) {
        // So many photons have no noise, and what is infinite or NaN stays so.
        if !(clean / gain).is_finite() {
            *out = *clean;
        }
    }
}

/// Counts by inversion, in parallel lanes.
struct Search<'a> {
    clean: &'a [f32],
    gain: f32,
    uniforms: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Search<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let given = self.clean.chunks(LANES).zip(self.uniforms.chunks(LANES));
        for ((clean, uniforms), out) in given.zip(self.out.chunks_mut(LANES)) {
            let (mut means, mut u) = ([0.0; LANES], [0.0; LANES]);
            for (mean, clean) in means.iter_mut().zip(clean) {
                *mean = (clean / self.gain).clamp(0.0, LARGE);
            }
            u[..clean.len()].copy_from_slice(uniforms);
            for (out, count) in out.iter_mut().zip(counts(&means, &u)) {
                *out = self.gain * count;
            }
        }
    }
}

/// The smallest counts whose distribution function is above the uniforms.
#[inline(always)]
fn counts(means: &[f32; LANES], uniforms: &[f32; LANES]) -> [f32; LANES] {
    // Far above the largest mean: beyond it the function is 1 to all bits.
    const MOST: u32 = 60;
    let (mut probability, mut counts) = ([0.0; LANES], [0.0; LANES]);
    for (probability, &mean) in probability.iter_mut().zip(means) {
        *probability = exp(-mean);
    }
    let mut below = probability;
    for k in 1..=MOST {
        let step = 1.0 / k as f32;
        let mut going = 0;
        for lane in 0..LANES {
            // A probability too small to change the sum ends the search, because the sum can end below 1.
            let rising = (probability[lane] > 1e-8) | (means[lane] > k as f32);
            let more = u32::from((below[lane] <= uniforms[lane]) & rising);
            counts[lane] += more as f32;
            going |= more;
            probability[lane] *= means[lane] * step;
            below[lane] += probability[lane];
        }
        if going == 0 {
            break;
        }
    }
    counts
}

impl<const D: usize> Corruption<D> for Shot {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let strength = Corruption::<D>::strength(self);
        each_row(strength, clean, draws, |clean, out, gain, draws: &mut RowStream| {
            let mut uniforms = vec![0.0; clean.len()];
            draws.uniform(&mut uniforms);
            let normals = || {
                let mut normals = vec![0.0; clean.len()];
                draws.normal(&mut normals);
                normals
            };
            count(clean, gain, &uniforms, normals, out);
            self.clip.all(out);
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..*self }))
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        if value < 0.0 && self.level != Level::Fixed(Self::SCALE.null) {
            return Err(CorruptionError::Negative { process: "shot", value });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distribution function of Poisson(λ) at 0, 1, …
    fn cdf(mean: f64, up_to: usize) -> Vec<f64> {
        let mut probability = (-mean).exp();
        let mut sum = 0.0;
        (0..=up_to)
            .map(|k| {
                sum += probability;
                probability *= mean / (k + 1) as f64;
                sum
            })
            .collect()
    }

    // A uniform between two values of the distribution function gives the larger one's count.
    #[test]
    fn inverts_the_distribution_function() {
        for mean in [0.01, 0.7, 3.0, 9.5, 16.0] {
            let cdf = cdf(mean, 40);
            for (k, pair) in cdf.windows(2).enumerate() {
                let u = (pair[0] + pair[1]) / 2.0;
                if pair[1] - pair[0] > 1e-5 {
                    let got = counts(&[mean as f32; LANES], &[u as f32; LANES]);
                    assert_eq!(got, [(k + 1) as f32; LANES], "mean {mean}");
                }
            }
            let last = counts(&[mean as f32; LANES], &[1.0 - f32::EPSILON / 2.0; LANES])[0];
            assert!(f64::from(last) < mean + 8.0 * mean.sqrt() + 8.0, "mean {mean}: {last}");
        }
        assert_eq!(counts(&[0.0; LANES], &[1.0 - f32::EPSILON / 2.0; LANES]), [0.0; LANES]);
    }

    // The share of a normal's quantiles whose count is at most k, against the exact function.
    #[test]
    fn is_close_to_the_law_where_it_is_approximated() {
        let normal_cdf = |x: f64| {
            let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
            let h = x / 400.0;
            let inner: f64 = (1..400)
                .map(|i| density(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 })
                .sum();
            0.5 + h / 3.0 * (density(0.0) + inner + density(x))
        };
        for mean in [16.01f64, 30.0, 60.0] {
            let exact = cdf(mean, 150);
            for (k, exact) in exact.iter().enumerate() {
                // Where λ + √λ e + (e² − 1) / 6 rounds to k and no further.
                let (a, b, c) = (1.0 / 6.0, mean.sqrt(), mean - 1.0 / 6.0 - (k as f64 + 0.5));
                let edge = (-b + (b * b - 4.0 * a * c).max(0.0).sqrt()) / (2.0 * a);
                let got = normal_cdf(edge.clamp(-8.0, 8.0));
                assert!((got - exact).abs() < 0.002, "mean {mean}, {k}: {got}, {exact}");
            }
        }
    }

    // 0.5 / 0.25 = 2 photons on average: below e⁻² there is none, at ½ there are 2. 20 photons of 0.05
    // with ε = 1: 20 + √20 = 24.47, of which 24 are 1.2.
    #[test]
    fn counts_photons() {
        let mut out = [0.0; 3];
        let none = || unreachable!("no mean is large");
        count(&[0.5, 0.5, -1.0], 0.25, &[0.1, 0.5, 0.5], none, &mut out);
        assert_eq!(out, [0.0, 0.5, 0.0]);
        count(&[1.0, 1.0, 0.0], 0.05, &[0.5; 3], || vec![1.0, -1.0, 0.0], &mut out);
        assert!((out[0] - 24.0 * 0.05).abs() < 1e-6, "{out:?}");
        assert!((out[1] - 16.0 * 0.05).abs() < 1e-6 && out[2] == 0.0, "{out:?}");
        Clip::to(0.0, 1.0).unwrap().all(&mut out);
        assert_eq!(out[0], 1.0);
    }

    // 10³⁰ / 10⁻²⁰ photons are more than a float can count.
    #[test]
    fn photons_beyond_counting_have_no_noise() {
        let mut out = [0.0; 3];
        let clean = [1e30, f32::INFINITY, f32::NAN];
        count(&clean, 1e-20, &[0.5; 3], || vec![-1.0; 3], &mut out);
        assert_eq!(out[..2], clean[..2]);
        assert!(out[2].is_nan());
    }

    #[test]
    fn refuses_values_below_zero() {
        let check = |gain, value| Corruption::<1>::check_value(&Shot::new(gain).unwrap(), value);
        assert!(check(0.1, 0.0).is_ok() && check(0.1, 60.0).is_ok());
        let error = check(0.1, -2.0).unwrap_err().to_string();
        assert!(error.contains("`shot`") && error.contains("-2"), "{error}");
        // What changes nothing takes any value.
        assert!(check(0.0, -2.0).is_ok());
    }
}
