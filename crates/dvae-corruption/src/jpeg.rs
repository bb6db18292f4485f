//! JPEG-like compression: rounding of the cosine coefficients of 8 × 8 blocks.

use std::sync::LazyLock;

use burn::tensor::Tensor;
use dvae_random::RowStreams;
use pulp::{Arch, Simd, WithSimd};

use crate::rows::{Image, clip, each_image};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Rounding of the cosine coefficients of 8 × 8 blocks, as JPEG does.
///
/// ```text
/// x̃ = clip(DCT⁻¹(T ⌊DCT(x) / T⌉)), to [0, 1],   T = clip(Q s), to [1, 255]
/// ```
///
/// on the scale 0 to 255, block by block.
///
/// `Q` are the tables of ITU-T T.81, Annex K.1, for brightness and for color. Three channels are rounded as
/// brightness and two color differences (ITU-R BT.601), all at full resolution; with any other number of
/// channels, each is rounded as brightness. An incomplete block is filled by repeating its last pixel. The
/// coarseness `s` multiplies the tables, whose entries stay between 1 and 255, as in a baseline file: the
/// quality `q` of encoders is `s = 50 / q` below 50, and `2 − q / 50` above (the Independent JPEG Group's
/// rule, which also rounds entries to whole numbers). Only the level is random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jpeg {
    level: Level,
}

impl Jpeg {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "coarseness",
        meaning: "factor of the quantization tables; 1 is a quality of 50",
        range: [0.0, 100.0],
        null: 0.0,
        severities: [1.0, 2.0, 3.5, 6.0, 10.0],
    };

    /// Multiplies the tables by `coarseness`, in `[0, 100]`; 0 changes nothing.
    pub fn new(coarseness: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(coarseness)? })
    }
}

const SIDE: usize = 8;
type Block = [f32; SIDE * SIDE];

#[rustfmt::skip]
const BRIGHTNESS: Block = [
    16.0, 11.0, 10.0, 16.0, 24.0, 40.0, 51.0, 61.0,
    12.0, 12.0, 14.0, 19.0, 26.0, 58.0, 60.0, 55.0,
    14.0, 13.0, 16.0, 24.0, 40.0, 57.0, 69.0, 56.0,
    14.0, 17.0, 22.0, 29.0, 51.0, 87.0, 80.0, 62.0,
    18.0, 22.0, 37.0, 56.0, 68.0, 109.0, 103.0, 77.0,
    24.0, 35.0, 55.0, 64.0, 81.0, 104.0, 113.0, 92.0,
    49.0, 64.0, 78.0, 87.0, 103.0, 121.0, 120.0, 101.0,
    72.0, 92.0, 95.0, 98.0, 112.0, 100.0, 103.0, 99.0,
];

#[rustfmt::skip]
const COLOR: Block = [
    17.0, 18.0, 24.0, 47.0, 99.0, 99.0, 99.0, 99.0,
    18.0, 21.0, 26.0, 66.0, 99.0, 99.0, 99.0, 99.0,
    24.0, 26.0, 56.0, 99.0, 99.0, 99.0, 99.0, 99.0,
    47.0, 66.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0,
    99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0,
    99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0,
    99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0,
    99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0,
];

/// A table entry at a given coarseness: 8 bits in a baseline file, and never 0.
#[inline(always)]
fn step(entry: f32, coarseness: f32) -> f32 {
    (entry * coarseness).clamp(1.0, 255.0)
}

/// The orthonormal cosine transform: row `k` holds `c_k cos((2 n + 1) k π / 16)`.
static COSINES: LazyLock<Block> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        let (k, n) = ((i / SIDE) as f64, (i % SIDE) as f64);
        let scale = if k == 0.0 { 0.125f64.sqrt() } else { 0.5 };
        (scale * ((2.0 * n + 1.0) * k * std::f64::consts::PI / 16.0).cos()) as f32
    })
});

/// `a b`, or `aᵀ b`.
#[inline(always)]
fn product<const TRANSPOSED: bool>(a: &Block, b: &Block) -> Block {
    let mut out = [0.0; SIDE * SIDE];
    for i in 0..SIDE {
        for k in 0..SIDE {
            let factor = if TRANSPOSED { a[k * SIDE + i] } else { a[i * SIDE + k] };
            for j in 0..SIDE {
                out[i * SIDE + j] += factor * b[k * SIDE + j];
            }
        }
    }
    out
}

#[inline(always)]
fn transposed(a: &Block) -> Block {
    let mut out = *a;
    for i in 0..SIDE {
        for j in 0..SIDE {
            out[j * SIDE + i] = a[i * SIDE + j];
        }
    }
    out
}

/// Rounds the coefficients of a block on the scale 0 to 255 to multiples of `steps`, whose axes are swapped.
#[inline(always)]
fn round_block(cosines: &Block, block: &mut Block, steps: &Block) {
    // C x Cᵀ = (C (C x)ᵀ)ᵀ; the outer transposition is left out here and below.
    let mut coefficients =
        product::<false>(cosines, &transposed(&product::<false>(cosines, block)));
    for (coefficient, step) in coefficients.iter_mut().zip(steps) {
        *coefficient = (*coefficient / step + 0.5).floor() * step;
    }
    *block = product::<true>(cosines, &transposed(&product::<true>(cosines, &coefficients)));
}

/// Rounds one plane on the scale 0 to 255, block by block.
struct RoundPlane<'a> {
    plane: &'a mut [f32],
    height: usize,
    width: usize,
    table: &'a Block,
    coarseness: f32,
}

