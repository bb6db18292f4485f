//! Processes of texts on rows of tokens.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use dvae_checks::Vocabulary;
use dvae_kernels::with_values;
use dvae_random::RowStreams;
use rayon::prelude::*;

use super::TextCorruption;
use crate::entries::levels;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Strength};

/// A process of texts, on rows of tokens `[batch, width]`: each row becomes a text, is damaged, and becomes tokens again.
///
/// A row begins with the tokens of its text and is filled up with ends. A damaged text that is longer than the row loses what does not
/// fit, so leave some room in rows. Characters that the vocabulary does not have become unknown ones.
#[derive(Debug)]
pub struct TokenProcess {
    process: Box<dyn TextCorruption>,
    vocabulary: Arc<Vocabulary>,
}

impl TokenProcess {
    /// The process on rows of these tokens.
    pub fn new(process: impl TextCorruption + 'static, vocabulary: Arc<Vocabulary>) -> Self {
        Self { process: Box::new(process), vocabulary }
    }

    /// The process on texts.
    pub(crate) fn into_process(self) -> Box<dyn TextCorruption> {
        self.process
    }
}

impl<const D: usize> Corruption<D> for TokenProcess {
    /// `changed`: the characters of the clean text that an error touched; never what follows its end.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let strength = self.process.strength();
        let levels = levels(strength, clean.dims()[0], draws);
        let own = draws.branch();
        let (shape, device) = (clean.shape(), clean.device());
        let entries = shape.num_elements();
        if entries == 0 {
            return CorruptedInput::unchanged(clean);
        }
        let width = entries / levels.len();
        let (mut input, mut changed) = (vec![0.0; entries], vec![false; entries]);
        with_values(&clean, |clean| {
            let made = input.par_chunks_mut(width).zip(changed.par_chunks_mut(width));
            let rows = made.zip(clean.par_chunks(width).zip(&levels)).enumerate();
            rows.with_min_len(8).for_each(|(place, ((input, changed), (clean, &level)))| {
                if level == strength.scale.null as f32 {
                    input.copy_from_slice(clean);
                    return;
                }
                let text = self.vocabulary.text(clean.iter().map(|&token| token as u16));
                let rng = &mut own.row(place).rng();
                let damaged = self.process.corrupt_one(&text, level.into(), rng);
                let tokens = self.vocabulary.tokens(&damaged.text);
                input.iter_mut().zip(tokens).for_each(|(to, token)| *to = f32::from(token));
                changed.iter_mut().zip(damaged.changed).for_each(|(to, is)| *to = is);
            });
        });
        let input = Tensor::from_data(TensorData::new(input, shape.clone()), &device);
        CorruptedInput::touched(input, Tensor::from_data(TensorData::new(changed, shape), &device))
    }

    fn strength(&self) -> Strength {
        self.process.strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        let process = self.process.at_level(level)?;
        Ok(Box::new(Self { process, vocabulary: self.vocabulary.clone() }))
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        if event.len() == 1 {
            return Ok(());
        }
        let (name, why) = (self.process.strength().scale.name, "rows of tokens have one axis");
        Err(CorruptionError::Shape { name, event: event.into(), why: why.to_owned() })
    }
}
