//! Processes that train one model together.

use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Processes that train one model together, of which this is one. Each of them calls the same methods in the same order.
///
/// A step's batches ([`TrainConfig::accumulate`](crate::TrainConfig::accumulate)) are shared out: batch `k` is that of rank `k mod size`. Their
/// gradients are summed in the order of the batches on every process, so the weights are those of one process that made all batches,
/// to the bit.
pub trait Communicator: fmt::Debug + Send + Sync {
    /// The number of this process, from 0. Rank 0 writes files.
    fn rank(&self) -> usize;

    /// The number of processes, at least 1.
    fn size(&self) -> usize;

    /// Sends `parts[i]` to rank `i`, and returns what each rank sent to this one, in their order.
    fn exchange(&self, parts: Vec<Vec<f32>>) -> Vec<Vec<f32>>;

    /// What each process gives, in the order of ranks: all get all.
    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>>;

    /// Ends all processes, this one with an exit code: for one that cannot go on while others wait for it.
    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}

/// One process by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Single;

impl Communicator for Single {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(&self, parts: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        parts
    }

    fn gather(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        vec![bytes]
    }
}

/// The numbers, of `0..count`, that are this process's.
pub(crate) fn own(group: &dyn Communicator, count: usize) -> impl Iterator<Item = usize> + use<> {
    (group.rank()..count).step_by(group.size())
}

/// What all processes have of what [`own`] shares out, in the order of its numbers.
pub(crate) fn gathered<T: Serialize + DeserializeOwned>(
    group: &dyn Communicator,
    own: Vec<T>,
) -> Vec<T> {
    if group.size() == 1 {
        return own;
    }
    let bytes = serde_json::to_vec(&own).expect("numbers");
    let of_rank = |bytes: &Vec<u8>| serde_json::from_slice(bytes).expect("what a process gave");
    let of_ranks: Vec<Vec<T>> = group.gather(bytes).iter().map(of_rank).collect();
    let count = of_ranks.iter().map(Vec::len).sum();
    let size = of_ranks.len();
    let mut of_ranks: Vec<_> = of_ranks.into_iter().map(Vec::into_iter).collect();
    (0..count).filter_map(|at| of_ranks[at % size].next()).collect()
}

/// Whether each of several things holds on any process.
pub(crate) fn any<const N: usize>(group: &dyn Communicator, holds: [bool; N]) -> [bool; N] {
    if group.size() == 1 {
        return holds;
    }
    let answers = group.gather(holds.map(u8::from).into());
    std::array::from_fn(|at| answers.iter().any(|answer| answer[at] != 0))
}

/// The sum, on every process, of the gradients of `count` batches, of which each process has its own. Sums are made in the order of
/// the batches, whatever the number of processes: each process sums a part of the gradient's entries over all batches.
pub(crate) fn sum<M: Module>(
    group: &dyn Communicator,
    model: &M,
    own: &[GradientsParams],
    count: usize,
) -> GradientsParams {
    let size = group.size();
    let flat: Vec<Flat> = own.iter().map(|gradients| Flat::of(model, gradients)).collect();
    let known = Flat::union(&flat, model);
    let known = group
        .gather(known)
        .into_iter()
        .reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a | b).collect());
    let known = known.expect("a process at least");
    let length = Flat::of(model, &GradientsParams::new()).entries.len();
    let part = length.div_ceil(size);
    let range = |rank: usize| (rank * part).min(length)..((rank + 1) * part).min(length);
    let of_rank = |rank: usize| {
        flat.iter().flat_map(|flat| flat.entries[range(rank)].iter().copied()).collect()
    };
    let received = group.exchange((0..size).map(of_rank).collect());
    let width = range(group.rank()).len();
    let mut total = vec![0.0f32; width];
    for batch in 0..count {
        let entries = &received[batch % size][batch / size * width..][..width];
        match batch {
            0 => total.copy_from_slice(entries),
            _ => total.iter_mut().zip(entries).for_each(|(sum, entry)| *sum += entry),
        }
    }
    let bytes = total.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    let parts = group.gather(bytes);
    let entries: Vec<f32> = parts
        .iter()
        .flat_map(|part| part.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)))
        .collect();
    Unflat { entries: &entries, known: &known, at: 0, place: 0, found: GradientsParams::new() }
        .of(model)
}

/// The gradients of all weights of a model, end to end in the order of the model; 0 for a weight that has none.
#[derive(Default)]
struct Flat {
    entries: Vec<f32>,
    /// 1 for a weight that has a gradient.
    known: Vec<u8>,
}

impl Flat {
    fn of<M: Module>(model: &M, gradients: &GradientsParams) -> Self {
        let mut visitor = Flatten { gradients, flat: Self::default() };
        model.visit(&mut visitor);
        visitor.flat
    }

    /// Which weights have a gradient in any of several.
    fn union<M: Module>(flat: &[Self], model: &M) -> Vec<u8> {
        let none = Self::of(model, &GradientsParams::new()).known;
        flat.iter()
            .fold(none, |known, flat| known.iter().zip(&flat.known).map(|(a, b)| a | b).collect())
    }
}

struct Flatten<'a> {
    gradients: &'a GradientsParams,
    flat: Flat,
}

impl ModuleVisitor for Flatten<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(parameter.id);
        self.flat.known.push(u8::from(gradient.is_some()));
        match gradient {
            Some(gradient) => self.flat.entries.extend(gradient.into_data().iter::<f32>()),
            None => {
                let count = parameter.lazy_shape().num_elements();
                self.flat.entries.resize(self.flat.entries.len() + count, 0.0);
            }
        }
    }
}

/// Takes gradients from where they lie end to end.
struct Unflat<'a> {
    entries: &'a [f32],
    known: &'a [u8],
    at: usize,
    place: usize,
    found: GradientsParams,
}

impl Unflat<'_> {
    fn of<M: Module>(mut self, model: &M) -> GradientsParams {
        model.visit(&mut self);
        self.found
    }
}

impl ModuleVisitor for Unflat<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let shape = parameter.lazy_shape();
        let count = shape.num_elements();
        if self.known[self.place] == 1 {
            let entries = self.entries[self.at..][..count].to_vec();
            let device = parameter.lazy_device().inner();
            let gradient = Tensor::<D>::from_data(TensorData::new(entries, shape), &device);
            self.found.register::<D>(parameter.id, gradient);
        }
        self.at += count;
        self.place += 1;
    }
}
