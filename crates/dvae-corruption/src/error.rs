//! What can be wrong with a process's parameters.

use dvae_checks::{Number, RangeError, within};

use crate::Scale;

/// Why a corruption process could not be built, or does not fit the data.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CorruptionError {
    /// A number out of its range, or NaN.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Two ends that do not stand in ascending order.
    #[error("`{name}` must be two finite numbers, the lower first, but is [{}, {}]", low.show(), high.show())]
    Ends {
        /// The parameter.
        name: &'static str,
        /// The lower end it was given.
        low: f64,
        /// The upper end it was given.
        high: f64,
    },
    /// A text that is not a level.
    #[error("`{text}` is not a level: write a number, LOW..HIGH (drawn for each row) or @SEVERITY")]
    LevelText {
        /// The text.
        text: String,
    },
    /// A log-uniform level that is scaled about a null level other than 0.
    #[error("`{name}` changes nothing at {null}: a log-uniform level of it cannot be scaled")]
    LogUniformShare {
        /// The parameter.
        name: &'static str,
        /// Its null level.
        null: f64,
    },
    /// A process that shows a mask, within a combination or another such process.
    #[error("`show-mask` must be outermost: `{name}` cannot hold it")]
    MaskInside {
        /// The combination.
        name: &'static str,
    },
    /// An error in a process that a file or a text names.
    #[error("{process}: {source}")]
    In {
        /// The process.
        process: &'static str,
        /// What is wrong.
        source: Box<CorruptionError>,
    },
    /// A log-uniform range that does not begin above 0.
    #[error("`{name}`, drawn log-uniformly, must begin above 0, but begins at {low}")]
    LogUniformAtZero {
        /// The parameter.
        name: &'static str,
        /// The lower end it was given.
        low: f64,
    },
    /// A kernel without a middle.
    #[error("`{name}` must be odd, so that a pixel is in the middle, but is {value}")]
    EvenKernel {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: usize,
    },
    /// A mixture or a sequence of no processes.
    #[error("`{name}` needs at least one process")]
    NoProcess {
        /// The combination.
        name: &'static str,
    },
    /// Weights that do not say how to choose.
    #[error(
        "`weights` must be one number of at least 0 for each of the {processes} processes, with a finite sum above 0, but are {weights:?}"
    )]
    Weights {
        /// How many processes there are.
        processes: usize,
        /// What was given.
        weights: Vec<f64>,
    },
    /// Channels that are not some of an image's.
    #[error("`channels` must be at least one channel, none twice, but are {channels:?}")]
    Channels {
        /// What was given.
        channels: Vec<usize>,
    },
    /// A combination scaled by a varying share whose parts vary too.
    #[error("`share` must be a fixed number here: a part's `{name}` varies already")]
    VariesTwice {
        /// The part's parameter.
        name: &'static str,
    },
    /// An image process for data of another rank.
    #[error("it is for images [batch, channels, height, width], not for rank {rank}")]
    Rank {
        /// The rank it was asked for.
        rank: usize,
    },
    /// Rows that a process cannot be used on.
    #[error("`{name}` does not fit rows of shape {event:?}: {why}")]
    Shape {
        /// The parameter.
        name: &'static str,
        /// The shape of a row.
        event: Vec<usize>,
        /// What would be right.
        why: String,
    },
    /// A text that does not name a process.
    #[error(
        "`{text}` is not a corruption: write NAME, NAME:LEVEL, NAME:LOW..HIGH or NAME@SEVERITY, joined \
         by + for one after the other; known are none, mixed, {known}"
    )]
    UnknownProcess {
        /// The text.
        text: String,
        /// The names of all processes.
        known: String,
    },
}

/// A range of values: two finite numbers, the lower first.
pub(crate) fn range(
    name: &'static str,
    [low, high]: [f64; 2],
) -> Result<[f32; 2], CorruptionError> {
    let end = |value| within(name, value, -Scale::LARGEST..=Scale::LARGEST).map(|end| end as f32);
    let ends = [end(low)?, end(high)?];
    if ends[0] >= ends[1] {
        return Err(CorruptionError::Ends { name, low, high });
    }
    Ok(ends)
}
