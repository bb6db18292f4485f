//! The models of the main example, with what suits each.

use clap::ValueEnum;
use dvae::losses::WarmUp;
use dvae::prelude::*;
use dvae::train::Decay;
use serde::Serialize;

use crate::{Defaults, Options};

/// The models that the main example trains.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Fully connected, one hidden layer of 400
    Mlp,
    /// Convolutional, 32 and 64 channels
    Conv,
    /// A ladder of maps of latents, 16, 32 and 32 channels
    Ladder,
}

impl Model {
    /// The options that are not given.
    pub fn defaults(self) -> Defaults {
        match self {
            Self::Mlp | Self::Conv => Defaults::default(),
            Self::Ladder => Defaults { epochs: 5, batch_size: 16, latent: 4 },
        }
    }

    /// The model's configuration, for images of this shape.
    pub fn config(self, image: &[usize], latent: usize) -> AutoencoderConfig {
        match self {
            Self::Mlp => AutoencoderConfig::mlp(image, latent),
            Self::Conv => AutoencoderConfig::conv(image, latent),
            Self::Ladder => AutoencoderConfig {
                likelihood: LikelihoodConfig::SharedNormal {
                    min_scale: 0.02,
                    initial_scale: Some(0.1),
                },
                ..AutoencoderConfig::ladder(image, latent)
            },
        }
    }

    /// The training settings that suit it.
    pub fn training(self, options: &Options) -> TrainConfig {
        let train = options.training();
        let warm_up = WarmUp { from: 0.0, to: 0.25, until: 0.3 };
        match self {
            Self::Mlp | Self::Conv => train,
            // With a learned scale the bound alone leaves out detail whose variance is below that of the noise it
            // expects; a quarter of the KL leaves out a quarter of that.
            Self::Ladder => TrainConfig {
                learning_rate: LearningRate {
                    rate: 4e-3,
                    warm_up: 0.05,
                    decay: Decay::Cosine { to: 1e-4 },
                },
                max_gradient_norm: Some(500.0),
                objective: KlTerm::Weighted { beta: Schedule::Linear(warm_up) }.into(),
                ..train
            },
        }
    }
}
