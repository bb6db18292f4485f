//! What can be wrong with an objective.

use dvae_checks::RangeError;

/// Why an objective cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A number out of its range, or NaN.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A model that the objective is not for.
    #[error("{objective} needs {needed}, but the model has {found}")]
    Model {
        /// What needs it.
        objective: &'static str,
        /// What it needs.
        needed: String,
        /// What there is.
        found: String,
    },
}
