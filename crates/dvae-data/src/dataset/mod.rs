//! Sets of rows.

mod crops;
mod pairs;
mod passes;
mod read_crops;
mod stored;

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use dvae_random::Key;
use rayon::prelude::*;

use crate::ids::{Ids, Places};
use crate::values::{Values, ValuesWriter};
use crate::{DataError, Domain};

use crops::Cropped;
pub use crops::Crops;
pub use pairs::Pairs;
pub(crate) use stored::{RowCollector, is_lost};

/// Rows of equal shape in one contiguous buffer, and a view of some of them.
///
/// Clones and splits share the buffer, which is in memory, or in files if it is larger than it may be. A row
/// keeps its id, which is its number in the buffer, through every split and order: the id keys its noise.
#[derive(Clone, Debug)]
pub struct Dataset {
    values: Arc<Values>,
    domain: Domain,
    /// Whether NaN may stand for entries that were not observed.
    is_incomplete: bool,
    labels: Option<Arc<[u8]>>,
    event: Vec<usize>,
    ids: Ids,
    /// If set, each entry is drawn as 0 or 1, with its value as the probability of 1.
    drawn: Option<Draws>,
    /// If set, rows are crops of pictures in the buffer.
    crops: Option<Cropped>,
    /// Bytes that a changed buffer may take in memory; more are in a file.
    memory: u64,
}

/// The key of draws that change with the epoch.
#[derive(Clone, Copy, Debug)]
struct Draws {
    /// The key outside of any epoch.
    root: Key,
    now: Key,
}

impl Draws {
    fn at_epoch(self, epoch: u64) -> Self {
        Self { now: self.root.epoch(epoch), ..self }
    }
}

/// Training and test rows of one data set.
#[derive(Clone, Debug)]
pub struct Sets {
    /// Rows to train and validate on.
    pub train: Dataset,
    /// Rows for reporting only.
    pub test: Dataset,
}

impl Dataset {
    /// Creates a set from bytes, with rows of shape `event`; batches hold them divided by 255.
    pub fn from_bytes(values: Vec<u8>, event: &[usize]) -> Result<Self, DataError> {
        Self::new(Values::from(values), event, Domain::Unit)
    }

    /// Creates a set from finite floats, with rows of shape `event`.
    pub fn from_floats(values: Vec<f32>, event: &[usize]) -> Result<Self, DataError> {
        Self::new(Values::from(&values[..]), event, Domain::Real)?.finite()
    }

    /// Creates a set from floats in which NaN marks unobserved entries; all others must be finite.
    ///
    /// Batches hold 0 in those entries, and tell which entries were observed. A bound counts only these, so
    /// it is a bound on `log p(observed entries)`.
    pub fn from_incomplete(values: Vec<f32>, event: &[usize]) -> Result<Self, DataError> {
        let rows = Self::new(Values::from(&values[..]), event, Domain::Real)?;
        Self { is_incomplete: true, ..rows }.finite()
    }

    fn new(values: Values, event: &[usize], domain: Domain) -> Result<Self, DataError> {
        let ids = Ids::First(rows(values.len(), event)?);
        let (values, event) = (Arc::new(values), event.into());
        Ok(Self {
            values,
            domain,
            is_incomplete: false,
            labels: None,
            event,
            ids,
            drawn: None,
            crops: None,
            memory: u64::MAX,
        })
    }

    /// An error names a row with an entry that is infinite, or NaN where all entries are observed.
    fn finite(self) -> Result<Self, DataError> {
        let is_wrong = |value: f64| value.is_infinite() || (value.is_nan() && !self.is_incomplete);
        match self.values.find(is_wrong) {
            Some(at) => {
                let mut value = [0.0];
                self.values.singles(at..at + 1, &mut value);
                let (row, [value]) = (at / self.width(), value);
                Err(DataError::NonFinite { row, place: self.place(at % self.width()), value })
            }
            None => Ok(self),
        }
    }

    /// The place on the first axis of a row of its entry at `at`.
    fn place(&self, at: usize) -> usize {
        at / (self.width() / self.event[0]).max(1)
    }

