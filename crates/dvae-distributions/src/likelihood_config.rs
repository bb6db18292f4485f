//! The likelihood in a configuration: one table.

use burn::tensor::Tensor;
use dvae_kernels::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::self_masking::MissingSide;
use crate::{DistributionError, Entries, EntryDistribution, Likelihood};

/// How much faster than other weights those that all rows share are learned, such as thresholds: a step of the optimizer is small
/// beside the numbers that they may have.
pub(crate) const GAIN: f64 = 10.0;

/// A likelihood with its settings, before there are outputs to make it of.
pub(crate) trait FromOutputs {
    /// Checks the settings, and that they fit rows of `columns` columns.
    fn check(&self, columns: usize) -> Result<(), DistributionError>;

    /// The length of axis 1 of the outputs for rows of `columns` columns.
    fn outputs(&self, columns: usize) -> usize;

    /// The number of learned weights that all rows of `columns` columns share.
    fn shared_weights(&self, _columns: usize) -> usize {
        0
    }

    /// The likelihood.
    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError>;
}

/// Entries of one distribution, each with `P` outputs.
struct Independent<E, const P: usize>(E);

impl<E: EntryDistribution<P>, const P: usize> FromOutputs for Independent<E, P> {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        self.0.check()
    }

    fn outputs(&self, columns: usize) -> usize {
        columns.saturating_mul(P)
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        _shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Ok(Box::new(Entries::of(self.0, Parameters::Beside(outputs))?))
    }
}

