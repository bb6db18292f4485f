//! Interleaved layouts of sixteen images, with each image in one lane of a vector.

use pulp::{Simd, WithSimd};

use super::simd::dispatch;

/// Images in a block: one vector of AVX-512, two of AVX2, four of SSE2 and NEON.
pub(crate) const LANES: usize = 16;

/// Converts at most sixteen images `[images, channels, places]` to `[places, channels, 16]`; lanes without an
/// image are 0.
pub(crate) fn to_lanes(images: &[f32], channels: usize, places: usize, block: &mut [f32]) {
    dispatch(Turns {
        from: images,
        to: block,
        rows: images.len() / (channels * places),
        columns: places,
        row_stride: channels * places,
        column_stride: channels * LANES,
        repeats: channels,
        from_step: places,
        to_step: LANES,
        padded: true,
    });
}

/// The reverse of [`to_lanes`].
pub(crate) fn from_lanes(block: &[f32], channels: usize, places: usize, images: &mut [f32]) {
    let count = images.len() / (channels * places);
    dispatch(Turns {
        from: block,
        to: images,
        rows: places,
        columns: count,
        row_stride: channels * LANES,
        column_stride: channels * places,
        repeats: channels,
        from_step: LANES,
        to_step: places,
        padded: false,
    });
}

/// Converts at most sixteen images `[images, channels, places]` to `[places, 16, width]`, with rows of
/// channels padded with 0 to `width`, a multiple of sixteen; rows without an image are 0.
pub(crate) fn to_rows(
    images: &[f32],
    channels: usize,
    places: usize,
    width: usize,
    block: &mut [f32],
) {
    let count = images.len() / (channels * places);
    dispatch(Turns {
        from: images,
        to: block,
        rows: channels,
        columns: places,
        row_stride: places,
        column_stride: LANES * width,
        repeats: count,
        from_step: channels * places,
        to_step: width,
        padded: true,
    });
    if count < LANES {
        for place in block.chunks_exact_mut(LANES * width) {
            place[count * width..].fill(0.0);
        }
    }
}

/// Matrices to transpose: `to[column][row] = from[row][column]`, several times, a step apart.
struct Turns<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    rows: usize,
    columns: usize,
    /// The distance between rows in `from`.
    row_stride: usize,
    /// The distance between columns in `to`.
    column_stride: usize,
    repeats: usize,
    from_step: usize,
    to_step: usize,
    /// Whether rows up to the next multiple of sixteen are written, as 0.
    padded: bool,
}

impl WithSimd for Turns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, columns, row_stride, column_stride, .. } = self;
        for repeat in 0..self.repeats {
            let from = &self.from[repeat * self.from_step..];
            let to = &mut self.to[repeat * self.to_step..];
            for row in starts(rows, !self.padded) {
                let height = LANES.min(rows - row);
                for column in starts(columns, true) {
                    let tile = Tile {
                        from: &from[row * row_stride + column..],
                        to: &mut to[column * column_stride + row..],
                        rows: height,
                        columns: LANES.min(columns - column),
                        row_stride,
                        column_stride,
                        written: if self.padded { LANES } else { height },
                    };
                    tile.turn::<S>();
                }
            }
        }
    }
}

/// The starts of tiles. With `overlap`, the last of several tiles may overlap the previous one, so that it is
/// complete.
fn starts(len: usize, overlap: bool) -> impl Iterator<Item = usize> {
    let last = if overlap && len > LANES { len - LANES } else { len };
    (0..len).step_by(LANES).map(move |start| start.min(last))
}

/// At most sixteen rows and columns of a matrix to transpose.
struct Tile<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    /// The number of written entries in each row of `to`: `rows`, or all sixteen.
    written: usize,
}

impl Tile<'_> {
    #[inline(always)]
    fn turn<S: Simd>(self) {
        assert!((self.rows - 1) * self.row_stride + self.columns <= self.from.len());
        assert!((self.columns - 1) * self.column_stride + self.written <= self.to.len());
        #[cfg(target_arch = "x86_64")]
        if std::any::TypeId::of::<S>() == std::any::TypeId::of::<pulp::x86::V4>() {
            // SAFETY: `S` shows that the machine has AVX-512, and the assertions that everything is in range.
            unsafe { avx512::turn(self) };
            return;
        }
        let mut tile = [[0.0f32; LANES]; LANES];
        for (i, row) in tile.iter_mut().enumerate().take(self.rows) {
            let from = &self.from[i * self.row_stride..][..self.columns];
            match <&[f32; LANES]>::try_from(from) {
                Ok(from) => *row = *from,
                Err(_) => row[..from.len()].copy_from_slice(from),
            }
        }
        for (i, row) in transposed(&tile).iter().enumerate().take(self.columns) {
            let to = &mut self.to[i * self.column_stride..][..self.written];
            match <&mut [f32; LANES]>::try_from(&mut *to) {
                Ok(to) => *to = *row,
                Err(_) => to.copy_from_slice(&row[..to.len()]),
            }
        }
    }
}

