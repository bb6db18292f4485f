//! Which latents a model uses.

use burn::tensor::{Device, Tensor};
use dvae_corruption::Corruption;
use dvae_data::{Dataset, Order};
use dvae_models::Vae;
use dvae_random::Key;
use dvae_train::{BatchNoise, TrainError, show_holes};

/// The variance over rows above which a latent counts as active.
const ACTIVE: f64 = 0.01;

/// The variance over rows of each latent's posterior mean, `Var_x̃ E[zⱼ | x̃]`: 0 of one that collapsed onto the
/// prior. Of a posterior by a flow it is that of where its base's mean goes ([`Vae::embed`]).
///
/// Burda, Grosse & Salakhutdinov (2016), "Importance Weighted Autoencoders", section 5.2.
pub fn latent_activity<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    key: Key,
    batch_size: usize,
    device: &Device,
) -> Result<Vec<f64>, TrainError> {
    if dataset.is_empty() {
        return Err(TrainError::Empty { set: "evaluation" });
    }
    corruption.check(dataset.event())?;
    let (mut sums, mut squares) = (Vec::new(), Vec::new());
    for batch in dataset.batches::<D>(batch_size, Order::Stored, device)? {
        let mut streams = BatchNoise::evaluation(key, &batch.ids);
        let mut input = corruption.corrupt(batch.clean, &mut streams.corruption).input;
        if let Some(observed) = batch.observed.filter(|_| corruption.shows_mask()) {
            input = show_holes(input, observed);
        }
        let mean = model.embed(input);
        add(&mut sums, mean.clone());
        add(&mut squares, mean.square());
    }
    let rows = dataset.len() as f64;
    let variance = |(sum, square): (f64, f64)| square / rows - (sum / rows).powi(2);
    Ok(sums.into_iter().zip(squares).map(variance).collect())
}

/// How many latents are active, of their [`latent_activity`]: those above 0.01, as Burda et al. count.
pub fn active_units(activity: &[f64]) -> usize {
    activity.iter().filter(|variance| **variance > ACTIVE).count()
}

/// Adds the sum over rows.
fn add(sums: &mut Vec<f64>, values: Tensor<2>) {
    let batch = values.sum_dim(0).into_data();
    sums.resize(batch.shape()[1], 0.0);
    sums.iter_mut().zip(batch.iter::<f64>()).for_each(|(sum, value)| *sum += value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvae_corruption::Clean;
    use dvae_models::MlpVaeConfig;

    #[test]
    fn the_variance_is_that_of_the_means_whatever_the_batches_are() {
        let device = Device::flex();
        let values = (0..60).map(|i| (i as f32 * 0.7).sin().abs()).collect();
        let rows = Dataset::from_floats(values, &[3]).unwrap();
        let config = MlpVaeConfig { hidden: vec![4], ..MlpVaeConfig::new(&[3], 2) };
        let model = config.init(Key::new(1), &device).unwrap();
        let activity = |batch_size| {
            latent_activity::<2, _>(&model, &rows, &Clean, Key::new(1), batch_size, &device)
                .unwrap()
        };
        let means = Vae::<2>::embed(&model, rows.gather(rows.ids(), &device));
        let exact = means.clone() - means.mean_dim(0);
        let exact: Vec<f64> = exact.square().mean_dim(0).into_data().iter::<f64>().collect();
        for (got, exact) in activity(7).into_iter().zip(&exact) {
            assert!((got - exact).abs() < 1e-6 && *exact > 0.0, "{got}, not {exact}");
        }
        assert_eq!(activity(7).len(), 2);
        assert_eq!(active_units(&[0.5, 0.011, 0.0, 0.009]), 2);
    }
}