impl WithSimd for RoundPlane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { plane, height, width, .. } = self;
        let cosines = &*COSINES;
        let steps = transposed(self.table).map(|entry| step(entry, self.coarseness));
        for top in (0..height).step_by(SIDE) {
            for left in (0..width).step_by(SIDE) {
                let mut block = [0.0; SIDE * SIDE];
                for (i, line) in block.chunks_exact_mut(SIDE).enumerate() {
                    let source = &plane[(top + i).min(height - 1) * width..][..width];
                    for (j, value) in line.iter_mut().enumerate() {
                        *value = source[(left + j).min(width - 1)] - 128.0;
                    }
                }
                round_block(cosines, &mut block, &steps);
                let columns = SIDE.min(width - left);
                for (i, line) in block.chunks_exact(SIDE).take(height - top).enumerate() {
                    let target = &mut plane[(top + i) * width + left..][..columns];
                    for (target, value) in target.iter_mut().zip(line) {
                        *target = value + 128.0;
                    }
                }
            }
        }
    }
}

/// The deterministic part of [`Jpeg`].
fn compress(image: Image, coarseness: f32, out: &mut [f32]) {
    let Image { height, width, channels, .. } = image;
    out.iter_mut().for_each(|value| *value *= 255.0);
    if channels == 3 {
        each_pixel(out, |[r, g, b]| {
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            [y, (b - y) / 1.772 + 128.0, (r - y) / 1.402 + 128.0]
        });
    }
    for (channel, plane) in out.chunks_exact_mut(height * width).enumerate() {
        let table = if channels == 3 && channel > 0 { &COLOR } else { &BRIGHTNESS };
        Arch::new().dispatch(RoundPlane { plane, height, width, table, coarseness });
    }
    if channels == 3 {
        each_pixel(out, |[y, blue, red]| {
            let (b, r) = (y + 1.772 * (blue - 128.0), y + 1.402 * (red - 128.0));
            [r, (y - 0.299 * r - 0.114 * b) / 0.587, b]
        });
    }
    out.iter_mut().for_each(|value| *value /= 255.0);
    clip(out);
}

fn each_pixel(planes: &mut [f32], f: impl Fn([f32; 3]) -> [f32; 3]) {
    let area = planes.len() / 3;
    let (first, rest) = planes.split_at_mut(area);
    let (second, third) = rest.split_at_mut(area);
    for ((a, b), c) in first.iter_mut().zip(second).zip(third) {
        [*a, *b, *c] = f([*a, *b, *c]);
    }
}

impl Corruption<4> for Jpeg {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        each_image(self.strength(), clean, draws, |image, out, coarseness, _| {
            compress(image, coarseness, out);
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave() -> Block {
        std::array::from_fn(|i| ((i * 37 + i * i * 11) % 256) as f32 - 128.0)
    }

    // With steps of 0.001 a block is unchanged.
    #[test]
    fn the_transform_is_its_own_inverse() {
        let mut block = wave();
        round_block(&COSINES, &mut block, &[0.001; 64]);
        for (got, expected) in block.iter().zip(wave()) {
            assert!((got - expected).abs() < 0.02, "{got} {expected}");
        }
    }

    // Steps of 10⁶ for all coefficients but one keep only that one: the cosine of frequency 1 along a line,
    // so all lines are equal. Its table entry is the second.
    #[test]
    fn a_coefficient_meets_its_own_entry_of_the_table() {
        let mut table = [1e6; 64];
        table[1] = 0.01;
        let mut block = wave();
        round_block(&COSINES, &mut block, &transposed(&table));
        assert!(block.iter().any(|value| value.abs() > 1.0));
        for line in block.chunks_exact(8) {
            for (got, first) in line.iter().zip(&block[..8]) {
                assert!((got - first).abs() < 1e-3, "{block:?}");
            }
        }
    }

    // 121 · 2 = 242 fits in 8 bits and 121 · 3 does not; 10 · 0.01 would be less than the step of a pixel.
    #[test]
    fn entries_are_those_of_a_baseline_file() {
        assert_eq!([step(121.0, 2.0), step(121.0, 3.0), step(10.0, 0.01)], [242.0, 255.0, 1.0]);
    }

    // At coarseness 10, a quality of 5, Pillow 13.0 reads back a checkerboard of single pixels with a
    // root mean square error of 24.34 of 255.
    #[test]
    fn a_checkerboard_loses_what_it_loses_in_a_file() {
        let (channels, height, width) = (1, 64, 64);
        let pixels: Vec<f32> = (0..height * width).map(|i| ((i / width + i) % 2) as f32).collect();
        let mut out = pixels.clone();
        compress(Image { pixels: &pixels, channels, height, width }, 10.0, &mut out);
        let squares = out.iter().zip(&pixels).map(|(a, b)| f64::from(255.0 * (a - b)).powi(2));
        let error = (squares.sum::<f64>() / pixels.len() as f64).sqrt();
        assert!((error - 24.34).abs() < 0.5, "{error}");
    }

    // A gray plane of 0.5 is half a step of the mean's coefficient away from 128 / 255: at quality 50,
    // 8 · (127.5 − 128) = −4 rounds to 0 of 16, which is 128.
    #[test]
    fn rounds_a_gray_image_to_the_nearest_step() {
        for (channels, height, width) in [(1, 8, 8), (1, 3, 11), (3, 1, 1)] {
            let pixels = vec![0.5; channels * height * width];
            let mut out = pixels.clone();
            compress(Image { pixels: &pixels, channels, height, width }, 1.0, &mut out);
            assert!(out.iter().all(|v| (v - 128.0 / 255.0).abs() < 1e-5), "{out:?}");
        }
    }
}
