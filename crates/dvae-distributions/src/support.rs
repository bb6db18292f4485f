//! The support of a likelihood.

use std::fmt;

/// The values that an entry may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Any finite number.
    Real,
    /// Any number in `[0, 1]`.
    UnitInterval,
    /// `0, 1, 2, …`.
    Counts,
    /// `0, 1, …, n − 1`, for `n` classes.
    Classes(usize),
    /// This many equally spaced values from 0 to 1, each within a hundredth of the spacing.
    Levels(usize),
}

impl Support {
    /// Whether the support contains this value.
    pub fn contains(self, value: f32) -> bool {
        let whole = |value: f32| value.fract() == 0.0;
        match self {
            Self::Real => value.is_finite(),
            Self::UnitInterval => (0.0..=1.0).contains(&value),
            Self::Counts => value >= 0.0 && value.is_finite() && whole(value),
            Self::Classes(classes) => value >= 0.0 && value < classes as f32 && whole(value),
            Self::Levels(levels) => {
                let place = value * (levels - 1) as f32;
                (0.0..=1.0).contains(&value) && (place - place.round()).abs() <= 0.01
            }
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => write!(f, "finite numbers"),
            Self::UnitInterval => write!(f, "numbers in [0, 1]"),
            Self::Counts => write!(f, "counts 0, 1, 2, …"),
            Self::Classes(classes) => write!(f, "classes 0 to {}", classes - 1),
            Self::Levels(levels) => write!(f, "{levels} equally spaced levels from 0 to 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_what_it_says_and_nothing_else() {
        let cases: [(Support, &[f32], &[f32]); 5] = [
            (Support::Real, &[-1e30, 0.0], &[f32::NAN, f32::INFINITY]),
            (Support::UnitInterval, &[0.0, 0.3, 1.0], &[-0.1, 1.1, f32::NAN]),
            (Support::Counts, &[0.0, 7.0, 1e6], &[-1.0, 0.5, f32::INFINITY, f32::NAN]),
            (Support::Classes(3), &[0.0, 2.0], &[3.0, -1.0, 1.5, f32::NAN]),
            (Support::Levels(256), &[0.0, 17.0 / 255.0, 1.0], &[0.5, -0.1, 2.0, f32::NAN]),
        ];
        for (support, inside, outside) in cases {
            assert!(inside.iter().all(|&value| support.contains(value)), "{support}");
            assert!(!outside.iter().any(|&value| support.contains(value)), "{support}");
        }
    }
}
