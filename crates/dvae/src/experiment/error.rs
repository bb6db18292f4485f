//! What can go wrong with an experiment.

use std::path::PathBuf;

use dvae_corruption::CorruptionError;
use dvae_data::DataError;
use dvae_models::ModelError;
use dvae_train::TrainError;

use crate::BackendError;

/// Why an experiment could not be read or run, or its model not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A configuration that cannot be read, a wrong key or value; says where it stands.
    #[error("{place}: {reason}")]
    Config {
        /// The file, the variable or the setting.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Settings(String),
    /// Input that does not fit the model.
    #[error("{} has rows of shape {found:?}, but the model is for rows of shape {expected:?}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The shape of its rows.
        found: Vec<usize>,
        /// The shape that the model is for.
        expected: Vec<usize>,
    },
    /// Data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A corruption.
    #[error(transparent)]
    Corruption(#[from] CorruptionError),
    /// A model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Training, weights, or a run folder.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A back end.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ExperimentError {
    /// Whether the run failed on its own, while everything that it was given was usable.
    pub fn is_failure_of_run(&self) -> bool {
        matches!(self, Self::Train(TrainError::NonFinite { .. }))
    }
}
