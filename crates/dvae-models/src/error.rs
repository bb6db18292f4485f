//! What can be wrong with a model's configuration.

use dvae_distributions::DistributionError;

/// Why a model could not be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A size of 0.
    #[error("`{name}` must be at least 1, but is 0")]
    Size {
        /// The parameter.
        name: &'static str,
    },
    /// A shape that is not one of images.
    #[error("`image` must be [channels, height, width], but is {shape:?}")]
    Image {
        /// The shape it was given.
        shape: Vec<usize>,
    },
    /// A likelihood whose parameters are out of range.
    #[error(transparent)]
    Likelihood(#[from] DistributionError),
}

/// An error naming `name` if one of `sizes` is 0.
pub(crate) fn positive(name: &'static str, sizes: &[usize]) -> Result<(), ModelError> {
    if sizes.contains(&0) {
        return Err(ModelError::Size { name });
    }
    Ok(())
}
