//! A network by configuration.

use burn::tensor::Device;
use dvae_models::{ConvVaeConfig, MlpVaeConfig, ResNetVaeConfig, Vae};
use dvae_random::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExperimentError;

/// Which network, and its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "network", rename_all = "kebab-case")]
pub enum NetworkConfig {
    /// Fully connected: rows of any shape.
    Mlp(MlpVaeConfig),
    /// Convolutional: images.
    Conv(ConvVaeConfig),
    /// Residual: images.
    ResNet(ResNetVaeConfig),
}

impl Default for NetworkConfig {
    /// Convolutional, with 32 latents.
    fn default() -> Self {
        Self::Conv(ConvVaeConfig::default())
    }
}

/// Something that is done with a model of whatever network, over rows of whatever rank.
pub(crate) trait WithModel {
    type Output;

    fn call<const D: usize, V: Vae<D> + 'static>(
        self,
        model: V,
    ) -> Result<Self::Output, ExperimentError>;
}

impl NetworkConfig {
    /// Its name, as in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mlp(_) => "mlp",
            Self::Conv(_) => "conv",
            Self::ResNet(_) => "res-net",
        }
    }

    /// The shape of a row; empty until it is known.
    pub fn event(&self) -> &[usize] {
        match self {
            Self::Mlp(config) => &config.event,
            Self::Conv(config) => &config.image,
            Self::ResNet(config) => &config.image,
        }
    }

    /// Number of latents.
    pub fn latent(&self) -> usize {
        match self {
            Self::Mlp(config) => config.latent,
            Self::Conv(config) => config.latent,
            Self::ResNet(config) => config.latent,
        }
    }

    /// The same network for rows of this shape, with a mask beside them or not; an error if it says otherwise
    /// of itself.
    pub(crate) fn resolve(&self, event: &[usize], mask: bool) -> Result<Self, ExperimentError> {
        if !self.event().is_empty() && self.event() != event {
            let (own, key) =
                (self.event(), if matches!(self, Self::Mlp(_)) { "event" } else { "image" });
            return Err(ExperimentError::Settings(format!(
                "`model.{key}` is {own:?}, but the rows of the data are of shape {event:?}: leave the key out"
            )));
        }
        let mut resolved = self.clone();
        let (own, mask_input) = match &mut resolved {
            Self::Mlp(config) => (&mut config.event, &mut config.mask_input),
            Self::Conv(config) => (&mut config.image, &mut config.mask_input),
            Self::ResNet(config) => (&mut config.image, &mut config.mask_input),
        };
        if *mask_input && !mask {
            let text = "`model.mask_input` is for a corruption that shows its mask: { process = \"show-mask\", \
                        of = { … } }";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        *own = event.into();
        *mask_input = mask;
        Ok(resolved)
    }

    /// Makes the model with weights from `key`, and does something with it.
    pub(crate) fn with<W: WithModel>(
        &self,
        key: Key,
        device: &Device,
        work: W,
    ) -> Result<W::Output, ExperimentError> {
        match self {
            Self::Conv(config) => work.call::<4, _>(config.init(key, device)?),
            Self::ResNet(config) => work.call::<4, _>(config.init(key, device)?),
            Self::Mlp(config) => {
                let model = config.init(key, device)?;
                match config.event.len() {
                    1 => work.call::<2, _>(model),
                    2 => work.call::<3, _>(model),
                    3 => work.call::<4, _>(model),
                    axes => Err(ExperimentError::Settings(format!(
                        "rows of {axes} axes are not modeled: give them a shape of one to three by `data.shape`"
                    ))),
                }
            }
        }
    }
}
