//! How the entries at one place on the first axis of a row are scaled.

use crate::Ranks;

/// The scaling of a place.
#[derive(Clone, Copy)]
pub(crate) struct PlaceScaling<'a> {
    pub(crate) offset: f64,
    pub(crate) scale: f64,
    pub(crate) unit: f64,
    pub(crate) ranks: Option<&'a Ranks>,
}

impl PlaceScaling<'_> {
    pub(crate) fn scaled(self, x: f64) -> f64 {
        let curved = match self.ranks {
            Some(ranks) => ranks.score(x),
            None => curved(x, self.unit),
        };
        (curved - self.offset) / self.scale
    }

    pub(crate) fn number(self, scaled: f64) -> f64 {
        let curved = scaled * self.scale + self.offset;
        match self.ranks {
            Some(ranks) => ranks.number(curved),
            None => straight(curved, self.unit),
        }
    }

    /// How far the number moves for a step of the scaled one.
    pub(crate) fn slope(self, scaled: f64) -> f64 {
        let curved = scaled * self.scale + self.offset;
        self.scale
            * match self.ranks {
                Some(ranks) => ranks.slope(curved),
                None => slope(curved, self.unit),
            }
    }
}

/// `sign(x) ln(1 + |x| / unit)`, or `x` if the unit is 0.
pub(crate) fn curved(x: f64, unit: f64) -> f64 {
    if unit == 0.0 { x } else { (x.abs() / unit).ln_1p().copysign(x) }
}

/// Undoes [`curved`].
fn straight(y: f64, unit: f64) -> f64 {
    if unit == 0.0 { y } else { (y.abs().exp_m1() * unit).copysign(y) }
}

/// The derivative of [`straight`].
fn slope(y: f64, unit: f64) -> f64 {
    if unit == 0.0 { 1.0 } else { y.abs().exp() * unit }
}
