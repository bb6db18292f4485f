//! Missing entries of rows, filled in from those that were observed.

use burn::tensor::{Tensor, TensorData};
use dvae_distributions::{Latents, Likelihood, LikelihoodConfig};
use dvae_models::Vae;
use dvae_random::RowStreams;

use super::inference::{doubles, flat, numbers};
use super::model::with_rank;
use super::pretrained::ROWS_AT_ONCE;
use super::units::is_class_at;
use super::{ExperimentError, Pretrained};

/// What a model makes of the missing entries of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Imputation {
    /// The row in the units of the files: observed entries as they were, the others filled in.
    pub values: Vec<f64>,
    /// The standard deviation of each entry given those that were observed, in the same units; 0 for observed ones, and for
    /// classes the probability of another one.
    pub deviations: Vec<f64>,
    /// How many draws from `p(z | observed)` the weighted ones are worth: `(Σ w)² / Σ w²`, of 1 to all. Near 1, the result
    /// hangs on one of them. It is found from these draws, and cannot tell of what none of them met. 0 if no draw explains
    /// the observed entries at all: missing ones are NaN then.
    pub effective_draws: f64,
    /// Draws of the whole row given its observed entries, as many as were asked for.
    pub draws: Vec<Vec<f64>>,
}

/// What `p(x | z)` is for a row.
#[derive(Clone, Copy)]
struct Law<'a> {
    mean: &'a [f32],
    variance: &'a [f32],
    /// Of each entry the probabilities of its classes; none of a number.
    classes: &'a [Vec<f32>],
}

/// Weighted sums over draws of `z` for one row. Weights are relative to the largest so far.
struct Sums {
    /// The places of missing entries.
    missing: Vec<usize>,
    log_largest: f64,
    weights: f64,
    squares: f64,
    means: Vec<f64>,
    /// Of the square of the mean, plus the variance.
    second: Vec<f64>,
    /// For each missing class, the weighted probability of each value.
    classes: Vec<Vec<f64>>,
    /// The latents that stand for each draw of the row.
    chosen: Vec<Vec<f32>>,
}

impl Sums {
    fn new(row: &[f64], draws: usize) -> Self {
        let is_missing = |(at, value): (usize, &f64)| value.is_nan().then_some(at);
        let missing: Vec<usize> = row.iter().enumerate().filter_map(is_missing).collect();
        let zeros = vec![0.0; missing.len()];
        let classes = vec![vec![]; missing.len()];
        Self {
            missing,
            log_largest: f64::NEG_INFINITY,
            weights: 0.0,
            squares: 0.0,
            means: zeros.clone(),
            second: zeros,
            classes,
            chosen: vec![vec![]; draws],
        }
    }

    /// The weight of a draw, of which the logarithm is finite; what came before is scaled to it if it is the largest.
    fn weight(&mut self, log_weight: f64) -> f64 {
        if log_weight > self.log_largest {
            let shrink = (self.log_largest - log_weight).exp();
            self.log_largest = log_weight;
            self.weights *= shrink;
            self.squares *= shrink * shrink;
            let sums = self.means.iter_mut().chain(&mut self.second);
            let classes = self.classes.iter_mut().flatten();
            sums.chain(classes).for_each(|sum| *sum *= shrink);
        }
        let weight = (log_weight - self.log_largest).exp();
        self.weights += weight;
        self.squares += weight * weight;
        weight
    }

