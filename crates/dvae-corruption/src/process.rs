//! The one trait of all processes.

use std::fmt::Debug;

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, Float, Tensor};
use dvae_random::Draws;

/// Damaged rows, and what was done to them.
#[derive(Clone, Debug)]
pub struct Corrupted<const D: usize, K: Basic = Float> {
    /// What the encoder sees, `x̃`, of the clean rows' shape `[batch, …]`.
    pub input: Tensor<D, K>,
    /// The entries that the process touched, of the same shape. Each process says what counts:
    /// an erased zero is touched although its value stays.
    pub changed: Tensor<D, Bool>,
}

/// A corruption process `p(x̃ | x)` on tensors of rank `D` and kind `K`; axis 0 is the row.
///
/// The clean rows come by value: whatever a process does with them, the target stays what it was.
/// All randomness comes from `draws`, whose rows are the rows of `clean`.
pub trait Corruption<const D: usize, K: Basic = Float>: Debug + Send + Sync {
    /// Damages each row of `clean`, shape `[batch, …]`, with noise from its own stream.
    ///
    /// # Panics
    ///
    /// If `draws` has another number of rows than `clean`.
    fn corrupt(&self, clean: Tensor<D, K>, draws: &mut Draws) -> Corrupted<D, K>;
}

impl<const D: usize, K: Basic, C: Corruption<D, K> + ?Sized> Corruption<D, K> for Box<C> {
    fn corrupt(&self, clean: Tensor<D, K>, draws: &mut Draws) -> Corrupted<D, K> {
        (**self).corrupt(clean, draws)
    }
}
