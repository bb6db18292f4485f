//! Telling the encoder what was damaged.

use burn::tensor::Tensor;
use dvae_random::Draws;

use crate::{Corrupted, Corruption, CorruptionError, Level, Strength};

/// The damaged rows with a mask beside them: axis 1 is twice as long.
///
/// ```text
/// input = [x̃, m],   mᵢ = 1 where the process touched xᵢ, else 0
/// ```
///
/// For data in which what an erased entry becomes is also a real value, so that the encoder cannot tell
/// a hole from a zero. The model must take twice the features or channels and explain the clean ones
/// (`mask_input` in a model's configuration); wherever it is given an input, it is given one from this
/// process: at level 0 for rows that nobody damaged.
#[derive(Debug)]
pub struct ShowMask<const D: usize> {
    process: Box<dyn Corruption<D>>,
}

impl<const D: usize> ShowMask<D> {
    /// Shows what `process` touches; an error if rows have no axis 1.
    pub fn new(process: Box<dyn Corruption<D>>) -> Result<Self, CorruptionError> {
        if D < 2 {
            let event = vec![];
            let why = "a mask stands beside the entries of axis 1".into();
            return Err(CorruptionError::Shape { name: "show-mask", event, why });
        }
        Ok(Self { process })
    }
}

impl<const D: usize> Corruption<D> for ShowMask<D> {
    /// `input`: `[batch, 2 n, …]` of clean rows `[batch, n, …]`, and `changed` alike, false for the mask.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut Draws) -> Corrupted<D> {
        let Corrupted { input, changed } = self.process.corrupt(clean, draws);
        let untouched = Tensor::<D>::zeros(changed.shape(), &input.device());
        let mask = changed.float();
        Corrupted {
            input: Tensor::cat(vec![input, mask.clone()], 1),
            changed: Tensor::cat(vec![mask, untouched], 1).bool(),
        }
    }

    /// That of the process.
    fn strength(&self) -> Strength {
        self.process.strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { process: self.process.at_level(level)? }))
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        self.process.check(event)
    }
}
