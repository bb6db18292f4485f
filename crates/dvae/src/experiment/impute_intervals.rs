//! Intervals about missing entries that were filled in.

use burn::tensor::Tensor;
use dvae_data::Order;
use dvae_distributions::{Latents, Likelihood};
use dvae_models::Vae;
use dvae_random::{Key, Purpose};

use super::inference::{doubles, flat, numbers};
use super::model::with_rank;
use super::units::is_class_at;
use super::{ExperimentError, Pretrained};

/// How wide intervals about filled-in entries have to be, learned from held-out rows of which entries were hidden: for each
/// place on the first axis of a row, the deviations to either side. Split conformal prediction with the error relative to the
/// deviation as its score: Lei et al. (2018), "Distribution-Free Predictive Inference for Regression", section 5.2.
#[derive(Clone, Debug, PartialEq)]
pub struct ImputationIntervals {
    /// `None` for places of classes, and for all of them if no number is missing.
    factors: Vec<Option<f64>>,
}

/// Different entries that decide the interval of a place by themselves; with fewer, those of all places together do: the same row
/// again says little more.
const ENOUGH: usize = 100;
/// Hidden entries of a place that are sought, by hiding others of the same rows again.
const SOUGHT: usize = 400;
/// The most times that entries of the same rows are hidden.
const MOST_TIMES: u32 = 50;
/// The least share of the entries of a place with missing ones that is hidden at a time.
const LEAST: f64 = 0.1;

impl Pretrained {
    /// Learns from the validation rows how wide intervals about filled-in entries have to be to hold this share of them, in
    /// `(0, 1)`. Observed entries are hidden at random, at each place on the first axis as often as `missing` says (a tenth of them at
    /// least, or none), and filled in from `samples` draws. Where entries are missing because of what they are, intervals hold less,
    /// unless the likelihood says how ([`LikelihoodConfig::SelfMasking`](crate::distributions::LikelihoodConfig::SelfMasking)): then
    /// those are hidden that would be missing rather than others, in proportion to the odds of it, so that hidden entries are
    /// distributed as missing ones (weighted conformal prediction: Tibshirani et al. 2019, "Conformal Prediction Under Covariate
    /// Shift").
    ///
    /// An error says that `missing` has another length than the first axis, that the share is none, that the data of the training
    /// have changed, or that there are too few held-out entries.
    ///
    /// # Panics
    ///
    /// If `samples` is 0.
    pub fn imputation_intervals(
        &self,
        share: f64,
        missing: &[f64],
        samples: usize,
    ) -> Result<ImputationIntervals, ExperimentError> {
        let wrong = |text: String| Err(ExperimentError::Settings(text));
        let event = self.event();
        if missing.len() != event[0] || !(share > 0.0 && share < 1.0) {
            return wrong(format!(
                "a share in (0, 1) and a rate for each of {} places are needed, not {share} and {}",
                event[0],
                missing.len()
            ));
        }
        let is_number = |place: usize| !is_class_at(&self.likelihood, place);
        if !(0..event[0]).any(|place| is_number(place) && missing[place] > 0.0) {
            return Ok(ImputationIntervals { factors: vec![None; event[0]] });
        }
        let rate = |&rate: &f64| if rate > 0.0 { rate.max(LEAST) } else { 0.0 };
        let missing: Vec<f64> = missing.iter().map(rate).collect();
        let rows = self.validation_rows()?;
        let per_place = event.iter().product::<usize>() / event[0];
        let rates = self.hiding_rates(&rows, &missing, per_place);
        let mut scores: Vec<Vec<f64>> = vec![vec![]; event[0]];
        let key =
            Key::new(self.experiment.train.seed).purpose(Purpose::EvaluationCorruption).branch(3);
        let ids: Vec<u64> = (0..rows.len() as u64).collect();
        let mut were_hidden = vec![false; rows.len() * per_place * event[0]];
        let mut times = 0;
        let is_wanted = |(place, scores): (usize, &Vec<f64>)| {
            is_number(place) && missing[place] > 0.0 && scores.len() < SOUGHT
        };
        while times < MOST_TIMES && scores.iter().enumerate().any(is_wanted) {
            let uniforms = key.branch(times.into()).rows(&ids).uniform_host(per_place * event[0]);
            let hidden: Vec<Vec<f64>> = rows
                .iter()
                .zip(&rates)
                .zip(uniforms.chunks(per_place * event[0]))
                .map(|((row, rates), uniforms)| hide(row, uniforms, rates))
                .collect();
            let filled = self.impute(&hidden, &ids, samples, 0)?;
            let were_hidden = were_hidden.chunks_mut(per_place * event[0]);
            for (((row, hidden), filled), were_hidden) in
                rows.iter().zip(&hidden).zip(&filled).zip(were_hidden)
            {
                for (at, &truth) in row.iter().enumerate() {
                    let (place, deviation) = (at / per_place, filled.deviations[at]);
                    let error = (filled.values[at] - truth).abs();
                    let is_hidden = hidden[at].is_nan() && !truth.is_nan();
                    // An infinite deviation says nothing; an error where there was to be none counts as infinite.
                    if is_hidden && is_number(place) && deviation.is_finite() && error.is_finite() {
                        were_hidden[at] = true;
                        scores[place].push(if error == 0.0 { 0.0 } else { error / deviation });
                    }
                }
            }
            times += 1;
        }
        let mut entries = vec![0; event[0]];
        for at in (0..were_hidden.len()).filter(|&at| were_hidden[at]) {
            entries[at / per_place % event[0]] += 1;
        }
        let mut all = scores.concat();
        let found: usize = entries.iter().sum();
        // Of fewer, none can be the one that a share of others does not exceed.
        if share * (found + 1) as f64 > found as f64 {
            return wrong(format!(
                "{found} held-out entries are too few to learn intervals from: hold more rows out by `data.validation`"
            ));
        }
        let of_all = quantile(&mut all, share);
        let factor = |(place, scores): (usize, &mut Vec<f64>)| {
            let own = entries[place] >= ENOUGH;
            is_number(place).then(|| if own { quantile(scores, share) } else { of_all })
        };
        Ok(ImputationIntervals { factors: scores.iter_mut().enumerate().map(factor).collect() })
    }

