//! Range checks of parameters, domains of data, and what stands in messages, with one wording for all errors.
//!
//! Every check takes the parameter's name as a user writes it, and returns the value or a [`RangeError`] that
//! says which values are allowed. NaN and infinity are never allowed.
//!
//! ```
//! use dvae_checks::{positive, within};
//!
//! assert_eq!(within("rate", 0.5, 0.0..=1.0), Ok(0.5));
//! let error = within("latent", 0, 1..=4096).unwrap_err();
//! assert_eq!(error.to_string(), "`latent` must be between 1 and 4096, but is 0");
//! let error = positive("scale", f64::NAN).unwrap_err();
//! assert_eq!(error.to_string(), "`scale` must be finite and above 0, but is NaN");
//! ```
//!
//! # What this gives up
//!
//! - Checks cover single numbers only: each crate has its own errors for combinations of settings.

mod domain;
mod text;
mod vocabulary;

pub use domain::Domain;
pub use text::{contained, listed, shown, shown_path, silence_contained_panics};
pub use vocabulary::Vocabulary;

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::RangeBounds;

/// A parameter out of its range, or NaN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` must be {allowed}, but is {value}")]
pub struct RangeError {
    name: &'static str,
    value: String,
    allowed: String,
}

impl RangeError {
    /// The parameter.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A type of a parameter's value: `f64` or `usize`.
pub trait Number: Copy + PartialOrd {
    /// Whether it is neither NaN nor infinite.
    fn is_finite(self) -> bool;

    /// The number's text in a message.
    fn show(self) -> String;
}

impl Number for f64 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }

    /// Very large and very small numbers are shown in scientific notation.
    fn show(self) -> String {
        let plain = self == 0.0 || !self.is_finite() || (1e-6..1e9).contains(&self.abs());
        if plain { format!("{self}") } else { format!("{self:e}") }
    }
}

impl Number for usize {
    fn is_finite(self) -> bool {
        true
    }

    fn show(self) -> String {
        self.to_string()
    }
}

/// Returns `value` if it is finite and in `range`.
pub fn within<T: Number>(
    name: &'static str,
    value: T,
    range: impl RangeBounds<T>,
) -> Result<T, RangeError> {
    if value.is_finite() && range.contains(&value) {
        return Ok(value);
    }
    Err(RangeError { name, value: value.show(), allowed: allowed(&range) })
}

/// Returns `value` if it is finite and in `range`, both as given and in single precision, where a number
/// below the normal range counts as 0. Use it for values that tensors hold.
pub fn within_single(
    name: &'static str,
    value: f64,
    range: impl RangeBounds<f64>,
) -> Result<f64, RangeError> {
    let single = value as f32;
    let held = if single.is_subnormal() { 0.0 } else { single };
    within(name, value, (range.start_bound(), range.end_bound()))?;
    within(name, f64::from(held), range)?;
    Ok(value)
}

/// Returns `value` if it is finite and above 0.
pub fn positive(name: &'static str, value: f64) -> Result<f64, RangeError> {
    within(name, value, (Excluded(0.0), Unbounded))
}

/// Returns `value` if it is finite and at least 0.
pub fn non_negative(name: &'static str, value: f64) -> Result<f64, RangeError> {
    within(name, value, 0.0..)
}

/// A range in words.
fn allowed<T: Number>(range: &impl RangeBounds<T>) -> String {
    let (low, high) = (range.start_bound(), range.end_bound());
    if let (Included(low), Included(high)) = (low, high) {
        return format!("between {} and {}", low.show(), high.show());
    }
    let finite = (low == Unbounded || high == Unbounded).then(|| "finite".to_owned());
    let low = match low {
        Included(low) => Some(format!("at least {}", low.show())),
        Excluded(low) => Some(format!("above {}", low.show())),
        Unbounded => None,
    };
    let high = match high {
        Included(high) => Some(format!("at most {}", high.show())),
        Excluded(high) => Some(format!("below {}", high.show())),
        Unbounded => None,
    };
    [finite, low, high].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_range_is_worded() {
        let of = |range: (std::ops::Bound<f64>, std::ops::Bound<f64>)| {
            within("x", f64::NAN, range).unwrap_err().to_string()
        };
        for (range, words) in [
            ((Included(0.0), Included(1e30)), "between 0 and 1e30"),
            ((Excluded(0.0), Excluded(1.0)), "above 0 and below 1"),
            ((Excluded(0.0), Included(1.0)), "above 0 and at most 1"),
            ((Included(-0.5), Excluded(1.0)), "at least -0.5 and below 1"),
            ((Excluded(0.0), Unbounded), "finite and above 0"),
            ((Included(0.0), Unbounded), "finite and at least 0"),
            ((Unbounded, Unbounded), "finite"),
        ] {
            assert_eq!(of(range), format!("`x` must be {words}, but is NaN"));
        }
    }

    #[test]
    fn ends_belong_to_a_range_as_it_says_and_infinity_to_none() {
        assert_eq!(within("x", 1.0, 0.0..=1.0), Ok(1.0));
        assert!(within("x", 1.0, 0.0..1.0).is_err());
        assert!(within("x", 0.0, (Excluded(0.0), Included(1.0))).is_err());
        assert!(
            within("x", f64::INFINITY, ..).is_err() && non_negative("x", f64::INFINITY).is_err()
        );
        assert_eq!((non_negative("x", 0.0), positive("x", 0.5)), (Ok(0.0), Ok(0.5)));
        let most = within("x", usize::MAX, 1..=9).unwrap_err().to_string();
        assert_eq!(most, "`x` must be between 1 and 9, but is 18446744073709551615");
    }

    // 10⁻⁴⁰ has lost digits in single precision, 10⁻⁴⁶ is 0, 10³⁹ is infinite; 1 − 10⁻⁹ rounds to 1.
    #[test]
    fn single_precision_is_checked_too() {
        let positive = (Excluded(0.0), Unbounded);
        assert_eq!(within_single("x", 0.1, positive), Ok(0.1));
        for value in [1e-40, 1e-46, 1e39, -1.0] {
            assert!(within_single("x", value, positive).is_err(), "{value}");
        }
        let error = within_single("x", 0.999_999_999, 0.0..1.0).unwrap_err().to_string();
        assert_eq!(error, "`x` must be at least 0 and below 1, but is 1");
        assert_eq!(within_single("x", 1e-40, 0.0..), Ok(1e-40));
    }
}
