//! Binomial thinning: counts of which each unit is lost by chance.

use burn::tensor::Tensor;
use dvae_random::{RowStream, RowStreams};
use rand_distr::{Binomial, Distribution};

use crate::rows::each_row;
use crate::{CorruptedInput, Corruption, CorruptionError, Domain, Level, Scale, Strength};

/// Binomial thinning, for counts: each of the `xᵢ` units (a molecule that was read, a photon, a word) is lost with probability `p`.
///
/// ```text
/// x̃ᵢ ~ Binomial(xᵢ, 1 − p) independently
/// ```
///
/// It is the same measurement with less depth: a thinned Poisson count of mean `μ` is one of mean `(1 − p) μ`, and what was lost is
/// independent of what was kept, given `μ`. So a model that is scored on what was lost cannot win by copying: molecular
/// cross-validation (Batson, Royer & Webber 2019, "Molecular Cross-Validation for Single-Cell RNA-seq").
///
/// There is no law for other numbers: [`Corruption::check_value`] rejects them, and they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinomialThinning {
    level: Level,
}

impl BinomialThinning {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "rate",
        meaning: "probability that a unit of a count is lost",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.1, 0.2, 0.35, 0.5, 0.8],
    };

    /// Each unit is lost with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(rate)? })
    }
}

impl<const D: usize> Corruption<D> for BinomialThinning {
    fn corrupt(&self, clean: Tensor<D>, draws: &mut RowStreams) -> CorruptedInput<D> {
        let strength = Corruption::<D>::strength(self);
        each_row(strength, clean, draws, |_, out, rate, draws: &mut RowStream| {
            let (kept, mut rng) = (1.0 - f64::from(rate), draws.rng());
            let is_count = |x: f32| x > 0.0 && Domain::Counts.contains(x);
            for count in out.iter_mut().filter(|count| is_count(**count)) {
                // An error is of a probability outside [0, 1].
                if let Ok(law) = Binomial::new(*count as u64, kept) {
                    *count = law.sample(&mut rng) as f32;
                }
            }
        })
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)? }))
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        match self.level == Level::Fixed(Self::SCALE.null) || Domain::Counts.contains(value) {
            true => Ok(()),
            false => Err(CorruptionError::NoCount { process: "binomial-thinning", value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_random::{Key, Purpose};

    fn thinned(counts: &[f32], rate: f64) -> Vec<f32> {
        let clean = Tensor::<1>::from_data(counts, &Device::flex()).reshape([1, counts.len()]);
        let draws = &mut Key::new(5).purpose(Purpose::Corruption).rows(&[3]);
        let input = BinomialThinning::new(rate).unwrap().corrupt(clean, draws).input;
        input.into_data().try_to_vec().unwrap()
    }

    // Mean n (1 − p) and variance n p (1 − p), within five standard errors; few and many units are drawn by different methods.
    #[test]
    fn what_is_left_is_binomial() {
        for (count, rate) in [(1.0, 0.3), (7.0, 0.1), (60.0, 0.8), (1e6, 0.5)] {
            let n = 20_000;
            let left = thinned(&vec![count; n], rate);
            assert!(left.iter().all(|&x| Domain::Counts.contains(x) && x <= count));
            let (count, n) = (f64::from(count), n as f64);
            let mean = left.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let variance = count * rate * (1.0 - rate);
            let off = (mean - count * (1.0 - rate)).abs();
            assert!(off < 5.0 * (variance / n).sqrt(), "{count} {rate}: {mean}");
            let found = left.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
            assert!((found / variance - 1.0).abs() < 0.06, "{count} {rate}: {found}");
        }
    }

    #[test]
    fn the_ends_keep_all_and_nothing() {
        assert_eq!(thinned(&[0.0, 3.0, 9.0], 0.0), [0.0, 3.0, 9.0]);
        assert_eq!(thinned(&[0.0, 3.0, 9.0], 1.0), [0.0; 3]);
    }

    #[test]
    fn numbers_that_are_no_counts_are_refused_by_name() {
        let process = BinomialThinning::new(0.2).unwrap();
        for value in [-1.0, 0.5, f32::NAN] {
            let error = Corruption::<2>::check_value(&process, value).unwrap_err().to_string();
            assert!(error.contains("`binomial-thinning` is for counts 0, 1, 2, …"), "{error}");
        }
        assert!(Corruption::<2>::check_value(&process, 7.0).is_ok());
    }
}
