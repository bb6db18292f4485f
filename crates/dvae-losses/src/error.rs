//! Errors in an objective's settings.

use dvae_checks::RangeError;

/// Why an objective cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A number out of its range, or NaN.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A model that the objective does not support.
    #[error("{objective} needs {needed}, but the model has {found}")]
    Model {
        /// The objective or its option.
        objective: &'static str,
        /// What it needs.
        needed: String,
        /// What the model has instead.
        found: String,
    },
}
