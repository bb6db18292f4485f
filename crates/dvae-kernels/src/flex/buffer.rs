//! Buffers for results.

/// A buffer for `len` values that have not been written yet.
///
/// Setting large results to 0 first costs a pass over them and, if the allocator returns fresh pages, a page
/// fault for each. Every caller writes each value before anything reads it.
#[allow(clippy::uninit_vec)] // See the reason below.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`, and every caller writes each value before anything reads it: products
    // overwrite whole matrices, `Gather::check` ensures that every position is in a run, and the loops over
    // images, rows and entries visit every one. Of a strip's buffers, planes are filled to their ends, sums are written
    // in whole steps, and the parts of images are cut without a gap.
    unsafe { values.set_len(len) };
    values
}
