//! The trait of all processes.

use std::fmt::Debug;

use burn::tensor::{Bool, Tensor};
use dvae_random::RowStreams;

use crate::{CorruptionError, Level, Strength};

/// Corrupted rows, and which entries were changed.
#[derive(Clone, Debug)]
pub struct CorruptedInput<const D: usize> {
    /// The encoder's input `x̃`, of the clean rows' shape `[batch, …]`; with a mask appended if the process
    /// shows one ([`Corruption::shows_mask`]).
    pub input: Tensor<D>,
    /// The entries that the process touched, in the clean rows' shape: those where `x̃ᵢ ≠ xᵢ`, unless the
    /// process defines it otherwise (an erased zero is touched although its value is unchanged).
    pub changed: Tensor<D, Bool>,
    /// The entries that the process erased, in the clean rows' shape, so that an encoder may be told that nothing is there; `None` if
    /// it erased none. They count as touched, and stay so where a later process of a sequence gave them a value.
    pub hidden: Option<Tensor<D, Bool>>,
}

impl<const D: usize> CorruptedInput<D> {
    /// The clean rows, unchanged.
    pub fn unchanged(clean: Tensor<D>) -> Self {
        let changed = Tensor::<D>::zeros(clean.shape(), &clean.device()).bool();
        Self::touched(clean, changed)
    }

    /// Rows of which these entries were touched and none was erased.
    pub fn touched(input: Tensor<D>, changed: Tensor<D, Bool>) -> Self {
        Self { input, changed, hidden: None }
    }

    /// Rows of which these entries were erased, and all others are as they were.
    pub fn erased(input: Tensor<D>, hidden: Tensor<D, Bool>) -> Self {
        Self { input, changed: hidden.clone(), hidden: Some(hidden) }
    }
}

/// A corruption process `p(x̃ | x)` on tensors of rank `D`; axis 0 is the row.
///
/// The clean rows are passed by value, so a process cannot change the target. All randomness comes from
/// `draws`, whose rows are the rows of `clean`. No gradient flows through a process.
pub trait Corruption<const D: usize>: Debug + Send + Sync {
    /// Corrupts each row of `clean`, shape `[batch, …]`, with noise from its own stream.
    ///
    /// # Panics
    ///
    /// If `draws` and `clean` differ in their number of rows.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D>;

    /// The strength: the level, its meaning, and the level that changes nothing.
    fn strength(&self) -> Strength;

    /// The same process at another strength; an error names a level out of range.
    ///
    /// For a combination the level is a share: 1 leaves the parts as they are, 0 changes nothing.
    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError>;

    /// The same process at the level that changes nothing. Use it for uncorrupted rows, so that a model gets
    /// its input in the form that this process gives.
    fn at_null(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        self.at_level(Level::Fixed(self.strength().scale.null))
    }

    /// Whether `input` has a mask of the touched entries appended, as [`ShowMask`](crate::ShowMask) does. No
    /// other process can contain such a process.
    fn shows_mask(&self) -> bool {
        false
    }

    /// The share of the training after which the strength is constant: 0 except for noise with a schedule. A
    /// combination has the largest of its parts.
    fn schedule_end(&self) -> f64 {
        self.strength().level.schedule_end()
    }

    /// Checks that the process can corrupt rows of this shape; an error names what does not fit.
    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        let _ = event;
        Ok(())
    }

    /// Checks that the process has a law for entries of this value; an error names the values that it has one
    /// for. A combination asks every process that gets clean rows.
    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        let _ = value;
        Ok(())
    }
}

impl<const D: usize, C: Corruption<D> + ?Sized> Corruption<D> for Box<C> {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        (**self).corrupt(clean, draws)
    }

    fn strength(&self) -> Strength {
        (**self).strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        (**self).at_level(level)
    }

    fn at_null(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
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

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        (**self).check_value(value)
    }
}
