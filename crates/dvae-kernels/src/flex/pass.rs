//! Passes over entries that make values and derivatives at once, whatever they compute.

use std::fmt::Debug;
use std::ops::Range;

use rayon::prelude::*;

use super::buffer::unwritten;
use super::simd::vectorized;

/// The number of entries for one thread at a time.
const GRAIN: usize = 1 << 13;
/// The number of entries that are computed in parallel lanes.
pub(crate) const LANES: usize = 16;

/// A number for each lane.
pub(crate) type Lanes = [f32; LANES];

/// A computation on every entry of some rows.
pub(crate) trait Pass: Debug + Send + Sync {
    /// The number of parameters of an entry.
    fn parameters(&self) -> usize;

    /// The number of constants of an entry.
    fn constants(&self) -> usize;

    /// Writes all values, and all derivatives if they are wanted.
    fn run(&self, task: Task<'_>);
}

/// Some rows, with the places for their results.
pub(crate) struct Task<'a> {
    /// The number of entries in a row.
    pub(crate) features: usize,
    /// Tensors of parameters: for each row, one parameter of all its entries after the other.
    pub(crate) parameters: Vec<&'a [f32]>,
    /// One number for each entry.
    pub(crate) constants: Vec<&'a [f32]>,
    /// A weight for each entry.
    pub(crate) weights: Option<&'a [f32]>,
    pub(crate) values: Values<'a>,
    /// The derivatives in the layout of the parameters; none if they are not wanted.
    pub(crate) slopes: Vec<&'a mut [f32]>,
}

/// The destination of the values.
pub(crate) enum Values<'a> {
    /// One value for each entry.
    Each(&'a mut [f32]),
    /// Summed over rows.
    Rows(&'a mut [f32]),
}

impl Values<'_> {
    pub(crate) fn rows(&self, features: usize) -> usize {
        match self {
            Self::Each(values) => values.len() / features,
            Self::Rows(values) => values.len(),
        }
    }

    /// Fills a row.
    #[inline(always)]
    pub(crate) fn fill(&mut self, row: usize, features: usize, mut entries: impl Row) {
        match self {
            Self::Each(values) => {
                let values = &mut values[row * features..][..features];
                for (i, values) in values.chunks_mut(LANES).enumerate() {
                    let out = entries.block(i * LANES, values.len());
                    values.copy_from_slice(&out[..values.len()]);
                }
            }
            // Sixteen partial sums for each row.
            Self::Rows(values) => {
                let mut sums = [0.0f32; LANES];
                for first in (0..features).step_by(LANES) {
                    let len = LANES.min(features - first);
                    let out = entries.block(first, len);
                    for (sum, out) in sums.iter_mut().zip(&out[..len]) {
                        *sum += *out;
                    }
                }
                values[row] = sums.iter().sum();
            }
        }
    }
}

/// The entries of one row.
///
/// It is a trait, not a closure, because what is not inlined into [`Values::fill`] is compiled for the baseline of
/// the target, and only a function can be marked for it.
pub(crate) trait Row {
    /// The values of `len` entries, at most sixteen, from `first` on; their derivatives are written.
    fn block(&mut self, first: usize, len: usize) -> Lanes;
}

/// One row of a tensor that has `width` numbers in each.
#[inline(always)]
pub(crate) fn of_row(all: &[f32], row: usize, width: usize) -> &[f32] {
    &all[row * width..][..width]
}

/// The same, to be written.
#[inline(always)]
pub(crate) fn of_row_mut(all: &mut [f32], row: usize, width: usize) -> &mut [f32] {
    &mut all[row * width..][..width]
}

/// At most sixteen numbers; the lanes beyond them are 0.
#[inline(always)]
pub(crate) fn load(values: &[f32], first: usize, len: usize) -> Lanes {
    let values = &values[first..first + len];
    match <Lanes>::try_from(values) {
        Ok(whole) => whole,
        Err(_) => {
            let mut lanes = [0.0; LANES];
            lanes[..len].copy_from_slice(values);
            lanes
        }
    }
}

/// Writes the first `len` lanes.
#[inline(always)]
pub(crate) fn store(values: &mut [f32], first: usize, len: usize, lanes: &Lanes) {
    let values = &mut values[first..first + len];
    match <&mut Lanes>::try_from(&mut *values) {
        Ok(whole) => *whole = *lanes,
        Err(_) => values.copy_from_slice(&lanes[..len]),
    }
}

