//! Errors of corruption processes.

use dvae_checks::{Number, RangeError, within};

use crate::{Domain, Scale};

/// Why a corruption process could not be built, or does not fit the data.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CorruptionError {
    /// A number out of its range, or NaN.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A range whose ends are not finite, or not in ascending order.
    #[error("`{name}` must be two finite numbers, the lower first, but is [{}, {}]", low.show(), high.show())]
    Ends {
        /// The parameter.
        name: &'static str,
        /// The lower end given.
        low: f64,
        /// The upper end given.
        high: f64,
    },
    /// An alphabet of typing errors that is empty.
    #[error("the alphabet has no letter")]
    NoLetter,
    /// Pairs of wrong and right texts of which none has an error to learn.
    #[error("no pair has an error to learn: {pairs} have none, and {left_out} are too different")]
    NoTypo {
        /// The number of pairs learned from.
        pairs: u64,
        /// The number of pairs left out.
        left_out: u64,
    },
    /// A line that is not a wrong and a right text.
    #[error(
        "line {line}: `{text}` is not a pair: write WRONG->RIGHT, WRONG → RIGHT, or the two with a tab between"
    )]
    TypoLine {
        /// The number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// Learned errors for texts of which no pairs of wrong and right ones are known.
    #[error(
        "say by `data.typos` which file has the pairs of wrong and right texts that the errors are learned from"
    )]
    NoTypoModel,
    /// A string that is not a level.
    #[error("`{text}` is not a level: write a number, LOW..HIGH (drawn for each row) or @SEVERITY")]
    LevelText {
        /// The string.
        text: String,
    },
    /// A log-uniform level that cannot be scaled because its null level is not 0.
    #[error("`{name}` changes nothing at {null}: a log-uniform level of it cannot be scaled")]
    LogUniformShare {
        /// The parameter.
        name: &'static str,
        /// Its null level.
        null: f64,
    },
    /// A process that shows a mask, inside a combination or another such process.
    #[error("`show-mask` must be outermost: `{name}` cannot hold it")]
    MaskInside {
        /// The combination.
        name: &'static str,
    },
    /// An error in a process that a file or a string names.
    #[error("{process}: {source}")]
    In {
        /// The process.
        process: &'static str,
        /// The error.
        source: Box<CorruptionError>,
    },
    /// A log-uniform range that does not begin above 0.
    #[error("`{name}`, drawn log-uniformly, must begin above 0, but begins at {low}")]
    LogUniformAtZero {
        /// The parameter.
        name: &'static str,
        /// The lower end given.
        low: f64,
    },
    /// A kernel without a center.
    #[error("`{name}` must be odd, so that a pixel is in the middle, but is {value}")]
    EvenKernel {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: usize,
    },
    /// A mixture or a sequence without processes.
    #[error("`{name}` needs at least one process")]
    NoProcess {
        /// The combination.
        name: &'static str,
    },
    /// Weights that do not define a choice.
    #[error(
        "`weights` must be one number of at least 0 for each of the {processes} processes, with a finite sum above 0, but are {weights:?}"
    )]
    Weights {
        /// The number of processes.
        processes: usize,
        /// The weights given.
        weights: Vec<f64>,
    },
    /// Channels that are missing or repeated.
    #[error("`channels` must be at least one channel, none twice, but are {channels:?}")]
    Channels {
        /// The channels given.
        channels: Vec<usize>,
    },
    /// A combination scaled by a varying share although one of its parts varies already.
    #[error("`share` must be a fixed number here: a part's `{name}` varies already")]
    VariesTwice {
        /// The part's parameter.
        name: &'static str,
    },
    /// An image process for data of another rank.
    #[error("it is for images [batch, channels, height, width], not for rank {rank}")]
    Rank {
        /// The requested rank.
        rank: usize,
    },
    /// A process of numbers in `[0, 1]`, for data of another domain.
    #[error(
        "it is for numbers in [0, 1] ({why}), but the data are {domain}: declare `data.domain = \"unit\"` if \
         they lie in [0, 1], or choose another corruption"
    )]
    UnitOnly {
        /// The domain of the data.
        domain: Domain,
        /// What the process does in `[0, 1]`.
        why: &'static str,
    },
    /// A parameter that must be given, because the domain of the data has no range.
    #[error(
        "`{name}` must be given, because {domain} have no range of their own: set {name} = [LOW, HIGH]"
    )]
    NoRange {
        /// The parameter.
        name: &'static str,
        /// The domain of the data.
        domain: Domain,
    },
    /// A value below 0, for a process that has no law there.
    #[error(
        "`{process}` is for values of at least 0, but one is {value}: choose another corruption"
    )]
    Negative {
        /// The process.
        process: &'static str,
        /// The value.
        value: f32,
    },
    /// A process of counts, for data of another domain.
    #[error(
        "it is for counts 0, 1, 2, …, but the data are {domain}: say by `data.domain` that they are counts, if they are"
    )]
    CountsOnly {
        /// The domain of the data.
        domain: Domain,
    },
    /// A value that is no count, for a process of counts.
    #[error(
        "`{process}` is for counts 0, 1, 2, …, but one value is {value}: choose another corruption"
    )]
    NoCount {
        /// The process.
        process: &'static str,
        /// The value.
        value: f32,
    },
    /// Rows that a process does not support.
    #[error("`{name}` does not fit rows of shape {event:?}: {why}")]
    Shape {
        /// The parameter.
        name: &'static str,
        /// The shape of a row.
        event: Vec<usize>,
        /// The requirement.
        why: String,
    },
    /// A process of tables, for data that are none.
    #[error("it is for the rows of a table, of which it must know the columns")]
    NoTable,
    /// A process of texts, for data that are none.
    #[error("it is for texts, but the data are {domain}")]
    TextsOnly {
        /// The domain of the data.
        domain: Domain,
    },
    /// A process that is not for texts, for texts.
    #[error(
        "it is not for texts: use `typos` with several `kinds`, or one of several such processes by `one-of`"
    )]
    NotForText,
    /// A column that the table does not have.
    #[error("there is no column `{name}`: the table has {}", quoted(known))]
    UnknownColumn {
        /// The name given.
        name: String,
        /// The names of the columns.
        known: Vec<String>,
    },
    /// A string that does not name a process.
    #[error(
        "`{text}` is not a corruption: write NAME, NAME:LEVEL, NAME:LOW..HIGH or NAME@SEVERITY, joined \
         by + for one after the other; known are none, mixed, {known}"
    )]
    UnknownProcess {
        /// The string.
        text: String,
        /// The names of all processes.
        known: String,
    },
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
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
