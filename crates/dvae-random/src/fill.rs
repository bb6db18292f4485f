//! Filling of buffers: many rows at once, vectorized and on all threads.
//!
//! The layout is that of the crate's documentation: sixteen lanes, for any register width.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::philox::{self, LANES, Words};
use dvae_kernels::math::{ln_normal, sin_cos_of_turn};

/// The number of elements from one set of sixteen counters.
pub(crate) const BLOCK: usize = 4 * LANES;
/// The number of elements for one thread at a time: small enough to balance the load, large enough to be
/// worth a task.
const GRAIN: usize = 128 * BLOCK;

/// A rule that turns random words into values.
pub(crate) trait Distribution: Copy + Send + Sync {
    type Item: Copy + Default + Send;

    /// The elements from one set of sixteen counters.
    fn values(self, words: &Words, out: &mut [Self::Item; BLOCK]);
}

/// Uniform on `[0, 1)`: the upper 24 bits, exact in an `f32`.
#[derive(Clone, Copy)]
pub(crate) struct Uniform;

/// One element from each word, lane by lane: by default the compiler would vectorize across the words.
#[inline(always)]
fn by_word<T>(words: &Words, out: &mut [T; BLOCK], value: impl Fn(u32) -> T) {
    let ([first, second, third, fourth], _) = out.as_chunks_mut::<LANES>() else { return };
    let each = |words: &[u32; LANES], out: &mut [T; LANES]| {
        for lane in 0..LANES {
            out[lane] = value(words[lane]);
        }
    };
    each(&words[0], first);
    each(&words[1], second);
    each(&words[2], third);
    each(&words[3], fourth);
}

/// Standard normal, after Box and Muller (1958).
#[derive(Clone, Copy)]
pub(crate) struct Normal;

/// True where a 32-bit word falls below the threshold `⌊p · 2³²⌋`.
#[derive(Clone, Copy)]
pub(crate) struct Bernoulli {
    pub(crate) threshold: u64,
}

const ULP: f32 = 1.0 / (1 << 24) as f32;

#[inline(always)]
fn unit(word: u32) -> f32 {
    (word >> 8) as i32 as f32 * ULP
}

impl Distribution for Uniform {
    type Item = f32;

    #[inline(always)]
    fn values(self, words: &Words, out: &mut [f32; BLOCK]) {
        by_word(words, out, unit);
    }
}

impl Distribution for Normal {
    type Item = f32;

    #[inline(always)]
    fn values(self, words: &Words, out: &mut [f32; BLOCK]) {
        for pair in 0..2 {
            for lane in 0..LANES {
                // In (0, 1], so that the logarithm is finite.
                let u = unit(words[2 * pair][lane]) + ULP;
                let radius = (-2.0 * ln_normal(u)).sqrt();
                let (sin, cos) = sin_cos_of_turn(unit(words[2 * pair + 1][lane]));
                out[2 * pair * LANES + lane] = radius * cos;
                out[(2 * pair + 1) * LANES + lane] = radius * sin;
            }
        }
    }
}

impl Distribution for Bernoulli {
    type Item = bool;

    #[inline(always)]
    fn values(self, words: &Words, out: &mut [bool; BLOCK]) {
        // The largest word that counts as true; none does at a threshold of 0.
        let limit = self.threshold.wrapping_sub(1) as u32;
        let possible = self.threshold > 0;
        by_word(words, out, |word| (word <= limit) & possible);
    }
}

/// The words themselves.
#[derive(Clone, Copy)]
pub(crate) struct Bits;

impl Distribution for Bits {
    type Item = u32;

    #[inline(always)]
    fn values(self, words: &Words, out: &mut [u32; BLOCK]) {
        by_word(words, out, |word| word);
    }
}

/// One draw of a key. All rows share it; the counter distinguishes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub(crate) key: [u32; 2],
    pub(crate) index: u32,
}