/// What a pass reads, the whole of each tensor: `[rows, count, features]` for `count` parameters, and
/// `[rows, features]` for constants and weights. There is at least one entry.
pub(crate) struct Inputs<'a> {
    pub(crate) rows: usize,
    pub(crate) features: usize,
    pub(crate) parameters: Vec<(&'a [f32], usize)>,
    pub(crate) constants: Vec<&'a [f32]>,
    pub(crate) weights: Option<&'a [f32]>,
}

impl<'a> Inputs<'a> {
    /// The task on these rows.
    fn task(&self, rows: Range<usize>, values: Values<'a>, slopes: Vec<&'a mut [f32]>) -> Task<'a> {
        let part = |all: &'a [f32], count: usize| {
            let width = count * self.features;
            &all[rows.start * width..rows.end * width]
        };
        Task {
            features: self.features,
            parameters: self.parameters.iter().map(|&(all, count)| part(all, count)).collect(),
            constants: self.constants.iter().map(|&all| part(all, 1)).collect(),
            weights: self.weights.map(|all| part(all, 1)),
            values,
            slopes,
        }
    }
}

/// The value of each entry, or its sum over each row, and the derivatives in the layout of the parameters if they
/// are wanted.
pub(crate) fn run(
    pass: &dyn Pass,
    mut inputs: Inputs<'_>,
    by_row: bool,
    want_slopes: bool,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let len = inputs.rows * inputs.features;
    let mut values = unwritten(if by_row { inputs.rows } else { len });
    let wanted = if want_slopes { inputs.parameters.as_slice() } else { &[] };
    let mut slopes: Vec<Vec<f32>> = wanted.iter().map(|(all, _)| unwritten(all.len())).collect();
    // Entries that do not belong together may be divided anywhere: each counts as a row while tasks are cut; within
    // a task they are one row.
    let apart = !by_row && inputs.parameters.iter().all(|(_, count)| *count == 1);
    if apart {
        (inputs.rows, inputs.features) = (len, 1);
    }
    let per_task = (GRAIN / inputs.features).max(1);
    let mut parts: Vec<_> = slopes
        .iter_mut()
        .zip(&inputs.parameters)
        .map(|(all, (_, count))| all.chunks_mut(per_task * count * inputs.features))
        .collect();
    let step = per_task * if by_row { 1 } else { inputs.features };
    let tasks: Vec<Task<'_>> = values
        .chunks_mut(step)
        .enumerate()
        .map(|(i, values)| {
            let rows = i * per_task..inputs.rows.min((i + 1) * per_task);
            let values = if by_row { Values::Rows(values) } else { Values::Each(values) };
            let slopes = parts.iter_mut().map(|all| all.next().unwrap_or_default()).collect();
            let entries = rows.len();
            let task = inputs.task(rows, values, slopes);
            if apart { Task { features: entries, ..task } } else { task }
        })
        .collect();
    tasks.into_par_iter().for_each(|task| pass.run(task));
    (values, slopes)
}

vectorized! {
    fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

vectorized! {
    fn scale_each(values: &mut [f32], factors: &[f32]) {
        for values in values.chunks_mut(factors.len()) {
            for (value, factor) in values.iter_mut().zip(factors) {
                *value *= *factor;
            }
        }
    }
}

/// Multiplies derivatives `[rows, count, features]`, none of them 0, by the factors of their rows, or of their
/// entries.
pub(crate) fn scale_slopes(
    slopes: &mut [f32],
    factors: &[f32],
    [rows, features]: [usize; 2],
    by_row: bool,
) {
    if slopes.len() == factors.len() {
        let parts = slopes.par_chunks_mut(GRAIN).zip(factors.par_chunks(GRAIN));
        return parts.for_each(|(slopes, factors)| scale_each(slopes, factors));
    }
    let width = slopes.len() / rows;
    let least = (GRAIN / width).max(1);
    let rows = slopes.par_chunks_mut(width).with_min_len(least);
    if by_row {
        rows.zip(factors).for_each(|(slopes, factor)| scale(slopes, *factor));
    } else {
        rows.zip(factors.par_chunks(features))
            .for_each(|(slopes, factors)| scale_each(slopes, factors));
    }
}
