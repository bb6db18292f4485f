//! Comparison of models under several corruptions.

use std::fmt;

use dvae_corruption::{CorruptionConfig, Domain};
use dvae_data::Dataset;
use dvae_models::Vae;
use dvae_random::{Key, Purpose};
use dvae_train::{BatchNoise, EvaluationContext, TrainError};
use serde::Serialize;

use crate::{Denoising, Grid, denoising};

/// Models to compare, by name; all of them see the same rows and the same noise.
#[derive(Debug)]
pub struct Comparison<'a, V> {
    /// The models.
    pub models: &'a [(&'a str, &'a V)],
    /// The rows to measure on: pictures in `[0, 1]`.
    pub rows: &'a Dataset,
    /// The corruptions to apply.
    pub corruptions: &'a [CorruptionConfig],
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
        let mut entries = Vec::new();
        for corruption in self.corruptions {
            let process = corruption.build::<4>(Domain::Unit)?;
            for (name, model) in self.models {
                let metrics = denoising(*model, self.rows, &*process, &self.context)?;
                let (corruption, model) = (corruption.to_string(), (*name).to_owned());
                entries.push(Entry { corruption, model, metrics });
            }
        }
        Ok(ComparisonTable { rows: self.rows.len(), entries })
    }

    /// Draws the first `columns` rows: clean, corrupted, and denoised by every model.
    pub fn picture(&self, columns: usize) -> Result<Grid, TrainError> {
        let rows = self.rows.take(columns);
        let clean = rows.gather::<4>(rows.ids(), self.context.device);
        let mut grid = Grid::new();
        for corruption in self.corruptions {
            let mut streams = BatchNoise::evaluation(self.context.key, rows.ids());
            let process = corruption.build(Domain::Unit)?;
            let input = process.corrupt(clean.clone(), &mut streams.corruption).input;
            grid = grid
                .heading(corruption.to_string())
                .row("clean", clean.clone())
                .row("corrupted", input.clone().narrow(1, 0, clean.dims()[1]));
            for (name, model) in self.models {
                grid = grid.row(*name, model.denoise(input.clone()));
            }
        }
        Ok(grid)
    }
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
        for Entry { corruption, model, metrics } in &self.entries {
            let name = if corruption == last { "" } else { corruption };
            let input = metrics.psnr_input.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"));
            writeln!(
                f,
                "{name:26}{model:15}{input:>6} → {:>6.1}{:>12.1}{:>15.1}",
                metrics.psnr_output, metrics.clean.elbo, metrics.corrupted.elbo
            )?;
            last = corruption;
        }
        self.write_left_clean(f)
    }
}

impl ComparisonTable {
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
            context: EvaluationContext { key: Key::new(2), batch_size: 8, device: &device },
        };
        let metrics = comparison.measure().unwrap();
        assert_eq!((metrics.rows, metrics.entries.len()), (20, 6));
        // The same model under the same noise has the same metrics; different noise gives different metrics.
        assert_eq!(metrics.entries[0].metrics, metrics.entries[1].metrics);
        assert_ne!(metrics.entries[0].metrics, metrics.entries[2].metrics);
        assert_eq!(metrics.to_string().lines().count(), 8);
        let mut mixed = metrics.clone();
        mixed.entries.iter_mut().take(2).for_each(|entry| entry.metrics.left_clean = 0.25);
        let text = mixed.to_string();
        assert_eq!(
            (text.lines().count(), text.matches(" left 25 % of the images clean").count()),
            (9, 1)
        );
        assert!(!comparison.picture(5).unwrap().png().is_empty());
        assert!(!samples(&model, 2, 3, Key::new(1)).png().is_empty());
    }
}
