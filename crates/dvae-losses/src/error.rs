//! What can be wrong with an objective.

/// Why an objective cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A weight that is negative, infinite, or NaN.
    #[error("`{name}` is a weight and must be finite and at least 0, but is {value}")]
    Weight {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
    /// A share of training that is not in `(0, 1]`.
    #[error(
        "`{name}` is a share of the training and must be above 0 and at most 1, but is {value}"
    )]
    Share {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
    /// A count out of range.
    #[error("`{name}` must be between 1 and {most}, but is {value}")]
    Count {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: usize,
        /// The most it may be.
        most: usize,
    },
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

/// `value` if it is a usable weight; NaN is none.
pub(crate) fn weight(name: &'static str, value: f64) -> Result<f64, LossError> {
    if !(value >= 0.0 && value.is_finite()) {
        return Err(LossError::Weight { name, value });
    }
    Ok(value)
}

/// An error if `value` is not from 1 to `most`.
pub(crate) fn count(name: &'static str, value: usize, most: usize) -> Result<(), LossError> {
    if !(1..=most).contains(&value) {
        return Err(LossError::Count { name, value, most });
    }
    Ok(())
}
