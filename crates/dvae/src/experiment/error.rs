//! Errors of experiments.

use std::path::PathBuf;

use dvae_checks::shown_path;
use dvae_corruption::CorruptionError;
use dvae_data::{DataError, is_full_disk};
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
    /// A resume with a setting that would change the result.
    #[error(
        "`{key}` is {own} in the run {}, and cannot become {asked}: a run goes on with the settings it began with",
        shown_path(run)
    )]
    Resume {
        /// The folder of the run.
        run: PathBuf,
        /// The key of the setting.
        key: String,
        /// Its value in the run, or `not set`.
        own: String,
        /// The value asked for, or `not set`.
        asked: String,
    },
    /// Data that is not that of the training.
    #[error(
        "the data has changed since the training: the checksum of the {set} rows was {expected:08x}, but is {found} \
         now"
    )]
    Rows {
        /// Which set.
        set: &'static str,
        /// The checksum in the training.
        expected: u32,
        /// The checksum now, or that there are no such rows.
        found: String,
    },
    /// Input that does not fit the model.
    #[error(
        "{} has rows of shape {found:?}, but the model is for rows of shape {expected:?}",
        shown_path(path)
    )]
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
    /// A model that ONNX cannot hold.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] dvae_onnx::OnnxError),
    /// An error of the back end.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ExperimentError {
    /// Whether the run itself failed although all of its input was valid: its numbers are no longer finite, or a disk is full.
    pub fn is_failure_of_run(&self) -> bool {
        match self {
            Self::Train(TrainError::NonFinite { .. }) => true,
            Self::Train(TrainError::Io { source, .. }) => is_full_disk(source),
            Self::Train(TrainError::Data(error)) | Self::Data(error) => error.is_full_disk(),
            _ => false,
        }
    }
}
