//! Passes over the rows of a set: what they hold, in numbers.

use std::ops::Range;

use rayon::prelude::*;

use super::Dataset;
use crate::numbers::AT_ONCE;
use crate::statistics::{Statistics, Sums};

impl Dataset {
    /// The mean of each entry over the rows of this view where it was observed, in row-major order. The means
    /// of training rows can fill in missing entries. It is empty without rows, and 0 for an entry that was
    /// never observed.
    pub fn mean(&self) -> Vec<f32> {
        let width = if self.is_empty() { 0 } else { self.width() };
        let (mut sums, mut counts) = (vec![0.0f64; width], vec![0.0f64; width]);
        for id in self.ids.iter() {
            for (place, value) in self.observed_entries(id) {
                sums[place] += value;
                counts[place] += 1.0;
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| (sum / count.max(1.0)) as f32).collect()
    }

    /// The first observed entry of this view that is `wrong`, as (row id, place, value). `wrong` gets an
    /// entry's place on the first axis of a row and its value.
    pub fn find(&self, wrong: impl Fn(usize, f32) -> bool + Sync) -> Option<(u64, usize, f32)> {
        let places = self.event[0];
        // Few values are possible at all.
        let possible = self.values.possible().filter(|all| all.len() * places < self.values.len());
        let is_possible = |value: f32| (0..places).any(|place| wrong(place, value));
        if possible.is_some_and(|all| !all.into_iter().any(is_possible)) {
            return None;
        }
        let in_unit = |(id, entries): (u64, Range<usize>)| {
            let per_place = entries.len() / places;
            let placed = self.values.iter(entries).enumerate();
            let observed = placed.filter(|(_, value)| !value.is_nan());
            let mut placed = observed.map(|(at, value)| (id, at / per_place, value as f32));
            placed.find(|&(_, place, value)| wrong(place, value))
        };
        if self.crops.is_some() {
            return self.units().find_map(in_unit);
        }
        let width = self.width();
        (0..self.len()).into_par_iter().with_min_len(64).find_map_first(|place| {
            let id = self.ids.at(place);
            in_unit((id, id as usize * width..(id as usize + 1) * width))
        })
    }

    /// The places and values of the observed entries of a row.
    pub(super) fn observed_entries(&self, id: u64) -> impl Iterator<Item = (usize, f64)> {
        self.row(id).into_iter().enumerate().filter(|(_, value)| !value.is_nan())
    }

    /// What is stored of this view, each with the id of its first row: the entries of each row, or of each picture that
    /// rows are cut from.
    pub(super) fn units(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        let (width, mut last) = (self.width(), None);
        self.ids.iter().filter_map(move |id| match &self.crops {
            None => Some((id, id as usize * width..(id as usize + 1) * width)),
            Some(crops) => {
                let picture = crops.picture(id);
                let is_new = last.replace(picture) != Some(picture);
                is_new.then(|| (id, crops.entries(picture)))
            }
        })
    }

    /// The entries of rows that follow each other in the buffer, with the id of the first one: not many at a time.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        let (width, mut place) = (self.width(), 0);
        let most = (AT_ONCE / width).max(1);
        std::iter::from_fn(move || {
            let first = (place < self.len()).then(|| self.ids.at(place))?;
            let start = place;
            let follows = |place: usize| {
                place < self.len() && self.ids.at(place) == first + (place - start) as u64
            };
            while place - start < most && follows(place) {
                place += 1;
            }
            let from = first as usize * width;
            Some((first, from..from + (place - start) * width))
        })
    }

    /// The number of observed entries at each place on the first axis of a row, over the rows of this view.
    pub fn observed_counts(&self) -> Vec<u64> {
        let per_place = self.width() / self.event[0];
        let mut counts = vec![0; self.event[0]];
        for id in self.ids.iter() {
            for (at, _) in self.observed_entries(id) {
                counts[at / per_place] += 1;
            }
        }
        counts
    }

    /// Statistics of the observed entries at each place on the first axis of a row.
    pub(crate) fn statistics(&self) -> Vec<Statistics> {
        let mut sums = vec![Sums::default(); self.event[0]];
        let mut add = |entries: Range<usize>, width: usize| {
            let per_place = width / self.event[0];
            let values = self.values.iter(entries).enumerate();
            values.for_each(|(at, value)| sums[at % width / per_place].add(value));
        };
        match self.crops.is_some() {
            true => self.units().for_each(|(_, entries)| add(entries.clone(), entries.len())),
            false => self.runs().for_each(|(_, rows)| add(rows, self.width())),
        }
        sums.into_iter().map(Sums::statistics).collect()
    }

