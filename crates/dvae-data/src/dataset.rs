//! Rows side by side in memory.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use dvae_random::Key;
use rayon::prelude::*;

use crate::DataError;

/// Rows of equal shape in one contiguous buffer, and a view of some of them.
///
/// Clones and splits share the buffer. A row keeps its id, its number in the buffer, through every
/// split and order: that is what its noise is keyed by.
#[derive(Clone, Debug)]
pub struct Dataset {
    values: Arc<Values>,
    labels: Option<Arc<[u8]>>,
    event: Vec<usize>,
    ids: Arc<[u64]>,
}

#[derive(Debug)]
enum Values {
    /// Grey values 0 to 255, which become `[0, 1]` when a batch is made.
    Bytes(Vec<u8>),
    /// Values that batches hold as they are.
    Floats(Vec<f32>),
}

/// Training and test rows of one data set.
#[derive(Clone, Debug)]
pub struct Sets {
    /// Rows to train and validate on.
    pub train: Dataset,
    /// Rows to report on, and for nothing else.
    pub test: Dataset,
}

impl Dataset {
    /// Rows of bytes, of shape `event` each; batches hold them divided by 255.
    pub fn from_bytes(values: Vec<u8>, event: &[usize]) -> Result<Self, DataError> {
        let rows = rows(values.len(), event)?;
        Ok(Self::new(Values::Bytes(values), event, rows))
    }

    /// Rows of finite floats, of shape `event` each.
    pub fn from_floats(values: Vec<f32>, event: &[usize]) -> Result<Self, DataError> {
        let rows = rows(values.len(), event)?;
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let (row, value) = (place / (values.len() / rows), values[place]);
            return Err(DataError::NonFinite { row, value });
        }
        Ok(Self::new(Values::Floats(values), event, rows))
    }

    fn new(values: Values, event: &[usize], rows: usize) -> Self {
        let ids = (0..rows as u64).collect();
        Self { values: Arc::new(values), labels: None, event: event.into(), ids }
    }

    /// The same values as rows of another shape.
    pub(crate) fn cut(self, event: &[usize]) -> Result<Self, DataError> {
        let values = self.len() * self.width();
        let ids = (0..rows(values, event)? as u64).collect();
        Ok(Self { event: event.into(), ids, ..self })
    }

    /// The same rows with a class label each; as many labels as the buffer has rows.
    pub(crate) fn labelled(self, labels: Vec<u8>) -> Self {
        Self { labels: Some(labels.into()), ..self }
    }

    /// Number of rows in this view.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether this view has no rows.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Shape of one row: `[channels, height, width]` for images.
    pub fn event(&self) -> &[usize] {
        &self.event
    }

    /// Ids of the rows, in stored order.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Class labels of the rows in stored order, if the set has any.
    pub fn labels(&self) -> Option<Vec<u8>> {
        let labels = self.labels.as_ref()?;
        Some(self.ids.iter().map(|&id| labels[id as usize]).collect())
    }

    /// The first `n` rows in stored order, or all if there are fewer.
    pub fn take(&self, n: usize) -> Self {
        Self { ids: self.ids[..n.min(self.len())].into(), ..self.clone() }
    }

    /// Holds out `held_out` random rows: (the others, the held-out ones), both in stored order.
    pub fn split(&self, held_out: usize, key: Key) -> Result<(Self, Self), DataError> {
        if held_out >= self.len() {
            return Err(DataError::HeldOut { held_out, rows: self.len() });
        }
        let mut places = key.permutation(self.len());
        let mut held: Vec<usize> = places.drain(..held_out).collect();
        places.sort_unstable();
        held.sort_unstable();
        Ok((self.view(&places), self.view(&held)))
    }

    fn view(&self, places: &[usize]) -> Self {
        Self { ids: places.iter().map(|&place| self.ids[place]).collect(), ..self.clone() }
    }

    /// The mean of each entry over the rows of this view, in row-major order: of training rows, what
    /// missing entries may be filled with. Nothing without rows.
    pub fn mean(&self) -> Vec<f32> {
        let width = self.width();
        let mut sums = vec![0.0f64; if self.is_empty() { 0 } else { width }];
        for &id in &*self.ids {
            let row = id as usize * width..(id as usize + 1) * width;
            match &*self.values {
                Values::Bytes(bytes) => {
                    let values = bytes[row].iter().map(|&byte| f64::from(byte) / 255.0);
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
                Values::Floats(floats) => {
                    let values = floats[row].iter().map(|&value| f64::from(value));
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
            }
        }
        sums.into_iter().map(|sum| (sum / self.len() as f64) as f32).collect()
    }

    /// A checksum of the rows of this view: their shape, ids and values.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(format!("{:?}", self.event).as_bytes());
        let width = self.width();
        for &id in &*self.ids {
            hasher.update(&id.to_le_bytes());
            let row = id as usize * width..(id as usize + 1) * width;
            match &*self.values {
                Values::Bytes(bytes) => hasher.update(&bytes[row]),
                Values::Floats(floats) => {
                    floats[row].iter().for_each(|value| hasher.update(&value.to_le_bytes()));
                }
            }
        }
        hasher.finalize()
    }

    fn width(&self) -> usize {
        self.event.iter().product()
    }

    /// The rows of these ids, shape `[ids, …event]`, in one pass into one buffer.
    ///
    /// # Panics
    ///
    /// If an id is not one of the buffer's rows, or if `D` is not one more than the event's rank.
    pub fn gather<const D: usize>(&self, ids: &[u64], device: &Device) -> Tensor<D> {
        let width = self.width();
        let mut out = vec![0.0f32; ids.len() * width];
        let source = |id: u64| id as usize * width..(id as usize + 1) * width;
        out.par_chunks_mut(width).with_min_len(8).zip(ids).for_each(|(out, &id)| {
            match &*self.values {
                Values::Bytes(bytes) => {
                    for (out, &byte) in out.iter_mut().zip(&bytes[source(id)]) {
                        *out = f32::from(byte) / 255.0;
                    }
                }
                Values::Floats(floats) => out.copy_from_slice(&floats[source(id)]),
            }
        });
        let shape: Vec<usize> = [&[ids.len()], &self.event[..]].concat();
        Tensor::from_data(TensorData::new(out, shape), device)
    }
}

