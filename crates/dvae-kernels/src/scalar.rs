//! The numbers that formulas are written over.

use std::ops::{Add, Div, Mul, Neg, Sub};

use burn::tensor::{Bool, Tensor, activation};

use crate::{math, special};

/// A number, a number with derivatives ([`Dual`](crate::Dual)), or a tensor of numbers: a function that is
/// generic over it is written once and runs entry by entry in a fused pass, or as Burn's operations.
///
/// Methods have the names of Burn's tensors. Constants are `f64` and are rounded to the scalar's precision.
/// Derivatives are those of the function itself, with 0 where it is cut off, and 0 for `|x|` at 0; at its limit a
/// clamp has derivative 1.
pub trait Scalar:
    Clone
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
    + Add<<Self as Scalar>::Constant, Output = Self>
    + Sub<<Self as Scalar>::Constant, Output = Self>
    + Mul<<Self as Scalar>::Constant, Output = Self>
{
    /// The same kind of number without derivatives: what a formula is not differentiated by.
    type Constant: Scalar<Constant = Self::Constant, Mask = Self::Mask>;
    /// The answer of a comparison.
    type Mask: Clone;

    /// A constant as a number whose derivatives are 0.
    fn constant(value: Self::Constant) -> Self;
    /// The same number with derivatives of 0.
    fn detached(self) -> Self;

    /// `eˣ`.
    fn exp(self) -> Self;
    /// `ln x`.
    fn log(self) -> Self;
    /// `ln(1 + x)`.
    fn log1p(self) -> Self;
    /// `1/x`.
    fn recip(self) -> Self;
    /// `x²`.
    fn square(self) -> Self;
    /// `|x|`.
    fn abs(self) -> Self;
    /// The largest whole number up to `x`.
    fn floor(self) -> Self;
    /// `1 / (1 + e⁻ˣ)`.
    fn sigmoid(self) -> Self;
    /// `ln(1 + eˣ)`.
    fn softplus(self) -> Self;
    /// `ln(1 / (1 + e⁻ˣ))`.
    fn log_sigmoid(self) -> Self;
    /// `ln Γ(x)` for `x > 0`, with a relative error of 10⁻⁶.
    fn ln_gamma(self) -> Self;

    /// `x`, but at least `min`; NaN stays NaN.
    fn clamp_min(self, min: f64) -> Self;
    /// `x`, but at most `max`; NaN stays NaN.
    fn clamp_max(self, max: f64) -> Self;
    /// `x`, limited to `[min, max]`; NaN stays NaN.
    fn clamp(self, min: f64, max: f64) -> Self {
        self.clamp_min(min).clamp_max(max)
    }

    /// Whether `x < other`.
    fn lower(self, other: Self) -> Self::Mask;
    /// Whether `x < other`.
    fn lower_elem(self, other: f64) -> Self::Mask;
    /// Whether `x > other`.
    fn greater_elem(self, other: f64) -> Self::Mask;
    /// Whether `x ≠ other`.
    fn not_equal(self, other: Self) -> Self::Mask;
    /// `value` where the mask is true, else `x`.
    fn mask_where(self, mask: Self::Mask, value: Self) -> Self;
    /// `value` where the mask is true, else `x`.
    fn mask_fill(self, mask: Self::Mask, value: f64) -> Self;
}

/// A number in single precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f32);

/// Implements an operator between two numbers, and between a number and a constant.
macro_rules! operators {
    ($($operator:ident $method:ident $symbol:tt),+) => {$(
        impl $operator for Number {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $symbol other.0)
            }
        }

        impl $operator<f64> for Number {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                Self(self.0 $symbol other as f32)
            }
        }
    )+};
}

operators!(Add add +, Sub sub -, Mul mul *, Div div /);

impl Neg for Number {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// Implements methods of one number by a function of one `f32`.
macro_rules! functions {
    ($($method:ident: $value:path),+ $(,)?) => {$(
        #[inline(always)]
        fn $method(self) -> Self {
            Self($value(self.0))
        }
    )+};
}

#[inline(always)]
fn square(x: f32) -> f32 {
    x * x
}

#[inline(always)]
fn log_sigmoid(x: f32) -> f32 {
    -math::softplus(-x)
}

impl Scalar for Number {
    type Constant = Self;
    type Mask = bool;

    #[inline(always)]
    fn constant(value: Self) -> Self {
        value
    }

    #[inline(always)]
    fn detached(self) -> Self {
        self
    }

    functions! {
        exp: math::exp,
        log: math::ln,
        log1p: math::ln_1p,
        recip: f32::recip,
        square: square,
        abs: f32::abs,
        floor: f32::floor,
        sigmoid: math::sigmoid,
        softplus: math::softplus,
        log_sigmoid: log_sigmoid,
        ln_gamma: special::ln_gamma_of,
    }

    #[inline(always)]
    fn clamp_min(self, min: f64) -> Self {
        self.mask_fill(self.0 < min as f32, min)
    }

    #[inline(always)]
    fn clamp_max(self, max: f64) -> Self {
        self.mask_fill(self.0 > max as f32, max)
    }

    #[inline(always)]
    fn lower(self, other: Self) -> bool {
        self.0 < other.0
    }

    #[inline(always)]
    fn lower_elem(self, other: f64) -> bool {
        self.0 < other as f32
    }

    #[inline(always)]
    fn greater_elem(self, other: f64) -> bool {
        self.0 > other as f32
    }

    #[inline(always)]
    fn not_equal(self, other: Self) -> bool {
        self.0 != other.0
    }

    #[inline(always)]
    fn mask_where(self, mask: bool, value: Self) -> Self {
        if mask { value } else { self }
    }

    #[inline(always)]
    fn mask_fill(self, mask: bool, value: f64) -> Self {
        Self(if mask { value as f32 } else { self.0 })
    }
}

/// Implements methods of a tensor by the tensor's own.
macro_rules! of_tensor {
    ($($method:ident($($argument:ident: $type:ty),*) -> $result:ty),+ $(,)?) => {$(
        fn $method(self $(, $argument: $type)*) -> $result {
            Self::$method(self $(, $argument)*)
        }
    )+};
}

impl<const D: usize> Scalar for Tensor<D> {
    type Constant = Self;
    type Mask = Tensor<D, Bool>;

    fn constant(value: Self) -> Self {
        value
    }

    fn detached(self) -> Self {
        self.detach()
    }

    // The inherent methods take precedence over the trait's.
    of_tensor! {
        exp() -> Self,
        log() -> Self,
        log1p() -> Self,
        recip() -> Self,
        square() -> Self,
        abs() -> Self,
        floor() -> Self,
        clamp_min(min: f64) -> Self,
        clamp_max(max: f64) -> Self,
        clamp(min: f64, max: f64) -> Self,
        lower(other: Self) -> Self::Mask,
        lower_elem(other: f64) -> Self::Mask,
        greater_elem(other: f64) -> Self::Mask,
        not_equal(other: Self) -> Self::Mask,
        mask_where(mask: Self::Mask, value: Self) -> Self,
        mask_fill(mask: Self::Mask, value: f64) -> Self,
    }

    fn sigmoid(self) -> Self {
        activation::sigmoid(self)
    }

    fn softplus(self) -> Self {
        activation::softplus(self, 1.0)
    }

    fn log_sigmoid(self) -> Self {
        activation::log_sigmoid(self)
    }

    fn ln_gamma(self) -> Self {
        special::ln_gamma(self)
    }
}