    /// The sum of a function of the observed entries, which gets the place of each on the first axis of a row, and its value.
    pub fn sum(&self, f: impl Fn(usize, f32) -> f64) -> f64 {
        let per_place = self.width() / self.event[0];
        let entries = self.ids.iter().flat_map(|id| self.observed_entries(id));
        entries.map(|(at, x)| f(at / per_place, x as f32)).sum()
    }

    /// The cells of a column of a table, each with the id of its row; unobserved ones are NaN.
    ///
    /// # Panics
    ///
    /// If rows have several axes, or no such column.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = (u64, f32)> {
        assert!(
            self.event.len() == 1 && column < self.event[0],
            "column {column} of {:?}",
            self.event
        );
        self.ids.iter().zip(self.entries_at(column).map(|cell| cell as f32))
    }

    /// All entries at a place on the first axis of a row; unobserved ones are NaN.
    pub(crate) fn entries_at(&self, place: usize) -> impl Iterator<Item = f64> {
        let parts: Box<dyn Iterator<Item = (u64, Range<usize>)> + '_> = match self.crops.is_some() {
            true => Box::new(self.units()),
            false => Box::new(self.runs()),
        };
        parts.flat_map(move |(_, entries)| {
            let width = if self.crops.is_some() { entries.len() } else { self.width() };
            let own = (width / self.event[0]) * place..(width / self.event[0]) * (place + 1);
            let values = self.values.iter(entries).enumerate();
            values.filter(move |(at, _)| own.contains(&(at % width))).map(|(_, value)| value)
        })
    }

    /// Percentiles of the observed entries of this view, of about a million of them if there are more.
    pub(crate) fn percentiles(&self, percentiles: [f64; 2]) -> [f64; 2] {
        const ABOUT: u64 = 1 << 20;
        let number: usize = self.units().map(|(_, entries)| entries.len()).sum();
        // Chosen by a hash (Knuth's multiplicative one), so that no column or channel is preferred.
        let share = u64::MAX / (number as u64).max(1);
        let is_chosen = |at: usize| {
            (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) <= share.saturating_mul(ABOUT)
        };
        let placed =
            |(_, entries): (u64, Range<usize>)| entries.clone().zip(self.values.iter(entries));
        let chosen = self.units().flat_map(placed).filter(|&(at, _)| is_chosen(at));
        let mut values: Vec<f64> =
            chosen.map(|(_, value)| value).filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        percentiles.map(|percentile| {
            let place = (percentile / 100.0 * values.len().saturating_sub(1) as f64).round();
            values.get(place as usize).copied().unwrap_or(0.0)
        })
    }

    /// All rows of the buffer, or all pictures.
    pub(crate) fn all_units(&self) -> Box<dyn Iterator<Item = Range<usize>> + '_> {
        let width = self.width();
        match &self.crops {
            None => {
                Box::new((0..self.values.len() / width).map(move |id| id * width..(id + 1) * width))
            }
            Some(crops) => {
                Box::new((0..crops.pictures() as u32).map(|picture| crops.entries(picture)))
            }
        }
    }

    /// A checksum of the rows of this view: their shape, ids and values.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(format!("{:?}", self.event).as_bytes());
        if let Some(drawn) = &self.drawn {
            hasher.update(format!("{:?}", drawn.root).as_bytes());
        }
        if let Some(crops) = &self.crops {
            crops.hash(&mut hasher);
        }
        let Some(crops) = &self.crops else {
            for (first, rows) in self.runs() {
                let ids = (first..).map(|id: u64| id.to_le_bytes());
                self.values.hash_rows(rows, self.width(), ids, &mut hasher);
            }
            return hasher.finalize();
        };
        for (id, entries) in self.units() {
            hasher.update(&id.to_le_bytes());
            self.values.hash(entries, &mut hasher);
            for entries in crops.input_entries(id) {
                self.values.hash(entries, &mut hasher);
            }
        }
        hasher.update(&(self.len() as u64).to_le_bytes());
        hasher.finalize()
    }
}
