//! What can go wrong in training.

use std::path::{Path, PathBuf};

use dvae_corruption::CorruptionError;
use dvae_data::DataError;
use dvae_distributions::Support;
use dvae_losses::LossError;

/// Why training could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A count out of range.
    #[error("`{name}` must be between 1 and {}, but is {value}", u32::MAX)]
    Count {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: usize,
    },
    /// A learning rate that is negative, 0, infinite, or NaN.
    #[error("`{name}` is a learning rate and must be finite and above 0, but is {value}")]
    LearningRate {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
    /// A set without rows.
    #[error("the {set} set has no rows")]
    Empty {
        /// Which set.
        set: &'static str,
    },
    /// A row that the model's likelihood is not for.
    #[error(
        "row {row} of the {set} set holds {value}, but the likelihood is for {support}: choose another \
         likelihood, or scale the data"
    )]
    Support {
        /// Which set.
        set: &'static str,
        /// The row's id.
        row: u64,
        /// What it holds.
        value: f32,
        /// What it may hold.
        support: Support,
    },
    /// A corruption that could not be configured.
    #[error(transparent)]
    Corruption(#[from] CorruptionError),
    /// An objective that cannot be used.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// Data that could not be batched.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A term of the bound that became infinite or NaN.
    #[error(
        "the {term} became {value} at epoch {epoch}, step {step}: a lower learning rate may help, or \
         data without NaN and on a smaller scale; checkpoints made before are untouched"
    )]
    NonFinite {
        /// Which term.
        term: &'static str,
        /// What it became.
        value: f64,
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1.
        step: usize,
    },
    /// A file or folder that could not be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A run folder that is in use.
    #[error("{} exists and is not empty: choose another folder for this run", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint that cannot be used.
    #[error("the checkpoint {} cannot be used: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl TrainError {
    /// For `map_err`: what was tried, and on what.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
