//! Numbers as files store them.

use std::ops::Range;

use half::f16;

use crate::Domain;

/// The type in which a file stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// `false` and `true`, one byte each.
    Bool,
    /// 8 bits without a sign.
    U8,
    /// 8 bits with a sign.
    I8,
    /// 16 bits without a sign.
    U16,
    /// 16 bits with a sign.
    I16,
    /// 32 bits without a sign.
    U32,
    /// 32 bits with a sign.
    I32,
    /// 64 bits without a sign.
    U64,
    /// 64 bits with a sign.
    I64,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

/// A number of one type, in the machine's byte order.
trait Stored<const BYTES: usize>: Copy {
    fn of(bytes: [u8; BYTES]) -> Self;
    fn bytes(self) -> [u8; BYTES];
    fn double(self) -> f64;
    /// Rounded to the nearest number of the type, and cut off at its ends.
    fn nearest(value: f64) -> Self;
}

macro_rules! stored {
    ($($type:ty, $bytes:literal, $double:expr, $nearest:expr;)*) => { $(
        impl Stored<$bytes> for $type {
            fn of(bytes: [u8; $bytes]) -> Self {
                Self::from_ne_bytes(bytes)
            }
            fn bytes(self) -> [u8; $bytes] {
                self.to_ne_bytes()
            }
            fn double(self) -> f64 {
                let double: fn(Self) -> f64 = $double;
                double(self)
            }
            fn nearest(value: f64) -> Self {
                let nearest: fn(f64) -> Self = $nearest;
                nearest(value)
            }
        }
    )* };
}

stored! {
    u8, 1, f64::from, |value| value.round() as Self;
    i8, 1, f64::from, |value| value.round() as Self;
    u16, 2, f64::from, |value| value.round() as Self;
    i16, 2, f64::from, |value| value.round() as Self;
    u32, 4, f64::from, |value| value.round() as Self;
    i32, 4, f64::from, |value| value.round() as Self;
    u64, 8, |value| value as f64, |value| value.round() as Self;
    i64, 8, |value| value as f64, |value| value.round() as Self;
    f16, 2, f16::to_f64, f16::from_f64;
    f32, 4, f64::from, |value| value as Self;
    f64, 8, |value| value, |value| value;
}

/// A truth value; any byte but 0 is `true`.
#[derive(Clone, Copy)]
struct Truth(u8);

impl Stored<1> for Truth {
    fn of([byte]: [u8; 1]) -> Self {
        Self(byte)
    }
    fn bytes(self) -> [u8; 1] {
        [self.0]
    }
    fn double(self) -> f64 {
        f64::from(u8::from(self.0 != 0))
    }
    fn nearest(value: f64) -> Self {
        Self(u8::from(value >= 0.5))
    }
}

/// Evaluates an expression in which `$type` is the type of an element.
macro_rules! with_element {
    ($element:expr, $type:ident => $body:expr) => {{
        macro_rules! of {
            ($stored:ty) => {{
                type $type = $stored;
                $body
            }};
        }
        match $element {
            Element::Bool => of!(Truth),
            Element::U8 => of!(u8),
            Element::I8 => of!(i8),
            Element::U16 => of!(u16),
            Element::I16 => of!(i16),
            Element::U32 => of!(u32),
            Element::I32 => of!(i32),
            Element::U64 => of!(u64),
            Element::I64 => of!(i64),
            Element::F16 => of!(f16),
            Element::F32 => of!(f32),
            Element::F64 => of!(f64),
        }
    }};
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bool => "truth values",
            Self::U8 => "bytes",
            Self::I8 => "integers of 8 bits with a sign",
            Self::U16 => "integers of 16 bits",
            Self::I16 => "integers of 16 bits with a sign",
            Self::U32 => "integers of 32 bits",
            Self::I32 => "integers of 32 bits with a sign",
            Self::U64 => "integers of 64 bits",
            Self::I64 => "integers of 64 bits with a sign",
            Self::F16 => "floats of 16 bits",
            Self::F32 => "floats of 32 bits",
            Self::F64 => "floats of 64 bits",
        })
    }
}

impl Element {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        with_element!(self, T => size_of::<T>())
    }

    /// Whether only whole numbers are stored.
    pub fn is_whole(self) -> bool {
        !matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Whether single precision holds every number of the type.
    pub fn fits_single(self) -> bool {
        matches!(
            self,
            Self::Bool | Self::U8 | Self::I8 | Self::U16 | Self::I16 | Self::F16 | Self::F32
        )
    }

    /// The number that stands for 1 in the domain [`Domain::Unit`]: the largest one of an integer type, or 1.
    pub fn full_scale(self) -> f64 {
        match self {
            Self::Bool | Self::F16 | Self::F32 | Self::F64 => 1.0,
            Self::U8 => f64::from(u8::MAX),
            Self::I8 => f64::from(i8::MAX),
            Self::U16 => f64::from(u16::MAX),
            Self::I16 => f64::from(i16::MAX),
            Self::U32 => f64::from(u32::MAX),
            Self::I32 => f64::from(i32::MAX),
            Self::U64 => u64::MAX as f64,
            Self::I64 => i64::MAX as f64,
        }
    }

    /// The domain of numbers of this type, unless something else is declared: bytes and truth values are
    /// [`Domain::Unit`].
    pub fn domain(self) -> Domain {
        match self {
            Self::Bool | Self::U8 => Domain::Unit,
            Self::F16 | Self::F32 | Self::F64 => Domain::Real,
            _ => Domain::Integers,
        }
    }

    /// The type in which a model's results are stored for data of this type: the same if it is for values in
    /// `[0, 1]` or has fractions; else one that has.
    pub fn of_results(self, domain: Domain) -> Self {
        match self {
            _ if domain == Domain::Unit || !self.is_whole() => self,
            _ if self.fits_single() => Self::F32,
            _ => Self::F64,
        }
    }
}

