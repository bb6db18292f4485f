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
    /// More parts in a row than a model can have.
    #[error("`{name}` asks for {parts} parts in a row: at most {DEEPEST} make a model")]
    Deep {
        /// The setting.
        name: &'static str,
        /// The number of layers, blocks or flows.
        parts: usize,
    },
    /// More weights than there is room for.
    #[error("the configuration asks for more than {room} weights, and there can be no more")]
    Room {
        /// The largest number of weights.
        room: usize,
    },
    /// A row, or what a layer makes of it, that is too large.
    #[error("`{name}` makes {numbers} numbers of a row: at most {LARGEST_ROW} can be made")]
    Row {
        /// The setting.
        name: &'static str,
        /// The numbers, in a row or in a layer's output for it.
        numbers: usize,
    },
    /// A row shape that is not an image.
    #[error("rows of this network are images, [channels, height, width], but `event` is {shape:?}")]
    Image {
        /// The given shape.
        shape: Vec<usize>,
    },
    /// A row shape that is not a row of a table.
    #[error("rows of a `table` network are columns, [columns], but `event` is {shape:?}")]
    Table {
        /// The given shape.
        shape: Vec<usize>,
    },
    /// A network of tables without a mask.
    #[error("a `table` network is shown which cells are missing: `mask_input` must be true")]
    NoMask,
    /// Rows that are no texts, for a network of texts.
    #[error(
        "a `tokens` network is for texts: rows [width] with the likelihood `tokens`, without a mask"
    )]
    Tokens,
    /// A likelihood of texts with another network than that of texts, or a prior made of inputs.
    #[error(
        "texts have the network `tokens`, the likelihood `tokens`, and neither a `vamp` prior nor `log_input`"
    )]
    OfTexts,
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
/// The most numbers in a row, or in a layer's output for it: 512 MiB.
const LARGEST_ROW: usize = 1 << 27;
/// The largest number of layers, blocks or flows in a row.
const DEEPEST: usize = 1024;
/// The largest number of weights in one layer: 4 GiB.
const HEAVIEST: usize = 1 << 30;

/// Checks that all of `sizes` are in range; an error contains `name`.
pub(crate) fn sizes(name: &'static str, sizes: &[usize]) -> Result<(), RangeError> {
    sizes.iter().try_for_each(|&size| within(name, size, 1..=LARGEST).map(|_| ()))
}

/// Checks the number of numbers in a row or in a layer's output for it; an error contains `name`.
pub(crate) fn row(name: &'static str, numbers: usize) -> Result<(), ModelError> {
    if numbers > LARGEST_ROW { Err(ModelError::Row { name, numbers }) } else { Ok(()) }
}

/// Checks that there is a part, and that there are not too many; an error contains `name`.
pub(crate) fn depth(name: &'static str, parts: usize) -> Result<(), ModelError> {
    sizes(name, &[parts])?;
    if parts > DEEPEST { Err(ModelError::Deep { name, parts }) } else { Ok(()) }
}

/// Checks that fully connected layers of these widths do not have too many weights.
pub(crate) fn weights(widths: &[usize]) -> Result<(), ModelError> {
    let heavy = |pair: &&[usize]| pair[0].saturating_mul(pair[1]) > HEAVIEST;
    match widths.windows(2).find(heavy) {
        Some(pair) => Err(ModelError::Weights { inputs: pair[0], outputs: pair[1] }),
        None => Ok(()),
    }
}
