//! Errors of training.

use std::path::{Path, PathBuf};

use dvae_checks::{RangeError, shown_path};
use dvae_corruption::CorruptionError;
use dvae_data::DataError;
use dvae_distributions::Support;
use dvae_losses::LossError;

/// Why training could not start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting out of its range, or NaN.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Nesterov's step without momentum.
    #[error("`optimizer.nesterov` needs a momentum: set `optimizer.momentum` above 0, to 0.9 say")]
    Nesterov,
    /// Early stopping that could never happen.
    #[error(
        "`early_stopping` could never end the training: {reason}, and nothing is counted before that"
    )]
    NeverEarly {
        /// Why not.
        reason: &'static str,
    },
    /// Fewer batches in a step than processes.
    #[error(
        "{size} processes share the batches of a step, but `accumulate` is {accumulate}: set it to {size} or more, and divide \
         `batch_size` by as much for steps of as many rows"
    )]
    Processes {
        /// The number of processes.
        size: usize,
        /// Batches in a step.
        accumulate: usize,
    },
    /// Something that failed on another process.
    #[error("another process could not go on: its own message says why")]
    OtherProcess,
    /// A set without rows.
    #[error("the {set} set has no rows")]
    Empty {
        /// Which set.
        set: &'static str,
    },
    /// A row with a value outside the likelihood's support.
    #[error(
        "row {row} of the {set} set holds {value}, but the likelihood is for {support}: choose another \
         likelihood, or scale the data"
    )]
    Support {
        /// Which set.
        set: &'static str,
        /// The row's id.
        row: u64,
        /// The value found.
        value: f32,
        /// The values allowed.
        support: Support,
    },
    /// Rows without a total, for a likelihood that shares it.
    #[error(
        "cells of the {set} set are missing, but the likelihood `proportions` is of rows whose totals are known: leave these rows or \
         columns out, or choose the likelihood of the counts alone"
    )]
    NoTotal {
        /// Which set.
        set: &'static str,
    },
    /// A row with a value that the corruption has no law for.
    #[error("row {row} of the {set} set: {source}")]
    Value {
        /// Which set.
        set: &'static str,
        /// The row's id.
        row: u64,
        /// The value, and those allowed.
        source: CorruptionError,
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
    /// A term of the bound, a gradient or a weight that became infinite or NaN.
    #[error(
        "the {term} became {value} at epoch {epoch}, step {step}{}: a lower learning rate or \
         `max_gradient_norm` may help, or data on a smaller scale; checkpoints made before are untouched",
        on_rows(rows)
    )]
    NonFinite {
        /// The name of the value: a term, the norm of the gradient, or a weight by its name.
        term: String,
        /// The value.
        value: f64,
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1.
        step: usize,
        /// The ids of the step's rows.
        rows: Vec<u64>,
    },
    /// A file or folder that could not be written or read.
    #[error("cannot {action} {}: {source}", shown_path(path))]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A run folder that is not empty.
    #[error("{} exists and is not empty: choose another folder for this run", shown_path(path))]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A run folder that another process is writing to.
    #[error(
        "{} is in use by another process: wait until it ends, or choose another folder",
        shown_path(path)
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Weights that cannot be read, or that do not fit the model.
    #[error("the weights {} cannot be used: {reason}", shown_path(path))]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A resume with another setting than the training so far.
    #[error(
        "`{key}` was {saved} in the training until the checkpoint {}, but is {now} now: a run goes on with the \
         settings it began with",
        shown_path(path)
    )]
    ResumeSetting {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The key of the setting.
        key: String,
        /// The value of the training so far, or `not set`.
        saved: String,
        /// The value now, or `not set`.
        now: String,
    },
    /// A resume with other rows than the training so far.
    #[error(
        "the {set} rows are not those of the training until the checkpoint {}: their checksum was {saved:08x}, \
         but is {now:08x} now; a run goes on with the rows it began with",
        shown_path(path)
    )]
    ResumeRows {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Which set.
        set: &'static str,
        /// The checksum of the training so far.
        saved: u32,
        /// The checksum now.
        now: u32,
    },
    /// A resume with a number of epochs that would not give what a training of that length gives.
    #[error("`train.epochs` was {saved}, and cannot become {now}: {reason}")]
    ResumeLength {
        /// The number of epochs of the training so far.
        saved: usize,
        /// The number now.
        now: usize,
        /// Why not.
        reason: String,
    },
    /// A checkpoint that cannot be used.
    #[error("the checkpoint {} cannot be used: {reason}", shown_path(path))]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl TrainError {
    /// For `map_err`: the action that failed, and its path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// The first few rows of a step.
fn on_rows(rows: &[u64]) -> String {
    const SHOWN: usize = 8;
    let mut text = String::new();
    for (place, row) in rows.iter().take(SHOWN).enumerate() {
        text.push_str(if place == 0 { ", on rows " } else { ", " });
        text.push_str(&row.to_string());
    }
    if rows.len() > SHOWN {
        text.push_str(&format!(" and {} more", rows.len() - SHOWN));
    }
    text
}
