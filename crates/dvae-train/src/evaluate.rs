//! The bound of a trained model.

use burn::tensor::{Device, Tensor};
use dvae_corruption::Corruption;
use dvae_data::{Dataset, Order};
use dvae_models::Vae;
use dvae_random::Key;
use serde::{Deserialize, Serialize};

use crate::terms::{PendingTerms, TermSums};
use crate::{MeanElbo, Streams, TrainError, denoising_elbo};

/// The bound of a model on a set, with one draw of `x̃` and `z` a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Means over rows, in nats.
    #[serde(flatten)]
    pub mean: MeanElbo,
    /// Mean `KL(q ‖ p)` of each latent, in nats: latents at 0 have collapsed onto the prior.
    pub kl_per_latent: Vec<f64>,
}

/// Measures the bound `E log p(x | z) − KL(q(z | x̃) ‖ p(z))` of the clean rows of `dataset`.
///
/// The noise depends on `key` and the rows' ids alone, not on `batch_size` nor on when it is
/// called. With [`dvae_corruption::Clean`] it is the plain bound, on clean input.
pub fn evaluate<const D: usize, V: Vae<D>>(
    model: &V,
    dataset: &Dataset,
    corruption: &dyn Corruption<D>,
    key: Key,
    batch_size: usize,
    device: &Device,
) -> Result<Evaluation, TrainError> {
    if dataset.is_empty() {
        return Err(TrainError::Empty { set: "evaluation" });
    }
    corruption.check(dataset.event())?;
    let mut sums = TermSums::default();
    let mut kl_sums: Option<Tensor<2>> = None;
    for batch in dataset.batches::<D>(batch_size, Order::Stored, device)? {
        let mut streams = Streams::evaluation(key, &batch.ids);
        let elbo = denoising_elbo(model, batch.clean, corruption, &mut streams);
        for terms in PendingTerms::read(&mut vec![PendingTerms::new(&elbo)]) {
            sums.add(terms);
        }
        let kl = elbo.kl_per_latent().sum_dim(0);
        kl_sums = Some(kl_sums.map_or(kl.clone(), |sum| sum + kl));
    }
    let rows = dataset.len() as f64;
    let kl_per_latent =
        kl_sums.map_or(vec![], |sum| sum.into_data().iter::<f64>().map(|kl| kl / rows).collect());
    Ok(Evaluation { mean: sums.mean(), kl_per_latent })
}