    /// Adds what a draw of `z` says of the row. Each of the draws of the row takes it over with the probability of its share
    /// of all weights so far, by a number in `[0, 1)`. A draw that does not explain the row at all has no weight.
    fn add(&mut self, log_weight: f64, law: Law<'_>, latent: &[f32], uniform: &[f64]) {
        if !log_weight.is_finite() {
            return;
        }
        let weight = self.weight(log_weight);
        if weight == 0.0 {
            return; // Nothing times an infinite variance is no number.
        }
        for (i, &at) in self.missing.iter().enumerate() {
            let (mean, variance) = (f64::from(law.mean[at]), f64::from(law.variance[at]));
            self.means[i] += weight * mean;
            self.second[i] += weight * (mean * mean + variance);
            let probabilities = &law.classes[at];
            self.classes[i].resize(probabilities.len(), 0.0);
            for (sum, &probability) in self.classes[i].iter_mut().zip(probabilities) {
                *sum += weight * f64::from(probability);
            }
        }
        let share = weight / self.weights;
        for (chosen, &uniform) in self.chosen.iter_mut().zip(uniform) {
            if chosen.is_empty() || uniform < share {
                chosen.clear();
                chosen.extend_from_slice(latent);
            }
        }
    }

    /// Whether a draw explains the row.
    fn is_known(&self) -> bool {
        self.weights > 0.0
    }

    /// Mean and standard deviation of a missing entry.
    fn entry(&self, i: usize) -> (f64, f64) {
        if !self.is_known() {
            return (f64::NAN, f64::NAN);
        }
        match self.classes[i].iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) {
            Some((class, sum)) => (class as f64, (1.0 - sum / self.weights).max(0.0)),
            None => {
                let (mean, second) = (self.means[i] / self.weights, self.second[i] / self.weights);
                let variance = second - mean * mean;
                // Rounding may leave a little less than nothing.
                (mean, if variance < 0.0 { 0.0 } else { variance.sqrt() })
            }
        }
    }

    /// A row with its missing entries from another one.
    fn filled(&self, row: &[f64], from: &[f64]) -> Vec<f64> {
        let mut filled = row.to_vec();
        self.missing.iter().for_each(|&at| filled[at] = from[at]);
        filled
    }
}

