//! The bundled networks, in one list.

use burn::module::Module;
use burn::tensor::Tensor;
use dvae_distributions::{Latent, LatentShape, Likelihood};
#[cfg(feature = "onnx")]
use dvae_onnx::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::conv_net::{ConvNet, ConvNetConfig};
use crate::ladder::{Ladder, LadderConfig};
use crate::mlp::{Mlp, MlpConfig};
use crate::res_net::{ResNet, ResNetConfig};
use crate::table::{TableConfig, TableNetwork};
use crate::tokens::{TokenConfig, TokenNetwork};
use crate::{Autoencoder, AutoencoderConfig, Features, Initializer, Level, ModelError, Network};
#[cfg(feature = "onnx")]
use crate::{GraphNetwork, ModelGraph};

/// From a list of networks, generates one enum of their configurations, one enum of the networks, and the
/// conversions. A network's name in a file is its variant's name in kebab-case.
macro_rules! networks {
    ($($(#[$doc:meta])+ $variant:ident($config:ty, $network:ty),)+) => {
        /// The network's type and settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
        #[serde(tag = "type", rename_all = "kebab-case")]
        #[strum(serialize_all = "kebab-case")]
        #[non_exhaustive]
        pub enum NetworkConfig {
            $($(#[$doc])+ $variant($config),)+
        }

        impl NetworkConfig {
            /// The network's name, as in a file.
            pub fn name(&self) -> &'static str {
                self.into()
            }

            pub(crate) fn build(
                &self,
                model: &AutoencoderConfig,
                init: &mut Initializer,
            ) -> Result<Autoencoder<AnyNetwork>, ModelError> {
                match self {
                    $(Self::$variant(config) => model.build(config, init),)+
                }
            }
        }

        /// One of the bundled networks.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant)] // One lives in a model.
        pub enum AnyNetwork {
            $($(#[$doc])+ $variant($network),)+
        }

        impl<const D: usize> Network<D> for AnyNetwork {
            fn levels(&self) -> Vec<Level> {
                match self {
                    $(Self::$variant(network) => Network::<D>::levels(network),)+
                }
            }

            fn features(&self, input: Tensor<D>) -> Vec<Features> {
                match self {
                    $(Self::$variant(network) => network.features(input),)+
                }
            }

            fn descend(
                &self,
                level: usize,
                above: Option<Features>,
                latent: &Latent,
                below: Option<LatentShape>,
            ) -> Features {
                match self {
                    $(Self::$variant(network) => {
                        Network::<D>::descend(network, level, above, latent, below)
                    })+
                }
            }

            fn outputs(&self, context: Features) -> Tensor<D> {
                match self {
                    $(Self::$variant(network) => network.outputs(context),)+
                }
            }

            fn likelihood(&self, context: &Features) -> Option<Box<dyn Likelihood<D>>> {
                match self {
                    $(Self::$variant(network) => network.likelihood(context),)+
                }
            }
        }

        #[cfg(feature = "onnx")]
        impl GraphNetwork for AnyNetwork {
            fn features_in(&self, graph: &mut ModelGraph, input: &Value) -> Vec<Value> {
                match self {
                    $(Self::$variant(network) => network.features_in(graph, input),)+
                }
            }

            fn descend_in(
                &self,
                graph: &mut ModelGraph,
                level: usize,
                context: Option<&Value>,
                latent: &Value,
                below: Option<&Value>,
            ) -> Value {
                match self {
                    $(Self::$variant(network) => {
                        network.descend_in(graph, level, context, latent, below)
                    })+
                }
            }

            fn outputs_in(&self, graph: &mut ModelGraph, context: &Value) -> Value {
                match self {
                    $(Self::$variant(network) => network.outputs_in(graph, context),)+
                }
            }
        }

        $(
            impl From<$config> for NetworkConfig {
                fn from(config: $config) -> Self {
                    Self::$variant(config)
                }
            }

            impl From<$network> for AnyNetwork {
                fn from(network: $network) -> Self {
                    Self::$variant(network)
                }
            }
        )+
    };
}

networks! {
    /// Fully connected, for rows of any shape.
    Mlp(MlpConfig, Mlp),
    /// Convolutional, for images.
    Conv(ConvNetConfig, ConvNet),
    /// Residual, for images.
    ResNet(ResNetConfig, ResNet),
    /// Several levels of maps of latents, for images: `latent` is the number of latents at each place of a level.
    Ladder(LadderConfig, Ladder),
    /// Fully connected, for tables of numbers and classes; the input has a mask.
    Table(TableConfig, TableNetwork),
    /// Recurrent, for texts; the likelihood is `tokens`.
    Tokens(TokenConfig, TokenNetwork),
}

impl Default for NetworkConfig {
    /// Convolutional.
    fn default() -> Self {
        Self::Conv(ConvNetConfig::default())
    }
}

/// The sizes that a bundled network is built for.
#[derive(Clone)]
pub(crate) struct InputOutput {
    /// The shape of a row.
    pub(crate) event: Vec<usize>,
    /// The shape of a row of the encoder's input.
    pub(crate) input: Vec<usize>,
    /// Number of latents.
    pub(crate) latent: usize,
    /// The shape of the decoder's outputs for a row.
    pub(crate) output: Vec<usize>,
    /// How many classes each place on the first axis of a row has; 0 for numbers.
    pub(crate) classes: Vec<usize>,
}

impl InputOutput {
    /// Channels, height and width of the encoder's input.
    pub(crate) fn image(&self) -> Result<[usize; 3], ModelError> {
        let refused = |_| ModelError::Image { shape: self.event.clone() };
        self.input.as_slice().try_into().map_err(refused)
    }
}

impl InputOutput {
    /// The one level of a network whose latents are a vector.
    pub(crate) fn vector(&self, features: usize) -> Level {
        Level { latents: LatentShape::Vector(self.latent), features, context: 0 }
    }
}

/// The configuration of a bundled network. The parts are built one by one, because weights are drawn in the
/// order in which data passes them: those of posterior and prior come between encoder and decoder.
pub(crate) trait Bundled {
    type Encoder;
    type Network: Into<AnyNetwork>;

    /// The levels of latents, top first; an error names what is out of range.
    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError>;

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> Self::Encoder;

    fn network(
        &self,
        encoder: Self::Encoder,
        io: &InputOutput,
        init: &mut Initializer,
    ) -> Self::Network;
}

/// Converts the rank's type parameter, where the two ranks are known to be equal.
///
/// # Panics
///
/// If they are not equal.
pub(crate) fn same_rank<const D: usize, const E: usize>(tensor: Tensor<D>) -> Tensor<E> {
    let shape = tensor.dims();
    let shape: [usize; E] = shape[..].try_into().expect("the rank of rows that the network is for");
    tensor.reshape(shape)
}

pub(crate) fn saturating_product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
}
