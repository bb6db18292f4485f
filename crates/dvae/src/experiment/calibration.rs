//! Calibration of a trained model on rows that were held out.

use burn::tensor::Tensor;
use dvae_corruption::CorruptionConfig;
use dvae_data::{Dataset, Domain, Order};
use dvae_eval::{COVERAGES, Calibration, FEWEST, HeldOutEntry};
use dvae_models::NetworkConfig;
use dvae_train::{BatchNoise, CorruptedBatch, EvaluationContext};
use serde::Serialize;

use super::inference::{flat, numbers};
use super::model::with_rank;
use super::pretrained::ROWS_AT_ONCE;
use super::units::is_class_at;
use super::{ExperimentError, Pretrained};

/// The most entries that intervals are learned from.
const MOST: usize = 1 << 22;

/// How many entries intervals hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The share that they are to hold.
    pub nominal: f64,
    /// The share that they held, of entries that they were not learned from: of each half of the rows by the other.
    pub empirical: f64,
}

impl Pretrained {
    /// What was learned of intervals by [`Self::calibrate`], in this process or before the weights were saved.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// The ends of intervals about results, from half their widths, within what the data can be: `[0, 1]`, or not below 0
    /// for counts.
    pub fn interval(&self, mean: &[f64], half_width: &[f64]) -> [Vec<f64>; 2] {
        let (least, most) = match self.data.domain {
            Domain::Unit => (0.0, 1.0),
            Domain::Counts => (0.0, f64::INFINITY),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        };
        [-1.0, 1.0].map(|side| {
            let each = mean.iter().zip(half_width);
            each.map(|(mean, half)| (mean + side * half).clamp(least, most)).collect()
        })
    }

    /// Learns from rows that were held out, corrupted by `corruption` with noise from the experiment's seed, how wide
    /// intervals about results of this many draws have to be: see [`Calibration`]. [`Self::save`] stores it with the weights.
    ///
    /// Entries that were not observed are left out, and classes. If the model is shown which entries are missing, only those
    /// count that the corruption took away: they are what such a model fills in. Of very many rows some are used.
    ///
    /// An error says that there are too few entries, or that the likelihood takes the totals of rows as given: a corrupted row
    /// has another total than the clean row.
    pub fn calibrate(
        &mut self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        samples: usize,
    ) -> Result<Vec<Coverage>, ExperimentError> {
        if self.likelihood.needs_totals() {
            let text = "under the likelihood `proportions` a result has the total of the row that it is made of, and a corrupted row has \
                        another than the clean one: no intervals can be learned from clean entries";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        let [first, second] = self.held_out_entries(rows, corruption, samples)?;
        let all = [&first[..], &second[..]].concat();
        let infinite = all.iter().filter(|entry| !entry.is_finite()).count();
        let learned = |entries: &[HeldOutEntry]| {
            Calibration::of(entries, samples).ok_or_else(|| {
                let n = all.len();
                ExperimentError::Settings(match infinite {
                    0 => format!(
                        "{n} held-out entries are too few to learn intervals from: at least {} are needed",
                        2 * FEWEST
                    ),
                    _ => format!(
                        "{infinite} of {n} held-out entries have no finite result or deviation to learn intervals from"
                    ),
                })
            })
        };
        let (of_first, of_second) = (learned(&first)?, learned(&second)?);
        let coverage = |nominal| {
            let [a, b] = [of_second.held(nominal, &first), of_first.held(nominal, &second)];
            let (n, m) = (first.len() as f64, second.len() as f64);
            Coverage { nominal, empirical: (a * n + b * m) / (n + m) }
        };
        let coverages = COVERAGES.into_iter().map(coverage).collect();
        self.calibration = Some(learned(&all)?);
        Ok(coverages)
    }

    /// The entries of the first half of the rows, and of the second: crops of one picture are neighbors. Of a single row they
    /// are the halves of its entries.
    fn held_out_entries(
        &self,
        rows: &Dataset,
        corruption: &CorruptionConfig,
        samples: usize,
    ) -> Result<[Vec<HeldOutEntry>; 2], ExperimentError> {
        let mut entries = vec![];
        with_rank!(self.rank, D => {
            let process = self.process::<D>(corruption)?;
            let EvaluationContext { key, batch_size, device, .. } = self.context(rows, ROWS_AT_ONCE);
            let width = rows.event().iter().product::<usize>();
            // So many batches become one.
            let every = (rows.len() * width).div_ceil(MOST).max(1);
            let batch_size = batch_size.min(rows.len().div_ceil(8 * every)).max(1);
            for batch in rows.batches::<D>(batch_size, Order::Stored, device)?.step_by(every) {
                let ids = batch.ids.clone();
                let draws = &mut BatchNoise::evaluation(key, &ids).corruption;
                let batch = CorruptedBatch::of(batch, &*process, 1, draws);
                let mut latents = self.sampling().rows(&ids);
                let (mean, deviation) = self.mean_and_deviation::<D>(
                    batch.corrupted().input.clone(),
                    &mut latents,
                    samples,
                    true,
                );
                let counts = self.counts::<D>(&batch);
                let error = (flat(batch.clean()) - mean).abs();
                let each = numbers(deviation).into_iter().zip(numbers(error));
                let each = each.zip(counts).filter(|(_, counts)| *counts);
                entries.extend(
                    each.map(|((deviation, error), _)| HeldOutEntry { deviation, error }),
                );
            }
        });
        let second = entries.split_off(entries.len() / 2);
        Ok([entries, second])
    }

    /// Which entries of a batch intervals are learned from.
    fn counts<const D: usize>(&self, batch: &CorruptedBatch<D>) -> Vec<bool> {
        let shape = batch.clean().dims();
        let corrupted = batch.corrupted();
        // What the mask shows.
        let changed = match &self.experiment.model.network {
            NetworkConfig::Table(_) => corrupted.hidden.clone().map(flags),
            _ => self.shows_mask.then(|| flags(corrupted.changed.clone())),
        };
        let observed = batch.observed().map(flags);
        let width: usize = shape[1..].iter().product();
        let of_place = width / shape[1].max(1);
        let classes: Vec<bool> =
            (0..shape[1]).map(|place| is_class_at(&self.likelihood, place)).collect();
        let counts = |at: usize| {
            let is = |flags: &Option<Vec<bool>>| flags.as_ref().is_none_or(|flags| flags[at]);
            is(&changed) && is(&observed) && !classes[at % width / of_place.max(1)]
        };
        (0..shape[0] * width).map(counts).collect()
    }
}

fn flags<const D: usize>(tensor: Tensor<D, burn::tensor::Bool>) -> Vec<bool> {
    tensor.into_data().iter::<bool>().collect()
}
