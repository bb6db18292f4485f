//! A fully connected VAE for rows of any shape.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae_distributions::{AnyLikelihood, Inference, LikelihoodConfig, StandardNormal};
use dvae_random::{Draws, Key};
use serde::{Deserialize, Serialize};

use crate::error::{sizes, weights};
use crate::gaussian_head::GaussianHead;
use crate::layers::{Dense, Layers};
use crate::{Activation, ModelError, Vae};

/// Configuration of an [`MlpVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpVaeConfig {
    /// Shape of a row: `[784]`, or `[1, 28, 28]`.
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
    #[serde(default)]
    pub mask_input: bool,
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
        }
    }

    /// The network with weights drawn from `key`; an error names what is out of range.
    pub fn init(&self, key: Key, device: &Device) -> Result<MlpVae, ModelError> {
        sizes("event", if self.event.is_empty() { &[0] } else { &self.event })?;
        sizes("latent", &[self.latent])?;
        sizes("hidden", &self.hidden)?;
        let likelihood = self.likelihood.checked()?;
        let features = self.event.iter().fold(1usize, |n, &axis| n.saturating_mul(axis));
        let mut widths = [&[features], &self.hidden[..]].concat();
        let outputs = features.saturating_mul(likelihood.outputs_per_entry());
        let inputs = features.saturating_mul(1 + usize::from(self.mask_input));
        weights(&[&[inputs], &widths[1..], &[self.latent]].concat())?;
        weights(&[widths.get(1).copied().unwrap_or(self.latent), outputs])?;
        let layers = &mut Layers::new(key, device);
        let seen = [&[inputs], &widths[1..]].concat();
        let encoder = stack(&seen, self.activation, layers);
        let head = GaussianHead::new(seen[seen.len() - 1], self.latent, layers);
        widths.reverse();
        let hidden = &widths[..widths.len() - 1];
        let decoder = stack(&[&[self.latent], hidden].concat(), self.activation, layers);
        let last = *hidden.last().unwrap_or(&self.latent);
        let output = layers.dense(last, outputs, Activation::Identity);
        let event = self.event.clone();
        Ok(MlpVae { encoder, head, decoder, output, inputs, event, likelihood })
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
    head: GaussianHead,
    decoder: Vec<Dense>,
    output: Dense,
    /// Numbers that the encoder sees of each row.
    #[module(skip)]
    inputs: usize,
    #[module(skip)]
    event: Vec<usize>,
    #[module(skip)]
    likelihood: LikelihoodConfig,
}

impl MlpVae {
    fn features<const D: usize>(&self, input: Tensor<D>) -> Tensor<2> {
        let rows = input.dims()[0];
        through(&self.encoder, input.reshape([rows, self.inputs]))
    }
}

fn through(layers: &[Dense], input: Tensor<2>) -> Tensor<2> {
    layers.iter().fold(input, |x, layer| layer.forward(x))
}

impl<const D: usize> Vae<D> for MlpVae {
    type Likelihood = AnyLikelihood<D>;

    fn infer(&self, input: Tensor<D>, draws: &mut Draws) -> Inference {
        self.head.posterior(self.features(input)).infer(draws)
    }

    fn embed(&self, input: Tensor<D>) -> Tensor<2> {
        self.head.mean(self.features(input))
    }

    /// # Panics
    ///
    /// If `D` is not one more than the rank of the configured event.
    fn decode(&self, latent: Tensor<2>) -> AnyLikelihood<D> {
        let [rows, _] = latent.dims();
        let outputs = self.output.forward(through(&self.decoder, latent));
        let channels = self.event[0] * self.likelihood.outputs_per_entry();
        let shape = [&[rows, channels], &self.event[1..]].concat();
        let shape: [usize; D] = shape.try_into().expect("the rank of the configured event, plus 1");
        self.likelihood.of(outputs.reshape(shape)).expect("checked when the model was built")
    }

    fn prior_sample(&self, draws: &mut Draws) -> Tensor<2> {
        StandardNormal.sample(self.head.latent(), draws, &self.head.device())
    }
}