    /// What the values are.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The rows with their entries as probabilities: batches hold draws of 0 and 1, which are new in each
    /// [`epoch`](Self::at_epoch) and always the same outside of training.
    pub(crate) fn drawn(self, key: Key) -> Self {
        Self { drawn: Some(Draws { root: key, now: key }), ..self }
    }

    /// The rows as they are in this epoch, from 0. They only differ if they are binarized anew in each epoch, or if they
    /// are crops.
    pub fn at_epoch(&self, epoch: u64) -> Self {
        let drawn = self.drawn.map(|drawn| drawn.at_epoch(epoch));
        let crops = self.crops.clone().map(|crops| crops.at_epoch(epoch));
        Self { drawn, crops, ..self.clone() }
    }

    /// Draws each entry of a row, if the entries are probabilities.
    fn draw(&self, id: u64, entries: &mut [f32]) {
        if let Some(drawn) = &self.drawn {
            let uniform = drawn.now.rows(&[id]).uniform_host(entries.len());
            for (entry, uniform) in entries.iter_mut().zip(uniform) {
                *entry = f32::from(uniform < *entry);
            }
        }
    }

    /// The rows, reshaped to another shape with the same number of entries.
    pub fn reshaped(self, event: &[usize]) -> Result<Self, DataError> {
        let width = event.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        let is_same = self.event == event;
        if event.is_empty() || width != Some(self.width()) || (self.crops.is_some() && !is_same) {
            return Err(DataError::Reshape { from: self.event, to: event.into() });
        }
        Ok(Self { event: event.into(), ..self })
    }

    /// The values, divided into rows of another shape.
    pub(crate) fn cut(self, event: &[usize]) -> Result<Self, DataError> {
        let values = self.len() * self.width();
        let ids = Ids::First(rows(values, event)?);
        Ok(Self { event: event.into(), ids, ..self })
    }

    /// The rows with a class label each; there must be as many labels as rows in the buffer.
    pub(crate) fn labeled(self, labels: Vec<u8>) -> Self {
        Self { labels: Some(labels.into()), ..self }
    }

    /// Number of rows in this view.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether this view has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape of one row: `[channels, height, width]` for images.
    pub fn event(&self) -> &[usize] {
        &self.event
    }

    /// Ids of the rows, in stored order.
    pub fn ids(&self) -> Vec<u64> {
        self.ids.iter().collect()
    }

    /// The places of the rows in a random order.
    pub(crate) fn shuffled(&self, key: Key) -> Places {
        self.ids.shuffled(key)
    }

    /// The id of the row at a place in stored order.
    ///
    /// # Panics
    ///
    /// If there are not so many rows.
    pub fn id_at(&self, place: usize) -> u64 {
        self.ids.at(place)
    }

    /// Class labels of the rows in stored order, if the set has any.
    pub fn labels(&self) -> Option<Vec<u8>> {
        let labels = self.labels.as_ref()?;
        Some(self.ids.iter().map(|id| labels[id as usize]).collect())
    }

    /// The first `n` rows in stored order, or all if there are fewer.
    pub fn take(&self, n: usize) -> Self {
        Self { ids: self.ids.take(n), ..self.clone() }
    }

    /// Whether the rows are in files, and are more than are listed one by one; not of crops.
    pub fn is_vast(&self) -> bool {
        const MANY: usize = 1 << 20;
        self.values.is_in_files() && self.crops.is_none() && self.len() > MANY
    }

    /// The same rows in blocks of 1,024 adjacent ones, if the view is of the first rows of its buffer: blocks are held out whole,
    /// and a random order is computed place by place, so that what is held does not grow with each row.
    pub fn in_blocks(self) -> Self {
        Self { ids: self.ids.in_blocks(), ..self }
    }

    /// Holds out `held_out` random rows: (the others, the held-out ones), both in stored order. Of crops, whole pictures
    /// are held out, and of [`Self::in_blocks`] whole blocks, with so many rows at least.
    pub fn split(&self, held_out: usize, key: Key) -> Result<(Self, Self), DataError> {
        if let Some(crops) = &self.crops {
            return self.split_pictures(crops, held_out, key);
        }
        if held_out >= self.len() {
            return Err(DataError::HeldOut { held_out, rows: self.len() });
        }
        let (rest, held) = self.ids.split(held_out, key);
        Ok((Self { ids: rest, ..self.clone() }, Self { ids: held, ..self.clone() }))
    }

