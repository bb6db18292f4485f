//! A process that is applied to some rows only.

use burn::tensor::Tensor;
use dvae_checks::within;
use dvae_random::RowStreams;

use crate::{Clean, CorruptedInput, Corruption, CorruptionError, Level, OneOf, Strength};

/// Each row is corrupted with probability `p`, independently, and otherwise left unchanged.
#[derive(Debug)]
pub struct Sometimes<const D: usize> {
    mixture: OneOf<D>,
}

impl<const D: usize> Sometimes<D> {
    /// Corrupts a row by `process` with `probability`, in `[0, 1]`.
    pub fn new(
        probability: f64,
        process: impl Corruption<D> + 'static,
    ) -> Result<Self, CorruptionError> {
        let p = within("probability", probability, 0.0..=1.0)?;
        let either: Vec<Box<dyn Corruption<D>>> = vec![Box::new(process), Box::new(Clean)];
        Ok(Self { mixture: OneOf::weighted(either, &[p, 1.0 - p])? })
    }
}

impl<const D: usize> Corruption<D> for Sometimes<D> {
    /// `changed`: as reported by the process, for rows that it was applied to.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        self.mixture.corrupt(clean, draws)
    }

    fn strength(&self) -> Strength {
        self.mixture.strength()
    }

    /// The process at a share of its strength, with an unchanged probability.
    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        self.mixture.at_level(level)
    }

    fn schedule_end(&self) -> f64 {
        self.mixture.schedule_end()
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        self.mixture.check(event)
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        self.mixture.check_value(value)
    }
}
