//! A convolutional VAE for images of any size.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae_distributions::{Encoding, Likelihood, LikelihoodConfig};
use dvae_random::{Key, RowStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{sizes, weights};
use crate::latent_space::{LatentConfig, LatentSpace};
use crate::layers::{Conv, Dense, Double, Layers};
use crate::output::Output;
use crate::{Activation, ModelError, PosteriorConfig, PriorConfig, Vae};

/// Configuration of a [`ConvVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConvVaeConfig {
    /// Shape of a row: `[channels, height, width]`, each at least 1. In an experiment that of the data, if it
    /// is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image: Vec<usize>,
    /// Number of latents.
    pub latent: usize,
    /// Channels after each of the encoder's convolutions, at least one; the decoder mirrors them.
    pub channels: Vec<usize>,
    /// The non-linearity after each hidden layer.
    pub activation: Activation,
    /// What the decoder's outputs mean.
    pub likelihood: LikelihoodConfig,
    /// Whether the encoder's input has a mask behind it, in as many channels again: what
    /// `dvae_corruption::ShowMask` makes.
    pub mask_input: bool,
    /// The family of the posterior.
    pub posterior: PosteriorConfig,
    /// The family of the prior.
    pub prior: PriorConfig,
}

impl Default for ConvVaeConfig {
    /// 32 latents, for images of a size that is still to be said.
    fn default() -> Self {
        Self::new(&[], 32)
    }
}

impl ConvVaeConfig {
    /// Two convolutions of 32 and 64 channels, ReLU, Bernoulli likelihood: change the fields at
    /// will.
    pub fn new(image: &[usize], latent: usize) -> Self {
        Self {
            image: image.into(),
            latent,
            channels: vec![32, 64],
            activation: Activation::default(),
            likelihood: LikelihoodConfig::default(),
            mask_input: false,
            posterior: PosteriorConfig::default(),
            prior: PriorConfig::default(),
        }
    }

    /// The network with weights drawn from `key`; an error names what is out of range.
    pub fn init(&self, key: Key, device: &Device) -> Result<ConvVae, ModelError> {
        let [colors, height, width] = self.image[..] else {
            return Err(ModelError::Image { shape: self.image.clone() });
        };
        sizes("image", &self.image)?;
        sizes("channels", if self.channels.is_empty() { &[0] } else { &self.channels })?;
        self.likelihood.check(colors)?;
        let inputs = colors * (1 + usize::from(self.mask_input));
        let stages = [&[inputs], &self.channels[..]].concat();
        // Sides before each convolution, and after the last one.
        let halve = |&[h, w]: &[usize; 2]| Some([h.div_ceil(2), w.div_ceil(2)]);
        let mut sides: Vec<[usize; 2]> =
            std::iter::successors(Some([height, width]), halve).take(stages.len()).collect();
        let last = stages.len() - 1;
        let deepest = [stages[last], sides[last][0], sides[last][1]];
        let features = deepest.iter().fold(1usize, |n, &size| n.saturating_mul(size));
        // A kernel has at most 4 × 4 weights for each pair of channels.
        let per_tap: Vec<usize> =
            stages.iter().map(|channels| channels.saturating_mul(4)).collect();
        weights(&per_tap)?;
        let config =
            LatentConfig { latent: self.latent, posterior: self.posterior, prior: self.prior };
        let seen = [inputs, height, width].iter().fold(1usize, |n, &size| n.saturating_mul(size));
        config.check([features, seen])?;
        let (layers, act) = (&mut Layers::new(key, device), self.activation);
        let encoder = stages.windows(2).map(|pair| layers.halve(pair[0], pair[1], act)).collect();
        let latent = LatentSpace::new([features, seen], config, layers);
        let input = layers.dense(self.latent, features, act);
        let outputs = [&[self.likelihood.outputs(colors)], &self.channels[..]].concat();
        weights(&[outputs[0].saturating_mul(16), outputs[1]])?;
        let decoder = (0..self.channels.len())
            .rev()
            .map(|i| {
                let act = if i == 0 { Activation::Identity } else { act };
                layers.double(outputs[i + 1], outputs[i], act)
            })
            .collect();
        let output = Output::new(self.likelihood.clone(), layers);
        sides.pop();
        sides.reverse();
        let seen = [inputs, height, width];
        Ok(ConvVae { encoder, latent, input, decoder, output, seen, deepest, sides })
    }
}

/// A VAE of convolutions of stride 2 over images `[batch, channels, height, width]`.
///
/// `x̃ → convolutions → (μ, ln σ²)`, `z → linear → transposed convolutions → p(x | z)`. A side of odd
/// length is halved upwards on the way in and cropped by one on the way out, so any size works.
#[derive(Module, Debug)]
pub struct ConvVae {
    encoder: Vec<Conv>,
    latent: LatentSpace,
    input: Dense,
    decoder: Vec<Double>,
    output: Output,
    /// Channels, height and width of what the encoder sees.
    #[module(skip)]
    seen: [usize; 3],
    /// Channels, height and width after the last convolution.
    #[module(skip)]
    deepest: [usize; 3],
    /// Height and width after each transposed convolution.
    #[module(skip)]
    sides: Vec<[usize; 2]>,
}

impl ConvVae {
    fn features(&self, input: Tensor<4>) -> Tensor<2> {
        let rows = input.dims()[0];
        let deepest = self.encoder.iter().fold(input, |x, layer| layer.forward(x));
        deepest.reshape([rows, self.deepest.iter().product()])
    }

    fn flat_features(&self, input: Tensor<2>) -> Tensor<2> {
        let [channels, height, width] = self.seen;
        self.features(input.reshape([-1, channels as i32, height as i32, width as i32]))
    }
}

impl Vae<4> for ConvVae {
    type Likelihood = Box<dyn Likelihood<4>>;

    fn encode(&self, input: Tensor<4>) -> Encoding {
        Encoding {
            posterior: self.latent.posterior(self.features(input)),
            prior: self.latent.prior(|input| self.flat_features(input)),
        }
    }

    fn embed(&self, input: Tensor<4>) -> Tensor<2> {
        self.latent.mean(self.features(input))
    }

    fn decode(&self, latent: Tensor<2>) -> Box<dyn Likelihood<4>> {
        let [rows, _] = latent.dims();
        let [channels, height, width] = self.deepest;
        let mut x = self.input.forward(latent).reshape([rows, channels, height, width]);
        for (layer, &sides) in self.decoder.iter().zip(&self.sides) {
            x = crop(layer.forward(x), sides);
        }
        self.output.of(x)
    }

    fn prior_sample(&self, draws: &mut RowStreams) -> Tensor<2> {
        self.latent.prior_sample(draws, |input| self.flat_features(input))
    }
}

/// The upper left `sides` of each image, which is at most one pixel taller and wider.
pub(crate) fn crop(images: Tensor<4>, sides: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    if [height, width] == sides {
        return images;
    }
    images.narrow(2, 0, sides[0]).narrow(3, 0, sides[1])
}