    fn view(&self, places: &[usize]) -> Self {
        Self { ids: self.ids.view(places), ..self.clone() }
    }

    /// The rows of this view that have at least one observed entry.
    pub fn with_observed_entries(&self) -> Self {
        if !self.is_incomplete() || self.crops.is_some() {
            return self.clone(); // Which entries a crop has depends on the epoch.
        }
        let seen = |id: &u64| self.observed_entries(*id).next().is_some();
        if matches!(self.ids, Ids::Blocks { .. }) && self.ids.iter().all(|id| seen(&id)) {
            return self.clone(); // Without a list of them.
        }
        Self { ids: self.ids.iter().filter(seen).collect::<Vec<u64>>().into(), ..self.clone() }
    }

    /// The entries of a row as batches hold them, except that probabilities are not drawn; NaN for unobserved
    /// entries.
    fn row(&self, id: u64) -> Vec<f64> {
        let width = self.width();
        match &self.crops {
            None => self.values.doubles(id as usize * width..(id as usize + 1) * width),
            Some(crops) => {
                let mut row = vec![0.0; width];
                crops.target(id, &self.values, &mut row);
                row.into_iter().map(f64::from).collect()
            }
        }
    }

    /// Whether the rows are crops of pictures.
    pub fn is_cropped(&self) -> bool {
        self.crops.is_some()
    }

    /// Whether entries may be missing.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// An error if the rows are those of a sparse matrix that is too large to be stored with its zeros.
    pub(crate) fn check_filled_in(&self) -> Result<(), DataError> {
        const MOST: usize = 1 << 29;
        match self.values.is_sparse() && self.values.len() > MOST {
            true => Err(DataError::FilledIn { entries: self.values.len() }),
            false => Ok(()),
        }
    }

    /// Maps all rows of the buffer to bytes. Rows must not be crops.
    pub(crate) fn map_to_bytes(
        &self,
        change: impl Fn(u64, &[f32]) -> Vec<u8>,
    ) -> Result<Self, DataError> {
        let mut bytes = ValuesWriter::of_bytes(self.memory);
        for id in 0..self.values.len() as u64 / self.width() as u64 {
            let row: Vec<f32> = self.row(id).into_iter().map(|value| value as f32).collect();
            bytes.bytes(&change(id, &row)).map_err(DataError::temporary)?;
        }
        let values = Arc::new(bytes.finish());
        Ok(Self { values, domain: Domain::Unit, ..self.clone() })
    }

    /// Maps all rows of the buffer to floats; an error names a row of this view that is not finite
    /// afterwards.
    pub(crate) fn map_to_floats(
        &self,
        change: impl Fn(&[f64]) -> Vec<f32>,
    ) -> Result<Self, DataError> {
        let mut floats = ValuesWriter::of_singles(self.memory);
        for entries in self.all_units() {
            floats.singles(&change(&self.values.doubles(entries))).map_err(DataError::temporary)?;
        }
        let values = Arc::new(floats.finish());
        Self { values, domain: Domain::Real, ..self.clone() }.without_infinity()
    }

    /// An error names a row of this view that is not finite.
    fn without_infinity(self) -> Result<Self, DataError> {
        match self.find(|_, value| value.is_infinite()) {
            Some((row, place, value)) => {
                Err(DataError::NonFinite { row: row as usize, place, value })
            }
            None => Ok(self),
        }
    }

