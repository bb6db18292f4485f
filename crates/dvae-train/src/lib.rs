//! The training loop: corrupt, infer, decode, score the clean data, and survive interruption.
//!
//! [`denoising_draws`] is the whole DVAE and the only place where corruption, model and bound meet.
//! [`Trainer`] is the loop around it: shuffling, noise, optimiser, learning rate, validation,
//! checkpoints. Observers watch it ([`Progress`], [`JsonLines`]) and cannot change it.
//!
//! | Piece              | What it is                                                             |
//! |--------------------|------------------------------------------------------------------------|
//! | [`denoising_elbo`] | `x̃ ~ p(x̃ \| x)`, `z ~ q(z \| x̃)`, the terms of the bound on clean `x`   |
//! | [`denoising_draws`] | the same with several draws of each, for any [`Objective`](dvae_losses::Objective) |
//! | [`Trainer`]        | minimises it, epoch by epoch; resumes to the same bits                  |
//! | [`evaluate`]       | the bound of a trained model, on clean or on corrupted input            |
//! | [`RunFolder`]      | where a run keeps its configuration, metrics, checkpoints and pictures   |
//!
//! ```
//! use burn::tensor::Device;
//! use dvae_corruption::Masking;
//! use dvae_models::{MlpVaeConfig, Vae};
//! use dvae_random::{Key, Purpose};
//! use dvae_train::{TrainConfig, Trainer};
//!
//! let device = Device::flex();
//! let rows = dvae_data::fashion_mnist().train.take(200);
//! let (train, held_out) = rows.split(50, Key::new(1).purpose(Purpose::Split))?;
//! let config = MlpVaeConfig { hidden: vec![32], ..MlpVaeConfig::new(train.event(), 4) };
//! let model = config.init(Key::new(1).purpose(Purpose::Weights), &device)?;
//! let training = TrainConfig { epochs: 1, ..TrainConfig::default() };
//! let trainer = Trainer::<4, _>::new(model, Box::new(Masking::new(0.5)?), training, &device)?;
//! let model = trainer.fit(&train, &held_out, &mut [])?;
//! let cleaned = model.denoise(held_out.gather::<4>(&held_out.ids()[..3], &device));
//! assert_eq!(cleaned.dims(), [3, 1, 28, 28]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this gives up
//!
//! - A checkpoint is made after an epoch, so an interruption costs up to one epoch.
//! - One device: several devices or machines are outside this crate.
//! - A non-finite term is found when terms are read, every ten steps, and named to the step.

mod checkpoint;
mod config;
mod error;
mod evaluate;
mod fit;
mod json_lines;
mod observer;
mod progress;
mod run_folder;
mod step;
mod terms;
mod trainer;

pub use config::{LearningRate, TrainConfig};
pub use error::TrainError;
pub use evaluate::{Evaluation, evaluate};
pub use json_lines::JsonLines;
pub use observer::{EpochReport, Event, Observer, Training, Validation};
pub use progress::Progress;
pub use run_folder::RunFolder;
pub use step::{Streams, denoising_draws, denoising_elbo};
pub use terms::MeanElbo;
pub use trainer::{Trainer, load_weights};
