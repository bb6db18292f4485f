//! What can be wrong with a model's configuration.

use dvae_checks::{RangeError, within};
use dvae_distributions::DistributionError;

/// Why a model could not be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A size out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Two neighboring layers that are too wide together.
    #[error("widths of {inputs} and {outputs} make more than {HEAVIEST} weights in one layer")]
    Weights {
        /// Inputs of the layer.
        inputs: usize,
        /// Its outputs.
        outputs: usize,
    },
    /// A shape that is not one of images.
    #[error("rows of this network are images, [channels, height, width], but `event` is {shape:?}")]
    Image {
        /// The shape it was given.
        shape: Vec<usize>,
    },
    /// A VampPrior with a posterior that it cannot be made of.
    #[error(
        "the components of a `vamp` prior are diagonal normals: `posterior` must be `diagonal-normal`"
    )]
    Vamp,
    /// A family of posteriors or priors that is not for a level of latents that is a map.
    #[error(
        "a level of latents that is a map has a diagonal normal posterior and a standard normal prior"
    )]
    Map,
    /// A coupling flow over one latent.
    #[error("a `real-nvp` prior couples latents with each other: `latent` must be at least 2")]
    Couplings,
    /// A likelihood whose parameters are out of range.
    #[error(transparent)]
    Likelihood(#[from] DistributionError),
}

/// The largest size of anything.
const LARGEST: usize = 1 << 24;
/// The most weights of one layer: 4 GiB.
const HEAVIEST: usize = 1 << 30;

/// An error naming `name` if one of `sizes` is out of range.
pub(crate) fn sizes(name: &'static str, sizes: &[usize]) -> Result<(), RangeError> {
    sizes.iter().try_for_each(|&size| within(name, size, 1..=LARGEST).map(|_| ()))
}

/// An error if fully connected layers of these widths would be too heavy.
pub(crate) fn weights(widths: &[usize]) -> Result<(), ModelError> {
    let heavy = |pair: &&[usize]| pair[0].saturating_mul(pair[1]) > HEAVIEST;
    match widths.windows(2).find(heavy) {
        Some(pair) => Err(ModelError::Weights { inputs: pair[0], outputs: pair[1] }),
        None => Ok(()),
    }
}
