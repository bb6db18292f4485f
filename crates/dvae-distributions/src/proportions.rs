//! Counts of rows whose totals are given: the model says how a total is shared.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use dvae_kernels::{Formula, Parameters, Scalar, sum_features};
use dvae_random::RowStreams;

use crate::error::scale;
use crate::likelihood_config::FromOutputs;
use crate::stable::log_decay;
use crate::{DistributionError, Likelihood, LikelihoodConfig, Support};

/// The total that a row without any count is scored with.
pub(crate) const LEAST: f64 = 1e-6;

/// Independent counts whose means are shares of the row's total `l`, the exposure: how many molecules of a cell were read, how long
/// an insurance ran, how many words a document has.
///
/// ```text
/// ρ = softmax(r) over all entries of a row,   μᵢ = l ρᵢ,   log p(x | z, l) = Σᵢ log p(xᵢ | μᵢ)
/// ```
///
/// The law of a count with mean `μᵢ` is [`Poisson`](crate::Poisson), [`NegativeBinomial`](crate::NegativeBinomial) or
/// [`ZeroInflatedNegativeBinomial`](crate::ZeroInflatedNegativeBinomial). Lopez et al. (2018), "Deep generative modeling for single-cell
/// transcriptomics" (scVI), with the observed library size.
///
/// A score takes `l` from the rows that it scores, so it is of `p(x | z, l)`: what a total is, the model does not say. Mean, variance
/// and draws are of rows with the total that [`Likelihood::with_total_of`] gives; without it, of rows with the total of
/// [`Proportions::new`]. Of the zero-inflated law the means `(1 − πᵢ) l ρᵢ` sum to less than the total, because of its extra zeros.
#[derive(Clone, Debug)]
pub struct Proportions<const D: usize> {
    /// `ln ρ`, `[batch, columns, …]`.
    log_shares: Tensor<D>,
    /// The other parameters of the counts, side by side on axis 1.
    others: Option<Tensor<D>>,
    of: LikelihoodConfig,
    /// `[batch]`.
    totals: Tensor<1>,
}

impl<const D: usize> Proportions<D> {
    /// From the law of the counts, and its outputs `[batch, of.outputs(columns), …]` for rows `[batch, columns, …]`, where `r` stands
    /// for the raw mean; `total` is that of rows of which it is not known, finite and above 0.
    ///
    /// # Panics
    ///
    /// If axis 1 of the outputs is not of so many columns.
    pub fn new(
        of: &LikelihoodConfig,
        outputs: Tensor<D>,
        total: f64,
    ) -> Result<Self, DistributionError> {
        scale("total", total)?;
        let parameters = of_counts(of)?;
        let shape = outputs.dims();
        let columns = shape[1] / parameters;
        assert_eq!(
            columns * parameters,
            shape[1],
            "axis 1 of {shape:?} for {parameters} parameters"
        );
        let raw = outputs.clone().narrow(1, 0, columns);
        let of_raw = raw.dims();
        let log_shares = log_softmax(raw.flatten::<2>(1, D - 1), 1).reshape(of_raw);
        let others = (parameters > 1).then(|| outputs.narrow(1, columns, shape[1] - columns));
        let totals = Tensor::full([shape[0]], total, &log_shares.device());
        Ok(Self { log_shares, others, of: of.clone(), totals })
    }

    /// The shares `ρ` of a row's total: `[batch, columns, …]`, at least 0; those of a row sum to 1.
    pub fn shares(&self) -> Tensor<D> {
        self.log_shares.clone().exp()
    }

    /// The law of counts in rows of these totals, `[batch]`.
    fn at(&self, totals: &Tensor<1>) -> Box<dyn Likelihood<D>> {
        let shape = self.log_shares.dims();
        let mut of_rows = [1; D];
        of_rows[0] = shape[0];
        let log_totals = totals.clone().clamp_min(LEAST).log().reshape(of_rows).expand(shape);
        let raw = RawMean.each(&Parameters::Apart([self.log_shares.clone()]), [log_totals]);
        let outputs = [Some(raw), self.others.clone()].into_iter().flatten().collect();
        self.of.of(Tensor::cat(outputs, 1), None).expect("checked when it was made")
    }

    fn expected(&self) -> Box<dyn Likelihood<D>> {
        self.at(&self.totals)
    }
}

/// The raw mean `r`, of `ln(1 + eʳ) = μ`, from the logarithm of a share and that of a total.
#[derive(Clone, Copy, Debug)]
struct RawMean;

