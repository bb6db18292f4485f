//! A residual convolutional VAE for images of any size.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae_distributions::{Encoding, Likelihood, LikelihoodConfig};
use dvae_random::{Key, RowStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conv::crop;
use crate::error::{sizes, weights};
use crate::latent_space::{LatentConfig, LatentSpace};
use crate::layers::{Conv, Dense, Layers, Norm};
use crate::output::Output;
use crate::{Activation, ModelError, PosteriorConfig, PriorConfig, Vae};

/// Configuration of a [`ResNetVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetVaeConfig {
    /// Shape of a row: `[channels, height, width]`, each at least 1. In an experiment that of the data, if it
    /// is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image: Vec<usize>,
    /// Number of latents.
    pub latent: usize,
    /// Channels of each stage, at least one; each stage halves the sides. The decoder mirrors them.
    pub channels: Vec<usize>,
    /// Residual blocks of each stage, at least 1.
    pub blocks: usize,
    /// Groups of channels that are normalized together, at least 1: at most so many, and as many as
    /// divide a stage's channels.
    pub groups: usize,
    /// The non-linearity before each convolution of a block.
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

impl Default for ResNetVaeConfig {
    /// 32 latents, for images of a size that is still to be said.
    fn default() -> Self {
        Self::new(&[], 32)
    }
}

impl ResNetVaeConfig {
    /// Two stages of 32 and 64 channels with one block each, 8 groups, SiLU, Bernoulli likelihood: change
    /// the fields at will.
    pub fn new(image: &[usize], latent: usize) -> Self {
        Self {
            image: image.into(),
            latent,
            channels: vec![32, 64],
            blocks: 1,
            groups: 8,
            activation: Activation::Silu,
            likelihood: LikelihoodConfig::default(),
            mask_input: false,
            posterior: PosteriorConfig::default(),
            prior: PriorConfig::default(),
        }
    }

    /// The network with weights drawn from `key`; an error names what is out of range.
    pub fn init(&self, key: Key, device: &Device) -> Result<ResNetVae, ModelError> {
        let [colors, height, width] = self.image[..] else {
            return Err(ModelError::Image { shape: self.image.clone() });
        };
        self.check()?;
        let widths = &self.channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let halve = |&[h, w]: &[usize; 2]| Some([h.div_ceil(2), w.div_ceil(2)]);
        let mut sides: Vec<[usize; 2]> =
            std::iter::successors(Some([height, width]), halve).take(widths.len() + 1).collect();
        let deepest = [last, sides[widths.len()][0], sides[widths.len()][1]];
        let features = deepest.iter().fold(1usize, |n, &size| n.saturating_mul(size));
        let inputs = colors * (1 + usize::from(self.mask_input));
        let seen = [inputs, height, width];
        let numbers = seen.iter().fold(1usize, |n, &size| n.saturating_mul(size));
        let config =
            LatentConfig { latent: self.latent, posterior: self.posterior, prior: self.prior };
        config.check([features, numbers])?;

        let layers = &mut Layers::new(key, device);
        let before = [&[inputs], &widths[..]].concat();
        let area = |i: usize| sides[i][0] * sides[i][1];
        let down = (0..widths.len())
            .map(|i| {
                let conv = layers.halve(before[i], widths[i], Activation::Identity);
                Stage { conv, blocks: self.blocks(widths[i], area(i + 1), layers) }
            })
            .collect();
        let norm = layers.norm(last, self.groups, area(widths.len()));
        let encoder = Encoder { down, norm, activation: self.activation };
        let latent = LatentSpace::new([features, numbers], config, layers);
        let input = layers.dense(self.latent, features, Activation::Identity);
        let up = (0..widths.len())
            .rev()
            .map(|i| {
                let outputs = widths[i.saturating_sub(1)];
                let conv = layers.keep(widths[i], outputs, Activation::Identity);
                Stage { conv, blocks: self.blocks(outputs, area(i), layers) }
            })
            .collect();
        let norm = layers.norm(first, self.groups, area(0));
        let outputs = self.likelihood.outputs(colors);
        let last = layers.keep(first, outputs, Activation::Identity);
        let output = Output::new(self.likelihood.clone(), layers);
        sides.pop();
        sides.reverse();
        let activation = self.activation;
        let decoder = Decoder { input, up, norm, last, deepest, sides, activation };
        Ok(ResNetVae { encoder, latent, decoder, output, seen })
    }

    fn check(&self) -> Result<(), ModelError> {
        sizes("image", &self.image)?;
        sizes("channels", if self.channels.is_empty() { &[0] } else { &self.channels })?;
        sizes("blocks", &[self.blocks])?;
        sizes("groups", &[self.groups])?;
        // A kernel has 3 × 3 weights for each pair of channels.
        let wide = [&[2 * self.image[0]], &self.channels[..]].concat();
        for pair in wide.windows(2) {
            weights(&[pair[0].saturating_mul(9), pair[1]])?;
            weights(&[pair[1].saturating_mul(9), pair[1]])?;
        }
        self.likelihood.check(self.image[0])?;
        weights(&[self.likelihood.outputs(self.image[0]).saturating_mul(9), self.channels[0]])
    }

    /// The residual blocks of a stage whose images have `area` pixels.
    fn blocks(&self, channels: usize, area: usize, layers: &mut Layers) -> Vec<Block> {
        let mut half = || Half {
            norm: layers.norm(channels, self.groups, area),
            conv: layers.keep(channels, channels, Activation::Identity),
        };
        let activation = self.activation;
        (0..self.blocks).map(|_| Block { first: half(), second: half(), activation }).collect()
    }
}

/// A VAE of residual blocks over images `[batch, channels, height, width]`.
///
/// `x̃ → stages → (μ, ln σ²)`, `z → linear → stages → convolution → p(x | z)`. A stage of the encoder is a
/// convolution of stride 2 and residual blocks; one of the decoder doubles the sides by repeating
/// pixels (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"), crops what an odd side has
/// too much, and then convolves. A block is `x + f(x)`, where `f` is twice normalization,
/// non-linearity and convolution (He et al. 2016, "Identity Mappings in Deep Residual Networks",
/// section 4), with groups of channels normalized (Wu & He 2018, "Group Normalization"), so that rows
/// stay independent of each other.
#[derive(Module, Debug)]
pub struct ResNetVae {
    encoder: Encoder,
    latent: LatentSpace,
    decoder: Decoder,
    output: Output,
    /// Channels, height and width of what the encoder sees.
    #[module(skip)]
    seen: [usize; 3],
}

impl ResNetVae {
    fn flat_features(&self, input: Tensor<2>) -> Tensor<2> {
        let [channels, height, width] = self.seen;
        let shape = [-1, channels as i32, height as i32, width as i32];
        self.encoder.forward(input.reshape(shape))
    }
}

#[derive(Module, Debug)]
struct Encoder {
    down: Vec<Stage>,
    norm: Norm,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Decoder {
    input: Dense,
    up: Vec<Stage>,
    norm: Norm,
    last: Conv,
    /// Channels, height and width before the first stage.
    #[module(skip)]
    deepest: [usize; 3],
    /// Height and width after each stage.
    #[module(skip)]
    sides: Vec<[usize; 2]>,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Stage {
    conv: Conv,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    first: Half,
    second: Half,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Half {
    norm: Norm,
    conv: Conv,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let half = |half: &Half, x| half.conv.forward(self.activation.apply(half.norm.forward(x)));
        x.clone() + half(&self.second, half(&self.first, x))
    }
}

impl Stage {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(self.conv.forward(x), |x, block| block.forward(x))
    }
}

impl Encoder {
    fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let rows = input.dims()[0];
        let x = self.down.iter().fold(input, |x, stage| stage.forward(x));
        let [_, channels, height, width] = x.dims();
        self.activation.apply(self.norm.forward(x)).reshape([rows, channels * height * width])
    }
}

impl Decoder {
    fn forward(&self, latent: Tensor<2>) -> Tensor<4> {
        let [rows, _] = latent.dims();
        let [channels, height, width] = self.deepest;
        let mut x = self.input.forward(latent).reshape([rows, channels, height, width]);
        for (stage, &sides) in self.up.iter().zip(&self.sides) {
            x = stage.forward(crop(doubled(x), sides));
        }
        self.last.forward(self.activation.apply(self.norm.forward(x)))
    }
}

/// Every pixel twice in each direction.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [rows, channels, height, width] = x.dims();
    x.reshape([rows * channels, height, 1, width, 1])
        .expand([rows * channels, height, 2, width, 2])
        .reshape([rows, channels, 2 * height, 2 * width])
}

impl Vae<4> for ResNetVae {
    type Likelihood = Box<dyn Likelihood<4>>;

    fn encode(&self, input: Tensor<4>) -> Encoding {
        Encoding {
            posterior: self.latent.posterior(self.encoder.forward(input)),
            prior: self.latent.prior(|input| self.flat_features(input)),
        }
    }

    fn embed(&self, input: Tensor<4>) -> Tensor<2> {
        self.latent.mean(self.encoder.forward(input))
    }

    fn decode(&self, latent: Tensor<2>) -> Box<dyn Likelihood<4>> {
        self.output.of(self.decoder.forward(latent))
    }

    fn prior_sample(&self, draws: &mut RowStreams) -> Tensor<2> {
        self.latent.prior_sample(draws, |input| self.flat_features(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_repeats_every_pixel() {
        let x = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 4.0]]]], &Device::flex());
        let values: Vec<f32> = doubled(x).into_data().try_to_vec().unwrap();
        let expected =
            [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4].map(|value: u8| f32::from(value));
        assert_eq!(values, expected);
    }
}
