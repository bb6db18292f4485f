//! Products of matrices, by the `gemm` crate.

use rayon::prelude::*;

/// A matrix in memory: rows and columns with a stride each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns);
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// What becomes of the values that the output holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Overwrite,
    Add,
}

/// `out = a · b`, or `out += a · b`, on this thread.
pub(crate) fn multiply(out: &mut [f32], a: Matrix, b: Matrix, output: Output) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    // SAFETY: `out` is borrowed mutably and holds the whole product.
    unsafe { columns(out.as_mut_ptr(), b.columns, a, b, 0..b.columns, output) }
}

/// Panels that the wider side of a product is cut into, whatever the number of threads: so each
/// value is summed in the same order on any number of them.
const PANELS: usize = 8;
/// Panels are multiples of the kernels' own tiles.
const TILE: usize = 16;
/// Products smaller than this (multiplications) are not worth another thread.
const SMALL: usize = 1 << 20;

/// A pointer that threads may share: each writes to columns of its own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: it is only used by `multiply_parallel`, whose threads write disjoint columns or rows.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// `out = a · b` over the threads of rayon's pool.
pub(crate) fn multiply_parallel(out: &mut [f32], a: Matrix, b: Matrix) {
    if a.rows * a.columns * b.columns < SMALL {
        return multiply(out, a, b, Output::Overwrite);
    }
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    let width = b.columns;
    if a.rows > width {
        let panel = a.rows.div_ceil(PANELS).next_multiple_of(TILE);
        out.par_chunks_mut(panel * width).enumerate().for_each(|(i, out)| {
            let first = i * panel;
            let rows = out.len() / width;
            let data = &a.data[first * a.row_stride..];
            multiply(out, Matrix { data, rows, ..a }, b, Output::Overwrite);
        });
        return;
    }
    let panel = width.div_ceil(PANELS).next_multiple_of(TILE);
    let shared = Shared(out.as_mut_ptr());
    (0..width.div_ceil(panel)).into_par_iter().for_each(|i| {
        let range = i * panel..width.min((i + 1) * panel);
        // SAFETY: panels are disjoint columns of `out`, which is borrowed mutably and holds the
        // whole product.
        unsafe { columns(shared.at(0), width, a, b, range, Output::Overwrite) }
    });
}

/// The columns `range` of `a · b` into those of `out`, whose rows are `width` long.
///
/// # Safety
///
/// `out` must be valid for writes of `a.rows` rows of `width`, and nothing else may touch these
/// columns of it.
unsafe fn columns(
    out: *mut f32,
    width: usize,
    a: Matrix,
    b: Matrix,
    range: std::ops::Range<usize>,
    output: Output,
) {
    let (m, n, k) = (a.rows, range.len(), a.columns);
    if m == 0 || n == 0 {
        return;
    }
    let last = |matrix: &Matrix, rows: usize, columns: usize| {
        (rows - 1) * matrix.row_stride + (columns - 1) * matrix.column_stride
    };
    assert!(k > 0 && last(&a, m, k) < a.data.len() && last(&b, k, range.end) < b.data.len());
    // SAFETY: the assertion keeps every read inside `a.data` and `b.data`; the caller answers for
    // the writes, which go to `m` rows and `n` columns of `out`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.add(range.start),
            1,
            width as isize,
            output == Output::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr().add(range.start * b.column_stride),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
