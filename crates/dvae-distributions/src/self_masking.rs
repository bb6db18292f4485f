//! Likelihoods of entries whose own values decide whether they are missing.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use dvae_kernels::sum_features;
use dvae_random::RowStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::at_least;
use crate::likelihood_config::{FromOutputs, GAIN};
use crate::self_masking_classes::ClassLaw;
use crate::self_masking_normal::NormalLaw;
use crate::{Categorical, DistributionError, Likelihood, LikelihoodConfig, Support};

/// Which numbers are missing more often than others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MissingSide {
    /// It is not known: the slope may have either sign, in each column.
    #[default]
    Either,
    /// Large ones: the slope is above 0.
    Large,
    /// Small ones: the slope is below 0.
    Small,
}

impl MissingSide {
    /// The slope, from its weight.
    fn slope(self, weight: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Either => weight,
            Self::Large => softplus(weight, 1.0),
            Self::Small => -softplus(-weight, 1.0),
        }
    }
}

/// Entries that are missing because of what they are: normal ones, or classes.
///
/// ```text
/// p(missing | x) = Φ(a x + b),   p(missing | z) = ∫ N(x; m, s²) Φ(a x + b) dx = Φ((a m + b) / √(1 + a² s²))
/// p(missing | x) = σ(bₓ),        p(missing | z) = Σₖ p(k | z) σ(bₖ)
/// ```
///
/// `Φ` is the distribution function of the normal. After Ipsen, Mattei & Frellsen (2021), "not-MIWAE: Deep Generative Modelling with
/// Missing not at Random Data", sections 2 and 3 (self-masking), with a probit in place of their logistic function: so the integral
/// over a missing entry, which they draw, has a closed form, and so have its mean and its variance.
#[derive(Debug)]
pub struct SelfMasking<const D: usize> {
    of: Box<dyn Likelihood<D>>,
    law: Law<D>,
}

/// How the values of entries decide which are missing.
#[derive(Debug)]
enum Law<const D: usize> {
    Normal(NormalLaw<D>),
    Classes(ClassLaw<D>),
}

impl<const D: usize> SelfMasking<D> {
    /// From a likelihood whose entries are normal, and slope and offset of each place on axis 1: `[columns]`. The slope is in
    /// inverse units of the data.
    ///
    /// # Panics
    ///
    /// If there are not so many columns.
    pub fn normal(of: Box<dyn Likelihood<D>>, slope: Tensor<1>, offset: Tensor<1>) -> Self {
        let shape = of.mean().dims();
        let [slope, offset] = [slope, offset].map(|of_columns| along(of_columns, shape));
        Self { of, law: Law::Normal(NormalLaw { slope, offset }) }
    }

    /// From classes, and an offset of each class of each column, `[classes · columns]` in the order of the logits.
    ///
    /// # Panics
    ///
    /// If there are not so many classes and columns.
    pub fn classes(of: Categorical<D>, offsets: Tensor<1>) -> Self {
        let offsets = along(offsets, of.logits().dims());
        Self { of: Box::new(of.clone()), law: Law::Classes(ClassLaw { of, offsets }) }
    }
}

impl<const D: usize> Likelihood<D> for SelfMasking<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.of.log_prob(x)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.of.log_likelihood(x)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.of.weighted_log_likelihood(x, weights)
    }

    fn mean(&self) -> Tensor<D> {
        self.of.mean()
    }

    fn variance(&self) -> Tensor<D> {
        self.of.variance()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        self.of.sample(draws)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        let own = match &self.law {
            Law::Normal(law) => {
                vec![("slope", law.slope.clone()), ("offset", law.offset.clone())]
            }
            Law::Classes(law) => vec![("offsets", law.offsets.clone())],
        };
        self.of.parameters().into_iter().chain(own).collect()
    }

    fn support(&self, column: usize) -> Support {
        self.of.support(column)
    }

    fn probabilities(&self, column: usize) -> Option<Tensor<D>> {
        self.of.probabilities(column)
    }

    fn log_missingness(&self, x: Tensor<D>, observed: Option<Tensor<D>>) -> Option<Tensor<1>> {
        let entries = match &self.law {
            Law::Normal(law) => law.log_missingness(&*self.of, x, observed),
            Law::Classes(law) => law.log_missingness(x, observed),
        };
        Some(sum_features(entries))
    }

    fn log_missing_odds(&self, x: Tensor<D>) -> Option<Tensor<D>> {
        Some(match &self.law {
            Law::Normal(law) => law.log_odds(x),
            Law::Classes(law) => law.log_odds(x),
        })
    }

    fn given_missing(&self) -> Option<Box<dyn Likelihood<D>>> {
        Some(match &self.law {
            Law::Normal(law) => Box::new(law.missing(&*self.of)),
            Law::Classes(law) => Box::new(law.missing()),
        })
    }
}