    /// With which probability each entry of rows is hidden, so that of each place a share is that `missing` says.
    fn hiding_rates(&self, rows: &[Vec<f64>], missing: &[f64], per_place: usize) -> Vec<Vec<f64>> {
        let width = missing.len() * per_place;
        let is_known = self.likelihood.is_self_masking();
        let odds = is_known.then(|| with_rank!(self.rank, D => self.log_missing_odds::<D>(rows)));
        let Some(log_odds) = odds.flatten() else {
            let of_row: Vec<f64> = (0..width).map(|at| missing[at / per_place]).collect();
            return vec![of_row; rows.len()];
        };
        let mut rates = vec![vec![0.0; width]; rows.len()];
        for (place, &share) in missing.iter().enumerate() {
            let entries = (0..rows.len()).flat_map(|row| {
                (place * per_place..(place + 1) * per_place).map(move |at| (row, at))
            });
            let there: Vec<_> = entries.filter(|&(row, at)| !rows[row][at].is_nan()).collect();
            let of_place: Vec<f64> = there.iter().map(|&(row, at)| log_odds[row][at]).collect();
            for (&(row, at), rate) in there.iter().zip(in_proportion(&of_place, share)) {
                rates[row][at] = rate;
            }
        }
        rates
    }

    /// `log (p(missing | x) / p(observed | x))` of each entry of rows in the units of the files; `None` if the likelihood knows nothing
    /// of it.
    fn log_missing_odds<const D: usize>(&self, rows: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
        let mut found = Vec::with_capacity(rows.len());
        for rows in rows.chunks(self.rows_at_once(self.event(), 1024)) {
            let latent: usize = self.levels().iter().map(|level| level.len()).sum();
            let latents = Tensor::zeros([rows.len(), latent], &self.device);
            let latents = Latents::from_flat(latents, &self.levels());
            let [values, _] = self.observed::<D>(rows);
            let odds = Vae::<D>::decode(&self.model, latents).log_missing_odds(values)?;
            let odds = doubles(&numbers(flat(odds)));
            found.extend(odds.chunks(odds.len() / rows.len()).map(<[f64]>::to_vec));
        }
        Some(found)
    }

    /// The validation rows in the units of the files; NaN where nothing was observed.
    fn validation_rows(&self) -> Result<Vec<Vec<f64>>, ExperimentError> {
        let rows = self.validation()?;
        let mut found = Vec::with_capacity(rows.len());
        with_rank!(self.rank, D => {
            for batch in rows.batches::<D>(1024, Order::Stored, &self.device)? {
                let length = batch.ids.len();
                let observed = batch.observed.clone().map(|observed| numbers(flat(observed.float())));
                let mut values = numbers(flat(batch.clean));
                for (value, observed) in values.iter_mut().zip(observed.into_iter().flatten()) {
                    if observed == 0.0 {
                        *value = f32::NAN;
                    }
                }
                let undone = |row: &[f32]| match &self.data.scaler {
                    Some(scaler) => scaler.undo(row),
                    None => doubles(row),
                };
                found.extend(values.chunks(values.len() / length).map(undone));
            }
        });
        Ok(found)
    }
}

