//! Molecular cross-validation: what a model of counts says of the units that it was not shown.

use burn::tensor::Tensor;
use dvae_corruption::Corruption;
use dvae_data::Dataset;
use dvae_models::Vae;
use dvae_train::{BatchNoise, CorruptedBatch, EvaluationContext, TrainError};
use serde::Serialize;

/// How far estimates are from the counts that were held out, as means over entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CountError {
    /// The Poisson deviance, `2 (x ln(x / m) − x + m)` with `m` at least 10⁻⁶; in nats, twice.
    pub deviance: f64,
    /// The squared error, `(x − m)²`, in squared counts.
    pub squared_error: f64,
}

/// What [`molecular_cross_validation`] measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MolecularCrossValidation {
    /// Of the counts that were shown.
    pub input: CountError,
    /// Of what the model makes of them.
    pub output: CountError,
    /// The number of rows. Those of which all or none was shown are left out.
    pub rows: usize,
}

/// Splits the units of each count by chance: `thinning`, a [`BinomialThinning`](dvae_corruption::BinomialThinning), holds some out, and the
/// model denoises the others. What it says, scaled to the total of what was held out of a row, is compared with that.
///
/// The noise of what was held out is independent of that of the input, so the input itself does badly, and a model that copies does as
/// well as the input. Batson, Royer & Webber (2019), "Molecular Cross-Validation for Single-Cell RNA-seq", with their two losses. Both are
/// least, on average, for the means of the counts.
///
/// # Panics
///
/// If rows have another shape than the model's.
pub fn molecular_cross_validation<const D: usize, V: Vae<D>>(
    model: &V,
    rows: &Dataset,
    thinning: &dyn Corruption<D>,
    context: &EvaluationContext,
) -> Result<MolecularCrossValidation, TrainError> {
    let found = context.of_batches::<D>(&rows.unpaired(), |batch| {
        let draws = &mut BatchNoise::evaluation(context.key, &batch.ids).corruption;
        let batch = CorruptedBatch::of(batch, thinning, 1, draws);
        let shown = batch.values();
        let held = numbers(batch.clean() - shown.clone());
        let cleaned = numbers(batch.denoise(model));
        let shown = numbers(shown);
        let width = held.len() / batch.clean().dims()[0];
        let rows = held.chunks(width).zip(shown.chunks(width).zip(cleaned.chunks(width)));
        let split =
            rows.filter(|(held, (shown, _))| [held, shown].iter().all(|part| total(part) > 0.0));
        split
            .flat_map(|(held, (shown, cleaned))| {
                [shown, cleaned].map(|estimate| CountError::of_row(estimate, held))
            })
            .flat_map(|CountError { deviance, squared_error }| [deviance, squared_error])
            .collect()
    })?;
    let of_rows: Vec<[f64; 4]> =
        found.iter().flat_map(|batch| batch.as_chunks().0).copied().collect();
    let mean = |of: fn(&[f64; 4]) -> [f64; 2]| {
        let sums = of_rows.iter().map(of).fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        let [deviance, squared_error] = sums.map(|sum| sum / of_rows.len().max(1) as f64);
        CountError { deviance, squared_error }
    };
    let (input, output) = (mean(|&[a, b, ..]| [a, b]), mean(|&[.., a, b]| [a, b]));
    Ok(MolecularCrossValidation { input, output, rows: of_rows.len() })
}

impl CountError {
    /// The means over the entries of a row: of estimates, in the units of any row, and the counts that were held out.
    fn of_row(estimate: &[f64], held: &[f64]) -> Self {
        let (of_estimate, of_held) = (total(estimate).max(f64::MIN_POSITIVE), total(held));
        let mut sums = Self::default();
        for (&estimate, &x) in estimate.iter().zip(held) {
            let mean = (estimate / of_estimate * of_held).max(1e-6);
            let logarithm = if x > 0.0 { x * (x / mean).ln() } else { 0.0 };
            sums.deviance += 2.0 * (logarithm - x + mean);
            sums.squared_error += (x - mean).powi(2);
        }
        let each = |sum: f64| sum / held.len().max(1) as f64;
        Self { deviance: each(sums.deviance), squared_error: each(sums.squared_error) }
    }
}

fn total(row: &[f64]) -> f64 {
    row.iter().sum()
}

fn numbers<const D: usize>(rows: Tensor<D>) -> Vec<f64> {
    rows.into_data().iter::<f64>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_corruption::BinomialThinning;
    use dvae_distributions::LikelihoodConfig;
    use dvae_models::{AutoencoderConfig, MlpConfig};
    use dvae_random::Key;

    // Of shares ½, ½ and 4 counts held out as 1, 3: means of 2.
    #[test]
    fn errors_are_hand_worked() {
        let CountError { deviance, squared_error } = CountError::of_row(&[7.0, 7.0], &[1.0, 3.0]);
        let expected = 2.0 * (0.5f64.ln() + 1.0 + 3.0 * 1.5f64.ln() - 1.0) / 2.0;
        assert!((deviance - expected).abs() < 1e-12, "{deviance}, not {expected}");
        assert_eq!(squared_error, 1.0);
        // A count where nothing was expected costs a lot, and not all there is.
        let CountError { deviance, .. } = CountError::of_row(&[1.0, 0.0], &[1.0, 1.0]);
        assert!(deviance > 10.0 && deviance.is_finite(), "{deviance}");
    }

    // Rows of one law: a model that says equal shares, whatever it sees, is nearly right, and the counts themselves are not.
    #[test]
    fn equal_shares_beat_the_counts_that_were_shown_where_rows_have_them() {
        let device = Device::flex();
        let mut model = AutoencoderConfig::new(MlpConfig::new(&[4]), &[40], 2);
        let of = Box::new(LikelihoodConfig::Poisson {});
        model.likelihood = LikelihoodConfig::Proportions { of, total: 1.0 };
        let model = model.init(Key::new(1), &device).unwrap();
        let counts = (0..4000).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 30) as f32);
        let rows = Dataset::from_floats(counts.collect(), &[40]).unwrap();
        let context = EvaluationContext::new(Key::new(2), 7, &device);
        let thinning = BinomialThinning::new(0.3).unwrap();
        let found = molecular_cross_validation::<2, _>(&model, &rows, &thinning, &context).unwrap();
        assert_eq!(found.rows, 100);
        let MolecularCrossValidation { input, output, .. } = found;
        assert!(output.deviance < 0.6 * input.deviance, "{found:?}");
    }
}
