//! Batches: clean tensors with the ids of their rows.

use burn::tensor::{Bool, Device, Tensor};
use dvae_random::Key;

use crate::ids::Places;
use crate::{DataError, Dataset};

/// Some rows of a data set.
#[derive(Clone, Debug)]
pub struct Batch<const D: usize> {
    /// The clean rows, shape `[batch, …event]`.
    pub clean: Tensor<D>,
    /// Their damaged counterparts, of the same shape, if the rows have any: see [`Pairs`](crate::Pairs).
    pub damaged: Option<Tensor<D>>,
    /// The rows' ids, which key their noise.
    pub ids: Vec<u64>,
    /// Which entries were observed, shape `[batch, …event]`; `None` if all were.
    pub observed: Option<Tensor<D, Bool>>,
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// The stored order.
    Stored,
    /// A random order, given by a key.
    Shuffled(Key),
}

impl Dataset {
    /// All rows once, in batches of `batch_size` on `device`; the last batch has the remaining rows.
    ///
    /// A `batch_size` of 0 is an error.
    ///
    /// # Panics
    ///
    /// The iterator panics if `D` is not one more than the event's rank.
    pub fn batches<const D: usize>(
        &self,
        batch_size: usize,
        order: Order,
        device: &Device,
    ) -> Result<impl ExactSizeIterator<Item = Batch<D>> + use<D>, DataError> {
        let numbers = 0..self.len().div_ceil(batch_size.max(1));
        self.some_batches(batch_size, order, numbers, device)
    }

    /// The batches of these numbers, from 0, among those of [`Self::batches`].
    ///
    /// # Panics
    ///
    /// As [`Self::batches`], and for a number that there is not.
    pub fn some_batches<const D: usize, N: Iterator<Item = usize>>(
        &self,
        batch_size: usize,
        order: Order,
        numbers: N,
        device: &Device,
    ) -> Result<std::iter::Map<N, impl FnMut(usize) -> Batch<D> + use<D, N>>, DataError> {
        if batch_size == 0 {
            return Err(DataError::BatchSize);
        }
        let places = match order {
            Order::Stored => Places::Stored,
            Order::Shuffled(key) => self.shuffled(key),
        };
        let (dataset, device, rows) = (self.clone(), device.clone(), self.len());
        Ok(numbers.map(move |i| {
            let places = (i * batch_size..rows.min((i + 1) * batch_size)).map(|at| places.at(at));
            let ids: Vec<u64> = places.map(|place| dataset.id_at(place)).collect();
            let observed = dataset.observed(&ids, &device);
            let damaged = dataset.damaged(&ids, &device);
            Batch { clean: dataset.gather(&ids, &device), damaged, ids, observed }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(order: Order) -> Vec<Vec<u64>> {
        let dataset = Dataset::from_bytes((0..10).collect(), &[1]).unwrap();
        dataset.batches::<2>(4, order, &Device::flex()).unwrap().map(|batch| batch.ids).collect()
    }

    #[test]
    fn the_last_batch_holds_the_rest() {
        assert_eq!(ids(Order::Stored), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    }

    #[test]
    fn a_shuffle_meets_every_row_once_in_an_order_of_its_key() {
        let mut shuffled = ids(Order::Shuffled(Key::new(1))).concat();
        assert_eq!(shuffled, ids(Order::Shuffled(Key::new(1))).concat());
        assert_ne!(shuffled, ids(Order::Shuffled(Key::new(2))).concat());
        shuffled.sort_unstable();
        assert_eq!(shuffled, (0..10).collect::<Vec<u64>>());
    }

    #[test]
    fn a_batch_of_no_rows_is_refused() {
        let dataset = Dataset::from_bytes(vec![1], &[1]).unwrap();
        let error = dataset.batches::<2>(0, Order::Stored, &Device::flex()).err().unwrap();
        assert_eq!(error.to_string(), "`batch_size` must be at least 1, but is 0");
    }
}
