//! Dual numbers, which carry their derivatives: a formula written once gives value and gradient in one pass.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::math::{exp, ln, ln_1p, sigmoid, softplus};
use crate::scalar::{Number, Scalar};
use crate::special::{digamma_of, ln_gamma_of};

/// A number and its derivatives with respect to `N` parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<const N: usize> {
    /// The number.
    pub value: f32,
    /// The derivatives.
    pub slopes: [f32; N],
}

impl<const N: usize> Dual<N> {
    /// The parameter at this place: its derivative with respect to itself is 1.
    #[inline(always)]
    pub fn parameter(value: f32, place: usize) -> Self {
        let mut slopes = [0.0; N];
        for (i, slope) in slopes.iter_mut().enumerate() {
            *slope = if i == place { 1.0 } else { 0.0 };
        }
        Self { value, slopes }
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
}

impl<const N: usize> Scalar for Dual<N> {
    type Constant = Number;
    type Mask = bool;

    #[inline(always)]
    fn constant(value: Number) -> Self {
        Self { value: value.0, slopes: [0.0; N] }
    }

    #[inline(always)]
    fn detached(self) -> Self {
        Self { value: self.value, slopes: [0.0; N] }
    }

    #[inline(always)]
    fn exp(self) -> Self {
        let value = exp(self.value);
        self.chain(value, value)
    }

    #[inline(always)]
    fn log(self) -> Self {
        self.chain(ln(self.value), 1.0 / self.value)
    }

    #[inline(always)]
    fn log1p(self) -> Self {
        self.chain(ln_1p(self.value), 1.0 / (1.0 + self.value))
    }

    #[inline(always)]
    fn recip(self) -> Self {
        let value = 1.0 / self.value;
        self.chain(value, -value * value)
    }

    #[inline(always)]
    fn square(self) -> Self {
        self.chain(self.value * self.value, 2.0 * self.value)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        let sign = if self.value > 0.0 { 1.0 } else { -1.0 };
        self.chain(self.value.abs(), if self.value == 0.0 { 0.0 } else { sign })
    }

    #[inline(always)]
    fn floor(self) -> Self {
        Self::constant(Number(self.value.floor()))
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        let value = sigmoid(self.value);
        self.chain(value, value * (1.0 - value))
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        self.chain(softplus(self.value), sigmoid(self.value))
    }

    #[inline(always)]
    fn log_sigmoid(self) -> Self {
        self.chain(-softplus(-self.value), sigmoid(-self.value))
    }

    #[inline(always)]
    fn ln_gamma(self) -> Self {
        self.chain(ln_gamma_of(self.value), digamma_of(self.value))
    }

    #[inline(always)]
    fn clamp_min(self, min: f64) -> Self {
        self.mask_fill(self.value < min as f32, min)
    }

    #[inline(always)]
    fn clamp_max(self, max: f64) -> Self {
        self.mask_fill(self.value > max as f32, max)
    }

    #[inline(always)]
    fn lower(self, other: Self) -> bool {
        self.value < other.value
    }

    #[inline(always)]
    fn lower_elem(self, other: f64) -> bool {
        self.value < other as f32
    }

    #[inline(always)]
    fn greater_elem(self, other: f64) -> bool {
        self.value > other as f32
    }

    #[inline(always)]
    fn not_equal(self, other: Self) -> bool {
        self.value != other.value
    }

    #[inline(always)]
    fn mask_where(self, mask: bool, value: Self) -> Self {
        let mut slopes = self.slopes;
        for (slope, other) in slopes.iter_mut().zip(value.slopes) {
            *slope = if mask { other } else { *slope };
        }
        Self { value: if mask { value.value } else { self.value }, slopes }
    }

    #[inline(always)]
    fn mask_fill(self, mask: bool, value: f64) -> Self {
        self.mask_where(mask, Self::constant(Number(value as f32)))
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

impl<const N: usize> Add<Number> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Number) -> Self {
        Self { value: self.value + other.0, ..self }
    }
}

impl<const N: usize> Sub<Number> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Number) -> Self {
        Self { value: self.value - other.0, ..self }
    }
}

impl<const N: usize> Mul<Number> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Number) -> Self {
        self.chain(self.value * other.0, other.0)
    }
}

impl<const N: usize> Add<f64> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: f64) -> Self {
        self + Number(other as f32)
    }
}

impl<const N: usize> Sub<f64> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: f64) -> Self {
        self - Number(other as f32)
    }
}

impl<const N: usize> Mul<f64> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: f64) -> Self {
        self * Number(other as f32)
    }
}

impl<const N: usize> Div<f64> for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn div(self, other: f64) -> Self {
        let divisor = other as f32;
        let mut slopes = self.slopes;
        for slope in &mut slopes {
            *slope /= divisor;
        }
        Self { value: self.value / divisor, slopes }
    }
}
