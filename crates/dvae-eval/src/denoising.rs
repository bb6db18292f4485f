//! How much cleaner a model makes damaged rows.

use burn::tensor::Device;
use dvae_corruption::Corruption;
use dvae_data::{Dataset, Order};
use dvae_losses::Objective;
use dvae_models::Vae;
use dvae_random::Key;
use dvae_train::{BatchNoise, MeanElbo, TrainError, evaluate, show_holes};
use serde::Serialize;

use crate::psnr;

/// Figures of one model under one corruption, as means over rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Denoising {
    /// Peak signal-to-noise ratio of the corrupted rows, in decibels.
    pub psnr_input: f64,
    /// Peak signal-to-noise ratio of the denoised rows, in decibels.
    pub psnr_output: f64,
    /// The bound on clean rows from clean input, in nats.
    pub clean: MeanElbo,
    /// The bound on clean rows from corrupted input, in nats.
    pub corrupted: MeanElbo,
}

/// Measures a model on the rows of `dataset`, damaged by `corruption` with noise from `key`.
///
/// A ratio is the mean over rows of each row's [`psnr`]; a denoised row is
/// [`Vae::denoise`]. The bounds are those of [`evaluate`].
pub fn denoising<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    key: Key,
    batch_size: usize,
    device: &Device,
) -> Result<Denoising, TrainError> {
    let bound = |corruption: &dyn Corruption<D>| -> Result<MeanElbo, TrainError> {
        Ok(evaluate(model, dataset, corruption, &Objective::default(), key, batch_size, device)?
            .mean)
    };
    let (clean, corrupted) = (bound(&*corruption.at_null()?)?, bound(corruption)?);
    let (mut input, mut output) = (0.0, 0.0);
    for batch in dataset.batches::<D>(batch_size, Order::Stored, device)? {
        let mut streams = BatchNoise::evaluation(key, &batch.ids);
        let damaged = corruption.corrupt(batch.clean.clone(), &mut streams.corruption).input;
        let damaged = match batch.observed.clone().filter(|_| corruption.shows_mask()) {
            Some(observed) => show_holes(damaged, observed),
            None => damaged,
        };
        let denoised = model.denoise(damaged.clone());
        // A mask that the encoder is shown stands behind the damaged values.
        let values = damaged.narrow(1, 0, batch.clean.dims()[1]);
        let observed = batch.observed.clone();
        input += psnr(batch.clean.clone(), values, observed).sum().into_scalar::<f64>();
        output += psnr(batch.clean, denoised, batch.observed).sum().into_scalar::<f64>();
    }
    let rows = dataset.len() as f64;
    Ok(Denoising { psnr_input: input / rows, psnr_output: output / rows, clean, corrupted })
}
