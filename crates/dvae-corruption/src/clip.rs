//! The range that a process clips its output to: in a file, and as numbers.

use dvae_kernels::Scalar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::range;
use crate::{CorruptionError, Domain};

/// The range that a process clips its output to, in a file.
///
/// ```toml
/// clip = "domain"      # the same as no `clip`: [0, 1] for such data, and nothing is clipped otherwise
/// clip = "none"
/// clip = [-1.0, 1.0]
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    expecting = "`clip` must be \"none\", \"domain\" (the range of the data's domain, as if left out), or a range [LOW, HIGH]"
)]
pub enum ClipRange {
    /// The range of the data's domain; nothing is clipped if the domain has none.
    #[default]
    Domain,
    /// Nothing is clipped.
    None,
    /// `[low, high]`.
    #[serde(untagged)]
    Range([f64; 2]),
}

impl ClipRange {
    /// The range for data of this domain, if anything is clipped.
    pub fn of(self, domain: Domain) -> Option<[f64; 2]> {
        match self {
            Self::Domain => domain.range(),
            Self::None => None,
            Self::Range(range) => Some(range),
        }
    }

    // The signature that serde asks for.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::Domain
    }
}

/// A range to clip to, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Clip(Option<[f32; 2]>);

impl Clip {
    /// To `[low, high]`.
    pub(crate) fn to(low: f64, high: f64) -> Result<Self, CorruptionError> {
        Ok(Self(Some(range("clip", [low, high])?)))
    }

    #[inline(always)]
    pub(crate) fn of<S: Scalar>(self, value: S) -> S {
        match self.0 {
            Some([low, high]) => value.clamp(low.into(), high.into()),
            None => value,
        }
    }

    /// Clips every value; NaN stays NaN.
    pub(crate) fn all(self, values: &mut [f32]) {
        if let Some([low, high]) = self.0 {
            values.iter_mut().for_each(|value| *value = value.clamp(low, high));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_has_its_form_in_a_file() {
        for (json, expected) in [
            (r#""domain""#, ClipRange::Domain),
            (r#""none""#, ClipRange::None),
            ("[-1, 0.5]", ClipRange::Range([-1.0, 0.5])),
        ] {
            let clip: ClipRange = serde_json::from_str(json).unwrap();
            assert_eq!(clip, expected, "{json}");
            let again = serde_json::to_string(&clip).unwrap();
            assert_eq!(serde_json::from_str::<ClipRange>(&again).unwrap(), clip, "{again}");
        }
        for json in [r#""unit""#, "true", "0.5", "[0, 1, 2]", r#"{"low": 0}"#, "null"] {
            let error = serde_json::from_str::<ClipRange>(json).unwrap_err().to_string();
            assert!(error.contains("`clip` must be \"none\""), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_left_out_is_left_to_the_domain() {
        assert_eq!(ClipRange::default().of(Domain::Unit), Some([0.0, 1.0]));
        assert_eq!(ClipRange::default().of(Domain::Real), None);
        assert_eq!(ClipRange::None.of(Domain::Unit), None);
        assert_eq!(ClipRange::Range([2.0, 3.0]).of(Domain::Counts), Some([2.0, 3.0]));
    }
}
