//! What can be wrong with a distribution's parameters.

/// Why a distribution could not be built.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A parameter that is not a finite number above 0.
    #[error("`{name}` must be finite and above 0, but is {value}")]
    Scale {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: f64,
    },
    /// A count that is too small or too large.
    #[error("`{name}` must lie in [{least}, {MOST}], but is {value}")]
    Count {
        /// The parameter.
        name: &'static str,
        /// The least it may be.
        least: usize,
        /// What it was given.
        value: usize,
    },
    /// Groups of columns that do not make up a row.
    #[error("the groups of `columns` have {groups} columns, but a row has {columns}")]
    Columns {
        /// The columns of all groups.
        groups: usize,
        /// Those of a row.
        columns: usize,
    },
}

/// The most of anything that is counted.
const MOST: usize = 1 << 24;

/// `value` if it is above 0 and finite, in single precision too; NaN is neither.
pub(crate) fn scale(name: &'static str, value: f64) -> Result<f64, DistributionError> {
    if !(value > 0.0 && (value as f32).is_normal()) {
        return Err(DistributionError::Scale { name, value });
    }
    Ok(value)
}

/// An error if `value` is not from `least` up to what fits.
pub(crate) fn at_least(
    name: &'static str,
    value: usize,
    least: usize,
) -> Result<(), DistributionError> {
    if !(least..=MOST).contains(&value) {
        return Err(DistributionError::Count { name, least, value });
    }
    Ok(())
}
