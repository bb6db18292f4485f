//! Processes by name, for files and command lines.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Clean, Corruption, CorruptionError, Gaussian, Masking, OneOf, SaltAndPepper, SaltLaw};

/// A corruption process as it stands in a configuration file.
///
/// As text (`"gaussian:0.3"`, `"masking"`, `"mixed"`) it parses with the strength after a colon;
/// left out, the strength is the one of the variant's text below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "process", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum CorruptionConfig {
    /// [`Clean`]. Text: `none`.
    None {},
    /// [`Gaussian`]. Text: `gaussian:0.3`, clipped to `[0, 1]`.
    Gaussian {
        /// Standard deviation, in units of the data.
        sigma: f64,
        /// The range to clip to, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// [`Masking`]. Text: `masking:0.5`.
    Masking {
        /// Probability that an entry is erased.
        rate: f64,
    },
    /// [`SaltAndPepper`] by [`SaltLaw::Symmetric`]. Text: `salt-and-pepper:0.2`.
    SaltAndPepper {
        /// Probability that an entry is replaced.
        rate: f64,
    },
    /// [`SaltAndPepper`] by [`SaltLaw::MostlyPepper`]. Text: `mostly-pepper:0.1`.
    MostlyPepper {
        /// Probability that an entry is replaced.
        rate: f64,
    },
    /// [`OneOf`]. Text: `mixed`, [`CorruptionConfig::None`] and the three of
    /// [`CorruptionConfig::standard_three`].
    OneOf {
        /// The processes to choose from.
        of: Vec<CorruptionConfig>,
    },
}

impl CorruptionConfig {
    /// The damages that the examples measure: Gaussian noise of σ = 0.3 clipped to `[0, 1]`,
    /// masking of half the entries, and salt and pepper on a fifth of them.
    pub fn standard_three() -> [Self; 3] {
        [
            Self::Gaussian { sigma: 0.3, clip: Some([0.0, 1.0]) },
            Self::Masking { rate: 0.5 },
            Self::SaltAndPepper { rate: 0.2 },
        ]
    }

    /// The process, for tensors of rank `D`; an error names the parameter that is out of range.
    pub fn build<const D: usize>(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(match self {
            Self::None {} => Box::new(Clean),
            Self::Gaussian { sigma, clip: None } => Box::new(Gaussian::new(*sigma)?),
            Self::Gaussian { sigma, clip: Some([low, high]) } => {
                Box::new(Gaussian::new(*sigma)?.clipped(*low, *high)?)
            }
            Self::Masking { rate } => Box::new(Masking::new(*rate)?),
            Self::SaltAndPepper { rate } => {
                Box::new(SaltAndPepper::new(*rate, SaltLaw::Symmetric)?)
            }
            Self::MostlyPepper { rate } => {
                Box::new(SaltAndPepper::new(*rate, SaltLaw::MostlyPepper)?)
            }
            Self::OneOf { of } => {
                Box::new(OneOf::new(of.iter().map(Self::build).collect::<Result<_, _>>()?)?)
            }
        })
    }
}

impl FromStr for CorruptionConfig {
    type Err = CorruptionError;

    fn from_str(text: &str) -> Result<Self, CorruptionError> {
        let unknown = || CorruptionError::Unknown { text: text.to_owned() };
        let (name, strength) = match text.split_once(':') {
            Some((name, strength)) => (name, Some(strength.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let or = |default: f64| strength.unwrap_or(default);
        let config = match name {
            "none" if strength.is_none() => Self::None {},
            "gaussian" => Self::Gaussian { sigma: or(0.3), clip: Some([0.0, 1.0]) },
            "masking" => Self::Masking { rate: or(0.5) },
            "salt-and-pepper" => Self::SaltAndPepper { rate: or(0.2) },
            "mostly-pepper" => Self::MostlyPepper { rate: or(0.1) },
            "mixed" if strength.is_none() => {
                Self::OneOf { of: [&[Self::None {}], &Self::standard_three()[..]].concat() }
            }
            _ => return Err(unknown()),
        };
        config.build::<1>()?;
        Ok(config)
    }
}

/// The process and its strength, as a table's row names it.
impl std::fmt::Display for CorruptionConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None {} => f.write_str("none"),
            Self::Gaussian { sigma, clip: None } => write!(f, "Gaussian σ = {sigma}, unclipped"),
            Self::Gaussian { sigma, clip: Some(_) } => write!(f, "Gaussian σ = {sigma}"),
            Self::Masking { rate } => write!(f, "masking {} %", percent(*rate)),
            Self::SaltAndPepper { rate } => write!(f, "salt and pepper {} %", percent(*rate)),
            Self::MostlyPepper { rate } => write!(f, "mostly pepper {} %", percent(*rate)),
            Self::OneOf { of } => {
                let names: Vec<String> = of.iter().map(ToString::to_string).collect();
                write!(f, "one of: {}", names.join(", "))
            }
        }
    }
}

/// A rate in percent, to a tenth.
fn percent(rate: f64) -> f64 {
    (rate * 1000.0).round() / 10.0
}
