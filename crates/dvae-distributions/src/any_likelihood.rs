//! A likelihood chosen by configuration.

use burn::tensor::Tensor;
use dvae_random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{DistributionError, scale};
use crate::{Bernoulli, LearnedNormal, Likelihood, Normal};

/// Which likelihood a decoder's outputs are the parameters of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "law", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LikelihoodConfig {
    /// [`Bernoulli`]: one output an entry, its logit. For data in `[0, 1]`.
    Bernoulli {},
    /// [`Normal`]: one output an entry, its mean.
    Normal {
        /// The fixed standard deviation, in units of the data.
        scale: f64,
    },
    /// [`LearnedNormal`]: two outputs an entry, its mean and its raw scale.
    LearnedNormal {
        /// The floor of the standard deviation, in units of the data.
        min_scale: f64,
    },
}

impl Default for LikelihoodConfig {
    /// Bernoulli.
    fn default() -> Self {
        Self::Bernoulli {}
    }
}

impl LikelihoodConfig {
    /// Itself if its parameters are in range.
    pub fn checked(self) -> Result<Self, DistributionError> {
        match self {
            Self::Bernoulli {} => {}
            Self::Normal { scale: value } => _ = scale("scale", value)?,
            Self::LearnedNormal { min_scale } => _ = scale("min_scale", min_scale)?,
        }
        Ok(self)
    }

    /// Outputs that the decoder makes for each entry of a row.
    pub fn outputs_per_entry(self) -> usize {
        match self {
            Self::Bernoulli {} | Self::Normal { .. } => 1,
            Self::LearnedNormal { .. } => 2,
        }
    }

    /// The likelihood of rows `[batch, c, …]` from outputs `[batch, c · outputs_per_entry, …]`.
    pub fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
    ) -> Result<AnyLikelihood<D>, DistributionError> {
        Ok(match self {
            Self::Bernoulli {} => AnyLikelihood::Bernoulli(Bernoulli::new(outputs)),
            Self::Normal { scale } => AnyLikelihood::Normal(Normal::new(outputs, scale)?),
            Self::LearnedNormal { min_scale } => {
                let half = outputs.dims()[1] / 2;
                let mean = outputs.clone().narrow(1, 0, half);
                let raw_scale = outputs.narrow(1, half, half);
                AnyLikelihood::LearnedNormal(LearnedNormal::new(mean, raw_scale, min_scale)?)
            }
        })
    }
}

/// The likelihood that a [`LikelihoodConfig`] names.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One lives for a step; a tensor's handle is large with wgpu.
pub enum AnyLikelihood<const D: usize> {
    /// Bernoulli from logits.
    Bernoulli(Bernoulli<D>),
    /// Normal of fixed scale.
    Normal(Normal<D>),
    /// Normal of learned scale.
    LearnedNormal(LearnedNormal<D>),
}

/// Calls the same method on whichever likelihood it is.
macro_rules! delegate {
    ($self:ident, $likelihood:ident => $call:expr) => {
        match $self {
            AnyLikelihood::Bernoulli($likelihood) => $call,
            AnyLikelihood::Normal($likelihood) => $call,
            AnyLikelihood::LearnedNormal($likelihood) => $call,
        }
    };
}

impl<const D: usize> Likelihood<D> for AnyLikelihood<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        delegate!(self, likelihood => likelihood.log_prob(x))
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        delegate!(self, likelihood => likelihood.log_likelihood(x))
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        delegate!(self, likelihood => likelihood.weighted_log_likelihood(x, weights))
    }

    fn mean(&self) -> Tensor<D> {
        delegate!(self, likelihood => likelihood.mean())
    }

    fn sample(&self, draws: &mut Draws) -> Tensor<D> {
        delegate!(self, likelihood => likelihood.sample(draws))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_learned_normal_takes_means_first_and_raw_scales_second() {
        let outputs = Tensor::<2>::from_data([[1.0, 2.0, -1e4, -1e4]], &Device::flex());
        let config = LikelihoodConfig::LearnedNormal { min_scale: 0.5 };
        let likelihood = config.of(outputs).unwrap();
        let mean: Vec<f32> = likelihood.mean().into_data().try_to_vec().unwrap();
        assert_eq!(mean, [1.0, 2.0]);
        let AnyLikelihood::LearnedNormal(normal) = likelihood else { panic!("another law") };
        let scale: Vec<f32> = normal.scale().into_data().try_to_vec().unwrap();
        assert_eq!(scale, [0.5, 0.5]);
    }

    #[test]
    fn a_configuration_is_refused_before_anything_is_built_from_it() {
        let error = LikelihoodConfig::Normal { scale: -1.0 }.checked().unwrap_err();
        assert_eq!(error, DistributionError::Scale { name: "scale", value: -1.0 });
        assert!(LikelihoodConfig::LearnedNormal { min_scale: f64::NAN }.checked().is_err());
    }
}
