//! Comparison of models under several corruptions.

use std::fmt;

use dvae_corruption::{CorruptedInput, CorruptionConfig, Domain};
use dvae_data::{Dataset, Order};
use dvae_models::Vae;
use dvae_random::{Key, Purpose};
use dvae_train::{BatchNoise, CorruptedBatch, EvaluationContext, TrainError};
use serde::Serialize;

use crate::denoising::changed_rows;
use crate::{Denoising, Filter, Grid, denoising, psnr};

/// Models to compare, by name; all of them see the same rows and the same noise.
#[derive(Debug)]
pub struct Comparison<'a, V> {
    /// The models.
    pub models: &'a [(&'a str, &'a V)],
    /// The rows to measure on: pictures in `[0, 1]`.
    pub rows: &'a Dataset,
    /// The corruptions to apply.
    pub corruptions: &'a [CorruptionConfig],
    /// The rows on which a classical filter is chosen for each corruption, by its signal-to-noise ratio; without them no
    /// filter is measured.
    pub tuning: Option<&'a Dataset>,
    /// The noise, and where the models' weights are.
    pub context: EvaluationContext<'a>,
}

/// Metrics of models under corruptions; displays as a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonTable {
    /// The number of rows measured.
    pub rows: usize,
    /// One entry for each corruption and model.
    pub entries: Vec<Entry>,
    /// The filter for each corruption.
    pub filters: Vec<FilterEntry>,
}

/// The best filter for a corruption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterEntry {
    /// The corruption and its strength.
    pub corruption: String,
    /// The filter that was best on other rows.
    pub filter: Filter,
    /// Peak signal-to-noise ratio of the rows that the corruption changed, filtered, in decibels.
    pub psnr_output: f64,
}

/// Metrics of one model under one corruption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The corruption and its strength.
    pub corruption: String,
    /// The model's name.
    pub model: String,
    /// The metrics.
    #[serde(flatten)]
    pub metrics: Denoising,
}

impl<V: Vae<4>> Comparison<'_, V> {
    /// Measures signal-to-noise ratios and bounds of every model under every corruption.
    pub fn measure(&self) -> Result<ComparisonTable, TrainError> {
        let (mut entries, mut filters) = (Vec::new(), Vec::new());
        for corruption in self.corruptions {
            if let Some((filter, psnr_output)) = self.filter(corruption)? {
                filters.push(FilterEntry {
                    corruption: corruption.to_string(),
                    filter,
                    psnr_output,
                });
            }
            let process = corruption.build::<4>(Domain::Unit)?;
            for (name, model) in self.models {
                let metrics = denoising(*model, self.rows, &*process, &self.context)?;
                let (corruption, model) = (corruption.to_string(), (*name).to_owned());
                entries.push(Entry { corruption, model, metrics });
            }
        }
        Ok(ComparisonTable { rows: self.rows.len(), entries, filters })
    }

    /// The filter that is best on the tuning rows, and its ratio on the others.
    fn filter(&self, corruption: &CorruptionConfig) -> Result<Option<(Filter, f64)>, TrainError> {
        let Some(tuning) = self.tuning else { return Ok(None) };
        let tuning = self.corrupted(&tuning.take(MOST_TUNING_ROWS), corruption)?;
        let candidates = Filter::candidates(matches!(corruption, CorruptionConfig::Masking { .. }));
        let ratios =
            candidates.into_iter().filter_map(|filter| Some((filter, ratio(&tuning, filter)?)));
        let Some((filter, _)) = ratios.max_by(|(_, a), (_, b)| a.total_cmp(b)) else {
            return Ok(None);
        };
        let rows = self.corrupted(self.rows, corruption)?;
        Ok(ratio(&rows, filter).map(|ratio| (filter, ratio)))
    }

    /// Batches of rows with an observed entry, corrupted with the noise of an evaluation.
    fn corrupted(
        &self,
        rows: &Dataset,
        process: &CorruptionConfig,
    ) -> Result<Vec<CorruptedBatch<4>>, TrainError> {
        let EvaluationContext { key, batch_size, device, .. } = self.context;
        let process = process.build::<4>(Domain::Unit)?;
        let rows = rows.with_observed_entries();
        let batches = rows.unpaired().batches::<4>(batch_size, Order::Stored, device)?;
        let corrupted = batches.map(|batch| {
            let draws = &mut BatchNoise::evaluation(key, &batch.ids).corruption;
            CorruptedBatch::of(batch, &*process, 1, draws)
        });
        Ok(corrupted.collect())
    }

    /// Draws the first `columns` rows: clean, corrupted, cleaned by the filter that was measured, and denoised by every
    /// model.
    pub fn picture(&self, columns: usize, measured: &ComparisonTable) -> Result<Grid, TrainError> {
        let rows = self.rows.take(columns).unpaired();
        let clean = rows.gather::<4>(&rows.ids(), self.context.device);
        let mut grid = Grid::new();
        for corruption in self.corruptions {
            let mut streams = BatchNoise::evaluation(self.context.key, &rows.ids());
            let process = corruption.build(Domain::Unit)?;
            let CorruptedInput { input, changed, .. } =
                process.corrupt(clean.clone(), &mut streams.corruption);
            let (name, values) =
                (corruption.to_string(), input.clone().narrow(1, 0, clean.dims()[1]));
            grid = grid.heading(&name).row("clean", clean.clone()).row("corrupted", values.clone());
            if let Some(entry) = measured.filters.iter().find(|entry| entry.corruption == name) {
                let filtered = entry.filter.apply(values, changed.float());
                grid = grid.row(entry.filter.to_string(), filtered);
            }
            for (name, model) in self.models {
                grid = grid.row(*name, model.denoise(input.clone()));
            }
        }
        Ok(grid)
    }
}

