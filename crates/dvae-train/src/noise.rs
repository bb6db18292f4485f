//! The noise of a batch.

use dvae_random::{Key, Purpose, RowStreams};

/// The noise of a batch: what its rows are damaged by, and what their latents are drawn with.
#[derive(Clone, Debug)]
pub struct BatchNoise {
    /// Randomness of `p(x̃ | x)`.
    pub corruption: RowStreams,
    /// Randomness of `q(z | x̃)`.
    pub latent: RowStreams,
}

impl BatchNoise {
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
