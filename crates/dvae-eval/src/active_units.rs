//! Activity of latents: which of them a model uses.

use dvae_corruption::Corruption;
use dvae_data::{Batch, Dataset, Order};
use dvae_distributions::LatentShape;
use dvae_models::Vae;
use dvae_train::{BatchNoise, CorruptedBatch, EvaluationContext, TrainError};

/// The variance over rows above which a latent counts as active.
const ACTIVE: f64 = 0.01;

/// The variance over rows of each latent's posterior mean, `Var_x̃ E[zⱼ | x̃]`, level by level, top first. It
/// is 0 for a latent that collapsed onto the prior. For a flow posterior the mean is replaced by the image of
/// its base's mean ([`Vae::embed`]). Rows without an observed entry are left out.
///
/// Burda, Grosse & Salakhutdinov (2016), "Importance Weighted Autoencoders", section 5.2.
pub fn latent_activity<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    context: &EvaluationContext,
) -> Result<Vec<Vec<f64>>, TrainError> {
    let rows = dataset.with_observed_entries();
    if rows.is_empty() {
        return Err(TrainError::Empty { set: "evaluation" });
    }
    corruption.check(rows.event())?;
    let embedded = |batch: Batch<D>| {
        let draws = &mut BatchNoise::evaluation(context.key, &batch.ids).corruption;
        CorruptedBatch::of(batch, corruption, 1, draws).embed(model)
    };
    // Pictures of other sides than those of training have more latents, or fewer.
    let mut one = rows.take(1).batches::<D>(1, Order::Stored, context.device)?;
    let shapes = one.next().map_or_else(|| model.latent_shapes(), |row| embedded(row).shapes());
    let width = shapes.iter().map(|shape| shape.len()).sum();
    let found = context.of_batches::<D>(&rows, |batch| {
        let latents: Vec<f64> = embedded(batch).flat().into_data().iter::<f64>().collect();
        let mut moments = Moments::new(width);
        latents.chunks(width).for_each(|row| moments.add(row));
        [vec![moments.rows], moments.means, moments.squares].concat()
    })?;
    let mut moments = Moments::new(width);
    for of_batch in found {
        let (means, squares) = of_batch[1..].split_at(width);
        moments.merge(&Moments { rows: of_batch[0], means: means.into(), squares: squares.into() });
    }
    let variances = moments.variances();
    let mut start = 0;
    let level = |shape: LatentShape| {
        start += shape.len();
        variances[start - shape.len()..start].to_vec()
    };
    Ok(shapes.into_iter().map(level).collect())
}

/// The number of active latents, from their [`latent_activity`]: those above 0.01, as Burda et al. count.
pub fn active_units(activity: &[f64]) -> usize {
    activity.iter().filter(|variance| **variance > ACTIVE).count()
}

/// Means and squared distances from them, column by column, in double precision: Welford (1962), "Note on a
/// Method for Calculating Corrected Sums of Squares and Products", so that large means do not cost precision.
struct Moments {
    rows: f64,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn new(width: usize) -> Self {
        Self { rows: 0.0, means: vec![0.0; width], squares: vec![0.0; width] }
    }

    fn add(&mut self, row: &[f64]) {
        self.rows += 1.0;
        for ((mean, square), value) in self.means.iter_mut().zip(&mut self.squares).zip(row) {
            let distance = value - *mean;
            *mean += distance / self.rows;
            *square += distance * (value - *mean);
        }
    }

    /// Adds the rows of another: Chan, Golub & LeVeque (1983), "Algorithms for Computing the Sample Variance".
    fn merge(&mut self, other: &Self) {
        let rows = self.rows + other.rows;
        let own = self.means.iter_mut().zip(&mut self.squares);
        for ((mean, square), (more, squares)) in own.zip(other.means.iter().zip(&other.squares)) {
            let distance = more - *mean;
            *mean += distance * other.rows / rows;
            *square += squares + distance * distance * self.rows * other.rows / rows;
        }
        self.rows = rows;
    }

    fn variances(&self) -> Vec<f64> {
        self.squares.iter().map(|square| square / self.rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_corruption::Clean;
    use dvae_models::AutoencoderConfig;
    use dvae_random::Key;

    #[test]
    fn the_variance_is_that_of_the_means_whatever_the_batches_are() {
        let device = Device::flex();
        let values = (0..60).map(|i| (i as f32 * 0.7).sin().abs()).collect();
        let rows = Dataset::from_floats(values, &[3]).unwrap();
        let config = AutoencoderConfig::mlp(&[3], 2);
        let model = config.init(Key::new(1), &device).unwrap();
        let activity = |batch_size| {
            {
                let context = EvaluationContext::new(Key::new(1), batch_size, &device);
                latent_activity::<2, _>(&model, &rows, &Clean, &context)
            }
            .unwrap()
        };
        let means = Vae::<2>::embed(&model, rows.gather(&rows.ids(), &device)).flat();
        let exact = means.clone() - means.mean_dim(0);
        let exact: Vec<f64> = exact.square().mean_dim(0).into_data().iter::<f64>().collect();
        for (got, exact) in activity(7).concat().into_iter().zip(&exact) {
            assert!((got - exact).abs() < 1e-6 && *exact > 0.0, "{got}, not {exact}");
        }
        assert_eq!(activity(7).iter().map(Vec::len).collect::<Vec<_>>(), [2]);
        assert_eq!(active_units(&[0.5, 0.011, 0.0, 0.009]), 2);
    }

    // Computed as a difference of sums in single precision, a constant of 500.7 would have a variance above
    // 0.01.
    #[test]
    fn a_constant_latent_is_not_active_however_large_it_is() {
        let variances = |values: &[f32]| {
            let mut moments = Moments::new(1);
            values.iter().for_each(|&value| moments.add(&[value.into()]));
            moments.variances()
        };
        assert_eq!(variances(&[500.7; 145]), [0.0]);
        assert!((variances(&[500.0, 501.0, 502.0])[0] - 2.0 / 3.0).abs() < 1e-12);
        // Of parts, the same.
        let mut whole = Moments::new(1);
        for part in [&[500.0][..], &[501.0, 502.0]] {
            let mut moments = Moments::new(1);
            part.iter().for_each(|&value| moments.add(&[value]));
            whole.merge(&moments);
        }
        assert!((whole.variances()[0] - 2.0 / 3.0).abs() < 1e-12);
    }
}
