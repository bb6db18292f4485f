//! Errors in a model's configuration.

use dvae_checks::{RangeError, within};
use dvae_distributions::DistributionError;

/// Why a model could not be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A size out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Two adjacent layers whose widths give too many weights.
    #[error("widths of {inputs} and {outputs} make more than {HEAVIEST} weights in one layer")]
    Weights {
        /// The inputs of the layer.
        inputs: usize,
        /// The outputs of the layer.
        outputs: usize,
    },
    /// A row shape that is not an image.
    #[error("rows of this network are images, [channels, height, width], but `event` is {shape:?}")]
    Image {
        /// The given shape.
        shape: Vec<usize>,
    },
    /// A VampPrior with a posterior that is not a diagonal normal.
    #[error(
        "the components of a `vamp` prior are diagonal normals: `posterior` must be `diagonal-normal`"
    )]
    Vamp,
    /// A posterior or prior family that does not support a level whose latents are a map.
    #[error(
        "a level of latents that is a map has a diagonal normal posterior and a standard normal prior"
    )]
    Map,
    /// A coupling flow with only one latent.
    #[error("a `real-nvp` prior couples latents with each other: `latent` must be at least 2")]
    Couplings,
    /// A likelihood whose parameters are out of range.
    #[error(transparent)]
    Likelihood(#[from] DistributionError),
}

/// The largest allowed size.
const LARGEST: usize = 1 << 24;
/// The largest number of weights in one layer: 4 GiB.
const HEAVIEST: usize = 1 << 30;

/// Checks that all of `sizes` are in range; an error contains `name`.
pub(crate) fn sizes(name: &'static str, sizes: &[usize]) -> Result<(), RangeError> {
    sizes.iter().try_for_each(|&size| within(name, size, 1..=LARGEST).map(|_| ()))
}

/// Checks that fully connected layers of these widths do not have too many weights.
pub(crate) fn weights(widths: &[usize]) -> Result<(), ModelError> {
    let heavy = |pair: &&[usize]| pair[0].saturating_mul(pair[1]) > HEAVIEST;
    match widths.windows(2).find(heavy) {
        Some(pair) => Err(ModelError::Weights { inputs: pair[0], outputs: pair[1] }),
        None => Ok(()),
    }
}
