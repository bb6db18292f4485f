//! The denoising bound: where corruption, model and density meet.

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;
use dvae_corruption::Corruption;
use dvae_distributions::Likelihood;
use dvae_losses::Elbo;
use dvae_models::Vae;
use dvae_random::{Draws, Key, Purpose};

/// The noise of a batch: what its rows are damaged by, and what their latents are drawn with.
#[derive(Clone, Debug)]
pub struct Streams {
    /// Randomness of `p(x̃ | x)`.
    pub corruption: Draws,
    /// Randomness of `q(z | x̃)`.
    pub latent: Draws,
}

impl Streams {
    /// Noise for training on these rows in this epoch: new in every epoch.
    pub fn training(root: Key, epoch: usize, ids: &[u64]) -> Self {
        let rows = |purpose| root.purpose(purpose).epoch(epoch as u64).rows(ids);
        Self { corruption: rows(Purpose::Corruption), latent: rows(Purpose::Latent) }
    }

    /// The same noise at a point of training, 0 to 1: scheduled strengths follow it.
    pub fn at_progress(self, progress: f64) -> Self {
        Self { corruption: self.corruption.at_progress(progress), ..self }
    }

    /// Noise for measuring on these rows: the same whenever it is asked for.
    pub fn evaluation(root: Key, ids: &[u64]) -> Self {
        let rows = |purpose| root.purpose(purpose).rows(ids);
        Self {
            corruption: rows(Purpose::EvaluationCorruption),
            latent: rows(Purpose::EvaluationLatent),
        }
    }
}

/// The terms of the denoising bound of each clean row, with one draw of `x̃` and `z`:
///
/// ```text
/// x̃ ~ p(x̃ | x),   z ~ q(z | x̃),   log p(x | z) − KL( q(z | x̃) ‖ p(z) )
/// ```
///
/// `clean`: `[batch, …event]`. The corruption gets the clean rows by value and the score uses them
/// untouched, so no process can change the target. Im, Ahn, Memisevic & Bengio (2017), "Denoising
/// Criterion for Variational Auto-Encoding Framework" (arXiv 1511.06406), the tractable bound.
pub fn denoising_elbo<const D: usize, K: Basic, V: Vae<D, K>>(
    model: &V,
    clean: Tensor<D, K>,
    corruption: &dyn Corruption<D, K>,
    streams: &mut Streams,
) -> Elbo {
    let corrupted = corruption.corrupt(clean.clone(), &mut streams.corruption);
    let inference = model.infer(corrupted.input, &mut streams.latent);
    let likelihood = model.decode(inference.latent.clone());
    Elbo::from_rows(likelihood.log_likelihood(clean), &inference)
}
