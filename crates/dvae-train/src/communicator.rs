//! Processes that share the work on one model.

use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Processes that share a training or measures of one model, of which this is one. Each of them calls the same methods in the same order.
///
/// A step's batches ([`TrainConfig::accumulate`](crate::TrainConfig::accumulate)) are shared out: batch `k` is that of rank `k mod size`. Their
/// gradients are summed in the order of the batches on every process, so the weights are those of one process that made all batches,
/// to the bit.
pub trait Communicator: fmt::Debug + Send + Sync {
    /// The number of this process, from 0. Rank 0 writes files.
    fn rank(&self) -> usize;

    /// The number of processes, at least 1.
    fn size(&self) -> usize;

    /// Sends each rank its part of `numbers`, which lie in the order of ranks, `sent[i]` of them for rank `i`. Returns what was sent to this one, in the
    /// order of ranks, `received[i]` numbers from rank `i`.
    fn exchange(&self, numbers: &[f32], sent: &[usize], received: &[usize]) -> Vec<f32>;

    /// The numbers of all processes, in the order of ranks, `counts[i]` of rank `i`: all get all.
    fn collect(&self, numbers: &[f32], counts: &[usize]) -> Vec<f32>;

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

    fn exchange(&self, numbers: &[f32], _sent: &[usize], _received: &[usize]) -> Vec<f32> {
        numbers.to_vec()
    }

    fn collect(&self, numbers: &[f32], _counts: &[usize]) -> Vec<f32> {
        numbers.to_vec()
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

/// The same of lists of numbers, to the bit.
pub(crate) fn gathered_numbers(group: &dyn Communicator, own: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    if group.size() == 1 {
        return own;
    }
    let mut bytes = vec![];
    for list in &own {
        bytes.extend((list.len() as u64).to_le_bytes());
        list.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    }
    let of_rank = |bytes: Vec<u8>| {
        let mut words = bytes.as_chunks::<8>().0.to_vec().into_iter();
        std::iter::from_fn(move || {
            let length = u64::from_le_bytes(words.next()?);
            Some(words.by_ref().take(length as usize).map(f64::from_le_bytes).collect())
        })
    };
    let mut of_ranks: Vec<_> = group.gather(bytes).into_iter().map(of_rank).collect();
    let size = of_ranks.len();
    (0..).map_while(|at| of_ranks[at % size].next()).collect()
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
    own: Vec<GradientsParams>,
    count: usize,
) -> GradientsParams {
    let mut weights = Weights::default();
    model.visit(&mut weights);
    let length: usize = weights.lengths.iter().sum();
    let mut known = vec![0; weights.lengths.len()];
    let mut flat = vec![];
    for gradients in own {
        let mut flatten = Flatten { gradients, entries: Vec::with_capacity(length), known: vec![] };
        model.visit(&mut flatten);
        known.iter_mut().zip(flatten.known).for_each(|(all, one)| *all |= one);
        flat.push(flatten.entries);
    }
    for of_rank in group.gather(known.clone()) {
        known.iter_mut().zip(of_rank).for_each(|(all, one)| *all |= one);
    }
    let entries = summed(group, flat, length, count);
    let found = GradientsParams::new();
    let mut unflatten = Unflatten { entries: &entries, known: &known, found };
    model.visit(&mut unflatten);
    unflatten.found
}

/// The sum of lists of so many numbers, one for each of `count` batches, of which each process has its own.
fn summed(
    group: &dyn Communicator,
    mut own: Vec<Vec<f32>>,
    length: usize,
    count: usize,
) -> Vec<f32> {
    let (rank, size) = (group.rank(), group.size());
    let part = length.div_ceil(size);
    let range = |rank: usize| (rank * part).min(length)..((rank + 1) * part).min(length);
    let widths: Vec<usize> = (0..size).map(|rank| range(rank).len()).collect();
    let sent: Vec<usize> = widths.iter().map(|width| width * own.len()).collect();
    let batches = |rank: usize| (rank..count).step_by(size).len();
    let received: Vec<usize> = (0..size).map(|of| batches(of) * widths[rank]).collect();
    let numbers = match own.len() {
        1 => own.swap_remove(0),
        _ => (0..size)
            .flat_map(|rank| own.iter().map(move |list| &list[range(rank)]))
            .collect::<Vec<_>>()
            .concat(),
    };
    drop(own);
    let of_batches = group.exchange(&numbers, &sent, &received);
    drop(numbers);
    // Where what each rank sent begins.
    let next = |start: &mut usize, count: &usize| Some(std::mem::replace(start, *start + count));
    let starts: Vec<usize> = received.iter().scan(0, next).collect();
    let of_batch = |batch: usize| {
        let start = starts[batch % size] + batch / size * widths[rank];
        &of_batches[start..][..widths[rank]]
    };
    let mut total = of_batch(0).to_vec();
    for batch in 1..count {
        total.iter_mut().zip(of_batch(batch)).for_each(|(sum, entry)| *sum += entry);
    }
    group.collect(&total, &widths)
}

/// How many entries each weight tensor of a model has, in the order of the model.
#[derive(Default)]
struct Weights {
    lengths: Vec<usize>,
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.lengths.push(parameter.lazy_shape().num_elements());
    }
}

/// Lays the gradients of all weights of a model end to end, in the order of the model; 0 for a weight that has none.
struct Flatten {
    gradients: GradientsParams,
    entries: Vec<f32>,
    /// 1 for a weight that has a gradient.
    known: Vec<u8>,
}

impl ModuleVisitor for Flatten {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = self.gradients.remove::<D>(parameter.id);
        self.known.push(u8::from(gradient.is_some()));
        match gradient.map(|gradient| gradient.into_data().convert::<f32>()) {
            Some(data) => self.entries.extend_from_slice(data.as_slice().expect("numbers")),
            None => {
                let count = parameter.lazy_shape().num_elements();
                self.entries.resize(self.entries.len() + count, 0.0);
            }
        }
    }
}

/// Takes gradients from where they lie end to end, those of the weights that have any.
struct Unflatten<'a> {
    entries: &'a [f32],
    known: &'a [u8],
    found: GradientsParams,
}

impl ModuleVisitor for Unflatten<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let shape = parameter.lazy_shape();
        let (own, rest) = self.entries.split_at(shape.num_elements());
        self.entries = rest;
        let (is_known, rest) = self.known.split_first().expect("of each weight");
        self.known = rest;
        if *is_known == 1 {
            let device = parameter.lazy_device().inner();
            let gradient = Tensor::<D>::from_data(TensorData::new(own.to_vec(), shape), &device);
            self.found.register::<D>(parameter.id, gradient);
        }
    }
}