/// A number of each place on axis 1, for every entry.
fn along<const D: usize>(of_columns: Tensor<1>, shape: [usize; D]) -> Tensor<D> {
    let mut one = [1; D];
    one[1] = of_columns.dims()[0];
    of_columns.reshape(one).expand(shape)
}

/// [`SelfMasking`] in a configuration.
pub(crate) struct Settings<'a> {
    pub(crate) of: &'a LikelihoodConfig,
    pub(crate) missing: MissingSide,
}

impl Settings<'_> {
    /// The weights of the missingness of so many columns.
    fn own_weights(&self, columns: usize) -> usize {
        columns.saturating_mul(match self.of {
            LikelihoodConfig::Categorical { classes } | LikelihoodConfig::Ordinal { classes } => {
                *classes
            }
            _ => 2,
        })
    }
}

impl FromOutputs for Settings<'_> {
    fn check(&self, columns: usize) -> Result<(), DistributionError> {
        use LikelihoodConfig as L;
        self.of.check(columns)?;
        at_least("columns", columns, 1)?;
        match self.of {
            L::Normal { .. }
            | L::SharedNormal { .. }
            | L::LearnedNormal { .. }
            | L::PoissonGaussian { .. }
            | L::Categorical { .. }
            | L::Ordinal { .. } => Ok(()),
            _ => Err(DistributionError::SelfMasking),
        }
    }

    fn outputs(&self, columns: usize) -> usize {
        self.of.outputs(columns)
    }

    fn shared_weights(&self, columns: usize) -> usize {
        self.of.shared_weights(columns).saturating_add(self.own_weights(columns))
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        let shared = shared.expect("the shared weights of the likelihood").clone();
        let columns = outputs.dims()[1] / self.of.outputs(1);
        let own = self.own_weights(columns);
        let used = shared.dims()[0] - own;
        let weights = shared.clone().narrow(0, used, own) * GAIN;
        let inner = (used > 0).then(|| shared.narrow(0, 0, used));
        let classes = match (self.of, &inner) {
            (LikelihoodConfig::Categorical { classes }, _) => {
                Some(Categorical::new(outputs.clone(), *classes)?)
            }
            (LikelihoodConfig::Ordinal { classes }, Some(inner)) => Some(
                crate::ordinal::Settings { classes: *classes }.classes(outputs.clone(), inner)?,
            ),
            _ => None,
        };
        if let Some(of) = classes {
            return Ok(Box::new(SelfMasking::classes(of, weights)));
        }
        let of = self.of.of(outputs, inner.as_ref())?;
        let [slope, offset] = [0, columns].map(|at| weights.clone().narrow(0, at, columns));
        let slope = self.missing.slope(slope);
        Ok(Box::new(SelfMasking::normal(of, slope, offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Normal;
    use crate::normal_cdf::log_cdf;
    use burn::tensor::Device;
    use dvae_random::Key;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// Two entries: N(0.5, 0.7²), one that is missing where it is large and one where it is small.
    fn law() -> SelfMasking<2> {
        let device = Device::flex();
        let of = Normal::new(Tensor::<2>::full([1, 2], 0.5, &device), 0.7).unwrap();
        let slope = Tensor::from_data([3.0, -2.0], &device);
        SelfMasking::normal(Box::new(of), slope, Tensor::from_data([-2.0, -1.0], &device))
    }

    // What integrals over the entry say, by sums over a fine grid.
    #[test]
    fn closed_forms_are_the_integrals_over_the_missing_entry() {
        let law = law();
        let missing = law.given_missing().unwrap();
        let device = Device::flex();
        let (mut share, mut mean, mut second, mut total) = ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
        let step = 0.002;
        for i in -4000..4000 {
            let x = 0.5 + f64::from(i) * step;
            let entries = Tensor::full([1, 2], x, &device);
            let (density, given) = (
                numbers(law.log_prob(entries.clone())),
                numbers(missing.log_prob(entries.clone())),
            );
            let odds = numbers(law.log_missing_odds(entries).unwrap());
            for at in 0..2 {
                let is_missing = 1.0 / (1.0 + (-odds[at]).exp());
                share[at] += density[at].exp() * is_missing * step;
                total[at] += given[at].exp() * step;
                mean[at] += given[at].exp() * x * step;
                second[at] += given[at].exp() * x * x * step;
            }
        }
        let (means, variances) = (numbers(missing.mean()), numbers(missing.variance()));
        for at in 0..2 {
            assert!((total[at] - 1.0).abs() < 1e-5, "{total:?}");
            assert!((means[at] - mean[at]).abs() < 1e-5, "{means:?} {mean:?}");
            assert!((variances[at] - (second[at] - mean[at] * mean[at])).abs() < 2e-5);
            let mut observed = [1.0, 1.0];
            observed[at] = 0.0;
            // The other entry was observed, at 0: what that says is taken off.
            let alone = |observed: [f32; 2]| {
                let observed = Tensor::from_data([observed], &device);
                let found = law.log_missingness(Tensor::zeros([1, 2], &device), Some(observed));
                numbers(found.unwrap())[0]
            };
            let all_there = law.log_missingness(Tensor::zeros([1, 2], &device), None);
            assert_eq!(alone([1.0, 1.0]), numbers(all_there.unwrap())[0]);
            let there = [1.0 - cdf(-2.0), 1.0 - cdf(-1.0)][at].ln();
            let found = alone(observed) - alone([1.0, 1.0]) + there;
            assert!((found - share[at].ln()).abs() < 1e-5, "{found} {}", share[at].ln());
        }
    }

    /// `Φ` at −2 and −1.
    fn cdf(u: f64) -> f64 {
        if u == -2.0 { 0.022_750_131_948_179_2 } else { 0.158_655_253_931_457 }
    }

    #[test]
    fn draws_of_missing_entries_have_their_mean_and_variance() {
        let device = Device::flex();
        let rows = 20_000;
        let ids: Vec<u64> = (0..rows as u64).collect();
        // Missing above about 0.1, −0.1 and 3: the last is a rare tail.
        let of = Normal::new(Tensor::<2>::zeros([rows, 3], &device), 1.0).unwrap();
        let slope = Tensor::from_data([5.0, -5.0, 8.0], &device);
        let offset = Tensor::from_data([-0.5, -0.5, -24.0], &device);
        let missing = SelfMasking::normal(Box::new(of), slope, offset).given_missing().unwrap();
        let draws = numbers(missing.sample(&mut Key::new(3).rows(&ids)));
        let (means, variances) = (numbers(missing.mean()), numbers(missing.variance()));
        for at in 0..3 {
            let column = || draws.iter().skip(at).step_by(3);
            let mean = column().sum::<f64>() / rows as f64;
            let variance = column().map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
            let error = (variances[at] / rows as f64).sqrt();
            assert!((mean - means[at]).abs() < 5.0 * error, "{at}: {mean} {}", means[at]);
            assert!((variance / variances[at] - 1.0).abs() < 0.1, "{variance} {}", variances[at]);
        }
    }

    // Images have a slope and an offset of each channel; beside a group of which values say nothing, that group adds nothing.
    #[test]
    fn columns_and_channels_have_their_own_laws() {
        let device = Device::flex();
        let json = r#"{"type": "columns", "groups": [
            {"columns": 1, "likelihood": {"type": "normal", "scale": 1.0}},
            {"columns": 2, "likelihood": {"type": "self-masking", "of": {"type": "normal", "scale": 0.5}}}]}"#;
        let config: LikelihoodConfig = serde_json::from_str(json).unwrap();
        // Slopes 1 and 2, offsets 0.5 and −1.
        let shared = Tensor::<1>::from_data([0.1, 0.2, 0.05, -0.1], &device);
        let outputs =
            Tensor::<4>::from_data([[[[0.3, -0.2]], [[1.0, 0.0]], [[0.5, 2.0]]]], &device);
        let law = config.of(outputs, Some(&shared)).unwrap();
        let observed =
            Tensor::<4>::from_data([[[[0.0, 1.0]], [[1.0, 0.0]], [[0.0, 1.0]]]], &device);
        let x = Tensor::zeros([1, 3, 1, 2], &device);
        let found = numbers(law.log_missingness(x.clone(), Some(observed)).unwrap())[0];
        let log_cdf_of = |u: f64| numbers(log_cdf(Tensor::<1>::full([1], u, &device)))[0];
        let expected = log_cdf_of(-0.5)
            + log_cdf_of(0.5 / 1.25f64.sqrt())
            + log_cdf_of((2.0 * 0.5 - 1.0) / 2f64.sqrt())
            + log_cdf_of(1.0);
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        let odds = numbers(law.log_missing_odds(x).unwrap());
        assert!(
            odds[..2] == [0.0, 0.0] && (odds[2] - odds[3]).abs() < 1e-6 && odds[4] < 0.0,
            "{odds:?}"
        );
        // Of the first group, what is missing is as what is there; the others move by their slopes.
        let (means, given) = (numbers(law.mean()), numbers(law.given_missing().unwrap().mean()));
        assert_eq!(given[..2], means[..2]);
        assert!(given[2..].iter().zip(&means[2..]).all(|(given, mean)| given > mean));
    }

    // Slopes and offsets of ±10⁴, and entries as far out, give finite numbers; what is far from a limit is beyond it.
    #[test]
    fn extremes_stay_finite_and_beyond_the_limit() {
        let device = Device::flex();
        for (slope, offset) in [(1e4, -1e4), (-1e4, 1e4), (1e4, 1e4), (0.0, -1e4), (1e-4, -10.0)] {
            let of = Normal::new(Tensor::<2>::from_data([[-1e4, 0.0, 1e4]], &device), 0.5).unwrap();
            let [slope, offset] = [slope, offset].map(|x| Tensor::<1>::full([3], x, &device));
            let law = SelfMasking::normal(Box::new(of), slope.clone(), offset.clone());
            let x = Tensor::from_data([[1e4, -1e4, 0.0]], &device);
            for observed in [0.0, 1.0] {
                let observed = Tensor::full([1, 3], observed, &device);
                let found = numbers(law.log_missingness(x.clone(), Some(observed)).unwrap())[0];
                assert!(found.is_finite() && found <= 0.0, "{found}");
            }
            let missing = law.given_missing().unwrap();
            let draws = numbers(missing.sample(&mut Key::new(1).rows(&[1])));
            let parts = [numbers(missing.mean()), numbers(missing.variance()), draws];
            assert!(parts.iter().flatten().all(|x| x.is_finite()), "{parts:?}");
            assert!(
                parts[1].iter().all(|&variance| (0.0..=0.2501).contains(&variance)),
                "{parts:?}"
            );
            if numbers(slope)[0] == 1e4 && numbers(offset)[0] == -1e4 {
                // Missing above 1.
                assert!(
                    (parts[0][0] - 1.0).abs() < 0.01 && parts[0][1] > 0.99 && parts[0][2] > 9_999.0
                );
            }
        }
    }

    #[test]
    fn only_likelihoods_with_a_closed_form_are_accepted() {
        let of = |json: &str| serde_json::from_str::<LikelihoodConfig>(json).unwrap();
        let odd = of(r#"{"type": "self-masking", "of": {"type": "student-t"}}"#);
        assert!(odd.check(3).unwrap_err().to_string().contains("learned-normal"));
        let normal = of(r#"{"type": "self-masking", "of": {"type": "shared-normal"}}"#);
        assert_eq!((normal.outputs(3), normal.shared_weights(3)), (3, 1 + 6));
        let classes =
            of(r#"{"type": "self-masking", "of": {"type": "categorical", "classes": 4}}"#);
        assert_eq!((classes.outputs(1), classes.shared_weights(1)), (4, 4));
        normal.check(3).unwrap();
    }
}
