//! What can be wrong with a distribution's parameters.

/// Why a distribution could not be built.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A scale that is not a finite number above 0.
    #[error("`{name}` is a standard deviation and must be finite and above 0, but is {value}")]
    Scale {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
}

/// `value` if it is a usable standard deviation; NaN is none.
pub(crate) fn scale(name: &'static str, value: f64) -> Result<f64, DistributionError> {
    if !(value > 0.0 && value.is_finite()) {
        return Err(DistributionError::Scale { name, value });
    }
    Ok(value)
}