impl ImputationIntervals {
    /// The interval about an entry at this place on the first axis that was filled in; `None` of a class, if its deviation is
    /// infinite, and of any entry if no place of numbers was said to miss some.
    pub fn about(&self, place: usize, value: f64, deviation: f64) -> Option<[f64; 2]> {
        let half = self.factors[place]? * deviation;
        half.is_finite().then_some([value - half, value + half])
    }
}

/// Probabilities in proportion to odds, of which logarithms are given, that are `share` in the mean; none is above 1.
fn in_proportion(log_odds: &[f64], share: f64) -> Vec<f64> {
    if share == 0.0 {
        return vec![0.0; log_odds.len()];
    }
    let at = |log_factor: f64| log_odds.iter().map(move |odds| (odds + log_factor).min(0.0).exp());
    let aim = share * log_odds.len() as f64;
    let largest = log_odds.iter().fold(f64::NEG_INFINITY, |most, &odds| most.max(odds));
    let least = log_odds.iter().fold(f64::INFINITY, |least, &odds| least.min(odds));
    // With the lower factor the sum is at most the aim, and with the upper one at least.
    let (mut low, mut high) = (share.ln() - largest, -least);
    for _ in 0..60 {
        let middle = low + (high - low) / 2.0;
        if at(middle).sum::<f64>() < aim { low = middle } else { high = middle }
    }
    at(low).collect()
}

/// The row without some of its observed entries, each with its own probability; one at least stays.
fn hide(row: &[f64], uniforms: &[f32], rates: &[f64]) -> Vec<f64> {
    let is_hidden = |at: usize| f64::from(uniforms[at]) < rates[at];
    let keep = (0..row.len())
        .filter(|&at| !row[at].is_nan())
        .max_by(|&a, &b| uniforms[a].total_cmp(&uniforms[b]));
    let each = row.iter().enumerate();
    each.map(|(at, &x)| if is_hidden(at) && Some(at) != keep { f64::NAN } else { x }).collect()
}

/// The score that a share of others like these do not exceed.
fn quantile(scores: &mut [f64], share: f64) -> f64 {
    scores.sort_by(f64::total_cmp);
    let rank = (share * (scores.len() + 1) as f64).ceil() as usize;
    scores[rank.clamp(1, scores.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_has_the_rank_that_holds_the_share_of_others() {
        let mut scores: Vec<f64> = (1..=99).rev().map(f64::from).collect();
        assert_eq!(
            [0.5, 0.95, 0.999].map(|share| quantile(&mut scores, share)),
            [50.0, 95.0, 99.0]
        );
    }

    #[test]
    fn one_observed_entry_stays_at_least() {
        let nan = f64::NAN;
        let hidden = hide(&[1.0, nan, 3.0], &[0.1, 0.9, 0.3], &[1.0; 3]);
        assert!(hidden[0].is_nan() && hidden[1].is_nan() && hidden[2] == 3.0);
        let hidden = hide(&[1.0, 2.0, 3.0, 4.0], &[0.1, 0.6, 0.3, 0.7], &[0.5, 0.5, 0.0, 0.0]);
        assert!(hidden[0].is_nan() && hidden[1..] == [2.0, 3.0, 4.0]);
    }

    // Odds of 1, 2 and 4 for a share of 1/3: 1/7, 2/7 and 4/7. For 0.8 the largest would be above 1: 1 is the most, and the others
    // share 1.4 as 1 to 2.
    #[test]
    fn probabilities_are_in_proportion_to_odds_and_of_the_share() {
        let odds = [1.0f64, 2.0, 4.0].map(f64::ln);
        let close = |share: f64, expected: [f64; 3]| {
            let found = in_proportion(&odds, share);
            let gap = |(found, expected): (&f64, f64)| (found - expected).abs();
            assert!(found.iter().zip(expected).all(|pair| gap(pair) < 1e-9), "{found:?}");
        };
        close(1.0 / 3.0, [1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0]);
        close(0.8, [1.4 / 3.0, 2.8 / 3.0, 1.0]);
        close(0.0, [0.0; 3]);
        assert!(in_proportion(&[], 0.5).is_empty());
    }
}
