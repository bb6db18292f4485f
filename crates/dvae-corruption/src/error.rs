//! What can be wrong with a process's parameters.

/// Why a corruption process could not be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CorruptionError {
    /// A probability outside `[0, 1]`, or NaN.
    #[error("`{name}` is a probability and must lie in [0, 1], but is {value}")]
    Probability {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
    /// A scale that is negative, infinite, or NaN.
    #[error("`{name}` is a scale and must be finite and at least 0, but is {value}")]
    Scale {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
    /// A range whose ends are not two finite numbers in ascending order.
    #[error("`{name}` must be two finite numbers, the lower first, but is [{low}, {high}]")]
    Range {
        /// The parameter.
        name: &'static str,
        /// The lower end it was given.
        low: f64,
        /// The upper end it was given.
        high: f64,
    },
    /// A mixture of no processes.
    #[error("`one_of` needs at least one process to choose from")]
    NothingToChoose,
    /// A text that names no process.
    #[error(
        "`{text}` is no corruption; known are none, gaussian[:SIGMA], masking[:RATE], \
         salt-and-pepper[:RATE], mostly-pepper[:RATE], mixed"
    )]
    Unknown {
        /// The text.
        text: String,
    },
}

/// `value` if it is a probability; NaN is none.
pub(crate) fn probability(name: &'static str, value: f64) -> Result<f64, CorruptionError> {
    if !(0.0..=1.0).contains(&value) {
        return Err(CorruptionError::Probability { name, value });
    }
    Ok(value)
}
