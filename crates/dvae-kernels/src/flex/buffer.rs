//! Memory for results.

/// Room for `len` values that are yet to be written.
///
/// Setting large results to 0 first costs a pass over them and, where the allocator hands out fresh
/// pages, a page fault each. Every caller writes each value before anything reads it.
#[allow(clippy::uninit_vec)] // See the reason below.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`, any bits are a valid `f32`, and the callers write every value
    // before it is read: products overwrite whole matrices, and the loops over images, features and
    // rows visit every entry of their output.
    unsafe { values.set_len(len) };
    values
}
