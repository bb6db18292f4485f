//! A mask that tells the encoder which entries were changed.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::sequence::no_mask;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Strength};

/// The corrupted rows with a mask appended: axis 1 is twice as long.
///
/// ```text
/// input = [x̃, m],   mᵢ = 1 where the process touched xᵢ, else 0
/// ```
///
/// With [`ShowMask::of_hidden`] it is 1 only where the process erased `xᵢ`: an encoder that is told of holes must find what is wrong
/// by itself.
///
/// Use it when the value of an erased entry also occurs in clean data, so that the encoder cannot tell a hole
/// from a zero. The model must accept twice the features or channels and explain the clean ones (`mask_input`
/// in a model's configuration). Every input of such a model must come from this process; for uncorrupted
/// rows, use its null level. It is always the outermost process.
#[derive(Debug)]
pub struct ShowMask<const D: usize> {
    process: Box<dyn Corruption<D>>,
    is_of_hidden: bool,
}

impl<const D: usize> ShowMask<D> {
    /// Shows what `process` touches; an error if rows have no axis 1, or if `process` already shows a mask.
    pub fn new(process: impl Corruption<D> + 'static) -> Result<Self, CorruptionError> {
        let process: Box<dyn Corruption<D>> = Box::new(process);
        if D < 2 {
            let event = vec![];
            let why = "a mask stands beside the entries of axis 1".into();
            return Err(CorruptionError::Shape { name: "show-mask", event, why });
        }
        no_mask("show-mask", std::slice::from_ref(&process))?;
        Ok(Self { process, is_of_hidden: false })
    }

    /// Shows what `process` erases, and not what else it touches; errors as in [`ShowMask::new`].
    pub fn of_hidden(process: impl Corruption<D> + 'static) -> Result<Self, CorruptionError> {
        Ok(Self { is_of_hidden: true, ..Self::new(process)? })
    }
}

impl<const D: usize> Corruption<D> for ShowMask<D> {
    /// `input`: `[batch, 2 n, …]` of clean rows `[batch, n, …]`; `changed`: `[batch, n, …]`.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let CorruptedInput { input, changed, hidden } = self.process.corrupt(clean, draws);
        let mask = match (self.is_of_hidden, &hidden) {
            (false, _) => changed.clone().float(),
            (true, Some(hidden)) => hidden.clone().float(),
            (true, None) => input.zeros_like(),
        };
        CorruptedInput { input: Tensor::cat(vec![input, mask], 1), changed, hidden }
    }

    fn shows_mask(&self) -> bool {
        true
    }

    /// The strength of the process.
    fn strength(&self) -> Strength {
        self.process.strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { process: self.process.at_level(level)?, ..*self }))
    }

    fn schedule_end(&self) -> f64 {
        self.process.schedule_end()
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        self.process.check(event)
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        self.process.check_value(value)
    }
}
