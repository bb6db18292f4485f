//! What the values of data are.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the values of data are, as a model sees them.
///
/// The domain travels with the data, the run and the weights. A corruption asks it which range its noise is
/// clipped to, and a program asks it how a file's numbers become those of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Domain {
    /// Numbers in `[0, 1]`, both ends included: pictures, bytes, probabilities.
    Unit,
    /// `0, 1, 2, …`.
    Counts,
    /// Whole numbers of any sign.
    Integers,
    /// Numbers of characters, as a [`Vocabulary`](crate::Vocabulary) has them: rows are texts.
    Tokens,
    /// Numbers of any size and sign: measurements, and everything that was scaled.
    #[default]
    Real,
}

impl Domain {
    /// Whether the domain contains this value. No domain contains NaN or an infinity.
    pub fn contains(self, value: f32) -> bool {
        let whole = value.fract() == 0.0;
        match self {
            Self::Unit => (0.0..=1.0).contains(&value),
            Self::Tokens => whole && (0.0..=65535.0).contains(&value),
            Self::Counts => value.is_finite() && value >= 0.0 && whole,
            Self::Integers => value.is_finite() && whole,
            Self::Real => value.is_finite(),
        }
    }

    /// The range of the values, if it has two ends.
    pub fn range(self) -> Option<[f64; 2]> {
        (self == Self::Unit).then_some([0.0, 1.0])
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unit => "numbers in [0, 1]",
            Self::Counts => "counts 0, 1, 2, …",
            Self::Integers => "whole numbers",
            Self::Tokens => "characters of texts",
            Self::Real => "real numbers",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_contains_its_ends_and_nothing_beyond() {
        let cases: [(Domain, &[f32], &[f32]); 5] = [
            (Domain::Unit, &[0.0, 0.3, 1.0], &[-0.1, 1.1]),
            (Domain::Counts, &[0.0, 7.0, 1e6], &[-1.0, 0.5]),
            (Domain::Integers, &[-3.0, 0.0, 1e6], &[0.5]),
            (Domain::Tokens, &[0.0, 65535.0], &[-1.0, 0.5, 65536.0]),
            (Domain::Real, &[-1e30, 0.0], &[]),
        ];
        for (domain, inside, outside) in cases {
            assert!(inside.iter().all(|&value| domain.contains(value)), "{domain}");
            let never = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            assert!(!outside.iter().chain(&never).any(|&value| domain.contains(value)), "{domain}");
        }
    }
}
