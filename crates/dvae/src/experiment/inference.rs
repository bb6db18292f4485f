//! What a trained model makes of rows.

use std::ops::Range;

use burn::tensor::{Bool, Tensor, TensorData};
use dvae_distributions::{Latents, Likelihood};
use dvae_models::Vae;
use dvae_random::{Key, Purpose, RowStreams};

use super::Pretrained;
use super::model::with_rank;
use super::pretrained::ROWS_AT_ONCE;
use super::units::is_class_at;

/// Rows that were denoised, in the units of the files.
pub(super) struct Denoised {
    pub(super) mean: Vec<Vec<f64>>,
    /// How sure the results of several draws are: deviations, or half widths of intervals.
    pub(super) spread: Option<Vec<Vec<f64>>>,
}

/// What is said of how sure a result of several draws of `z` is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Uncertainty {
    /// The standard deviation, over the draws, of the mean of `p(x | z)`: the posterior's. It is what a model of noisy data
    /// has to say of the clean signal, if its likelihood is the noise.
    Posterior,
    /// The standard deviation of `x` given `x̃`, with the likelihood's own: the square root of the mean of the variance of
    /// `p(x | z)` over the draws, plus the variance of its mean. Of classes, that of being another one than the most probable.
    Predictive,
    /// Half the width of an interval about the mean that holds this share of the data, one of
    /// [`COVERAGES`](dvae_eval::COVERAGES), by the model's [`Calibration`](dvae_eval::Calibration): from as many draws as
    /// that was made with.
    Interval(f64),
}

impl Pretrained {
    /// Denoises rows: the mean of `p(x | z)` at the posterior's mean.
    pub fn denoise(&self, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        self.denoised(rows, self.event()).mean
    }

    /// Denoises rows of this shape.
    pub(super) fn denoised(&self, rows: &[Vec<f64>], event: &[usize]) -> Denoised {
        let input = self.input(rows);
        let cleaned =
            with_rank!(self.rank, D => flat(self.model.denoise(self.shaped::<D>(input, event))));
        Denoised { mean: self.output(cleaned), spread: None }
    }

