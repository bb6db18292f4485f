//! Dual numbers, which carry their derivatives: a formula written once gives value and gradient in one pass.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::math::{exp, ln, ln_1p, sigmoid, softplus};
use crate::special::{digamma_of, ln_gamma_of};

/// A number and its derivatives with respect to `N` parameters.
#[derive(Clone, Copy)]
pub(crate) struct Dual<const N: usize> {
    pub(crate) value: f32,
    pub(crate) slopes: [f32; N],
}

impl<const N: usize> Dual<N> {
    /// The parameter with this number.
    #[inline(always)]
    pub(crate) fn parameter(value: f32, place: usize) -> Self {
        let mut slopes = [0.0; N];
        slopes[place] = 1.0;
        Self { value, slopes }
    }

    #[inline(always)]
    pub(crate) fn constant(value: f32) -> Self {
        Self { value, slopes: [0.0; N] }
    }

    /// A function of the number, given by its value and its derivative.
    #[inline(always)]
    fn chain(self, value: f32, derivative: f32) -> Self {
        let mut slopes = self.slopes;
        for slope in &mut slopes {
            *slope *= derivative;
        }
        Self { value, slopes }
    }

    /// `a u + b v` for the derivatives `u` of `self` and `v` of `other`.
    #[inline(always)]
    fn merge(self, other: Self, value: f32, [a, b]: [f32; 2]) -> Self {
        let mut slopes = self.slopes;
        for (slope, other) in slopes.iter_mut().zip(other.slopes) {
            *slope = a * *slope + b * other;
        }
        Self { value, slopes }
    }

    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        let value = exp(self.value);
        self.chain(value, value)
    }

    #[inline(always)]
    pub(crate) fn ln(self) -> Self {
        self.chain(ln(self.value), 1.0 / self.value)
    }

    #[inline(always)]
    pub(crate) fn ln_1p(self) -> Self {
        self.chain(ln_1p(self.value), 1.0 / (1.0 + self.value))
    }

    #[inline(always)]
    pub(crate) fn softplus(self) -> Self {
        self.chain(softplus(self.value), sigmoid(self.value))
    }

    /// `ln σ(x)`.
    #[inline(always)]
    pub(crate) fn log_sigmoid(self) -> Self {
        self.chain(-softplus(-self.value), sigmoid(-self.value))
    }

    #[inline(always)]
    pub(crate) fn ln_gamma(self) -> Self {
        self.chain(ln_gamma_of(self.value), digamma_of(self.value))
    }

    #[inline(always)]
    pub(crate) fn recip(self) -> Self {
        let value = 1.0 / self.value;
        self.chain(value, -value * value)
    }

    #[inline(always)]
    pub(crate) fn square(self) -> Self {
        self.chain(self.value * self.value, 2.0 * self.value)
    }

    #[inline(always)]
    pub(crate) fn abs(self) -> Self {
        let sign = if self.value > 0.0 { 1.0 } else { -1.0 };
        self.chain(self.value.abs(), if self.value == 0.0 { 0.0 } else { sign })
    }

    /// `this` if the condition holds, else `that`.
    #[inline(always)]
    pub(crate) fn choose(condition: bool, this: Self, that: Self) -> Self {
        let mut slopes = that.slopes;
        for (slope, this) in slopes.iter_mut().zip(this.slopes) {
            *slope = if condition { this } else { *slope };
        }
        Self { value: if condition { this.value } else { that.value }, slopes }
    }

    /// The number, but at least this value.
    #[inline(always)]
    pub(crate) fn at_least(self, least: f32) -> Self {
        Self::choose(self.value < least, Self::constant(least), self)
    }

    /// The number, but at most this value.
    #[inline(always)]
    pub(crate) fn at_most(self, most: f32) -> Self {
        Self::choose(self.value > most, Self::constant(most), self)
    }
}

impl<const N: usize> Neg for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.merge(other, self.value + other.value, [1.0, 1.0])
    }
}

impl<const N: usize> Sub for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.merge(other, self.value - other.value, [1.0, -1.0])
    }
}

impl<const N: usize> Mul for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.merge(other, self.value * other.value, [other.value, self.value])
    }
}

impl<const N: usize> Div for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.merge(other, value, [1.0 / other.value, -value / other.value])
    }
}

impl<const N: usize> Add<f32> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: f32) -> Self {
        Self { value: self.value + other, ..self }
    }
}

impl<const N: usize> Sub<f32> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: f32) -> Self {
        Self { value: self.value - other, ..self }
    }
}

impl<const N: usize> Mul<f32> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: f32) -> Self {
        self.chain(self.value * other, other)
    }
}
