//! A sequence of processes.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Each row is corrupted by every process in turn, each on its own stream.
#[derive(Debug)]
pub struct Sequence<const D: usize> {
    processes: Vec<Box<dyn Corruption<D>>>,
}

impl<const D: usize> Sequence<D> {
    /// From at least one process, in the order of application.
    pub fn new(processes: Vec<Box<dyn Corruption<D>>>) -> Result<Self, CorruptionError> {
        if processes.is_empty() {
            return Err(CorruptionError::NoProcess { name: "sequence" });
        }
        no_mask("sequence", &processes)?;
        Ok(Self { processes })
    }
}

/// An error if one of the processes of a combination shows a mask.
pub(crate) fn no_mask<const D: usize>(
    name: &'static str,
    processes: &[Box<dyn Corruption<D>>],
) -> Result<(), CorruptionError> {
    match processes.iter().any(Corruption::shows_mask) {
        true => Err(CorruptionError::MaskInside { name }),
        false => Ok(()),
    }
}

/// Each process at a share of its strength.
pub(crate) fn shares<const D: usize>(
    processes: &[Box<dyn Corruption<D>>],
    share: Level,
) -> Result<Vec<Box<dyn Corruption<D>>>, CorruptionError> {
    let share = Scale::SHARE.resolve(share)?;
    processes.iter().map(|process| process.at_level(process.strength().share(share)?)).collect()
}

/// The strength of a combination: all of its parts' strengths.
pub(crate) const WHOLE: Strength = Strength { level: Level::Fixed(1.0), scale: Scale::SHARE };

impl<const D: usize> Corruption<D> for Sequence<D> {
    /// `changed`: the entries that any of the processes touched.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let mut whole = CorruptedInput::unchanged(clean);
        for process in &self.processes {
            let part = process.corrupt(whole.input, &mut draws.branch());
            whole = CorruptedInput {
                input: part.input,
                changed: whole.changed.bool_or(part.changed),
                hidden: match (whole.hidden, part.hidden) {
                    (Some(before), Some(now)) => Some(before.bool_or(now)),
                    (before, now) => before.or(now),
                },
            };
        }
        whole
    }

    fn strength(&self) -> Strength {
        WHOLE
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { processes: shares(&self.processes, level)? }))
    }

    fn schedule_end(&self) -> f64 {
        self.processes.iter().map(Corruption::schedule_end).fold(0.0, f64::max)
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        self.processes.iter().try_for_each(|process| process.check(event))
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        // The others get what the first one made.
        self.processes[0].check_value(value)
    }
}
