//! The likelihood in a configuration.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{DistributionError, at_least, scale};
use crate::{
    Bernoulli, Categorical, Columns, ContinuousBernoulli, DiscretizedLogistic, Laplace,
    LearnedNormal, Likelihood, NegativeBinomial, Normal, OptimalNormal, Poisson, StudentT,
    ZeroInflatedNegativeBinomial,
};

/// The likelihood whose parameters the decoder's outputs are.
///
/// In a file: `likelihood = { type = "normal", scale = 0.1 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LikelihoodConfig {
    /// [`Bernoulli`], for data in `[0, 1]`.
    Bernoulli {},
    /// [`ContinuousBernoulli`], for data in `[0, 1]`.
    ContinuousBernoulli {},
    /// [`Normal`].
    Normal {
        /// The fixed standard deviation, in units of the data.
        scale: f64,
    },
    /// [`LearnedNormal`] with one scale for all entries, which is a weight of the model.
    SharedNormal {
        /// The lower limit of the standard deviation, in units of the data.
        #[serde(default = "thousandth")]
        min_scale: f64,
    },
    /// [`OptimalNormal`].
    OptimalNormal {
        /// The lower limit of the standard deviation, in units of the data.
        #[serde(default = "thousandth")]
        min_scale: f64,
    },
    /// [`LearnedNormal`].
    LearnedNormal {
        /// The lower limit of the standard deviation, in units of the data.
        #[serde(default = "thousandth")]
        min_scale: f64,
    },
    /// [`Laplace`] with one fixed scale.
    Laplace {
        /// The scale, in units of the data.
        scale: f64,
    },
    /// [`Laplace`] with a scale for each entry.
    LearnedLaplace {
        /// The lower limit of the scale, in units of the data.
        #[serde(default = "thousandth")]
        min_scale: f64,
    },
    /// [`StudentT`].
    StudentT {
        /// The lower limit of the scale, in units of the data.
        #[serde(default = "thousandth")]
        min_scale: f64,
        /// The lower limit of the degrees of freedom.
        #[serde(default = "three")]
        min_degrees: f64,
    },
    /// [`DiscretizedLogistic`], for data with `levels` equally spaced values from 0 to 1.
    DiscretizedLogistic {
        /// The number of levels: 256 for bytes.
        #[serde(default = "bytes")]
        levels: usize,
        /// The number of components of the mixture.
        #[serde(default = "one")]
        components: usize,
        /// The lower limit of the scale, in units of the data.
        #[serde(default = "thousandth")]
        min_scale: f64,
    },
    /// [`Categorical`], for classes numbered from 0.
    Categorical {
        /// The number of classes.
        classes: usize,
    },
    /// [`Poisson`], for counts.
    Poisson {},
    /// [`NegativeBinomial`], for counts.
    NegativeBinomial {
        /// The lower limit of the inverse dispersion.
        #[serde(default = "thousandth")]
        min_inverse_dispersion: f64,
    },
    /// [`ZeroInflatedNegativeBinomial`], for counts.
    ZeroInflatedNegativeBinomial {
        /// The lower limit of the inverse dispersion.
        #[serde(default = "thousandth")]
        min_inverse_dispersion: f64,
    },
    /// [`Columns`]: places on axis 1 of a row have different likelihoods.
    Columns {
        /// The groups, in the order of axis 1.
        groups: Vec<ColumnGroup>,
    },
}

/// Adjacent columns that share a likelihood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnGroup {
    /// The number of columns, at least 1.
    pub columns: usize,
    /// The likelihood of the columns.
    pub likelihood: LikelihoodConfig,
}

fn thousandth() -> f64 {
    1e-3
}

fn three() -> f64 {
    3.0
}

fn bytes() -> usize {
    256
}

fn one() -> usize {
    1
}

impl Default for LikelihoodConfig {
    /// Bernoulli.
    fn default() -> Self {
        Self::Bernoulli {}
    }
}

impl LikelihoodConfig {
    /// Checks the parameters, and that the likelihood fits rows of `columns` columns (places on axis 1).
    pub fn check(&self, columns: usize) -> Result<(), DistributionError> {
        match self {
            Self::Bernoulli {} | Self::ContinuousBernoulli {} | Self::Poisson {} => {}
            Self::Normal { scale: value } | Self::Laplace { scale: value } => {
                scale("scale", *value)?;
            }
            Self::SharedNormal { min_scale }
            | Self::OptimalNormal { min_scale }
            | Self::LearnedNormal { min_scale }
            | Self::LearnedLaplace { min_scale } => {
                scale("min_scale", *min_scale)?;
            }
            Self::StudentT { min_scale, min_degrees } => {
                scale("min_scale", *min_scale)?;
                scale("min_degrees", *min_degrees)?;
            }
            Self::DiscretizedLogistic { levels, components, min_scale } => {
                at_least("levels", *levels, 2)?;
                at_least("components", *components, 1)?;
                scale("min_scale", *min_scale)?;
            }
            Self::Categorical { classes } => {
                at_least("classes", *classes, 2)?;
            }
            Self::NegativeBinomial { min_inverse_dispersion }
            | Self::ZeroInflatedNegativeBinomial { min_inverse_dispersion } => {
                scale("min_inverse_dispersion", *min_inverse_dispersion)?;
            }
            Self::Columns { groups } => {
                for group in groups {
                    at_least("columns", group.columns, 1)?;
                    group.likelihood.check(group.columns)?;
                }
                let sum = groups.iter().fold(0usize, |n, group| n.saturating_add(group.columns));
                if sum != columns {
                    return Err(DistributionError::Columns { groups: sum, columns });
                }
            }
        }
        Ok(())
    }