impl Formula<1, 1> for RawMean {
    #[inline(always)]
    fn at<S: Scalar>(&self, [log_share]: [S; 1], [log_total]: [S::Constant; 1]) -> S {
        // ln(e^μ − 1) = μ + ln μ + ln((1 − e^−μ) / μ)
        let log_mean = log_share + log_total;
        let mean = log_mean.clone().exp();
        mean.clone() + log_mean + log_decay(mean)
    }
}

impl<const D: usize> Likelihood<D> for Proportions<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.at(&sum_features(x.clone())).log_prob(x)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.at(&sum_features(x.clone())).log_likelihood(x)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.at(&sum_features(x.clone())).weighted_log_likelihood(x, weights)
    }

    fn mean(&self) -> Tensor<D> {
        self.expected().mean()
    }

    fn variance(&self) -> Tensor<D> {
        self.expected().variance()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        self.expected().sample(draws)
    }

    fn with_total_of(&self, x: Tensor<D>) -> Option<Box<dyn Likelihood<D>>> {
        let columns = self.log_shares.dims()[1];
        let totals = sum_features(x.narrow(1, 0, columns));
        Some(Box::new(Self { totals, ..self.clone() }))
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        [vec![("share", self.shares())], self.expected().parameters()].concat()
    }

    fn support(&self, _column: usize) -> Support {
        Support::Counts
    }
}

/// The number of outputs for an entry; an error if it is no law of counts.
fn of_counts(of: &LikelihoodConfig) -> Result<usize, DistributionError> {
    use LikelihoodConfig as L;
    match of {
        L::Poisson {} | L::NegativeBinomial { .. } | L::ZeroInflatedNegativeBinomial { .. } => {
            of.check(1)?;
            Ok(of.outputs(1))
        }
        _ => Err(DistributionError::Proportions),
    }
}

/// [`Proportions`] in a configuration.
pub(crate) struct Settings<'a> {
    pub(crate) of: &'a LikelihoodConfig,
    pub(crate) total: f64,
}