/// Fills `out`, which has a stretch of equal length for each row, from the rows' streams.
pub(crate) fn fill<L: Distribution>(
    arch: Arch,
    out: &mut [L::Item],
    rows: &[u64],
    draw: Draw,
    law: L,
) {
    if out.is_empty() {
        return;
    }
    let row_len = out.len() / rows.len();
    let rows_per_task = (GRAIN / row_len).max(1);
    out.par_chunks_mut(rows_per_task * row_len).zip(rows.par_chunks(rows_per_task)).for_each(
        |(out, rows)| {
            for (out, &row) in out.chunks_mut(row_len).zip(rows) {
                out.par_chunks_mut(GRAIN).enumerate().for_each(|(grain, out)| {
                    let first_counter = (grain * (GRAIN / BLOCK) * LANES) as u32;
                    arch.dispatch(FillRow { out, row, first_counter, draw, law });
                });
            }
        },
    );
}

/// Fills part of one row's stretch of a draw, from element `start` on, a multiple of [`BLOCK`].
pub(crate) fn fill_row<L: Distribution>(
    out: &mut [L::Item],
    row: u64,
    start: usize,
    draw: Draw,
    law: L,
) {
    assert!(start.is_multiple_of(BLOCK), "a piece begins at a multiple of {BLOCK}, not at {start}");
    let first_counter = (start / BLOCK * LANES) as u32;
    Arch::new().dispatch(FillRow { out, row, first_counter, draw, law });
}

struct FillRow<'a, L: Distribution> {
    out: &'a mut [L::Item],
    row: u64,
    first_counter: u32,
    draw: Draw,
    law: L,
}

impl<L: Distribution> WithSimd for FillRow<'_, L> {
    type Output = ();

    // Compiled once for each instruction set that `Arch` can select.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mut counter: Words = [
            std::array::from_fn(|lane| self.first_counter.wrapping_add(lane as u32)),
            [self.row as u32; LANES],
            [(self.row >> 32) as u32; LANES],
            [self.draw.index; LANES],
        ];
        let (blocks, rest) = self.out.as_chunks_mut::<BLOCK>();
        for out in blocks {
            self.law.values(&philox::block(counter, self.draw.key), out);
            for lane in &mut counter[0] {
                *lane = lane.wrapping_add(LANES as u32);
            }
        }
        if !rest.is_empty() {
            let mut values = [L::Item::default(); BLOCK];
            self.law.values(&philox::block(counter, self.draw.key), &mut values);
            rest.copy_from_slice(&values[..rest.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAW: Draw = Draw { key: [1, 2], index: 3 };

    fn normals(arch: Arch, rows: &[u64], row_len: usize) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() * row_len];
        fill(arch, &mut out, rows, DRAW, Normal);
        out
    }

    /// `Arch` values for every instruction set that this machine has.
    fn instruction_sets() -> Vec<Arch> {
        let mut sets = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
        sets
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let expected = normals(Arch::Scalar, &[7, 1 << 40], 3001);
        for arch in instruction_sets() {
            let got = normals(arch, &[7, 1 << 40], 3001);
            assert!(got.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let rows: Vec<u64> = (0..300).collect();
        let expected = normals(Arch::new(), &rows, 300);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| normals(Arch::new(), &rows, 300)), expected);
        }
    }

    #[test]
    fn a_row_longer_than_a_task_equals_its_own_beginning() {
        let long = normals(Arch::new(), &[5], 3 * GRAIN + 17);
        let short = normals(Arch::new(), &[5], GRAIN + 70);
        assert_eq!(long[..GRAIN + 70], short);
        assert_ne!(long[..GRAIN], long[GRAIN..2 * GRAIN]);
    }

    // The layout is guaranteed: changing it would change every seeded result.
    #[test]
    fn the_first_uniforms_are_the_words_of_the_documented_counter() {
        let mut out = [0.0; 20];
        fill(Arch::new(), &mut out, &[1 << 33 | 9], DRAW, Uniform);
        let word = |lane: u32, w: usize| philox::one([lane, 9, 2, 3], [1, 2])[w];
        assert_eq!(out[0], (word(0, 0) >> 8) as f32 / 16_777_216.0);
        assert_eq!(out[5], (word(5, 0) >> 8) as f32 / 16_777_216.0);
        assert_eq!(out[18], (word(2, 1) >> 8) as f32 / 16_777_216.0);
    }
}