    /// The length of axis 1 of the decoder's outputs for rows of `columns` columns.
    pub fn outputs(&self, columns: usize) -> usize {
        let per_entry = match self {
            Self::Bernoulli {}
            | Self::ContinuousBernoulli {}
            | Self::Normal { .. }
            | Self::SharedNormal { .. }
            | Self::OptimalNormal { .. }
            | Self::Laplace { .. }
            | Self::Poisson {} => 1,
            Self::LearnedNormal { .. }
            | Self::LearnedLaplace { .. }
            | Self::NegativeBinomial { .. } => 2,
            Self::StudentT { .. } | Self::ZeroInflatedNegativeBinomial { .. } => 3,
            Self::DiscretizedLogistic { components, .. } => {
                DiscretizedLogistic::<2>::outputs_per_entry(*components)
            }
            Self::Categorical { classes } => *classes,
            Self::Columns { groups } => {
                let outputs = groups.iter().map(|group| group.likelihood.outputs(group.columns));
                return outputs.fold(0, usize::saturating_add);
            }
        };
        columns.saturating_mul(per_entry)
    }

    /// The number of learned weights that all entries share: the raw scales of shared normals.
    pub fn shared_weights(&self) -> usize {
        match self {
            Self::SharedNormal { .. } => 1,
            Self::Columns { groups } => {
                groups.iter().map(|group| group.likelihood.shared_weights()).sum()
            }
            _ => 0,
        }
    }

    /// The likelihood of rows `[batch, columns, …]` from outputs `[batch, outputs(columns), …]` and, if it
    /// has any, its shared weights `[shared_weights]`. Axis 1 has the first parameters of all entries, then
    /// the second ones, and so on.
    ///
    /// # Panics
    ///
    /// If the shapes differ from these, or weights are missing.
    pub fn of<const D: usize>(
        &self,
        outputs: Tensor<D>,
        shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Ok(match self {
            Self::Bernoulli {} => Box::new(Bernoulli::new(outputs)),
            Self::ContinuousBernoulli {} => Box::new(ContinuousBernoulli::new(outputs)),
            Self::Normal { scale } => Box::new(Normal::new(outputs, *scale)?),
            Self::SharedNormal { min_scale } => {
                let shared = shared.expect("the shared weight of the likelihood");
                let raw_scale = shared.clone().reshape([1; D]).expand(outputs.dims());
                Box::new(LearnedNormal::new(outputs, raw_scale, *min_scale)?)
            }
            Self::OptimalNormal { min_scale } => Box::new(OptimalNormal::new(outputs, *min_scale)?),
            Self::LearnedNormal { min_scale } => {
                let [mean, raw_scale] = split(outputs);
                Box::new(LearnedNormal::new(mean, raw_scale, *min_scale)?)
            }
            Self::Laplace { scale } => Box::new(Laplace::new(outputs, *scale)?),
            Self::LearnedLaplace { min_scale } => {
                let [location, raw_scale] = split(outputs);
                Box::new(Laplace::learned(location, raw_scale, *min_scale)?)
            }
            Self::StudentT { min_scale, min_degrees } => {
                Box::new(StudentT::new(split(outputs), *min_scale, *min_degrees)?)
            }
            Self::DiscretizedLogistic { levels, components, min_scale } => {
                Box::new(DiscretizedLogistic::new(outputs, *components, *levels, *min_scale)?)
            }
            Self::Categorical { classes } => Box::new(Categorical::new(outputs, *classes)?),
            Self::Poisson {} => Box::new(Poisson::new(outputs)),
            Self::NegativeBinomial { min_inverse_dispersion } => {
                let [mean, dispersion] = split(outputs);
                Box::new(NegativeBinomial::new(mean, dispersion, *min_inverse_dispersion)?)
            }
            Self::ZeroInflatedNegativeBinomial { min_inverse_dispersion } => {
                let [mean, dispersion, gate] = split(outputs);
                let counts = NegativeBinomial::new(mean, dispersion, *min_inverse_dispersion)?;
                Box::new(ZeroInflatedNegativeBinomial::new(counts, gate))
            }
            Self::Columns { groups } => {
                let (mut start, mut used) = (0, 0);
                let laws = groups.iter().map(|ColumnGroup { columns, likelihood }| {
                    let (width, weights) =
                        (likelihood.outputs(*columns), likelihood.shared_weights());
                    let part = outputs.clone().narrow(1, start, width);
                    let own = shared.map(|shared| shared.clone().slice([used..used + weights]));
                    (start, used) = (start + width, used + weights);
                    Ok((*columns, likelihood.of(part, own.as_ref())?))
                });
                Box::new(Columns::new(laws.collect::<Result<_, DistributionError>>()?))
            }
        })
    }
}

/// Splits axis 1 into `N` equal parts.
fn split<const D: usize, const N: usize>(outputs: Tensor<D>) -> [Tensor<D>; N] {
    let width = outputs.dims()[1] / N;
    std::array::from_fn(|i| outputs.clone().narrow(1, i * width, width))
}
