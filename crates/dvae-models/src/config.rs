//! Configuration of models: the bundled networks, each with any distributions.

use burn::tensor::Device;
use dvae_distributions::LikelihoodConfig;
use dvae_random::Key;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::autoencoder::LevelHeads;
use crate::error::{row, sizes};
use crate::likelihood_head::LikelihoodHead;
use crate::networks::{Bundled, InputOutput, saturating_product};
use crate::{
    AnyNetwork, Autoencoder, ConvNetConfig, Distributions, Initializer, LadderConfig, MlpConfig,
    ModelError, NetworkConfig, PosteriorConfig, PriorConfig, Reach, ResNetConfig,
};

/// Configuration of an [`Autoencoder`] with one of the bundled networks.
///
/// ```toml
/// latent = 32
/// network = { type = "conv", channels = [32, 64] }     # or "conv", for all of its defaults
/// likelihood = { type = "bernoulli" }
/// posterior = { type = "diagonal-normal" }
/// prior = { type = "standard-normal" }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Shape of a row: `[784]`, or `[channels, height, width]`. In an experiment, the shape of the data if
    /// left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event: Vec<usize>,
    /// Number of latents; of a ladder, at each place of each level.
    pub latent: usize,
    /// The network: a table, or just its name.
    #[serde(deserialize_with = "name_or_table")]
    #[schemars(transform = or_name)]
    pub network: NetworkConfig,
    /// The likelihood, which determines the meaning of the decoder's outputs.
    pub likelihood: LikelihoodConfig,
    /// The family of the posterior.
    pub posterior: PosteriorConfig,
    /// The family of the prior.
    pub prior: PriorConfig,
    /// Whether a mask follows the encoder's input, which doubles the first axis of a row, as
    /// `dvae_corruption::ShowMask` makes it.
    pub mask_input: bool,
    /// Whether the encoder sees `ln(1 + x)` in place of `x`: for counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log_input: bool,
}

impl Default for AutoencoderConfig {
    /// A convolutional network with 32 latents; the image size is not set yet.
    fn default() -> Self {
        Self::new(NetworkConfig::default(), &[], 32)
    }
}

impl AutoencoderConfig {
    /// A network for rows of this shape, with `latent` latents, a diagonal normal posterior, a standard
    /// normal prior and a Bernoulli likelihood. All fields are public and may be changed.
    pub fn new(network: impl Into<NetworkConfig>, event: &[usize], latent: usize) -> Self {
        Self {
            event: event.into(),
            latent,
            network: network.into(),
            likelihood: LikelihoodConfig::default(),
            posterior: PosteriorConfig::default(),
            prior: PriorConfig::default(),
            mask_input: false,
            log_input: false,
        }
    }

    /// Fully connected, one hidden layer of 400 units.
    pub fn mlp(event: &[usize], latent: usize) -> Self {
        Self::new(MlpConfig::default(), event, latent)
    }

    /// Two convolutions of 32 and 64 channels.
    pub fn conv(image: &[usize], latent: usize) -> Self {
        Self::new(ConvNetConfig::default(), image, latent)
    }

    /// Two residual stages of 32 and 64 channels.
    pub fn res_net(image: &[usize], latent: usize) -> Self {
        Self::new(ResNetConfig::default(), image, latent)
    }

    /// A ladder of three levels of 16, 32 and 32 channels, with `latent` latents at each place of a level.
    pub fn ladder(image: &[usize], latent: usize) -> Self {
        Self::new(LadderConfig::default(), image, latent)
    }

    /// How the model applies to images of other sides than `event` has; `None` if it does not.
    pub fn reach(&self) -> Option<Reach> {
        if self.likelihood.needs_totals() {
            return None; // A part of an image has another total.
        }
        let distributions = (self.posterior, self.prior);
        match (&self.network, distributions) {
            (
                NetworkConfig::Ladder(ladder),
                (PosteriorConfig::DiagonalNormal {}, PriorConfig::StandardNormal {}),
            ) => ladder.reach(),
            _ => None,
        }
    }

    /// Builds the model with weights drawn from `key`; an error names what is out of range.
    pub fn init(&self, key: Key, device: &Device) -> Result<Autoencoder<AnyNetwork>, ModelError> {
        self.network.build(self, &mut Initializer::new(key, device))
    }

    /// Builds the model if it has at most so many weights, as those that are to be loaded from a file do; otherwise it is
    /// an error, before there is memory for them.
    pub fn init_within(
        &self,
        most: usize,
        device: &Device,
    ) -> Result<Autoencoder<AnyNetwork>, ModelError> {
        let init = &mut Initializer::new(Key::new(0), device).within(most);
        let model = self.network.build(self, init)?;
        if init.has_room() { Ok(model) } else { Err(ModelError::Room { room: most }) }
    }

    /// Builds the model with a network of this configuration.
    pub(crate) fn build<C: Bundled>(
        &self,
        config: &C,
        init: &mut Initializer,
    ) -> Result<Autoencoder<AnyNetwork>, ModelError> {
        sizes("event", if self.event.is_empty() { &[0] } else { &self.event })?;
        row("event", saturating_product(&self.event))?;
        self.likelihood.check(self.event[0])?;
        let is_of_texts = matches!(self.network, NetworkConfig::Tokens(_));
        let is_of_inputs = matches!(self.prior, PriorConfig::Vamp { .. });
        if self.likelihood.is_of_texts() != is_of_texts
            || (is_of_texts && (is_of_inputs || self.log_input))
        {
            return Err(ModelError::OfTexts);
        }
        sizes("latent", &[self.latent])?;
        let with_first = |first: usize| [&[first], &self.event[1..]].concat();
        let io = InputOutput {
            event: self.event.clone(),
            input: with_first(self.event[0] * (1 + usize::from(self.mask_input))),
            latent: self.latent,
            output: with_first(self.likelihood.outputs(self.event[0])),
            classes: (0..self.event[0]).map(|place| self.likelihood.classes_at(place)).collect(),
        };
        row("likelihood", saturating_product(&io.output))?;
        let levels = config.check(&io)?;
        let inputs = saturating_product(&io.input);
        let distributions = Distributions {
            posterior: self.posterior,
            prior: self.prior,
            likelihood: self.likelihood.clone(),
        };
        // Weights are drawn in the order of the data: encoder, latents, decoder.
        let encoder = config.encoder(&io, init);
        let heads = LevelHeads::all(&levels, inputs, &distributions, init)?;
        let network = config.network(encoder, &io, init).into();
        let likelihood = LikelihoodHead::new(self.likelihood.clone(), self.event[0], init);
        let model = Autoencoder::assembled(network, heads, &levels, &io.input, likelihood);
        Ok(if self.log_input { model.with_log_input(self.event[0]) } else { model })
    }
}

fn name_or_table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkConfig, D::Error> {
    struct NameOrTable;

    impl<'de> Visitor<'de> for NameOrTable {
        type Value = NetworkConfig;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the name of a network such as \"conv\", or a table with its `type`")
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<NetworkConfig, E> {
            let table = std::iter::once(("type", name));
            NetworkConfig::deserialize(MapDeserializer::new(table))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NetworkConfig, A::Error> {
            NetworkConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(NameOrTable)
}

/// Extends the schema to accept a name as well.
fn or_name(schema: &mut schemars::Schema) {
    let mut table = std::mem::take(schema);
    let description = table.remove("description");
    *schema = schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] });
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}
