//! Activity of latents: which of them a model uses.

use burn::tensor::Tensor;
use dvae_corruption::Corruption;
use dvae_data::{Dataset, Order};
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
    let EvaluationContext { key, batch_size, device } = *context;
    let rows = dataset.with_observed_entries();
    if rows.is_empty() {
        return Err(TrainError::Empty { set: "evaluation" });
    }
    corruption.check(rows.event())?;
    let (mut moments, mut shapes) = (Moments::default(), model.latent_shapes());
    for batch in rows.batches::<D>(batch_size, Order::Stored, device)? {
        let draws = &mut BatchNoise::evaluation(key, &batch.ids).corruption;
        let batch = CorruptedBatch::of(batch, corruption, 1, draws);
        let latents = batch.embed(model);
        // Pictures of other sides than those of training have more latents, or fewer.
        shapes = latents.shapes();
        moments.add(latents.flat());
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
#[derive(Default)]
struct Moments {
    rows: f64,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn add(&mut self, rows: Tensor<2>) {
        let width = rows.dims()[1];
        self.means.resize(width, 0.0);
        self.squares.resize(width, 0.0);
        let values: Vec<f64> = rows.into_data().iter::<f64>().collect();
        for row in values.chunks(width) {
            self.rows += 1.0;
            for ((mean, square), value) in self.means.iter_mut().zip(&mut self.squares).zip(row) {
                let distance = value - *mean;
                *mean += distance / self.rows;
                *square += distance * (value - *mean);
            }
        }
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
                let context = EvaluationContext { key: Key::new(1), batch_size, device: &device };
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
        let mut moments = Moments::default();
        for rows in [64, 64, 17] {
            moments.add(Tensor::full([rows, 1], 500.7, &Device::flex()));
        }
        assert_eq!(moments.variances(), [0.0]);
        let mut moments = Moments::default();
        moments.add(Tensor::from_data([[500.0], [501.0], [502.0]], &Device::flex()));
        assert!((moments.variances()[0] - 2.0 / 3.0).abs() < 1e-12);
    }
}