/// The most rows on which filters are chosen.
const MOST_TUNING_ROWS: usize = 250;

/// The mean ratio of the rows that the corruption changed, filtered; `None` if it changed none.
fn ratio(batches: &[CorruptedBatch<4>], filter: Filter) -> Option<f64> {
    let of_batch = |batch: &CorruptedBatch<4>| {
        let filtered = filter.apply(batch.values(), batch.corrupted().changed.clone().float());
        let ratios = psnr(batch.clean(), filtered, batch.observed()).into_data();
        let ratios: Vec<f64> = ratios.iter::<f64>().collect();
        ratios.into_iter().zip(changed_rows(batch)).filter(|(_, changed)| *changed)
    };
    let (sum, count) = batches
        .iter()
        .flat_map(of_batch)
        .fold((0.0, 0.0), |(sum, count), (ratio, _)| (sum + ratio, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Draws the means `E[x | z]` of latents from a model's prior, in rows and columns.
pub fn samples<V: Vae<4>>(model: &V, rows: u64, columns: u64, key: Key) -> Grid {
    (0..rows).fold(Grid::new(), |grid, row| {
        let ids: Vec<u64> = (row * columns..(row + 1) * columns).collect();
        let latents = model.sample_prior(&mut key.purpose(Purpose::Sampling).rows(&ids));
        grid.row("", dvae_distributions::Likelihood::mean(&model.decode(latents)))
    })
}

impl fmt::Display for ComparisonTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("{} test images", self.rows);
        writeln!(f, "{:41}{:^18}{:^26}", "", "PSNR, dB", "bound (ELBO), nats")?;
        writeln!(
            f,
            "{title:26}{:15}{:>6} → {:>6}{:>12}{:>15}",
            "model", "input", "output", "clean input", "corrupted"
        )?;
        let mut last = "";
        for (place, Entry { corruption, model, metrics }) in self.entries.iter().enumerate() {
            let name = if corruption == last { "" } else { corruption };
            let input = metrics.psnr_input.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"));
            writeln!(
                f,
                "{name:26}{model:15}{input:>6} → {:>6.1}{:>12.1}{:>15.1}",
                metrics.psnr_output, metrics.clean.elbo, metrics.corrupted.elbo
            )?;
            last = corruption;
            let next = self.entries.get(place + 1).map(|entry| &entry.corruption);
            let filter = self.filters.iter().find(|filter| filter.corruption == *corruption);
            if let (true, Some(filter)) = (next != Some(corruption), filter) {
                let (name, ratio) = (filter.filter.to_string(), filter.psnr_output);
                writeln!(f, "{:26}{name:15}{:>6} → {ratio:>6.1}", "", "")?;
            }
        }
        self.write_told(f)?;
        self.write_left_clean(f)
    }
}

impl ComparisonTable {
    /// A line that says what one of the filters is told, if it is among them.
    fn write_told(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |entry: &FilterEntry| matches!(entry.filter, Filter::Normalized { .. });
        if self.filters.iter().any(told) {
            writeln!(
                f,
                "the normalized mean is told which pixels are missing; the models are not"
            )?;
        }
        Ok(())
    }

    /// A line for each corruption that left some of the images clean, but not all.
    fn write_left_clean(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for Entry { corruption, metrics, .. } in &self.entries {
            let share = metrics.left_clean;
            if corruption != last && share > 0.0 && share < 1.0 {
                let percent = 100.0 * share;
                writeln!(
                    f,
                    "{corruption} left {percent:.0} % of the images clean: PSNR is that of the others"
                )?;
            }
            last = corruption;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_models::AutoencoderConfig;

    #[test]
    fn every_model_is_measured_and_drawn_under_every_corruption() {
        let device = Device::flex();
        let pixels = (0..20 * 12).map(|i| (i * 7 % 256) as u8).collect();
        let rows = Dataset::from_bytes(pixels, &[1, 3, 4]).unwrap();
        let model = AutoencoderConfig::mlp(&[1, 3, 4], 2).init(Key::new(1), &device).unwrap();
        let comparison = Comparison {
            models: &[("a", &model), ("b", &model)],
            rows: &rows,
            corruptions: &CorruptionConfig::standard_three(),
            tuning: Some(&rows.take(5)),
            context: EvaluationContext::new(Key::new(2), 8, &device),
        };
        let metrics = comparison.measure().unwrap();
        assert_eq!((metrics.rows, metrics.entries.len(), metrics.filters.len()), (20, 6, 3));
        assert!(metrics.filters.iter().all(|filter| filter.psnr_output.is_finite()));
        // The same model under the same noise has the same metrics; different noise gives different metrics.
        assert_eq!(metrics.entries[0].metrics, metrics.entries[1].metrics);
        assert_ne!(metrics.entries[0].metrics, metrics.entries[2].metrics);
        let told = metrics.filters.iter().any(|f| matches!(f.filter, Filter::Normalized { .. }));
        assert_eq!(metrics.to_string().lines().count(), 11 + usize::from(told));
        let mut mixed = metrics.clone();
        mixed.entries.iter_mut().take(2).for_each(|entry| entry.metrics.left_clean = 0.25);
        let text = mixed.to_string();
        assert_eq!(
            (text.lines().count(), text.matches(" left 25 % of the images clean").count()),
            (12 + usize::from(told), 1)
        );
        assert!(!comparison.picture(5, &metrics).unwrap().png().is_empty());
        assert!(!samples(&model, 2, 3, Key::new(1)).png().is_empty());
    }
}