/// Transposes four by four entries at a time.
#[inline(always)]
fn transposed(tile: &[[f32; LANES]; LANES]) -> [[f32; LANES]; LANES] {
    let mut turned = [[0.0; LANES]; LANES];
    for row in (0..LANES).step_by(4) {
        for column in (0..LANES).step_by(4) {
            for i in 0..4 {
                for j in 0..4 {
                    turned[column + j][row + i] = tile[row + i][column + j];
                }
            }
        }
    }
    turned
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512, __mmask16, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps,
        _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4,
        _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
        _mm512_unpacklo_ps,
    };

    use super::{LANES, Tile};

    /// Transposes a tile in registers.
    ///
    /// # Safety
    ///
    /// All rows and columns of the tile must be inside its slices.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) unsafe fn turn(tile: Tile) {
        if [tile.rows, tile.columns, tile.written] == [LANES; 3] {
            // SAFETY: rows and columns are inside the slices, as the caller guarantees.
            return unsafe { whole(tile) };
        }
        let mask = |count: usize| ((1u32 << count) - 1) as __mmask16;
        let mut rows = [_mm512_setzero_ps(); LANES];
        for (i, row) in rows.iter_mut().enumerate().take(tile.rows) {
            // SAFETY: the row is inside `from`, and the mask leaves out what is beyond its end.
            *row = unsafe {
                let from = tile.from.as_ptr().add(i * tile.row_stride);
                _mm512_maskz_loadu_ps(mask(tile.columns), from)
            };
        }
        for (i, row) in transposed(rows).into_iter().enumerate().take(tile.columns) {
            // SAFETY: the row is inside `to`, and the mask leaves out what is not written.
            unsafe {
                let to = tile.to.as_mut_ptr().add(i * tile.column_stride);
                _mm512_mask_storeu_ps(to, mask(tile.written), row);
            }
        }
    }

    /// Transposes a tile of sixteen rows and sixteen columns.
    ///
    /// # Safety
    ///
    /// As for [`turn`].
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn whole(tile: Tile) {
        let mut rows = [_mm512_setzero_ps(); LANES];
        for (i, row) in rows.iter_mut().enumerate() {
            // SAFETY: the row is inside `from`, as the caller guarantees.
            *row = unsafe { _mm512_loadu_ps(tile.from.as_ptr().add(i * tile.row_stride)) };
        }
        for (i, row) in transposed(rows).into_iter().enumerate() {
            // SAFETY: the row is inside `to`, as the caller guarantees.
            unsafe { _mm512_storeu_ps(tile.to.as_mut_ptr().add(i * tile.column_stride), row) };
        }
    }

    /// Interleaves single floats of neighboring rows, then pairs of them, then quarters of vectors twice.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn transposed(rows: [__m512; LANES]) -> [__m512; LANES] {
        let mut singles = rows;
        for i in (0..LANES).step_by(2) {
            singles[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
            singles[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let low =
            |a, b| _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
        let high =
            |a, b| _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
        let mut pairs = rows;
        for i in (0..LANES).step_by(4) {
            pairs[i] = low(singles[i], singles[i + 2]);
            pairs[i + 1] = high(singles[i], singles[i + 2]);
            pairs[i + 2] = low(singles[i + 1], singles[i + 3]);
            pairs[i + 3] = high(singles[i + 1], singles[i + 3]);
        }
        // Even and odd quarters of two vectors.
        let even = |a, b| _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
        let odd = |a, b| _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
        let mut turned = rows;
        for i in 0..4 {
            let (upper, lower) = ((pairs[i], pairs[i + 4]), (pairs[i + 8], pairs[i + 12]));
            turned[i] = even(even(upper.0, upper.1), even(lower.0, lower.1));
            turned[i + 4] = even(odd(upper.0, upper.1), odd(lower.0, lower.1));
            turned[i + 8] = odd(even(upper.0, upper.1), even(lower.0, lower.1));
            turned[i + 12] = odd(odd(upper.0, upper.1), odd(lower.0, lower.1));
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values of `images` images, each one different.
    fn images(count: usize, channels: usize, places: usize) -> Vec<f32> {
        (1..=count * channels * places).map(|i| i as f32).collect()
    }

    #[test]
    fn layouts_hold_every_value_where_they_say() {
        for (count, channels, places) in [(16, 3, 49), (5, 17, 16), (1, 1, 1), (11, 32, 7)] {
            let from = images(count, channels, places);
            let value = |n: usize, c: usize, p: usize| match n < count && c < channels {
                true => from[(n * channels + c) * places + p],
                false => 0.0,
            };
            let mut lanes = vec![f32::NAN; places * channels * LANES];
            to_lanes(&from, channels, places, &mut lanes);
            let width = channels.next_multiple_of(LANES);
            let mut rows = vec![f32::NAN; places * LANES * width];
            to_rows(&from, channels, places, width, &mut rows);
            for p in 0..places {
                for n in 0..LANES {
                    for c in 0..channels {
                        assert_eq!(lanes[(p * channels + c) * LANES + n], value(n, c, p));
                    }
                    for c in 0..width {
                        assert_eq!(rows[(p * LANES + n) * width + c], value(n, c, p));
                    }
                }
            }
            let mut back = vec![f32::NAN; from.len()];
            from_lanes(&lanes, channels, places, &mut back);
            assert_eq!(back, from);
        }
    }
}
