//! The kernel: one unit computes the four words of one Philox counter, and their four elements.
//!
//! The functions are those of [`math`](crate::math), except where a shader compiler could optimize them away:
//! the quadrant of an angle comes from integers, because adding and subtracting a large number may be
//! canceled. Products and sums may be fused, so that normals differ in their last bits from those made on the
//! host; WGSL's own logarithm, sine and cosine would have errors of up to 2⁻¹¹.

use std::f32::consts::FRAC_PI_2;

use burn_cubecl::cubecl::{self, prelude::*};

/// The values made from words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variate {
    Uniform,
    Normal,
    Bernoulli,
}

const ROUNDS: u32 = 10;
const MULTIPLIER_0: u32 = 0xD251_1F53;
const MULTIPLIER_1: u32 = 0xCD9E_8D57;
const WEYL_0: u32 = 0x9E37_79B9;
const WEYL_1: u32 = 0xBB67_AE85;
const ULP: f32 = 1.0 / 16_777_216.0;

#[cube]
fn words(c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32) -> (u32, u32, u32, u32) {
    let mut x0 = c0;
    let mut x1 = c1;
    let mut x2 = c2;
    let mut x3 = c3;
    let mut low_key = k0;
    let mut high_key = k1;
    #[unroll]
    for _ in 0u32..ROUNDS {
        let high0 = x0.mul_hi(MULTIPLIER_0);
        let low0 = x0 * MULTIPLIER_0;
        let high1 = x2.mul_hi(MULTIPLIER_1);
        let low1 = x2 * MULTIPLIER_1;
        x0 = high1 ^ x1 ^ low_key;
        x1 = low1;
        x2 = high0 ^ x3 ^ high_key;
        x3 = low0;
        low_key += WEYL_0;
        high_key += WEYL_1;
    }
    (x0, x1, x2, x3)
}

/// On [0, 1): exact, the bits of the host.
#[cube]
fn closed_unit(word: u32) -> f32 {
    (word >> 8u32) as f32 * ULP
}

/// On (0, 1]: exact.
#[cube]
fn open_unit(word: u32) -> f32 {
    ((word >> 8u32) + 1u32) as f32 * ULP
}

const ONE_BITS: u32 = 0x3f80_0000;
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
const MANTISSA: u32 = 0x007f_ffff;
const NINTH: f32 = 1.0 / 9.0;
const SEVENTH: f32 = 1.0 / 7.0;
const THIRD: f32 = 1.0 / 3.0;
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

#[cube]
fn natural_log(x: f32) -> f32 {
    let shifted = u32::reinterpret(x) + (ONE_BITS - SQRT_HALF_BITS);
    let k = ((shifted >> 23u32) as i32 - 127i32) as f32;
    let m = f32::reinterpret((shifted & MANTISSA) + SQRT_HALF_BITS);
    let s = (m - 1.0f32) / (m + 1.0f32);
    let w = s * s;
    let series = (((w * NINTH + SEVENTH) * w + 0.2f32) * w + THIRD) * w;
    let twice = 2.0f32 * s;
    k * LN_2_HIGH + (k * LN_2_LOW + (twice + twice * series))
}

const EIGHTH_TURN: u32 = 1 << 21; // of a 24-bit turn
const QUARTER_BITS: u32 = 22;
const QUARTER_SCALE: f32 = FRAC_PI_2 / 4_194_304.0;
const S3: f32 = -1.951_529_6e-4;
const S2: f32 = 8.332_161e-3;
const S1: f32 = -1.666_665_5e-1;
const C3: f32 = 2.443_315_7e-5;
const C2: f32 = -1.388_731_6e-3;
const C1: f32 = 4.166_664_6e-2;

/// (sin, cos) of 2π times the upper 24 bits of `word`. The quadrant comes from integers: a shader
/// compiler may cancel `(x + big) - big`.
#[cube]
fn sin_cos_turns(word: u32) -> (f32, f32) {
    let turn = word >> 8u32;
    let quadrant = (turn + EIGHTH_TURN) >> QUARTER_BITS; // 0 to 4
    let offset = turn as i32 - (quadrant << QUARTER_BITS) as i32; // within an eighth of a turn
    let angle = offset as f32 * QUARTER_SCALE;
    let w = angle * angle;
    let sin = ((S3 * w + S2) * w + S1) * w * angle + angle;
    let cos = ((C3 * w + C2) * w + C1) * w * w - 0.5f32 * w + 1.0f32;
    let odd = (quadrant & 1u32) == 1u32;
    let sin_size = select::<f32>(odd, cos, sin);
    let cos_size = select::<f32>(odd, sin, cos);
    let sin_negative = (quadrant & 2u32) == 2u32;
    let cos_negative = ((quadrant + 1u32) & 2u32) == 2u32;
    let signed_sin = select::<f32>(sin_negative, -sin_size, sin_size);
    let signed_cos = select::<f32>(cos_negative, -cos_size, cos_size);
    (signed_sin, signed_cos)
}

/// Box and Muller (1958).
#[cube]
fn normals(radius_word: u32, angle_word: u32) -> (f32, f32) {
    // `abs`: the logarithm may be -0, or be rounded to above 0.
    let radius = (2.0f32 * natural_log(open_unit(radius_word))).abs().sqrt();
    let (sin, cos) = sin_cos_turns(angle_word);
    (radius * cos, radius * sin)
}

/// `rows`: low and high word of each row's id. `limit`: the largest word that counts as true.
#[cube(launch)]
pub(crate) fn fill<T: Numeric>(
    rows: &[u32],
    output: &mut [T],
    key_low: u32,
    key_high: u32,
    draw: u32,
    row_len: u32,
    counters: u32, // of each row
    units: u32,
    limit: u32,
    #[comptime] variate: Variate,
    #[define(T)] _dtype: ElemType,
) {
    let position = ABSOLUTE_POS as u32;
    if position < units {
        let row = position / counters;
        let counter = position % counters;
        let id_low = rows[(2u32 * row) as usize];
        let id_high = rows[(2u32 * row + 1u32) as usize];
        let (w0, w1, w2, w3) = words(counter, id_low, id_high, draw, key_low, key_high);
        let (v0, v1, v2, v3) = match comptime!(variate) {
            Variate::Uniform => (
                T::cast_from(closed_unit(w0)),
                T::cast_from(closed_unit(w1)),
                T::cast_from(closed_unit(w2)),
                T::cast_from(closed_unit(w3)),
            ),
            Variate::Normal => {
                let (a0, a1) = normals(w0, w1);
                let (a2, a3) = normals(w2, w3);
                (T::cast_from(a0), T::cast_from(a1), T::cast_from(a2), T::cast_from(a3))
            }
            Variate::Bernoulli => (
                T::cast_from(w0 <= limit),
                T::cast_from(w1 <= limit),
                T::cast_from(w2 <= limit),
                T::cast_from(w3 <= limit),
            ),
        };
        // Element 64 b + 16 w + l of a row: word w of counter 16 b + l.
        let column = 64u32 * (counter / 16u32) + counter % 16u32;
        let start = row * row_len;
        if column < row_len {
            output[(start + column) as usize] = v0;
        }
        if column + 16u32 < row_len {
            output[(start + column + 16u32) as usize] = v1;
        }
        if column + 32u32 < row_len {
            output[(start + column + 32u32) as usize] = v2;
        }
        if column + 48u32 < row_len {
            output[(start + column + 48u32) as usize] = v3;
        }
    }
}