    /// Denoises rows with `samples` draws of `z`, at least 2: the mean, over the draws, of the mean of `p(x | z)`, and how
    /// sure it is, in the units of the files. Each row draws from the stream of its id, of the experiment's seed.
    ///
    /// # Panics
    ///
    /// If an interval is asked of a model that was not calibrated, or of a coverage that none was learned for.
    pub fn denoise_by_samples(
        &self,
        rows: &[Vec<f64>],
        ids: &[u64],
        samples: usize,
        uncertainty: Uncertainty,
    ) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let draws = self.sampling().rows(ids);
        let Denoised { mean, spread } =
            self.denoised_by_draws(rows, self.event(), draws, samples, uncertainty);
        (mean, spread.expect("of several draws"))
    }

    /// Denoises rows of this shape by draws of `z`.
    pub(super) fn denoised_by_draws(
        &self,
        rows: &[Vec<f64>],
        event: &[usize],
        mut draws: RowStreams,
        samples: usize,
        uncertainty: Uncertainty,
    ) -> Denoised {
        let input = self.input(rows);
        let is_predictive = uncertainty != Uncertainty::Posterior;
        let (mean, deviation) = with_rank!(self.rank, D => {
            self.mean_and_deviation::<D>(self.shaped(input, event), &mut draws, samples, is_predictive)
        });
        let spread =
            lines(deviation).into_iter().zip(lines(mean.clone())).map(|(mut row, mean)| {
                if let Uncertainty::Interval(coverage) = uncertainty {
                    self.widen(&mut row, coverage);
                }
                match &self.data.scaler {
                    Some(scaler) => scaler.undo_distances(&row, &mean),
                    None => doubles(&row),
                }
            });
        let spread = Some(spread.collect());
        Denoised { mean: self.output(mean), spread }
    }

    /// Makes half widths of intervals of the deviations of a row.
    fn widen(&self, row: &mut [f32], coverage: f64) {
        let calibration = self.calibration.as_ref().expect("a model that was calibrated");
        let per_place = (row.len() / self.event()[0].max(1)).max(1);
        for (at, deviation) in row.iter_mut().enumerate() {
            let half = calibration.half_width(coverage, (*deviation).into());
            *deviation = half.expect("a coverage that was learned") as f32;
            if is_class_at(&self.likelihood, at / per_place) {
                *deviation = 0.0;
            }
        }
    }

    /// The mean, over draws of `z`, of the mean of `p(x | z)`, and the standard deviation, flat. Welford (1962),
    /// "Note on a Method for Calculating Corrected Sums of Squares and Products".
    pub(super) fn mean_and_deviation<const D: usize>(
        &self,
        input: Tensor<D>,
        draws: &mut RowStreams,
        samples: usize,
        is_predictive: bool,
    ) -> (Tensor<2>, Tensor<2>) {
        let prior = Vae::<D>::prior(&self.model);
        let encoding = self.model.encode(input.clone(), &prior);
        let classes = self.classes(encoding.means());
        let mut draw = || {
            let law = Vae::<D>::explain(&self.model, &encoding.infer(draws));
            let law = law.with_total_of(input.clone()).unwrap_or(law);
            let own = is_predictive.then(|| flat(law.variance()));
            (flat(law.mean()), own)
        };
        let (mut mean, mut own) = draw();
        let mut squares = mean.zeros_like();
        for count in 2..=samples {
            let (rows, variance) = draw();
            let distance = rows.clone() - mean.clone();
            mean = mean + distance.clone() / count as f64;
            squares = squares + distance * (rows - mean.clone());
            own = own.zip(variance).map(|(sum, variance)| sum + variance);
        }
        let mut variance = squares / samples.saturating_sub(1).max(1) as f64;
        if let Some((are_classes, at_means)) = classes {
            // Classes have numbers, but neither a mean nor distances.
            let are_classes = are_classes.expand(mean.dims());
            mean = mean.mask_where(are_classes.clone(), at_means);
            variance = variance.mask_fill(are_classes, 0.0);
        }
        if let Some(own) = own {
            variance = variance + own / samples as f64;
        }
        (mean, variance.sqrt())
    }

    /// Which entries of a row are classes, and the most probable ones at these latents; `None` if none is.
    fn classes(&self, latents: Latents) -> Option<(Tensor<2, Bool>, Tensor<2>)> {
        let likelihood = &self.likelihood;
        let places = self.event()[0];
        let at_means = (0..places).any(|place| is_class_at(likelihood, place));
        let at_means = at_means.then(|| self.decoded(latents))?;
        let width = at_means.dims()[1];
        let are_classes: Vec<bool> =
            (0..width).map(|at| is_class_at(likelihood, at * places / width)).collect();
        let are_classes = TensorData::new(are_classes, [1, width]);
        Some((Tensor::from_data(are_classes, &self.device), at_means))
    }

    /// The posterior's mean for each row, level by level.
    pub fn embed(&self, rows: &[Vec<f64>]) -> Vec<Vec<f32>> {
        self.embed_pictures(rows, self.event())
    }

    /// The posterior's mean for each of several pictures of this shape, which the model must apply to: see
    /// [`Pretrained::reach`].
    pub fn embed_pictures(&self, rows: &[Vec<f64>], event: &[usize]) -> Vec<Vec<f32>> {
        let input = self.input(rows);
        lines(with_rank!(self.rank, D => self.model.embed(self.shaped::<D>(input, event)).flat()))
    }

    /// The mean of `p(x | z)` for each latent.
    pub fn decode(&self, latents: &[Vec<f32>]) -> Vec<Vec<f64>> {
        let (chunks, levels) =
            (latents.chunks(self.rows_at_once(self.event(), ROWS_AT_ONCE)), self.levels());
        chunks
            .flat_map(|latents| {
                let values = latents.concat();
                let shape = [latents.len(), values.len() / latents.len()];
                let latents = Tensor::from_data(TensorData::new(values, shape), &self.device);
                self.output(self.decoded(Latents::from_flat(latents, &levels)))
            })
            .collect()
    }

    /// Means of `p(x | z)` for latents drawn from the prior, computed lazily. A number and a seed always give
    /// the same sample.
    pub fn sample(&self, numbers: Range<u64>, seed: u64) -> impl Iterator<Item = Vec<f64>> {
        self.sample_sharing(0, 1, numbers, seed)
    }

    /// The same, where each `group` samples in turn share their latents of the first `levels` levels: what is different
    /// in them comes from the levels below.
    ///
    /// # Panics
    ///
    /// If the model has fewer levels, or if `group` is 0.
    pub fn sample_sharing(
        &self,
        levels: usize,
        group: u64,
        numbers: Range<u64>,
        seed: u64,
    ) -> impl Iterator<Item = Vec<f64>> {
        assert!(levels <= self.levels().len(), "{levels} levels are shared");
        assert!(group > 0, "a group has no samples");
        let key = Key::new(seed).purpose(Purpose::Sampling);
        let at_once = self.rows_at_once(self.event(), ROWS_AT_ONCE);
        let starts = numbers.clone().step_by(at_once);
        starts.flat_map(move |start| {
            let ids: Vec<u64> = (start..numbers.end.min(start + at_once as u64)).collect();
            let groups: Vec<u64> = ids.iter().map(|id| id / group).collect();
            let latents = with_rank!(self.rank, D => {
                let above = match levels {
                    0 => None,
                    _ => Some(Vae::<D>::sample_prior(&self.model, &mut key.branch(1).rows(&groups))),
                };
                let above = above.as_ref().map_or(&[][..], |above| &above.levels()[..levels]);
                Vae::<D>::sample_below(&self.model, above, &mut key.rows(&ids))
            });
            self.output(self.decoded(latents))
        })
    }

    /// How many rows of this shape, of so many wanted, go through the model at once: fewer if they are large, so that
    /// several have 2²² numbers at most.
    pub fn rows_at_once(&self, shape: &[usize], wanted: usize) -> usize {
        let width: usize = shape.iter().product();
        ((1 << 22) / width.max(1)).min(wanted).max(1)
    }

    /// The mean of `p(x | z)`, flat.
    fn decoded(&self, latents: Latents) -> Tensor<2> {
        with_rank!(self.rank, D => flat(Vae::<D>::decode(&self.model, latents).mean()))
    }

    /// The encoder's input for rows of this shape. A mask follows the rows on axis 1.
    pub(super) fn shaped<const D: usize>(&self, input: Tensor<2>, event: &[usize]) -> Tensor<D> {
        let mut shape = [input.dims()[0]; D];
        shape[1..].copy_from_slice(event);
        if self.shows_mask {
            shape[1] *= 2;
        }
        input.reshape(shape)
    }

    /// The encoder's input for rows of equal length: `[rows, width]`, or twice as wide with a mask of the unobserved
    /// entries.
    pub(super) fn input(&self, rows: &[Vec<f64>]) -> Tensor<2> {
        let width = rows.first().map_or(0, Vec::len);
        let masked = self.shows_mask;
        let mut values = Vec::with_capacity(rows.len() * width * if masked { 2 } else { 1 });
        for row in rows {
            assert_eq!(row.len(), width, "rows of one shape");
            let row = self.scaled(row);
            values.extend(row.iter().map(|value| if value.is_nan() { 0.0 } else { *value }));
            if masked {
                values.extend(row.iter().map(|value| f32::from(value.is_nan())));
            }
        }
        let shape = [rows.len(), values.len() / rows.len().max(1)];
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// A row in the units of the model; what was not observed is NaN.
    fn scaled(&self, row: &[f64]) -> Vec<f32> {
        match &self.data.scaler {
            Some(scaler) => scaler.apply(row),
            None => row.iter().map(|&value| value as f32).collect(),
        }
    }

    /// Rows in the units of the model, with 0 for what was not observed, and 1 for each entry that was: `[rows, …event]`.
    pub(super) fn observed<const D: usize>(&self, rows: &[Vec<f64>]) -> [Tensor<D>; 2] {
        let scaled: Vec<f32> = rows.iter().flat_map(|row| self.scaled(row)).collect();
        let observed = scaled.iter().map(|value| f32::from(!value.is_nan())).collect();
        let known = scaled.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        let shape = [&[rows.len()], self.event()].concat();
        [known, observed].map(|values: Vec<f32>| {
            Tensor::from_data(TensorData::new(values, shape.clone()), &self.device)
        })
    }

    pub(super) fn output(&self, rows: Tensor<2>) -> Vec<Vec<f64>> {
        let undone = |row: Vec<f32>| match &self.data.scaler {
            Some(scaler) => scaler.undo(&row),
            None => doubles(&row),
        };
        lines(rows).into_iter().map(undone).collect()
    }
}

pub(super) fn flat<const D: usize>(rows: Tensor<D>) -> Tensor<2> {
    rows.flatten(1, D - 1)
}

pub(super) fn doubles(row: &[f32]) -> Vec<f64> {
    row.iter().copied().map(f64::from).collect()
}

pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn lines(rows: Tensor<2>) -> Vec<Vec<f32>> {
    let width = rows.dims()[1];
    numbers(rows).chunks(width).map(<[f32]>::to_vec).collect()
}
