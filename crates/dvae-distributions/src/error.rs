//! Errors in a distribution's parameters.

use std::ops::Bound::{Excluded, Unbounded};

use dvae_checks::{RangeError, within, within_single};

/// Why a distribution could not be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A number out of its range, or NaN.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Groups of columns that do not add up to a row.
    #[error("the groups of `columns` have {groups} columns, but a row has {columns}")]
    Columns {
        /// The total number of columns in the groups.
        groups: usize,
        /// The number of columns in a row.
        columns: usize,
    },
    /// A likelihood of which the share of missing entries has no closed form.
    #[error(
        "`of` of `self-masking` is `normal`, `shared-normal`, `learned-normal`, `poisson-gaussian`, `categorical` or `ordinal`: of others, \
         the probability that an entry is missing has no closed form"
    )]
    SelfMasking,
    /// The likelihood of texts, without the network that computes it.
    #[error(
        "`tokens` is the likelihood of texts, which the network `tokens` computes: nothing else can be made of it"
    )]
    Tokens,
    /// A likelihood that is none of counts.
    #[error(
        "`of` of `proportions` is `poisson`, `negative-binomial` or `zero-inflated-negative-binomial`: shares of a total are those of \
         counts"
    )]
    Proportions,
}

/// The largest allowed count.
const MOST: usize = 1 << 24;

/// Returns `value` if it is above 0 and finite, in single precision too.
pub(crate) fn scale(name: &'static str, value: f64) -> Result<f64, RangeError> {
    within_single(name, value, (Excluded(0.0), Unbounded))
}

/// Returns `value` if it is between `least` and the largest allowed count.
pub(crate) fn at_least(
    name: &'static str,
    value: usize,
    least: usize,
) -> Result<usize, RangeError> {
    within(name, value, least..=MOST)
}