/// Generates [`LikelihoodConfig`] and its methods from one table. A row is a variant with its settings, and a
/// [`FromOutputs`] made of references to them.
macro_rules! likelihoods {
    (
        $(#[$config:meta])*
        likelihoods { $(
            $(#[$meta:meta])*
            $likelihood:ident { $( $(#[$field_meta:meta])* $field:ident: $type:ty ),* $(,)? }
            => $settings:expr;
        )* }
    ) => {
        $(#[$config])*
        pub enum LikelihoodConfig {
            $(
                $(#[$meta])*
                $likelihood { $( $(#[$field_meta])* $field: $type, )* },
            )*
        }

        impl LikelihoodConfig {
            /// Checks the parameters, and that the likelihood fits rows of `columns` columns (places on axis 1).
            pub fn check(&self, columns: usize) -> Result<(), DistributionError> {
                match self {
                    $( Self::$likelihood { $($field),* } => $settings.check(columns), )*
                }
            }

            /// The length of axis 1 of the decoder's outputs for rows of `columns` columns.
            pub fn outputs(&self, columns: usize) -> usize {
                match self {
                    $( Self::$likelihood { $($field),* } => $settings.outputs(columns), )*
                }
            }

            /// The number of learned weights that all rows of `columns` columns share: the raw scales of shared normals, thresholds of
            /// ordinal classes, and what decides which entries are missing.
            pub fn shared_weights(&self, columns: usize) -> usize {
                match self {
                    $( Self::$likelihood { $($field),* } => $settings.shared_weights(columns), )*
                }
            }

            /// The likelihood of rows `[batch, columns, …]` from outputs `[batch, outputs(columns), …]` and, if it
            /// has any, its shared weights `[shared_weights(columns)]`. Axis 1 has the first parameters of all entries,
            /// then the second ones, and so on.
            ///
            /// # Panics
            ///
            /// If the shapes differ from these, or weights are missing.
            pub fn of<const D: usize>(
                &self,
                outputs: Tensor<D>,
                shared: Option<&Tensor<1>>,
            ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
                match self {
                    $( Self::$likelihood { $($field),* } => $settings.of(outputs, shared), )*
                }
            }
        }
    };
}

likelihoods! {
    /// The likelihood whose parameters the decoder's outputs are.
    ///
    /// In a file: `likelihood = { type = "normal", scale = 0.1 }`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
    #[non_exhaustive]
    likelihoods {
        /// [`Bernoulli`](crate::Bernoulli), for data in `[0, 1]`.
        Bernoulli {} => Independent(crate::BernoulliEntry);
        /// [`ContinuousBernoulli`](crate::ContinuousBernoulli), for data in `[0, 1]`.
        ContinuousBernoulli {} => Independent(crate::ContinuousBernoulliEntry);
        /// [`Normal`](crate::Normal).
        Normal {
            /// The fixed standard deviation, in units of the data.
            scale: f64,
        } => Independent(crate::NormalEntry { scale: *scale });
        /// [`LearnedNormal`](crate::LearnedNormal) with one scale for all entries, which is a weight of the model.
        SharedNormal {
            /// The lower limit of the standard deviation, in units of the data.
            #[serde(default = "thousandth")]
            min_scale: f64,
            /// The standard deviation before training, in units of the data [default: `min_scale` + 0.69]. A step
            /// changes what it has above `min_scale` by a few thousandths at most, so start near what is to be expected.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            initial_scale: Option<f64>,
        } => crate::learned_normal::SharedScale(crate::LearnedNormalEntry::new(*min_scale, *initial_scale));
        /// [`OptimalNormal`](crate::OptimalNormal).
        OptimalNormal {
            /// The lower limit of the standard deviation, in units of the data.
            #[serde(default = "thousandth")]
            min_scale: f64,
        } => crate::optimal_normal::Settings { min_scale: *min_scale };
        /// [`LearnedNormal`](crate::LearnedNormal).
        LearnedNormal {
            /// The lower limit of the standard deviation, in units of the data.
            #[serde(default = "thousandth")]
            min_scale: f64,
            /// The standard deviation where the network's output for it is 0, in units of the data, as it is about before
            /// training [default: `min_scale` + 0.69].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            initial_scale: Option<f64>,
            /// A standard deviation, in units of the data, that weighs errors of means in their gradients, the same for all
            /// entries: means are then learned as by squared errors [default: each entry's own].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            mean_scale: Option<f64>,
        } => Independent(crate::LearnedNormalEntry::new(*min_scale, *initial_scale).with_mean_scale(*mean_scale));
        /// [`PoissonGaussian`](crate::PoissonGaussian).
        PoissonGaussian {
            /// The slope of the variance over the mean, in units of the data; at least 0.
            gain: f64,
            /// The variance of an entry whose mean is 0, in squared units of the data.
            offset: f64,
            /// The lower limit of the standard deviation, in units of the data.
            #[serde(default = "thousandth")]
            min_scale: f64,
        } => Independent(crate::PoissonGaussianEntry { gain: *gain, offset: *offset, min_scale: *min_scale });
        /// [`Laplace`](crate::Laplace).
        Laplace {
            /// The scale, in units of the data.
            scale: f64,
        } => Independent(crate::LaplaceEntry { scale: *scale });
        /// [`LearnedLaplace`](crate::LearnedLaplace).
        LearnedLaplace {
            /// The lower limit of the scale, in units of the data.
            #[serde(default = "thousandth")]
            min_scale: f64,
        } => Independent(crate::LearnedLaplaceEntry { min_scale: *min_scale });
        /// [`StudentT`](crate::StudentT).
        StudentT {
            /// The lower limit of the scale, in units of the data.
            #[serde(default = "thousandth")]
            min_scale: f64,
            /// The lower limit of the degrees of freedom.
            #[serde(default = "three")]
            min_degrees: f64,
        } => Independent(crate::StudentTEntry { min_scale: *min_scale, min_degrees: *min_degrees });
        /// [`DiscretizedLogistic`](crate::DiscretizedLogistic), for data with `levels` equally spaced values from 0
        /// to 1.
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
        } => crate::discretized_logistic::Settings { levels: *levels, components: *components, min_scale: *min_scale };
        /// [`Categorical`](crate::Categorical), for classes numbered from 0.
        Categorical {
            /// The number of classes.
            classes: usize,
        } => crate::categorical::Settings { classes: *classes };
        /// [`Categorical::ordinal`](crate::Categorical::ordinal), for classes numbered from 0 in their order.
        Ordinal {
            /// The number of classes.
            classes: usize,
        } => crate::ordinal::Settings { classes: *classes };
        /// Texts, token by token, each given those before it: of the network `tokens`, which computes it. In an experiment `classes`
        /// follows from the data.
        Tokens {
            /// The number of tokens; 0 if it is not known yet.
            #[serde(default)]
            classes: usize,
        } => crate::tokens::Settings { classes: *classes };
        /// [`Poisson`](crate::Poisson), for counts.
        Poisson {} => Independent(crate::PoissonEntry);
        /// [`NegativeBinomial`](crate::NegativeBinomial), for counts.
        NegativeBinomial {
            /// The lower limit of the inverse dispersion.
            #[serde(default = "thousandth")]
            min_inverse_dispersion: f64,
        } => Independent(crate::NegativeBinomialEntry { min_inverse_dispersion: *min_inverse_dispersion });
        /// [`ZeroInflatedNegativeBinomial`](crate::ZeroInflatedNegativeBinomial), for counts.
        ZeroInflatedNegativeBinomial {
            /// The lower limit of the inverse dispersion.
            #[serde(default = "thousandth")]
            min_inverse_dispersion: f64,
        } => Independent(crate::ZeroInflatedEntry {
            counts: crate::NegativeBinomialEntry { min_inverse_dispersion: *min_inverse_dispersion },
        });
        /// [`Proportions`](crate::Proportions), for counts of which each row has a total of its own.
        Proportions {
            /// The likelihood of the counts: `poisson`, `negative-binomial` or `zero-inflated-negative-binomial`.
            of: Box<LikelihoodConfig>,
            /// The total of rows of which none is known, such as samples.
            #[serde(default = "ten_thousand")]
            total: f64,
        } => crate::proportions::Settings { of, total: *total };
        /// [`SelfMasking`](crate::SelfMasking), for entries that are missing because of what they are.
        SelfMasking {
            /// The likelihood of the entries: one of the normal ones, `categorical` or `ordinal`.
            of: Box<LikelihoodConfig>,
            /// Which numbers are missing more often. Data rarely say it, so name it if you know; of classes it says nothing.
            #[serde(default)]
            missing: MissingSide,
        } => crate::self_masking::Settings { of, missing: *missing };
        /// [`Columns`](crate::Columns): places on axis 1 of a row have different likelihoods.
        Columns {
            /// The groups, in the order of axis 1.
            groups: Vec<ColumnGroup>,
        } => crate::columns::Settings { groups };
    }
}

impl LikelihoodConfig {
    /// The likelihood of the entries at this place on axis 1 of a row: of [`Columns`](crate::Columns), that of the place's group, and
    /// without what decides whether they are missing, or what the total of
    /// a row is. `None` beyond the last group.
    pub fn at(&self, place: usize) -> Option<&Self> {
        let groups = match self {
            Self::Columns { groups } => groups,
            Self::SelfMasking { of, .. } | Self::Proportions { of, .. } => return of.at(place),
            _ => return Some(self),
        };
        let mut start = 0;
        groups.iter().find_map(|group| {
            let place = place.checked_sub(start).filter(|&place| place < group.columns);
            start += group.columns;
            place.and_then(|place| group.likelihood.at(place))
        })
    }

    /// Whether it says of some entries that they are missing because of what they are.
    pub fn is_self_masking(&self) -> bool {
        match self {
            Self::SelfMasking { .. } => true,
            Self::Columns { groups } => {
                groups.iter().any(|group| group.likelihood.is_self_masking())
            }
            _ => false,
        }
    }

    /// Whether it is of texts.
    pub fn is_of_texts(&self) -> bool {
        matches!(self, Self::Tokens { .. })
    }

    /// Whether it is of rows whose totals are known.
    pub fn needs_totals(&self) -> bool {
        match self {
            Self::Proportions { .. } => true,
            Self::Columns { groups } => groups.iter().any(|group| group.likelihood.needs_totals()),
            _ => false,
        }
    }

    /// How many classes entries at this place on axis 1 of a row have; 0 if they are no classes.
    pub fn classes_at(&self, place: usize) -> usize {
        match self.at(place) {
            Some(
                Self::Categorical { classes }
                | Self::Ordinal { classes }
                | Self::Tokens { classes },
            ) => *classes,
            _ => 0,
        }
    }
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

fn ten_thousand() -> f64 {
    1e4
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
