//! No corruption, as for a plain VAE.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// The process that changes nothing, `x̃ = x`: with it, a DVAE is a plain VAE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clean;

impl<const D: usize> Corruption<D> for Clean {
    fn corrupt(&self, clean: Tensor<D>, _draws: &mut RowStreams) -> CorruptedInput<D> {
        CorruptedInput::unchanged(clean)
    }

    fn strength(&self) -> Strength {
        Strength { level: Level::Fixed(1.0), scale: Scale::SHARE }
    }

    /// The process itself, at any level.
    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Scale::SHARE.resolve(level)?;
        Ok(Box::new(Self))
    }
}
