//! The noise of a batch.

use dvae_random::{Key, Purpose, RowStreams};

/// The noise of a batch: the streams that corrupt its rows and draw its latents.
#[derive(Clone, Debug)]
pub struct BatchNoise {
    /// Randomness of `p(x̃ | x)`.
    pub corruption: RowStreams,
    /// Randomness of `q(z | x̃)`.
    pub latent: RowStreams,
}

impl BatchNoise {
    /// Noise for training on these rows in this epoch; it differs between epochs.
    pub fn training(root: Key, epoch: usize, ids: &[u64]) -> Self {
        let rows = |purpose| root.purpose(purpose).epoch(epoch as u64).rows(ids);
        Self { corruption: rows(Purpose::Corruption), latent: rows(Purpose::Latent) }
    }

    /// The same noise at a given training progress, 0 to 1, which scheduled strengths follow.
    pub fn at_progress(self, progress: f64) -> Self {
        Self { corruption: self.corruption.at_progress(progress), ..self }
    }

    /// Noise for measuring on these rows; it is the same on every call.
    pub fn evaluation(root: Key, ids: &[u64]) -> Self {
        let rows = |purpose| root.purpose(purpose).rows(ids);
        Self {
            corruption: rows(Purpose::EvaluationCorruption),
            latent: rows(Purpose::EvaluationLatent),
        }
    }
}
