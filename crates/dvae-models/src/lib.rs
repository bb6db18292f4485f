//! Networks behind one trait: encoder, decoder and prior of a variational autoencoder.
//!
//! | Piece                | What it is                                                                      |
//! |----------------------|---------------------------------------------------------------------------------|
//! | [`Vae`]              | what training and metrics need of a model                                       |
//! | [`Autoencoder`]      | a network with a posterior, a prior and a likelihood: the one model             |
//! | [`Network`]          | layers alone, between rows, features, latents and a decoder's outputs           |
//! | [`Mlp`]              | fully connected layers, for rows of any shape                                   |
//! | [`ConvNet`]          | convolutions of stride 2, for images of any channels × height × width           |
//! | [`ResNet`]           | residual blocks with group normalization, for the same images; slower           |
//! | [`TableNetwork`]     | fully connected, for tables of numbers and classes with holes                   |
//! | [`TokenNetwork`]     | recurrent, for texts, which are decoded character by character                  |
//! | [`Ladder`]           | several levels of maps of latents, fully convolutional: what a denoiser of pictures needs |
//! | [`Initializer`]      | builds layers and draws their weights from a key                                |
//!
//! A model takes any likelihood of `dvae-distributions`, any posterior family ([`PosteriorConfig`]) and any
//! prior family ([`PriorConfig`]).
//!
//! A configuration, a key and a device give a model: `config.init(key, &device)?`. Weights are drawn from the
//! key on the host, so one seed gives one model on every back end.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_models::{AutoencoderConfig, Vae};
//! use dvae_distributions::Likelihood;
//! use dvae_random::{Key, Purpose};
//!
//! let device = Device::flex();
//! let key = Key::new(1);
//! let model = AutoencoderConfig::mlp(&[784], 20).init(key.purpose(Purpose::Weights), &device)?;
//! let input = Tensor::<2>::zeros([8, 784], &device);
//! let draws = &mut key.purpose(Purpose::Latent).rows(&[0, 1, 2, 3, 4, 5, 6, 7]);
//! let inference = model.infer(input, draws);
//! let likelihood = Vae::<2>::decode(&model, inference.latents);
//! assert_eq!(likelihood.mean().dims(), [8, 784]);
//! # Ok::<(), dvae_models::ModelError>(())
//! ```
//!
//! # What this gives up
//!
//! - A model does not know whether its input was corrupted: clean and corrupted rows look the same to it.
//! - The decoder of a bundled network mirrors its encoder; for a different decoder, implement [`Network`].
//! - The bundled networks but [`Ladder`] have one level of latents.
//! - A ladder takes images of any sides, but `latent_shapes` and samples have those that it was built for.

mod activation;
mod autoencoder;
mod config;
mod conv_net;
mod error;
mod flows;
mod initializer;
mod ladder;
mod layers;
mod likelihood_head;
mod made;
mod mlp;
mod network;
mod networks;
#[cfg(feature = "onnx")]
mod onnx;
mod posterior;
mod prior;
mod res_net;
mod table;
mod tokens;
mod vae;

pub use activation::Activation;
pub use autoencoder::{Autoencoder, Distributions};
pub use config::AutoencoderConfig;
pub use conv_net::{ConvNet, ConvNetConfig};
pub use error::ModelError;
pub use initializer::Initializer;
pub use ladder::{Ladder, LadderConfig};
pub use layers::{Conv2d, ConvTranspose2d, GroupNorm, Linear};
pub use mlp::{Mlp, MlpConfig};
pub use network::{Features, Level, Network, Reach};
pub use networks::{AnyNetwork, NetworkConfig};
#[cfg(feature = "onnx")]
pub use onnx::{GraphNetwork, LevelGraph, ModelGraph};
pub use posterior::PosteriorConfig;
pub use prior::PriorConfig;
pub use res_net::{ResNet, ResNetConfig};
pub use table::{TableConfig, TableNetwork};
pub use tokens::{Candidate, TokenConfig, TokenNetwork, TokenSequences};
pub use vae::Vae;
