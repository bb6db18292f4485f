//! A fully connected VAE for rows of any shape.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae_distributions::{Encoding, Likelihood, LikelihoodConfig};
use dvae_random::{Key, RowStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{sizes, weights};
use crate::latent_space::{LatentConfig, LatentSpace};
use crate::layers::{Dense, Layers};
use crate::output::Output;
use crate::{Activation, ModelError, PosteriorConfig, PriorConfig, Vae};

/// Configuration of an [`MlpVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MlpVaeConfig {
    /// Shape of a row: `[784]`, or `[1, 28, 28]`. In an experiment that of the data, if it is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event: Vec<usize>,
    /// Number of latents.
    pub latent: usize,
    /// Widths of the encoder's hidden layers; the decoder's are the same in reverse.
    pub hidden: Vec<usize>,
    /// The non-linearity after each hidden layer.
    pub activation: Activation,
    /// What the decoder's outputs mean.
    pub likelihood: LikelihoodConfig,
    /// Whether the encoder's input has a mask beside it, twice as much on the first axis of a row: what
    /// `dvae_corruption::ShowMask` makes.
    pub mask_input: bool,
    /// The family of the posterior.
    pub posterior: PosteriorConfig,
    /// The family of the prior.
    pub prior: PriorConfig,
}

impl Default for MlpVaeConfig {
    /// 32 latents, for rows of a shape that is still to be said.
    fn default() -> Self {
        Self::new(&[], 32)
    }
}

impl MlpVaeConfig {
    /// One hidden layer of 400 units, ReLU, Bernoulli likelihood: change the fields at will.
    pub fn new(event: &[usize], latent: usize) -> Self {
        Self {
            event: event.into(),
            latent,
            hidden: vec![400],
            activation: Activation::default(),
            likelihood: LikelihoodConfig::default(),
            mask_input: false,
            posterior: PosteriorConfig::default(),
            prior: PriorConfig::default(),
        }
    }

    /// The network with weights drawn from `key`; an error names what is out of range.
    pub fn init(&self, key: Key, device: &Device) -> Result<MlpVae, ModelError> {
        sizes("event", if self.event.is_empty() { &[0] } else { &self.event })?;
        sizes("hidden", &self.hidden)?;
        self.likelihood.check(self.event[0])?;
        let features = self.event.iter().fold(1usize, |n, &axis| n.saturating_mul(axis));
        let mut widths = [&[features], &self.hidden[..]].concat();
        let rest = self.event[1..].iter().fold(1usize, |n, &axis| n.saturating_mul(axis));
        let outputs = self.likelihood.outputs(self.event[0]).saturating_mul(rest);
        let inputs = features.saturating_mul(1 + usize::from(self.mask_input));
        weights(&[&[inputs], &widths[1..]].concat())?;
        let config =
            LatentConfig { latent: self.latent, posterior: self.posterior, prior: self.prior };
        config.check([self.hidden.last().copied().unwrap_or(inputs), inputs])?;
        weights(&[widths.get(1).copied().unwrap_or(self.latent), outputs])?;
        let layers = &mut Layers::new(key, device);
        let seen = [&[inputs], &widths[1..]].concat();
        let encoder = stack(&seen, self.activation, layers);
        let latent = LatentSpace::new([seen[seen.len() - 1], inputs], config, layers);
        widths.reverse();
        let hidden = &widths[..widths.len() - 1];
        let decoder = stack(&[&[self.latent], hidden].concat(), self.activation, layers);
        let last = *hidden.last().unwrap_or(&self.latent);
        let last = layers.dense(last, outputs, Activation::Identity);
        let output = Output::new(self.likelihood.clone(), layers);
        let event = self.event.clone();
        Ok(MlpVae { encoder, latent, decoder, last, output, inputs, event })
    }
}

fn stack(widths: &[usize], activation: Activation, layers: &mut Layers) -> Vec<Dense> {
    widths.windows(2).map(|pair| layers.dense(pair[0], pair[1], activation)).collect()
}

/// A VAE of fully connected layers over rows of any shape, which it flattens.
///
/// `x̃ → hidden… → (μ, ln σ²)`, `z → hidden… (reversed) → p(x | z)`, as in Kingma & Welling (2014),
/// "Auto-Encoding Variational Bayes", appendix C.
#[derive(Module, Debug)]
pub struct MlpVae {
    encoder: Vec<Dense>,
    latent: LatentSpace,
    decoder: Vec<Dense>,
    last: Dense,
    output: Output,
    /// Numbers that the encoder sees of each row.
    #[module(skip)]
    inputs: usize,
    #[module(skip)]
    event: Vec<usize>,
}

impl MlpVae {
    fn features<const D: usize>(&self, input: Tensor<D>) -> Tensor<2> {
        let rows = input.dims()[0];
        self.flat_features(input.reshape([rows, self.inputs]))
    }

    fn flat_features(&self, input: Tensor<2>) -> Tensor<2> {
        through(&self.encoder, input)
    }
}

fn through(layers: &[Dense], input: Tensor<2>) -> Tensor<2> {
    layers.iter().fold(input, |x, layer| layer.forward(x))
}

impl<const D: usize> Vae<D> for MlpVae {
    type Likelihood = Box<dyn Likelihood<D>>;

    fn encode(&self, input: Tensor<D>) -> Encoding {
        Encoding {
            posterior: self.latent.posterior(self.features(input)),
            prior: self.latent.prior(|input| self.flat_features(input)),
        }
    }

    fn embed(&self, input: Tensor<D>) -> Tensor<2> {
        self.latent.mean(self.features(input))
    }

    /// # Panics
    ///
    /// If `D` is not one more than the rank of the configured event.
    fn decode(&self, latent: Tensor<2>) -> Box<dyn Likelihood<D>> {
        let [rows, _] = latent.dims();
        let outputs = self.last.forward(through(&self.decoder, latent));
        let shape = [&[rows, self.output.outputs(self.event[0])], &self.event[1..]].concat();
        let shape: [usize; D] = shape.try_into().expect("the rank of the configured event, plus 1");
        self.output.of(outputs.reshape(shape))
    }

    fn prior_sample(&self, draws: &mut RowStreams) -> Tensor<2> {
        self.latent.prior_sample(draws, |input| self.flat_features(input))
    }
}
