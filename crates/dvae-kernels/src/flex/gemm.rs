//! Matrix products by the `gemm` crate.

use std::ops::Range;

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
    /// A row-major matrix.
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

    /// Some of the rows.
    fn part(self, rows: Range<usize>) -> Self {
        let data = &self.data[rows.start * self.row_stride..];
        Self { data, rows: rows.len(), ..self }
    }
}

/// The number of panels that the wider side of a product is split into, for any number of threads: `gemm`
/// selects a kernel by the shape of its operands, and kernels sum in different orders.
const PANELS: usize = 8;
/// Panels are multiples of the kernels' own tiles.
const TILE: usize = 16;
/// Products smaller than this (multiplications) are not worth another thread.
const SMALL: usize = 1 << 18;

/// A pointer that threads may share: each writes to its own rows or columns.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: it is only used by `multiply`, whose threads write disjoint rows or columns.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// Computes `out = a · b` on the threads of rayon's pool. Each thread calls `finish` with the rows of its
/// part of the product, while they are in its cache, and the columns that they span.
///
/// The bits are the same on any number of threads.
pub(crate) fn multiply(
    out: &mut [f32],
    a: Matrix,
    b: Matrix,
    finish: impl Fn(&mut [f32], Range<usize>) + Sync,
) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    let width = b.columns;
    let by_rows = a.rows > width;
    let len = if by_rows { a.rows } else { width };
    let panels = if a.rows * a.columns * width < SMALL { 1 } else { PANELS };
    let panel = len.div_ceil(panels).next_multiple_of(TILE);
    let shared = Shared(out.as_mut_ptr());
    let count = len.div_ceil(panel);
    (0..count).into_par_iter().for_each(|i| {
        let range = i * panel..len.min((i + 1) * panel);
        let (rows, columns) = if by_rows { (range, 0..width) } else { (0..a.rows, range) };
        let out = shared.at(rows.start * width + columns.start);
        // SAFETY: panels are disjoint rows or columns of `out`, which is borrowed mutably and holds
        // the whole product.
        unsafe { product(out, width, a.part(rows.clone()), b, columns.clone()) };
        for row in 0..rows.len() {
            let row = out.wrapping_add(row * width);
            // SAFETY: as above, and the product has written these values.
            let values = unsafe { std::slice::from_raw_parts_mut(row, columns.len()) };
            finish(values, columns.clone());
        }
    });
}

/// Computes `out = a · b` on this thread alone.
pub(crate) fn multiply_alone(out: &mut [f32], a: Matrix, b: Matrix) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    // SAFETY: `out` is borrowed mutably and holds the whole product.
    unsafe { product(out.as_mut_ptr(), b.columns, a, b, 0..b.columns) };
}

/// Writes the columns `range` of `a · b` to `out`, whose rows are `width` apart.
///
/// # Safety
///
/// `out` must be valid for writes of `a.rows` rows of `range.len()`, and nothing else may touch them.
unsafe fn product(out: *mut f32, width: usize, a: Matrix, b: Matrix, range: Range<usize>) {
    let (m, n) = (a.rows, range.len());
    if m == 0 || n == 0 {
        return;
    }
    let last = |matrix: &Matrix, rows: usize, columns: usize| {
        (rows - 1) * matrix.row_stride + (columns - 1) * matrix.column_stride
    };
    let depth = a.columns;
    assert!(depth > 0 && last(&a, m, depth) < a.data.len());
    assert!(last(&b, depth, range.end) < b.data.len());
    // SAFETY: the assertions keep every read inside `a.data` and `b.data`; the caller guarantees the writes,
    // which go to `m` rows and `n` columns of `out`.
    unsafe {
        gemm::gemm(
            m,
            n,
            depth,
            out,
            1,
            width as isize,
            false,
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
