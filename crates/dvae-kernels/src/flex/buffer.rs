//! Memory for results.

/// Room for `len` values that are yet to be written.
///
/// Setting large results to 0 first costs a pass over them and, where the allocator hands out fresh
/// pages, a page fault each. Every caller writes each value before anything reads it.
#[allow(clippy::uninit_vec)] // See the reason below.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`, and every caller writes each value before anything reads it:
    // products overwrite whole matrices, `Gather::check` sees to it that every position is in a run,
    // and the loops over images, rows and entries visit every one.
    unsafe { values.set_len(len) };
    values
}
