//! Errors of experiments.

use std::path::PathBuf;

use dvae_corruption::CorruptionError;
use dvae_data::DataError;
use dvae_models::ModelError;
use dvae_train::TrainError;

use crate::BackendError;

/// Why an experiment could not be read or run, or why its model could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A configuration that cannot be read, or a wrong key or value, with its place.
    #[error("{place}: {reason}")]
    Config {
        /// The file, the variable or the setting.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Settings that contradict each other.
    #[error("{0}")]
    Settings(String),
    /// Input that does not fit the model.
    #[error("{} has rows of shape {found:?}, but the model is for rows of shape {expected:?}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The shape of its rows.
        found: Vec<usize>,
        /// The shape that the model expects.
        expected: Vec<usize>,
    },
    /// An error of the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An error of the corruption.
    #[error(transparent)]
    Corruption(#[from] CorruptionError),
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error of training, weights, or a run folder.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the back end.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ExperimentError {
    /// Whether the run itself failed although all of its input was valid.
    pub fn is_failure_of_run(&self) -> bool {
        matches!(self, Self::Train(TrainError::NonFinite { .. }))
    }
}
