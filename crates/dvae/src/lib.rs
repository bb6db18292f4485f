//! Denoising variational autoencoders on any Burn back end.
//!
//! A denoising VAE gets a corrupted input `x̃ ~ p(x̃ | x)`, infers `q(z | x̃)`, and is scored on how well it
//! explains the *clean* `x`:
//!
//! ```text
//! L(x) = E_{x̃ ~ p(x̃|x)} [ E_{q(z|x̃)} log p(x | z) − KL( q(z | x̃) ‖ p(z) ) ]
//! ```
//!
//! This crate is the entry point: it re-exports the crates that do the work, and selects back ends.
//!
//! | Module            | What is in it                                                     |
//! |-------------------|-------------------------------------------------------------------|
//! | [`checks`]        | parameters out of their range, and domains of data                |
//! | [`random`]        | keyed random streams, equal on every back end                     |
//! | [`corruption`]    | processes `p(x̃ \| x)`                                              |
//! | [`distributions`] | `q(z \| ·)`, `p(x \| z)`, `p(z)`                                    |
//! | [`models`]        | networks behind one trait                                         |
//! | [`losses`]        | bounds, gradient estimators, treatments of the KL                 |
//! | [`kernels`]       | fused operations of the CPU back end                              |
//! | [`data`]          | readers, in-memory sets, an embedded set                          |
//! | [`train`]         | the loop, checkpoints, observers                                  |
//! | [`eval`]          | signal-to-noise ratios, active units, pictures                    |
//! | [`Backend`]       | a back end by name, and its device                                |
//! | [`Experiment`]    | data, corruption, model and training in one file                  |
//! | [`Run`]           | an experiment in a folder: created, resumed, trained, read        |
//! | [`from_pretrained`] | the model of a run, ready for use: [`Pretrained`]               |
//! | [`Bundled`]       | models that come with the crate: [`Pretrained::bundled`]          |
//!
//! Tensors of Burn 0.22 do not carry the back end in their type: it is part of the [`Device`], and cargo
//! features (`flex`, `ndarray`, `wgpu`, …) choose which ones are compiled in. So every model here runs on
//! every back end, and one program can use several.
//!
//! A program that needs a back end's own types finds Burn's packages here, at the version that everything
//! else is built with: [`burn_autodiff`] always, `burn_flex`, `burn_ndarray` and `burn_wgpu` with the
//! features of these names.
//!
//! [`Device`]: burn::tensor::Device
//!
//! # What this gives up
//!
//! - Burn is pinned to one exact version, and is part of this crate's public interface.

mod backend;
mod experiment;

pub use backend::{Backend, BackendError};
pub use burn;
pub use burn_autodiff;
#[cfg(feature = "flex")]
pub use burn_flex;
#[cfg(feature = "ndarray")]
#[allow(deprecated)] // By Burn, as a whole; it works.
pub use burn_ndarray;
#[cfg(feature = "wgpu")]
pub use burn_wgpu;
pub use dvae_checks as checks;
pub use dvae_corruption as corruption;
pub use dvae_data as data;
pub use dvae_distributions as distributions;
pub use dvae_eval as eval;
pub use dvae_kernels as kernels;
pub use dvae_losses as losses;
pub use dvae_models as models;
#[cfg(feature = "onnx")]
pub use dvae_onnx as onnx;
pub use dvae_random as random;
pub use dvae_train as train;
#[cfg(feature = "onnx")]
pub use experiment::GraphPart;
pub use experiment::{
    Bonus, Bundled, Coverage, DataConfig, DataSource, Experiment, ExperimentError, HeldOut,
    Imputation, ImputationIntervals, KnownTexts, LatentChoice, PictureOptions, Prepared,
    PreparedData, Pretrained, RepairCalibration, RepairCandidate, RepairOptions, Run, Splits,
    Start, Status, TextRepair, Uncertainty, Weights, from_pretrained,
};

/// What most programs use.
pub mod prelude {
    pub use crate::corruption::{
        Clean, ClipRange, CorruptedInput, Corruption, CorruptionConfig, CorruptionError, Domain,
    };
    pub use crate::corruption::{Gaussian, Level, Masking, OneOf, SaltAndPepper, Scale};
    pub use crate::corruption::{Sequence, Sometimes, Strength};
    pub use crate::data::{Dataset, Order, Sets, fashion_mnist, read_idx_folder};
    pub use crate::distributions::{Likelihood, LikelihoodConfig};
    pub use crate::eval::{Comparison, Grid};
    pub use crate::losses::{ImportanceWeights, KlTerm, Objective, Schedule};
    pub use crate::models::{AnyNetwork, Autoencoder, AutoencoderConfig, NetworkConfig, Vae};
    pub use crate::models::{ConvNetConfig, MlpConfig, ResNetConfig};
    pub use crate::models::{PosteriorConfig, PriorConfig};
    pub use crate::random::{Key, Purpose, RowStreams};
    pub use crate::train::{EvaluationContext, TrainConfig, Trainer};
    pub use crate::train::{JsonLines, LearningRate, Observer, Progress, RunFolder};
    pub use crate::{Backend, BackendError};
    pub use burn::tensor::{Device, Tensor};
}
