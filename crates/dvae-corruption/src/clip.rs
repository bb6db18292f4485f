//! An optional range that a process clips its output to.

use dvae_kernels::Scalar;

use crate::CorruptionError;
use crate::error::range;

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
}