impl Pretrained {
    /// Fills in the missing (NaN) entries of rows from the observed ones: `E[x | observed]` by self-normalized importance
    /// weights `p(observed | z) p(z) / q(z | observed)` of so many draws of `z`: Mattei & Frellsen (2019), "MIWAE: Deep
    /// Generative Modelling and Imputation of Incomplete Data Sets", section 3.2. Of classes, the most probable one given what
    /// was observed. `draws` whole rows are drawn as well, by importance resampling (section 3.3 there).
    ///
    /// Under a likelihood that says which entries are missing ([`LikelihoodConfig::SelfMasking`]), that they are is part of what was
    /// observed: Ipsen, Mattei & Frellsen (2021), "not-MIWAE", section 3.3. A class that the training did not have counts as missing.
    ///
    /// With many draws the result is that of the model, if the encoder's posterior reaches wherever `z` may be given what was
    /// observed. Each row draws from the stream of its id, of the experiment's seed. A row without an observed entry gets the mean
    /// of the prior.
    ///
    /// An error says that the rows have other ids than there are rows, or another length than the model's, or that the
    /// likelihood has one scale for a batch ([`LikelihoodConfig::OptimalNormal`]), with which the weight of a row would depend on
    /// the others.
    ///
    /// # Panics
    ///
    /// If `samples` is 0.
    pub fn impute(
        &self,
        rows: &[Vec<f64>],
        ids: &[u64],
        samples: usize,
        draws: usize,
    ) -> Result<Vec<Imputation>, ExperimentError> {
        assert!(samples > 0, "at least one draw of z");
        let width: usize = self.event().iter().product();
        if rows.len() != ids.len() || rows.iter().any(|row| row.len() != width) {
            let text = format!("rows of {width} entries each, with an id each, can be filled in");
            return Err(ExperimentError::Settings(text));
        }
        let is_optimal = |place: usize| {
            matches!(self.likelihood.at(place), Some(LikelihoodConfig::OptimalNormal { .. }))
        };
        if (0..self.event()[0]).any(is_optimal) {
            let text = "missing entries are filled in by weights of draws, for which each row needs a likelihood of its own: \
                        train with \"shared-normal\" in place of \"optimal-normal\"";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        let is_incomplete = |row: &Vec<f64>| row.iter().any(|value| value.is_nan());
        if self.likelihood.needs_totals() && rows.iter().any(is_incomplete) {
            let text = "the likelihood `proportions` needs the total of each row, and a row with a missing cell has none: train with \
                        the likelihood of the counts alone to have cells filled in";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        let has_holes = |&at: &usize| is_incomplete(&rows[at]);
        let places: Vec<usize> = (0..rows.len()).filter(has_holes).collect();
        let mut filled = Vec::with_capacity(places.len());
        let at_once = if self.event().len() == 1 { 4096 } else { ROWS_AT_ONCE };
        for places in places.chunks(self.rows_at_once(self.event(), at_once)) {
            let rows: Vec<Vec<f64>> = places.iter().map(|&at| rows[at].clone()).collect();
            let ids: Vec<u64> = places.iter().map(|&at| ids[at]).collect();
            filled
                .extend(with_rank!(self.rank, D => self.imputed::<D>(&rows, &ids, samples, draws)));
        }
        let whole = |row: &Vec<f64>| Imputation {
            values: row.clone(),
            deviations: vec![0.0; row.len()],
            effective_draws: samples as f64,
            draws: vec![row.clone(); draws],
        };
        let mut filled = filled.into_iter();
        let result = |at: usize| match has_holes(&at) {
            true => filled.next().expect("a result of each row with holes"),
            false => whole(&rows[at]),
        };
        Ok((0..rows.len()).map(result).collect())
    }

    fn imputed<const D: usize>(
        &self,
        rows: &[Vec<f64>],
        ids: &[u64],
        samples: usize,
        draws: usize,
    ) -> Vec<Imputation> {
        let event = self.event();
        let width: usize = event.iter().product();
        let mut sums: Vec<Sums> = rows.iter().map(|row| Sums::new(row, draws)).collect();
        let classes: Vec<usize> =
            (0..event[0]).filter(|&place| is_class_at(&self.likelihood, place)).collect();
        let no_classes = vec![vec![]; width];
        let [clean, observed] = self.observed::<D>(rows);
        let encoding = self
            .model
            .encode(self.shaped::<D>(self.input(rows), event), &Vae::<D>::prior(&self.model));
        let key = self.sampling().branch(1);
        let (mut of_latents, mut of_choice) = (key.branch(0).rows(ids), key.branch(1).rows(ids));
        for _ in 0..samples {
            let inference = encoding.infer(&mut of_latents);
            let law = Vae::<D>::explain(&self.model, &inference);
            let log_likelihood = law.weighted_log_likelihood(clean.clone(), observed.clone());
            let missingness = law.log_missingness(clean.clone(), Some(observed.clone()));
            let log_likelihood = missingness.into_iter().fold(log_likelihood, |sum, of| sum + of);
            let log_weights = numbers(log_likelihood - inference.sampled_kl());
            let law = law.given_missing().unwrap_or(law);
            let [means, variances] = [law.mean(), law.variance()].map(|t| numbers(flat(t)));
            let of_classes = class_probabilities(&law, &classes, [rows.len(), width]);
            let latents = if draws > 0 { numbers(inference.latents.flat()) } else { vec![] };
            // 48 bits of each: a share may be small.
            let (high, low) = (of_choice.uniform_host(draws), of_choice.uniform_host(draws));
            let both = high.into_iter().map(f64::from).zip(low.into_iter().map(f64::from));
            let uniform: Vec<f64> = both.map(|(high, low)| high + low / (1 << 24) as f64).collect();
            let latent = latents.len() / rows.len();
            for (at, sums) in sums.iter_mut().enumerate() {
                let of = |each: usize| at * each..(at + 1) * each;
                let (mean, variance) = (&means[of(width)], &variances[of(width)]);
                let classes = of_classes.get(at).unwrap_or(&no_classes);
                let law = Law { mean, variance, classes };
                sums.add(log_weights[at].into(), law, &latents[of(latent)], &uniform[of(draws)]);
            }
        }
        let mut draws_of = vec![vec![]; rows.len()];
        for draw in 0..draws {
            let drawn = self.draw_of::<D>(&sums, draw, &mut key.branch(2 + draw as u64).rows(ids));
            for (at, mut drawn) in drawn.into_iter().enumerate() {
                if !sums[at].is_known() {
                    drawn.fill(f64::NAN);
                }
                draws_of[at].push(sums[at].filled(&rows[at], &drawn));
            }
        }
        let results = rows.iter().zip(&sums).zip(draws_of);
        results.map(|((row, sums), draws)| self.imputation(row, sums, draws)).collect()
    }

    /// A draw of each row, in the units of the files, from the latents that were chosen for it.
    fn draw_of<const D: usize>(
        &self,
        sums: &[Sums],
        draw: usize,
        streams: &mut RowStreams,
    ) -> Vec<Vec<f64>> {
        let latent = self.levels().iter().map(|level| level.len()).sum();
        // A row that no draw explains has none: its result is not used.
        let chosen = |sums: &Sums| match sums.is_known() {
            true => sums.chosen[draw].clone(),
            false => vec![0.0; latent],
        };
        let latents: Vec<f32> = sums.iter().flat_map(chosen).collect();
        let shape = [sums.len(), latent];
        let latents = Tensor::from_data(TensorData::new(latents, shape), &self.device);
        let latents = Latents::from_flat(latents, &self.levels());
        let law = Vae::<D>::decode(&self.model, latents);
        self.output(flat(law.given_missing().unwrap_or(law).sample(streams)))
    }

    fn imputation(&self, row: &[f64], sums: &Sums, draws: Vec<Vec<f64>>) -> Imputation {
        let (mut means, mut deviations) = (vec![0.0; row.len()], vec![0.0; row.len()]);
        for (i, &at) in sums.missing.iter().enumerate() {
            let (mean, deviation) = sums.entry(i);
            (means[at], deviations[at]) = (mean as f32, deviation as f32);
        }
        let (means, deviations) = match &self.data.scaler {
            Some(scaler) => (scaler.undo(&means), scaler.undo_distances(&deviations, &means)),
            None => (doubles(&means), doubles(&deviations)),
        };
        let effective_draws = match sums.is_known() {
            true => sums.weights * sums.weights / sums.squares,
            false => 0.0,
        };
        Imputation { values: sums.filled(row, &means), deviations, effective_draws, draws }
    }
}

/// The probabilities of the classes of each entry of each row; none of a number. Those of these places on the first axis are
/// classes; without any, there are no rows.
fn class_probabilities<const D: usize>(
    law: &impl Likelihood<D>,
    places: &[usize],
    [rows, width]: [usize; 2],
) -> Vec<Vec<Vec<f32>>> {
    if places.is_empty() {
        return vec![];
    }
    let mut classes = vec![vec![vec![]; width]; rows];
    for &place in places {
        let Some(found) = law.probabilities(place) else { continue };
        let shape = found.dims();
        let per_place: usize = shape[2..].iter().product();
        let of_rows = numbers(found);
        for (row, found) in classes.iter_mut().zip(of_rows.chunks(shape[1] * per_place)) {
            for (entry, of_entry) in row[place * per_place..][..per_place].iter_mut().enumerate() {
                of_entry.extend(found.iter().skip(entry).step_by(per_place));
            }
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    // Weights 1, 3 and 2 of means 2, 4 and 6 with variance 1: mean 26/6, variance 1 + (4 + 48 + 72)/6 − (26/6)².
    #[test]
    fn sums_are_those_of_the_weights_whatever_comes_first() {
        let draws = [(1.0f64, 2.0f32), (3.0, 4.0), (2.0, 6.0)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut sums = Sums::new(&[5.0, f64::NAN, f64::NAN], 1);
            for (weight, mean) in order.map(|at| draws[at]) {
                // A constant in all logarithms changes nothing, however large it is.
                let class = if mean < 5.0 { [0.75, 0.25] } else { [0.25, 0.75] };
                let law = Law {
                    mean: &[0.0, mean, 0.0],
                    variance: &[0.0, 1.0, 0.0],
                    classes: &[vec![], vec![], class.to_vec()],
                };
                // What explains nothing changes nothing.
                sums.add(f64::NEG_INFINITY, law, &[9.0], &[0.0]);
                sums.add(weight.ln() - 1e4, law, &[mean], &[0.0]);
                sums.add(f64::NAN, law, &[9.0], &[0.0]);
                let far = Law { variance: &[0.0, f32::INFINITY, 0.0], ..law };
                sums.add(weight.ln() - 2e4, far, &[9.0], &[0.5]);
                assert!(sums.chosen[0] != [9.0]);
            }
            let (mean, deviation) = sums.entry(0);
            let variance = 1.0 + 124.0 / 6.0 - (26.0f64 / 6.0).powi(2);
            assert!((mean - 26.0 / 6.0).abs() < 1e-9);
            assert!((deviation - variance.sqrt()).abs() < 1e-9);
            // Of the class, 0 has 3/4 of 4 of 6 shares of the weights, and 1/4 of the others.
            let (class, other) = sums.entry(1);
            assert!(class == 0.0 && (other - 2.5 / 6.0).abs() < 1e-9, "{order:?}");
            let effective = sums.weights * sums.weights / sums.squares;
            assert!((effective - 36.0 / 14.0).abs() < 1e-9);
            assert_eq!(sums.filled(&[5.0, f64::NAN, f64::NAN], &[9.0, 1.0, 2.0]), [5.0, 1.0, 2.0]);
        }
    }

    #[test]
    fn a_row_that_no_draw_explains_stays_unknown() {
        let mut sums = Sums::new(&[1.0, f64::NAN], 1);
        let law = Law { mean: &[0.0; 2], variance: &[1.0; 2], classes: &[vec![], vec![]] };
        sums.add(f64::NEG_INFINITY, law, &[0.0], &[0.0]);
        assert!(!sums.is_known() && sums.entry(0).0.is_nan() && sums.entry(0).1.is_nan());
        // A variance that is infinite is said to be so.
        let law = Law { variance: &[1.0, f32::INFINITY], ..law };
        sums.add(0.0, law, &[0.0], &[0.0]);
        assert_eq!(sums.entry(0), (0.0, f64::INFINITY));
    }

    // A draw is taken with its share of all weights: of 40,000 rows with weights 1, 3 and 2, the shares are within five
    // standard errors.
    #[test]
    fn a_row_takes_each_draw_with_its_share_of_the_weights() {
        let rows = 40_000;
        let mut streams = dvae_random::Key::new(1).rows(&(0..rows as u64).collect::<Vec<_>>());
        let uniform = streams.uniform_host(3);
        let mut counts = [0; 3];
        for uniform in uniform.chunks(3) {
            let mut sums = Sums::new(&[f64::NAN], 1);
            for (draw, weight) in [1.0f64, 3.0, 2.0].into_iter().enumerate() {
                let of = [uniform[draw].into()];
                let law = Law { mean: &[0.0], variance: &[0.0], classes: &[vec![]] };
                sums.add(weight.ln(), law, &[draw as f32], &of);
            }
            counts[sums.chosen[0][0] as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([1.0 / 6.0, 0.5, 1.0 / 3.0]) {
            let error = (share * (1.0 - share) / rows as f64).sqrt();
            let found = f64::from(count) / rows as f64;
            assert!((found - share).abs() < 5.0 * error, "{found} {share}");
        }
    }
}
