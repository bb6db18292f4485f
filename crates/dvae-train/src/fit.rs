//! Checks that model, objective and data fit together.

use burn::tensor::Device;
use dvae_corruption::Corruption;
use dvae_data::Dataset;
use dvae_distributions::{Likelihood, Support};
use dvae_losses::Objective;
use dvae_models::Vae;
use dvae_random::Key;

use crate::{BatchNoise, TrainError};

/// Checks that the model's posterior and prior fit the objective, that the entries of the sets lie in the
/// likelihood's support, and that the corruption takes them.
///
/// The model is tried on one uncorrupted row. The values are checked once here, because a tensor function
/// cannot return an error for a value.
pub(crate) fn check_fit<const D: usize, V: Vae<D>>(
    model: &V,
    objective: &Objective,
    corruption: &dyn Corruption<D>,
    key: Key,
    sets: &[(&'static str, &Dataset)],
    device: &Device,
) -> Result<(), TrainError> {
    let one = sets[0].1;
    let id = &[one.id_at(0)];
    let mut noise = BatchNoise::evaluation(key, id);
    let clean = one.gather::<D>(id, device);
    let input = corruption.at_null()?.corrupt(clean.clone(), &mut noise.corruption).input;
    let encoding = model.encode(input, &model.prior());
    objective.check_encoding(&encoding)?;
    let likelihood = model.decode(encoding.means());
    let supports: Vec<Support> =
        (0..one.event()[0]).map(|place| likelihood.support(place)).collect();
    let needs_totals = likelihood.with_total_of(clean).is_some();
    for &(set, rows) in sets {
        if needs_totals && rows.is_incomplete() {
            return Err(TrainError::NoTotal { set });
        }
        if let Some((row, place, value)) = rows.find(|at, v| !supports[at].contains(v)) {
            return Err(TrainError::Support { set, row, value, support: supports[place] });
        }
        let refused = rows.find(|_, value| corruption.check_value(value).is_err());
        if let Some((row, _, value)) = refused {
            corruption.check_value(value).map_err(|source| TrainError::Value {
                set,
                row,
                source,
            })?;
        }
    }
    Ok(())
}
