//! Networks behind one trait: encoder, decoder and prior of a variational autoencoder.
//!
//! | Model         | Encoder                                        | For                                   |
//! |---------------|------------------------------------------------|---------------------------------------|
//! | [`MlpVae`]    | fully connected layers                         | rows of any shape                     |
//! | [`ConvVae`]   | convolutions of stride 2                       | images, any channels × height × width |
//! | [`ResNetVae`] | residual blocks with group normalization       | the same, where time matters less     |
//!
//! Each takes any likelihood of `dvae-distributions`, any family of posterior ([`PosteriorConfig`]) and of
//! prior ([`PriorConfig`]).
//!
//! A configuration becomes a network with a key and a device: `config.init(key, &device)?`. Weights
//! are drawn from the key on the host, so one seed gives one network on every back end.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_models::{MlpVaeConfig, Vae};
//! use dvae_distributions::Likelihood;
//! use dvae_random::{Key, Purpose};
//!
//! let device = Device::flex();
//! let key = Key::new(1);
//! let model = MlpVaeConfig::new(&[784], 20).init(key.purpose(Purpose::Weights), &device)?;
//! let input = Tensor::<2>::zeros([8, 784], &device);
//! let draws = &mut key.purpose(Purpose::Latent).rows(&[0, 1, 2, 3, 4, 5, 6, 7]);
//! let inference = model.infer(input, draws);
//! let likelihood = Vae::<2>::decode(&model, inference.latent);
//! assert_eq!(likelihood.mean().dims(), [8, 784]);
//! # Ok::<(), dvae_models::ModelError>(())
//! ```
//!
//! # What this gives up
//!
//! - A model does not know what its input was: clean and corrupted rows look the same to it.
//! - The decoder mirrors the encoder; a decoder of another build is a model of its own.

mod activation;
mod conv;
mod error;
mod flows;
mod latent_space;
mod layers;
mod made;
mod mlp;
mod output;
mod resnet;
mod vae;

pub use activation::Activation;
pub use conv::{ConvVae, ConvVaeConfig};
pub use error::ModelError;
pub use latent_space::{PosteriorConfig, PriorConfig};
pub use mlp::{MlpVae, MlpVaeConfig};
pub use resnet::{ResNetVae, ResNetVaeConfig};
pub use vae::Vae;
