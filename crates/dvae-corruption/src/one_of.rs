//! A mixture: each row gets one of several processes.

use burn::tensor::{Bool, Device, Int, Tensor};
use dvae_random::RowStreams;

use crate::sequence::{WHOLE, no_mask, shares};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Strength};

/// Each row is corrupted by one of the processes, chosen independently for each row.
///
/// A row's noise is that of its process on a separate stream, so it does not depend on the processes of other
/// rows in the batch.
#[derive(Debug)]
pub struct OneOf<const D: usize> {
    processes: Vec<Box<dyn Corruption<D>>>,
    /// The cumulative probabilities of the processes.
    up_to: Vec<f64>,
}

impl<const D: usize> OneOf<D> {
    /// A mixture of at least one process, all equally likely.
    pub fn new(processes: Vec<Box<dyn Corruption<D>>>) -> Result<Self, CorruptionError> {
        let weights = vec![1.0; processes.len()];
        Self::weighted(processes, &weights)
    }

    /// A mixture of at least one process, each chosen in proportion to its weight: at least 0, finite, and
    /// not all 0.
    pub fn weighted(
        processes: Vec<Box<dyn Corruption<D>>>,
        weights: &[f64],
    ) -> Result<Self, CorruptionError> {
        if processes.is_empty() {
            return Err(CorruptionError::NoProcess { name: "one-of" });
        }
        no_mask("one-of", &processes)?;
        let sum: f64 = weights.iter().sum();
        let right = weights.iter().all(|&weight| weight >= 0.0) && sum > 0.0 && sum.is_finite();
        if weights.len() != processes.len() || !right {
            let (processes, weights) = (processes.len(), weights.to_vec());
            return Err(CorruptionError::Weights { processes, weights });
        }
        let up_to = weights.iter().scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Ok(Self { up_to: up_to.map(|weight| weight / sum).collect(), processes })
    }

    /// The positions on axis 0 of the rows of each process.
    fn choose(&self, draws: &mut RowStreams) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); self.processes.len()];
        let last = self.up_to.partition_point(|&up_to| up_to < 1.0);
        for (place, u) in draws.uniform_host(1).into_iter().enumerate() {
            let chosen = self.up_to.partition_point(|&up_to| up_to <= f64::from(u));
            places[chosen.min(last)].push(place);
        }
        places
    }
}

fn indices(places: impl IntoIterator<Item = usize>, like: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places.into_iter().map(|place| place as i32).collect();
    Tensor::from_data(places.as_slice(), like)
}

impl<const D: usize> Corruption<D> for OneOf<D> {
    /// `changed`: as reported by the row's own process.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let device = clean.device();
        let chosen = self.choose(draws);
        let (mut inputs, mut changes, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        let mut hides = false;
        for (process, places) in self.processes.iter().zip(&chosen) {
            let own = draws.branch();
            if places.is_empty() {
                continue;
            }
            let rows = clean.clone().select(0, indices(places.iter().copied(), &device));
            let part = process.corrupt(rows, &mut own.select(places));
            hides |= part.hidden.is_some();
            let none = || Tensor::zeros(part.changed.dims(), &device);
            hidden.push(part.hidden.map_or_else(none, Tensor::<D, Bool>::int));
            inputs.push(part.input);
            changes.push(part.changed.int());
        }
        if inputs.is_empty() {
            return CorruptedInput::unchanged(clean);
        }
        // The position of each row among the parts: the inverse of the parts' order.
        let mut back = vec![0; clean.dims()[0]];
        for (stands, place) in chosen.into_iter().flatten().enumerate() {
            back[place] = stands;
        }
        let back = indices(back, &device);
        let in_order = |flags: Vec<_>| Tensor::cat(flags, 0).select(0, back.clone()).bool();
        CorruptedInput {
            input: Tensor::cat(inputs, 0).select(0, back.clone()),
            changed: in_order(changes),
            hidden: hides.then(|| in_order(hidden)),
        }
    }

    fn strength(&self) -> Strength {
        WHOLE
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        let processes = shares(&self.processes, level)?;
        Ok(Box::new(Self { processes, up_to: self.up_to.clone() }))
    }

    fn schedule_end(&self) -> f64 {
        self.processes.iter().map(Corruption::schedule_end).fold(0.0, f64::max)
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        self.processes.iter().try_for_each(|process| process.check(event))
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        self.processes.iter().try_for_each(|process| process.check_value(value))
    }
}