impl FromOutputs for Settings<'_> {
    fn check(&self, columns: usize) -> Result<(), DistributionError> {
        of_counts(self.of)?;
        scale("total", self.total)?;
        self.of.check(columns)
    }

    fn outputs(&self, columns: usize) -> usize {
        self.of.outputs(columns)
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        _shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Ok(Box::new(Proportions::new(self.of, outputs, self.total)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn shared(of: &LikelihoodConfig) -> Proportions<2> {
        // Shares of 1/6, 2/6 and 3/6; what follows are the other parameters.
        let raw = [0.0, 2f32.ln(), 3f32.ln(), 0.4, 0.4, 0.4];
        let outputs = Tensor::from_data([raw], &Device::flex());
        let outputs = outputs.narrow(1, 0, of.outputs(3));
        Proportions::new(of, outputs, 60.0).unwrap()
    }

    // Of 12 counts 2, 4 and 6 are to be expected: −Σ (μ − x ln μ + ln x!).
    #[test]
    fn a_score_shares_the_total_of_the_rows_that_it_scores() {
        let law = shared(&LikelihoodConfig::Poisson {});
        let x = Tensor::from_data([[1.0, 5.0, 6.0]], &Device::flex());
        let expected = -12.0 + 2f64.ln() + 5.0 * 4f64.ln() + 6.0 * 6f64.ln();
        let expected = expected - 120f64.ln() - 720f64.ln();
        let found = law.log_likelihood(x.clone()).into_scalar::<f64>();
        assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
        let entries = law.log_prob(x.clone()).sum().into_scalar::<f64>();
        assert!((entries - expected).abs() < 1e-5, "{entries}");
        let weights = Tensor::from_data([[0.0, 1.0, 0.0]], &Device::flex());
        let one = law.weighted_log_likelihood(x, weights).into_scalar::<f64>();
        assert!((one - (-4.0 + 5.0 * 4f64.ln() - 120f64.ln())).abs() < 1e-5, "{one}");
    }

    #[test]
    fn means_are_of_the_total_that_is_given() {
        let negative = LikelihoodConfig::NegativeBinomial { min_inverse_dispersion: 1e-3 };
        for of in [LikelihoodConfig::Poisson {}, negative] {
            let law = shared(&of);
            let near = |found: Vec<f32>, expected: [f32; 3]| {
                let close = |(a, b): (&f32, f32)| (a - b).abs() < 1e-5 * b;
                assert!(found.iter().zip(expected).all(close), "{found:?}, not {expected:?}");
            };
            near(numbers(law.mean()), [10.0, 20.0, 30.0]);
            // What follows the counts, such as a mask, is no part of the total.
            let input = Tensor::from_data([[6.0, 0.0, 0.0, 1.0, 0.0, 1.0]], &Device::flex());
            let given = law.with_total_of(input).unwrap();
            near(numbers(given.mean()), [1.0, 2.0, 3.0]);
            near(numbers(law.shares()), [1.0 / 6.0, 2.0 / 6.0, 0.5]);
        }
        // Extra zeros with probability ½ halve them.
        let of = LikelihoodConfig::ZeroInflatedNegativeBinomial { min_inverse_dispersion: 1e-3 };
        let raw = [[0.0, 2f32.ln(), 3f32.ln(), 0.4, 0.4, 0.4, 0.0, 0.0, 0.0]];
        let outputs = Tensor::<2>::from_data(raw, &Device::flex());
        let means = numbers(Proportions::new(&of, outputs, 60.0).unwrap().mean());
        assert!((means[0] - 5.0).abs() < 1e-4 && (means[2] - 15.0).abs() < 1e-4, "{means:?}");
    }

    #[test]
    fn a_row_without_counts_is_certain_and_large_totals_keep_their_digits() {
        let law = shared(&LikelihoodConfig::Poisson {});
        let none = Tensor::zeros([1, 3], &Device::flex());
        let certain = law.log_likelihood(none.clone()).into_scalar::<f64>();
        assert!(certain.abs() < 1e-5, "{certain}");
        assert!(numbers(law.with_total_of(none).unwrap().mean()).iter().all(|m| *m < 1e-5));
        let many = Tensor::from_data([[1e6, 2e6, 3e6]], &Device::flex());
        let means = numbers(law.with_total_of(many).unwrap().mean());
        assert!((means[0] - 1e6).abs() < 2.0 && (means[2] - 3e6).abs() < 4.0, "{means:?}");
    }

    // d/drⱼ Σᵢ (xᵢ ln μᵢ − μᵢ) = xⱼ − l ρⱼ, where l is the sum of x: the shares follow the counts.
    #[test]
    fn gradients_are_counts_above_their_shares_of_the_total() {
        let device = Device::flex().autodiff();
        for scale in [1.0, 1e-4, 3e4] {
            let raw = Tensor::<2>::from_data([[0.0, 2f32.ln(), 3f32.ln()]], &device).require_grad();
            let law = Proportions::new(&LikelihoodConfig::Poisson {}, raw.clone(), 1.0).unwrap();
            let x = [1.0, 5.0, 6.0].map(|x| x * scale);
            let gradients = law.log_likelihood(Tensor::from_data([x], &device)).backward();
            let found = numbers(raw.grad(&gradients).unwrap());
            for (found, expected) in found.iter().zip([-1.0, 1.0, 0.0]) {
                let gap = (found - expected * scale).abs();
                assert!(gap < 2e-5 * 6.0 * scale, "{scale}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn groups_of_columns_have_totals_of_their_own() {
        use crate::ColumnGroup;
        let of = Box::new(LikelihoodConfig::Poisson {});
        let shares = LikelihoodConfig::Proportions { of, total: 1.0 };
        let group = |likelihood| ColumnGroup { columns: 2, likelihood };
        let groups = vec![group(LikelihoodConfig::Poisson {}), group(shares)];
        let table = LikelihoodConfig::Columns { groups };
        assert!(table.needs_totals());
        let raw = Tensor::from_data([[0.0, 0.0, 0.0, 0.0]], &Device::flex());
        let law = table.of::<2>(raw, None).unwrap();
        let x = Tensor::from_data([[9.0, 9.0, 8.0, 2.0]], &Device::flex());
        let means = numbers(law.with_total_of(x).unwrap().mean());
        let ln2 = 2f32.ln();
        for (found, expected) in means.iter().zip([ln2, ln2, 5.0, 5.0]) {
            assert!((found - expected).abs() < 1e-5, "{means:?}");
        }
    }

    #[test]
    fn only_counts_have_shares() {
        let of = Box::new(LikelihoodConfig::Bernoulli {});
        let error = LikelihoodConfig::Proportions { of, total: 1e4 }.check(3).unwrap_err();
        assert!(error.to_string().contains("`poisson`"), "{error}");
        let of = Box::new(LikelihoodConfig::Poisson {});
        assert!(LikelihoodConfig::Proportions { of, total: 0.0 }.check(3).is_err());
    }
}
