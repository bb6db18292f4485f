//! Masking noise `Mask(ν)`: each entry is erased with probability `ν`.

use burn::tensor::Tensor;
use dvae_checks::within;
use dvae_kernels::Scalar;
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entries::{EntryProcess, Noise, each_entry};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Masking noise.
///
/// ```text
/// x̃ᵢ = (1 − mᵢ) xᵢ + mᵢ fᵢ,   mᵢ ~ Bernoulli(ν) independently
/// ```
///
/// The fill value `f` is 0 by default. Unlike [`Dropout`](crate::Dropout), surviving entries are not
/// rescaled: with zeros, `E[x̃ | x] = (1 − ν) x`. If the fill value also occurs in clean data, show the
/// encoder what was erased: [`ShowMask`](crate::ShowMask). After Vincent et al. (2008), "Extracting and
/// Composing Robust Features with Denoising Autoencoders", section 2.3, but drawing each entry independently
/// rather than erasing a fixed count.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    level: Level,
    filling: Filling,
}

/// The value of erased entries, in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`fill` must be a number, or a list of one number for each entry")]
#[non_exhaustive]
pub enum Fill {
    /// One value for all entries.
    Constant(f64),
    /// One for each entry of a row.
    Features(Vec<f32>),
}

/// The value of erased entries.
#[derive(Clone, Debug, PartialEq)]
enum Filling {
    Constant(f32),
    /// One value for each entry of a row, in order.
    Features(Vec<f32>),
}

impl Masking {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "rate",
        meaning: "probability that an entry is erased",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.1, 0.25, 0.5, 0.75, 0.9],
    };

    /// Sets each entry to 0 with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(rate)?, filling: Filling::Constant(0.0) })
    }

    /// Uses another value instead of 0.
    pub fn fill(self, value: f64) -> Result<Self, CorruptionError> {
        let value = within("fill", value, -Scale::LARGEST..=Scale::LARGEST)? as f32;
        Ok(Self { filling: Filling::Constant(value), ..self })
    }

    /// Uses a value for each entry of a row, in row-major order, such as the feature means of a data set
    /// (`Dataset::mean`).
    pub fn fill_features(self, values: Vec<f32>) -> Result<Self, CorruptionError> {
        for &value in &values {
            within("fill", f64::from(value), -Scale::LARGEST..=Scale::LARGEST)?;
        }
        Ok(Self { filling: Filling::Features(values), ..self })
    }

    /// Uses the fill value of a file.
    pub(crate) fn filled(self, fill: Option<&Fill>) -> Result<Self, CorruptionError> {
        match fill {
            None => Ok(self),
            Some(Fill::Constant(value)) => self.fill(*value),
            Some(Fill::Features(values)) => self.fill_features(values.clone()),
        }
    }
}

#[derive(Clone, Copy)]
struct Erase {
    filling: f32,
}

impl EntryProcess for Erase {
    const NOISE: Noise = Noise::Uniform;

    #[inline(always)]
    fn apply<S: Scalar>(self, x: S, rate: S, u: S) -> (S, S::Mask) {
        (x.mask_fill(u.clone().lower(rate.clone()), self.filling.into()), u.lower(rate))
    }
}

impl<const D: usize> Corruption<D> for Masking {
    /// `changed`: the erased entries, including those that already had the fill value.
    ///
    /// # Panics
    ///
    /// If fill values are given for each entry and their number differs from a row's: see
    /// [`Corruption::check`].
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let strength = Corruption::<D>::strength(self);
        match &self.filling {
            Filling::Constant(filling) => {
                let erased = each_entry(Erase { filling: *filling }, strength, clean, draws);
                CorruptedInput::erased(erased.input, erased.changed)
            }
            Filling::Features(values) => {
                let mut shape = clean.dims();
                shape[0] = 1;
                let filling = Tensor::<1>::from_data(values.as_slice(), &clean.device());
                let filling = filling.reshape(shape).expand(clean.shape());
                let erased = each_entry(Erase { filling: 0.0 }, strength, clean, draws);
                let input = erased.input.mask_where(erased.changed.clone(), filling);
                CorruptedInput::erased(input, erased.changed)
            }
        }
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..self.clone() }))
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        match &self.filling {
            Filling::Features(values) if values.len() != event.iter().product::<usize>() => {
                let why = format!("it has {} values, one for each entry is needed", values.len());
                Err(CorruptionError::Shape { name: "fill", event: event.into(), why })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::by_hand;
    use burn::tensor::Device;
    use dvae_random::Key;

    #[test]
    fn erases_what_is_drawn_and_keeps_the_rest_unscaled() {
        let (clean, u) = ([1.0, 0.5, -2.0], [0.3, 0.2, 0.9]);
        assert_eq!(by_hand(Erase { filling: 0.0 }, 0.3, &clean, &u), [1.0, 0.0, -2.0]);
        assert_eq!(by_hand(Erase { filling: 9.0 }, 1.0, &clean, &u), [9.0; 3]);
    }

    #[test]
    fn fills_each_feature_with_its_own_value() {
        let clean = Tensor::<3>::zeros([2, 2, 2], &Device::flex());
        let filled = Masking::new(1.0).unwrap().fill_features(vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let input = filled.corrupt(clean, &mut Key::new(1).rows(&[0, 1])).input;
        let values: Vec<f32> = input.into_data().try_to_vec().unwrap();
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        let error = Corruption::<3>::check(&filled, &[3, 2]).unwrap_err().to_string();
        assert!(error.contains("`fill` does not fit rows of shape [3, 2]"), "{error}");
        assert!(Masking::new(0.1).unwrap().fill(f64::NAN).is_err());
        assert!(Masking::new(0.1).unwrap().fill_features(vec![f32::INFINITY]).is_err());
    }

    #[test]
    fn refuses_what_is_no_probability() {
        for rate in [-0.1, 1.1, f64::NAN] {
            let error = Masking::new(rate).unwrap_err().to_string();
            assert!(error.contains("rate") && error.contains(&rate.to_string()), "{error}");
        }
    }
}