fn rows(values: usize, event: &[usize]) -> Result<usize, DataError> {
    let width = event.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)).unwrap_or(0);
    if event.is_empty() || width == 0 || !values.is_multiple_of(width) {
        return Err(DataError::Rows { values, event: event.into() });
    }
    Ok(values / width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvae_random::Purpose;

    fn counted(n: usize) -> Dataset {
        Dataset::from_floats((0..2 * n).map(|v| v as f32).collect(), &[2]).unwrap()
    }

    #[test]
    fn bytes_become_grey_values_and_floats_stay() {
        let device = Device::flex();
        let bytes = Dataset::from_bytes(vec![0, 255, 51, 102], &[2]).unwrap();
        let values = |t: Tensor<2>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(bytes.gather(&[1, 0], &device)), [0.2, 0.4, 0.0, 1.0]);
        assert_eq!(values(counted(3).gather(&[2], &device)), [4.0, 5.0]);
    }

    #[test]
    fn the_mean_is_that_of_the_rows_of_the_view() {
        let bytes = Dataset::from_bytes(vec![0, 255, 51, 102], &[2]).unwrap();
        assert_eq!(bytes.mean(), [0.1, 0.7]);
        assert_eq!(counted(5).view(&[1, 4]).mean(), [5.0, 6.0]);
        assert_eq!(counted(5).take(0).mean(), [0.0; 0]);
    }

    #[test]
    fn a_split_keeps_every_row_once_and_its_id() {
        let (train, held) = counted(100).split(20, Key::new(1).purpose(Purpose::Split)).unwrap();
        assert_eq!((train.len(), held.len()), (80, 20));
        let mut ids = [train.ids(), held.ids()].concat();
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<u64>>());
        let row: Tensor<2> = held.gather(&held.ids()[..1], &Device::flex());
        let first: Vec<f32> = row.into_data().try_to_vec().unwrap();
        assert_eq!(first[0], 2.0 * held.ids()[0] as f32);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let error = counted(5).split(5, Key::new(0)).unwrap_err().to_string();
        assert_eq!(error, "cannot hold out 5 rows of 5: at least one must be left to train on");
        let error = Dataset::from_bytes(vec![1, 2, 3], &[2]).unwrap_err().to_string();
        assert_eq!(error, "3 values do not make whole rows of shape [2]");
        let error = Dataset::from_floats(vec![0.0, 1.0, f32::NAN], &[1]).unwrap_err().to_string();
        assert_eq!(error, "row 2 holds NaN: values must be finite");
        assert!(Dataset::from_bytes(vec![], &[usize::MAX, 2]).is_err());
        assert!(Dataset::from_bytes(vec![], &[0]).is_err());
        assert!(Dataset::from_bytes(vec![1], &[]).is_err());
    }
}
