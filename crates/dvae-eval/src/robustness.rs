//! Robustness: models trained at one corruption level and measured at others.

use std::fmt;

use serde::Serialize;

use crate::{Denoising, Heatmap};

/// Metrics of one model per training level, each measured at every test level; displays as two tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Robustness {
    /// The process, and the name of its level.
    pub corruption: String,
    /// The test levels.
    pub levels: Vec<f64>,
    /// One entry for each model, in the order of their training levels.
    pub models: Vec<Tested>,
}

/// Metrics of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tested {
    /// The level that the model was trained at.
    pub trained_at: f64,
    /// The metrics at each test level.
    pub metrics: Vec<Denoising>,
}

impl Robustness {
    /// Peak signal-to-noise ratios of denoised rows, in decibels, as a picture.
    pub fn psnr(&self) -> Heatmap {
        self.heatmap("PSNR of denoised images, dB", |metrics| metrics.psnr_output)
    }

    /// Bounds on clean rows from corrupted input, in nats, as a picture.
    pub fn bound(&self) -> Heatmap {
        self.heatmap("bound (ELBO) from corrupted input, nats", |metrics| metrics.corrupted.elbo)
    }

    fn heatmap(&self, title: &str, value: impl Fn(&Denoising) -> f64) -> Heatmap {
        let names = self.levels.iter().map(f64::to_string);
        let map = Heatmap::new(title).columns(format!("{}, tested at", self.corruption), names);
        self.models.iter().fold(map, |map, model| {
            let values: Vec<f64> = model.metrics.iter().map(&value).collect();
            map.row(format!("trained at {}", model.trained_at), values)
        })
    }

    fn table(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        value: impl Fn(&Denoising) -> f64,
    ) -> fmt::Result {
        writeln!(f, "{title}; {}, tested at", self.corruption)?;
        write!(f, "{:18}", "")?;
        self.levels.iter().try_for_each(|level| write!(f, "{level:>9}"))?;
        writeln!(f)?;
        for model in &self.models {
            write!(f, "{:18}", format!("trained at {}", model.trained_at))?;
            model.metrics.iter().try_for_each(|metrics| write!(f, "{:>9.1}", value(metrics)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f, "PSNR of denoised images, dB", |metrics| metrics.psnr_output)?;
        writeln!(f)?;
        let title = "bound (ELBO) from corrupted input, nats";
        self.table(f, title, |metrics| metrics.corrupted.elbo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvae_train::MeanElbo;

    #[test]
    fn the_tables_have_a_row_for_each_training_level() {
        let elbo = MeanElbo { log_likelihood: -90.0, kl: 10.0, elbo: -100.0 };
        let metrics = Denoising {
            psnr_input: Some(9.0),
            psnr_output: 17.25,
            left_clean: 0.0,
            unobserved: 0,
            clean: elbo,
            corrupted: elbo,
        };
        let tested = |trained_at| Tested { trained_at, metrics: vec![metrics; 3] };
        let robustness = Robustness {
            corruption: "gaussian sigma".into(),
            levels: vec![0.0, 0.25, 0.5],
            models: vec![tested(0.0), tested(0.25)],
        };
        let text = robustness.to_string();
        let row = "trained at 0.25        17.2     17.2     17.2\n";
        assert!(text.contains(row) && text.contains("   -100.0"), "{text}");
        assert!(text.starts_with("PSNR of denoised images, dB; gaussian sigma, tested at\n"));
        assert!(robustness.psnr().png().starts_with(b"\x89PNG"));
        assert!(robustness.bound().png().starts_with(b"\x89PNG"));
    }
}
