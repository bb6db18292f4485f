//! Processes of single entries, for tensors of any rank.
//!
//! A process is written once, over [`Scalar`]. For tensors in the host's memory it runs number by number, in one
//! vectorized pass that makes the noise, applies it and records the changes. Elsewhere it runs on whole
//! tensors, as Burn operations on the device.

use burn::tensor::Tensor;
use dvae_kernels::{Number, Scalar, on_host};
use dvae_random::{Pieces, RowStreams};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::rows::damaged_rows;
use crate::{CorruptedInput, Strength};

/// The noise that a process draws for each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    Nothing,
    /// Uniform on `[0, 1)`.
    Uniform,
    /// Standard normal.
    Normal,
}

impl Noise {
    /// Makes the noise of the row at `place`, from entry `start` on.
    fn make(self, pieces: Option<&Pieces>, place: usize, start: usize, out: &mut [f32]) {
        match (self, pieces) {
            (Self::Uniform, Some(pieces)) => pieces.uniform(place, start, out),
            (Self::Normal, Some(pieces)) => pieces.normal(place, start, out),
            _ => {}
        }
    }
}

/// A process of entries: a pure function of the entry, the row's level and the entry's noise.
pub(crate) trait EntryProcess: Copy + Send + Sync {
    const NOISE: Noise;

    /// The corrupted entry, and whether it counts as touched.
    fn apply<S: Scalar>(self, x: S, level: S, noise: S) -> (S, S::Mask);
}

/// Corrupts every entry by the process; rows at the null level are unchanged.
pub(crate) fn each_entry<const D: usize, E: EntryProcess>(
    process: E,
    strength: Strength,
    clean: Tensor<D>,
    draws: &mut RowStreams,
) -> CorruptedInput<D> {
    let levels = levels(strength, clean.dims()[0], draws);
    let null = strength.scale.null as f32;
    if on_host(&clean) {
        // The draw is always taken, so that later draws do not depend on the levels.
        let noise = (E::NOISE != Noise::Nothing).then(|| draws.pieces());
        return on_the_host(process, null, &levels, clean, noise.as_ref());
    }
    on_the_device(process, null, &levels, clean, draws)
}

/// The level of each row.
///
/// # Panics
///
/// If the number of rows differs from the number of streams.
pub(crate) fn levels(strength: Strength, rows: usize, draws: &mut RowStreams) -> Vec<f32> {
    let streams = draws.ids().len();
    assert_eq!(rows, streams, "{rows} rows cannot be damaged with the noise of {streams}");
    strength.of_rows(draws)
}

fn on_the_device<const D: usize, E: EntryProcess>(
    process: E,
    null: f32,
    levels: &[f32],
    clean: Tensor<D>,
    draws: &mut RowStreams,
) -> CorruptedInput<D> {
    let (shape, device) = (clean.shape(), clean.device());
    let noise = match E::NOISE {
        Noise::Nothing => clean.clone(),
        Noise::Uniform => draws.uniform(shape.clone(), &device),
        Noise::Normal => draws.normal(shape.clone(), &device),
    };
    let mut per_row = [1; D];
    per_row[0] = levels.len();
    let level = Tensor::<1>::from_data(levels, &device).reshape(per_row).expand(shape);
    let (input, changed) = process.apply(clean.clone(), level.clone(), noise);
    if levels.iter().all(|&level| level != null) {
        return CorruptedInput::touched(input, changed);
    }
    let active = level.not_equal_elem(null);
    CorruptedInput::touched(clean.mask_where(active.clone(), input), changed.bool_and(active))
}

/// Entries whose noise is made at once, so that it stays in the first-level cache.
const CHUNK: usize = 16 * Pieces::ALIGNMENT;
/// The smallest number of entries for a separate thread.
const GRAIN: usize = 8 * CHUNK;

fn on_the_host<const D: usize, E: EntryProcess>(
    process: E,
    null: f32,
    levels: &[f32],
    clean: Tensor<D>,
    noise: Option<&Pieces>,
) -> CorruptedInput<D> {
    damaged_rows(levels, null, clean, GRAIN, |place, clean, input, changed, level| {
        let parts = input.par_chunks_mut(CHUNK).zip(changed.par_chunks_mut(CHUNK));
        let parts = parts.zip(clean.par_chunks(CHUNK)).with_min_len(GRAIN / CHUNK);
        parts.enumerate().for_each(|(part, ((input, changed), clean))| {
            let mut buffer = [0.0; CHUNK];
            let made = &mut buffer[..clean.len()];
            E::NOISE.make(noise, place, part * CHUNK, made);
            Arch::new().dispatch(Apply { process, level, clean, noise: made, input, changed });
        });
    })
}

struct Apply<'a, E> {
    process: E,
    level: f32,
    clean: &'a [f32],
    noise: &'a [f32],
    input: &'a mut [f32],
    changed: &'a mut [bool],
}

impl<E: EntryProcess> WithSimd for Apply<'_, E> {
    type Output = ();

    // Compiled once for each instruction set that `Arch` can select.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let given = self.clean.iter().zip(self.noise);
        let made = self.input.iter_mut().zip(self.changed);
        for ((&clean, &noise), (input, changed)) in given.zip(made) {
            let (clean, level, noise) = (Number(clean), Number(self.level), Number(noise));
            (Number(*input), *changed) = self.process.apply(clean, level, noise);
        }
    }
}

/// Applies the process to a literal draw, number by number and tensor by tensor; the results must agree.
#[cfg(test)]
pub(crate) fn by_hand<E: EntryProcess>(
    process: E,
    level: f32,
    clean: &[f32],
    noise: &[f32],
) -> Vec<f32> {
    let device = burn::tensor::Device::flex();
    let tensor = |values: &[f32]| Tensor::<1>::from_data(values, &device);
    let levels = vec![level; clean.len()];
    let (input, changed) = process.apply(tensor(clean), tensor(&levels), tensor(noise));
    let input = input.into_data().try_to_vec::<f32>().unwrap();
    let changed: Vec<bool> = changed.into_data().iter::<bool>().collect();
    for (i, (&clean, &noise)) in clean.iter().zip(noise).enumerate() {
        let (Number(value), touched) = process.apply(Number(clean), Number(level), Number(noise));
        let gap = (value - input[i]).abs();
        assert!(gap <= 1e-6 * input[i].abs().max(1.0), "{value} and {}", input[i]);
        assert_eq!(touched, changed[i]);
    }
    input
}