/// How many numbers are converted at a time.
pub(crate) const AT_ONCE: usize = 1 << 16;

/// Numbers of one type, bit for bit as a file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    element: Element,
    /// In the machine's byte order.
    bytes: Vec<u8>,
}

impl Numbers {
    /// Numbers of the type from their bytes, in the machine's order.
    ///
    /// # Panics
    ///
    /// If the bytes are not whole numbers of the type.
    pub fn new(element: Element, bytes: Vec<u8>) -> Self {
        assert!(bytes.len().is_multiple_of(element.size()), "whole numbers of {element:?}");
        Self { element, bytes }
    }

    /// Numbers of the type that are nearest to these values of a domain.
    pub fn of_values(element: Element, domain: Domain, values: &[f64]) -> Self {
        let mut numbers = Self::new(element, vec![0; values.len() * element.size()]);
        values.iter().enumerate().for_each(|(at, &value)| numbers.set(at, domain, value));
        numbers
    }

    /// The type.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The number of numbers.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, in the machine's order.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, in the machine's order.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The numbers as values of a domain: those of [`Domain::Unit`] are divided by
    /// [`Element::full_scale`], all others are as they are.
    pub fn values(&self, domain: Domain) -> Vec<f64> {
        let scale = self.scale(domain);
        with_element!(self.element, T => {
            let numbers = self.bytes.as_chunks().0.iter();
            numbers.map(|&bytes| T::of(bytes).double() / scale).collect()
        })
    }

    /// Some of the numbers as values of a domain.
    ///
    /// # Panics
    ///
    /// If there are fewer numbers.
    pub(crate) fn values_of(&self, places: Range<usize>, domain: Domain) -> Vec<f64> {
        let scale = self.scale(domain);
        with_element!(self.element, T => {
            let numbers = self.bytes.as_chunks().0[places].iter();
            numbers.map(|&bytes| T::of(bytes).double() / scale).collect()
        })
    }

    /// Replaces the numbers from a place on by the nearest ones of their type to these values of the domain.
    ///
    /// # Panics
    ///
    /// If there are fewer numbers.
    pub(crate) fn set_from(&mut self, start: usize, domain: Domain, values: &[f64]) {
        let scale = self.scale(domain);
        with_element!(self.element, T => {
            let numbers = &mut self.bytes.as_chunks_mut().0[start..start + values.len()];
            for (number, &value) in numbers.iter_mut().zip(values) {
                *number = T::nearest(value * scale).bytes();
            }
        });
    }

    /// The numbers, values of a domain, as the nearest ones of another type and domain.
    pub(crate) fn converted(&self, from: Domain, element: Element, to: Domain) -> Self {
        if element == self.element && from == to {
            return self.clone();
        }
        let mut numbers = Self::new(element, vec![0; self.len() * element.size()]);
        for start in (0..self.len()).step_by(AT_ONCE) {
            let places = start..self.len().min(start + AT_ONCE);
            numbers.set_from(start, to, &self.values_of(places, from));
        }
        numbers
    }

    /// [`Self::values`] in single precision.
    pub fn singles(&self, domain: Domain) -> Vec<f32> {
        let scale = self.scale(domain);
        with_element!(self.element, T => {
            let numbers = self.bytes.as_chunks().0.iter();
            numbers.map(|&bytes| (T::of(bytes).double() / scale) as f32).collect()
        })
    }

    /// The place of the first integer that double precision does not hold, and the integer.
    pub(crate) fn first_beyond_double(&self) -> Option<(usize, i128)> {
        let numbers = self.bytes.as_chunks().0.iter();
        let integer = |bytes: &[u8; 8]| match self.element {
            Element::U64 => i128::from(u64::from_ne_bytes(*bytes)),
            _ => i128::from(i64::from_ne_bytes(*bytes)),
        };
        match self.element {
            Element::U64 | Element::I64 => {
                let mut placed = numbers.map(integer).enumerate();
                placed.find(|&(_, integer)| integer as f64 as i128 != integer)
            }
            _ => None,
        }
    }

    /// Whether a number is infinite.
    pub(crate) fn has_infinite(&self) -> bool {
        self.first_infinite().is_some()
    }