    /// Whether both are views of one buffer.
    pub fn shares_buffer(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.values, &other.values)
    }

    /// The rows of this view in a set that another view of its buffer was scaled to, so that the buffer is scaled once. An
    /// error names a row that is not finite.
    pub fn viewed_in(&self, scaled: &Self) -> Result<Self, DataError> {
        if self.shares_buffer(scaled) {
            return Ok(self.clone());
        }
        Self { ids: self.ids.clone(), ..scaled.clone() }.without_infinity()
    }

    fn width(&self) -> usize {
        self.event.iter().product()
    }

    /// The rows with these ids, shape `[ids, …event]`, in one pass into one buffer; unobserved entries are 0.
    ///
    /// # Panics
    ///
    /// If an id is not one of the buffer's rows, or if `D` is not one more than the event's rank.
    pub fn gather<const D: usize>(&self, ids: &[u64], device: &Device) -> Tensor<D> {
        let width = self.width();
        let mut out = vec![0.0f32; ids.len() * width];
        let source = |id: u64| id as usize * width..(id as usize + 1) * width;
        out.par_chunks_mut(width).with_min_len(8).zip(ids).for_each(|(out, &id)| {
            let row = &mut *out;
            match &self.crops {
                Some(crops) => crops.target(id, &self.values, row),
                None => self.values.singles(source(id), row),
            }
            if self.is_incomplete {
                row.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
            }
            self.draw(id, out);
        });
        Tensor::from_data(TensorData::new(out, self.batch_shape(ids)), device)
    }

    /// Which entries of these rows were observed, shape `[ids, …event]`; `None` if all entries of the set
    /// were.
    ///
    /// # Panics
    ///
    /// As [`Dataset::gather`].
    pub fn observed<const D: usize>(
        &self,
        ids: &[u64],
        device: &Device,
    ) -> Option<Tensor<D, Bool>> {
        if !self.is_incomplete {
            return None;
        }
        let rows = ids.iter().flat_map(|&id| self.row(id));
        let observed: Vec<bool> = rows.map(|value| !value.is_nan()).collect();
        Some(Tensor::from_data(TensorData::new(observed, self.batch_shape(ids)), device))
    }

    fn batch_shape(&self, ids: &[u64]) -> Vec<usize> {
        [&[ids.len()], &self.event[..]].concat()
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
    fn bytes_become_gray_values_and_floats_stay() {
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
    fn what_was_not_observed_is_0_in_a_batch_and_counts_in_no_mean() {
        let device = Device::flex();
        let values = vec![1.0, f32::NAN, 3.0, 4.0, f32::NAN, f32::NAN];
        let rows = Dataset::from_incomplete(values, &[2]).unwrap();
        let floats = |t: Tensor<2>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(floats(rows.gather(&[2, 0], &device)), [0.0, 0.0, 1.0, 0.0]);
        let observed: Tensor<2, Bool> = rows.observed(&[2, 0], &device).unwrap();
        assert_eq!(floats(observed.float()), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(rows.mean(), [2.0, 4.0]);
        assert_eq!(rows.find(|place, value| place == 1 && value > 3.0), Some((1, 1, 4.0)));
        assert_eq!(rows.find(|_, value| value.is_nan()), None);
        assert!(counted(2).observed::<2>(&[0], &device).is_none());
        assert!(Dataset::from_incomplete(vec![f32::INFINITY], &[1]).is_err());
    }

    #[test]
    fn a_split_keeps_every_row_once_and_its_id() {
        let (train, held) = counted(100).split(20, Key::new(1).purpose(Purpose::Split)).unwrap();
        assert_eq!((train.len(), held.len()), (80, 20));
        let mut ids = [train.ids(), held.ids()].concat();
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<u64>>());
        let row: Tensor<2> = held.gather(&[held.id_at(0)], &Device::flex());
        let first: Vec<f32> = row.into_data().try_to_vec().unwrap();
        assert_eq!(first[0], 2.0 * held.id_at(0) as f32);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let error = counted(5).split(5, Key::new(0)).unwrap_err().to_string();
        assert_eq!(error, "cannot hold out 5 rows of 5: at least one must be left to train on");
        let error = Dataset::from_bytes(vec![1, 2, 3], &[2]).unwrap_err().to_string();
        assert_eq!(error, "3 values do not make whole rows of shape [2]");
        let error = Dataset::from_floats(vec![0.0, 1.0, f32::NAN], &[1]).unwrap_err().to_string();
        assert_eq!(error, "row 2 holds NaN at place 0: values must be finite");
        assert!(Dataset::from_bytes(vec![], &[usize::MAX, 2]).is_err());
        assert!(Dataset::from_bytes(vec![], &[0]).is_err());
        assert!(Dataset::from_bytes(vec![1], &[]).is_err());
    }
}
