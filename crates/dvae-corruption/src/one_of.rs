//! A mixture: each row meets one process of several.

use burn::tensor::{Int, Tensor};
use dvae_random::Draws;

use crate::{Corrupted, Corruption, CorruptionError};

/// Each row is damaged by one of the processes, chosen uniformly and independently per row.
///
/// A row's noise is that of its process on a stream of its own, so it does not depend on what the
/// other rows of the batch met.
#[derive(Debug)]
pub struct OneOf<const D: usize> {
    processes: Vec<Box<dyn Corruption<D>>>,
}

impl<const D: usize> OneOf<D> {
    /// A uniform mixture of at least one process.
    pub fn new(processes: Vec<Box<dyn Corruption<D>>>) -> Result<Self, CorruptionError> {
        if processes.is_empty() {
            return Err(CorruptionError::NothingToChoose);
        }
        Ok(Self { processes })
    }

    /// The places on axis 0 that meet each process.
    fn choose(&self, draws: &mut Draws) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); self.processes.len()];
        for (place, u) in draws.uniform_host(1).into_iter().enumerate() {
            places[(u * self.processes.len() as f32) as usize].push(place);
        }
        places
    }
}

fn indices(places: impl IntoIterator<Item = usize>, like: &burn::tensor::Device) -> Tensor<1, Int> {
    let places: Vec<i32> = places.into_iter().map(|place| place as i32).collect();
    Tensor::from_data(places.as_slice(), like)
}

impl<const D: usize> Corruption<D> for OneOf<D> {
    /// `changed`: as the row's own process says.
    fn corrupt(&self, clean: Tensor<D>, draws: &mut Draws) -> Corrupted<D> {
        let device = clean.device();
        let chosen = self.choose(draws);
        let (mut inputs, mut changes) = (Vec::new(), Vec::new());
        for (process, places) in self.processes.iter().zip(&chosen) {
            let own = draws.branch();
            if places.is_empty() {
                continue;
            }
            let rows = clean.clone().select(0, indices(places.iter().copied(), &device));
            let part = process.corrupt(rows, &mut own.select(places));
            inputs.push(part.input);
            changes.push(part.changed.int());
        }
        // Where each row went: the inverse of the order in which the parts stand.
        let mut back = vec![0; clean.dims()[0]];
        for (stands, place) in chosen.into_iter().flatten().enumerate() {
            back[place] = stands;
        }
        let back = indices(back, &device);
        Corrupted {
            input: Tensor::cat(inputs, 0).select(0, back.clone()),
            changed: Tensor::cat(changes, 0).select(0, back).bool(),
        }
    }
}