    /// The place of the first number that is infinite.
    pub(crate) fn first_infinite(&self) -> Option<usize> {
        if self.element.is_whole() {
            return None;
        }
        with_element!(self.element, T => {
            self.bytes.as_chunks().0.iter().position(|&bytes| T::of(bytes).double().is_infinite())
        })
    }

    /// Replaces a number by the nearest one of its type to a value of the domain.
    ///
    /// # Panics
    ///
    /// If there is no number at the place.
    pub fn set(&mut self, at: usize, domain: Domain, value: f64) {
        let value = value * self.scale(domain);
        with_element!(self.element, T => {
            self.bytes.as_chunks_mut().0[at] = T::nearest(value).bytes();
        });
    }

    /// The numbers at these places.
    ///
    /// # Panics
    ///
    /// If there is no number at a place.
    pub(crate) fn at(&self, places: impl Iterator<Item = usize>) -> Self {
        fn gathered<const N: usize>(bytes: &[u8], places: impl Iterator<Item = usize>) -> Vec<u8> {
            let numbers = bytes.as_chunks::<N>().0;
            places.map(|place| numbers[place]).collect::<Vec<_>>().into_flattened()
        }
        let bytes = match self.element.size() {
            1 => gathered::<1>(&self.bytes, places),
            2 => gathered::<2>(&self.bytes, places),
            4 => gathered::<4>(&self.bytes, places),
            _ => gathered::<8>(&self.bytes, places),
        };
        Self { element: self.element, bytes }
    }

    /// Appends numbers of the same type.
    pub(crate) fn extend(&mut self, more: &Self) {
        debug_assert_eq!(self.element, more.element, "numbers of one type");
        self.bytes.extend_from_slice(&more.bytes);
    }

    fn scale(&self, domain: Domain) -> f64 {
        if domain == Domain::Unit { self.element.full_scale() } else { 1.0 }
    }
}

impl From<&[f32]> for Numbers {
    fn from(values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Self::new(Element::F32, bytes)
    }
}

impl From<&[f64]> for Numbers {
    fn from(values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Self::new(Element::F64, bytes)
    }
}

impl From<Vec<u8>> for Numbers {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(Element::U8, bytes)
    }
}

impl From<&[u16]> for Numbers {
    fn from(values: &[u16]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Self::new(Element::U16, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Element; 12] = [
        Element::Bool,
        Element::U8,
        Element::I8,
        Element::U16,
        Element::I16,
        Element::U32,
        Element::I32,
        Element::U64,
        Element::I64,
        Element::F16,
        Element::F32,
        Element::F64,
    ];

    // In the unit domain a byte is a 255th, correctly rounded: the same as division in single precision.
    #[test]
    fn bytes_and_words_become_the_nearest_fractions_and_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let numbers = Numbers::from(bytes.clone());
        let expected: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        assert_eq!(numbers.singles(Domain::Unit), expected);
        let words: Vec<u16> = (0..=u16::MAX).collect();
        let numbers = Numbers::from(&words[..]);
        let singles = numbers.singles(Domain::Unit);
        let expected: Vec<f32> = words.iter().map(|&word| f32::from(word) / 65535.0).collect();
        assert_eq!(singles, expected);
        let back: Vec<f64> = singles.into_iter().map(f64::from).collect();
        assert_eq!(Numbers::of_values(Element::U16, Domain::Unit, &back), numbers);
    }

    #[test]
    fn what_a_type_cannot_hold_is_cut_off_at_its_ends_and_rounded() {
        let stored = |element, value| Numbers::of_values(element, Domain::Real, &[value]);
        let number = |element, value| stored(element, value).values(Domain::Real)[0];
        assert_eq!(number(Element::U8, 300.0), 255.0);
        assert_eq!(number(Element::I16, -1e9), -32768.0);
        assert_eq!(number(Element::I32, 2.5), 3.0);
        assert_eq!(number(Element::Bool, 0.7), 1.0);
        assert_eq!(number(Element::F16, 0.1), f16::from_f64(0.1).to_f64());
        let unit = Numbers::of_values(Element::U16, Domain::Unit, &[1.5, -0.5]);
        assert_eq!(unit.values(Domain::Integers), [65535.0, 0.0]);
    }

    proptest! {
        // 64-bit integers have more digits than double precision.
        #[test]
        fn numbers_through_a_domain_and_back_are_the_same_bits(
            bytes in proptest::collection::vec(any::<u8>(), 8..64), which in 0..12usize,
        ) {
            let element = ALL[which];
            prop_assume!(!matches!(element, Element::U64 | Element::I64));
            let whole = bytes.len() / element.size() * element.size();
            let mut numbers = Numbers::new(element, bytes[..whole].to_vec());
            if element == Element::Bool {
                numbers = Numbers::new(element, bytes.iter().map(|byte| byte & 1).collect());
            }
            for domain in [Domain::Unit, Domain::Counts, Domain::Integers, Domain::Real] {
                let values = numbers.values(domain);
                prop_assume!(values.iter().all(|value| !value.is_nan()));
                prop_assert_eq!(&Numbers::of_values(element, domain, &values), &numbers);
            }
        }
    }
}
