//! Metrics of denoising: how much a model improves corrupted rows.

use burn::tensor::Tensor;
use dvae_corruption::Corruption;
use dvae_data::Dataset;
use dvae_distributions::sum_features;
use dvae_losses::Objective;
use dvae_models::Vae;
use dvae_train::{BatchNoise, CorruptedBatch, EvaluationContext, MeanElbo, TrainError, evaluate};
use serde::Serialize;

use crate::psnr;

/// Metrics of one model under one corruption, as means over rows. Rows without an observed entry are left
/// out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Denoising {
    /// Peak signal-to-noise ratio of the rows that the corruption changed, in decibels. `None` if it changed
    /// none: a row that equals its original has no finite ratio.
    pub psnr_input: Option<f64>,
    /// Peak signal-to-noise ratio of the same rows, denoised, in decibels; of all rows if the corruption changed
    /// none.
    pub psnr_output: f64,
    /// The share of the rows that the corruption left unchanged.
    pub left_clean: f64,
    /// Rows without any observed entry, which are left out.
    pub unobserved: usize,
    /// The bound on clean rows from clean input, in nats.
    pub clean: MeanElbo,
    /// The bound on clean rows from corrupted input, in nats.
    pub corrupted: MeanElbo,
}

/// Measures a model on the rows of `dataset`, corrupted by `corruption` with noise from `key`.
///
/// A ratio is the mean over rows of each row's [`psnr`]; a denoised row is [`Vae::denoise`]. The bounds are those of
/// [`evaluate`].
pub fn denoising<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    context: &EvaluationContext,
) -> Result<Denoising, TrainError> {
    let rows = &dataset.with_observed_entries();
    let bound = |rows: &Dataset, corruption: &dyn Corruption<D>| -> Result<MeanElbo, TrainError> {
        Ok(evaluate(model, rows, corruption, &Objective::default(), context)?.mean)
    };
    let clean = bound(&rows.unpaired(), &*corruption.at_null()?)?;
    let corrupted = bound(rows, corruption)?;
    let found = context.of_batches::<D>(rows, |batch| {
        let draws = &mut BatchNoise::evaluation(context.key, &batch.ids).corruption;
        let batch = CorruptedBatch::of(batch, corruption, 1, draws);
        let ratios = |rows| values(psnr(batch.clean(), rows, batch.observed()));
        let each = ratios(batch.values()).into_iter().zip(ratios(batch.denoise(model)));
        let changed = changed_rows(&batch).into_iter().map(f64::from);
        changed.zip(each).flat_map(|(changed, (input, output))| [changed, input, output]).collect()
    })?;
    let (mut damaged, mut all) = (Sums::default(), Sums::default());
    for &[changed, input, output] in found.iter().flat_map(|batch| batch.as_chunks().0) {
        all.add(input, output);
        if changed > 0.0 {
            damaged.add(input, output);
        }
    }
    let left_clean = 1.0 - damaged.rows / all.rows;
    let psnr_input = (damaged.rows > 0.0).then(|| damaged.input / damaged.rows);
    let Sums { rows: n, output, .. } = if damaged.rows > 0.0 { damaged } else { all };
    let psnr_output = output / n;
    let unobserved = dataset.len() - rows.len();
    Ok(Denoising { psnr_input, psnr_output, left_clean, unobserved, clean, corrupted })
}

/// Sums of ratios over rows.
#[derive(Default)]
struct Sums {
    rows: f64,
    input: f64,
    output: f64,
}

impl Sums {
    fn add(&mut self, input: f64, output: f64) {
        self.rows += 1.0;
        self.input += input;
        self.output += output;
    }
}

/// Which rows the corruption changed in an observed entry.
pub(crate) fn changed_rows<const D: usize>(batch: &CorruptedBatch<D>) -> Vec<bool> {
    let mut differs = batch.values().not_equal(batch.clean()).float();
    if let Some(observed) = batch.observed() {
        differs = differs * observed.float();
    }
    values(sum_features(differs)).into_iter().map(|count| count > 0.0).collect()
}

fn values(of_rows: Tensor<1>) -> Vec<f64> {
    of_rows.into_data().iter::<f64>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_corruption::{Clean, Masking, Sometimes};
    use dvae_models::AutoencoderConfig;
    use dvae_random::Key;

    fn measured(rows: &Dataset, corruption: &dyn Corruption<2>) -> Denoising {
        let device = Device::flex();
        let model = AutoencoderConfig::mlp(&[3], 2).init(Key::new(1), &device).unwrap();
        let context = EvaluationContext::new(Key::new(2), 7, &device);
        denoising(&model, rows, corruption, &context).unwrap()
    }

    fn rows(unobserved: usize) -> Dataset {
        let mut values: Vec<f32> = (0..90).map(|i| 0.5 + 0.5 * (i as f32).sin()).collect();
        values.extend(vec![f32::NAN; 3 * unobserved]);
        Dataset::from_incomplete(values, &[3]).unwrap()
    }

    #[test]
    fn rows_without_an_observed_entry_are_left_out_and_counted() {
        let erase = Masking::new(0.5).unwrap();
        let (with, without) = (measured(&rows(10), &erase), measured(&rows(0), &erase));
        assert_eq!((with.unobserved, without.unobserved), (10, 0));
        assert_eq!(Denoising { unobserved: 0, ..with }, without);
    }

    // Unchanged rows would count as 100 dB.
    #[test]
    fn ratios_are_those_of_the_rows_that_were_changed() {
        let all = || Masking::new(1.0).unwrap();
        let some = measured(&rows(0), &Sometimes::new(0.4, all()).unwrap());
        assert!(some.left_clean > 0.3 && some.left_clean < 0.9, "{some:?}");
        assert!(some.psnr_input.unwrap() < 20.0, "{some:?}");
        let none = measured(&rows(0), &Clean);
        assert_eq!(none.left_clean, 1.0);
        // No ratio of input that is right; the output still has one.
        assert_eq!(none.psnr_input, None);
        assert!(none.psnr_output > 0.0 && none.psnr_output < 50.0, "{none:?}");
        assert_eq!(measured(&rows(0), &all()).left_clean, 0.0);
    }
}
