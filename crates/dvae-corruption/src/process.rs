//! The one trait of all processes.

use std::fmt::Debug;

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, Float, Tensor};
use dvae_random::RowStreams;

use crate::{CorruptionError, Level, Strength};

/// Damaged rows, and what was done to them.
#[derive(Clone, Debug)]
pub struct CorruptedInput<const D: usize, K: Basic = Float> {
    /// What the encoder sees, `x̃`, of the clean rows' shape `[batch, …]`; with a mask beside it, if the
    /// process shows one ([`Corruption::shows_mask`]).
    pub input: Tensor<D, K>,
    /// The entries that the process touched, of the clean rows' shape: those where `x̃ᵢ ≠ xᵢ`, unless the
    /// process says otherwise (an erased zero is touched although its value stays).
    pub changed: Tensor<D, Bool>,
}

impl<const D: usize, K: Basic> CorruptedInput<D, K> {
    /// The clean rows as they are.
    pub fn unchanged(clean: Tensor<D, K>) -> Self {
        let changed = Tensor::<D>::zeros(clean.shape(), &clean.device()).bool();
        Self { input: clean, changed }
    }
}

/// A corruption process `p(x̃ | x)` on tensors of rank `D` and kind `K`; axis 0 is the row.
///
/// The clean rows come by value: whatever a process does with them, the target stays what it was.
/// All randomness comes from `draws`, whose rows are the rows of `clean`. No gradient flows through
/// a process.
pub trait Corruption<const D: usize, K: Basic = Float>: Debug + Send + Sync {
    /// Damages each row of `clean`, shape `[batch, …]`, with noise from its own stream.
    ///
    /// # Panics
    ///
    /// If `draws` has another number of rows than `clean`.
    fn corrupt(&self, clean: Tensor<D, K>, draws: &mut RowStreams) -> CorruptedInput<D, K>;

    /// How strong the process is, what that means, and which level changes nothing.
    fn strength(&self) -> Strength;

    /// The same process at another strength; an error names a level out of range.
    ///
    /// Of a combination the level is a share: 1 leaves the parts as they are, 0 changes nothing.
    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D, K>>, CorruptionError>;

    /// The same process at the level that changes nothing: what a model is given for rows that nobody
    /// damaged, so that it sees what this process would show it of them.
    fn at_null(&self) -> Result<Box<dyn Corruption<D, K>>, CorruptionError> {
        self.at_level(Level::Fixed(self.strength().scale.null))
    }

    /// Whether a mask of what was touched stands beside `input`, as [`ShowMask`](crate::ShowMask) makes
    /// it. Nothing can be around such a process.
    fn shows_mask(&self) -> bool {
        false
    }

    /// The share of the training after which its strength stays: 0 but for noise that warms up. What is made
    /// of other processes has the largest of theirs.
    fn schedule_end(&self) -> f64 {
        self.strength().level.schedule_end()
    }

    /// Whether the process can damage rows of this shape; an error names what does not fit.
    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        let _ = event;
        Ok(())
    }
}

impl<const D: usize, K: Basic, C: Corruption<D, K> + ?Sized> Corruption<D, K> for Box<C> {
    fn corrupt(&self, clean: Tensor<D, K>, draws: &mut RowStreams) -> CorruptedInput<D, K> {
        (**self).corrupt(clean, draws)
    }

    fn strength(&self) -> Strength {
        (**self).strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D, K>>, CorruptionError> {
        (**self).at_level(level)
    }

    fn at_null(&self) -> Result<Box<dyn Corruption<D, K>>, CorruptionError> {
        (**self).at_null()
    }

    fn shows_mask(&self) -> bool {
        (**self).shows_mask()
    }

    fn schedule_end(&self) -> f64 {
        (**self).schedule_end()
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        (**self).check(event)
    }
}
