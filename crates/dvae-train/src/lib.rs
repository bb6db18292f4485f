//! The training loop: corrupt, infer, decode, score the clean data, and survive interruption.
//!
//! [`CorruptedBatch`] is the whole DVAE and the only place where corruption, model and bound meet: training,
//! evaluation and metrics create one for each batch. [`Trainer`] is the loop around it: shuffling, noise,
//! optimizer, learning rate, averaged weights, validation, early stopping, checkpoints. Observers watch it
//! ([`Progress`], [`JsonLines`], [`TensorBoard`], [`TextLog`]) and cannot change it.
//!
//! | Piece              | What it is                                                             |
//! |--------------------|------------------------------------------------------------------------|
//! | [`CorruptedBatch`] | clean rows and draws of `x̃ ~ p(x̃ \| x)`; scores them by any [`Objective`](dvae_losses::Objective) |
//! | [`denoising_elbo`] | the bound's terms with one draw of `x̃` and `z`                        |
//! | [`Trainer`]        | minimizes the loss, epoch by epoch; resumes to the same bits            |
//! | [`evaluate`]       | the bound of a trained model, on clean or on corrupted input            |
//! | [`Communicator`]  | processes that train one model together, to the bits of one            |
//! | [`RunFolder`]      | where a run keeps its configuration, metrics, checkpoints and images    |
//! | [`save_weights`]   | weights for use elsewhere, as safetensors; [`WeightFile`] reads them    |
//! | [`import_state_dict`] | weights from PyTorch                                                 |
//!
//! ```
//! use burn::tensor::Device;
//! use dvae_corruption::Masking;
//! use dvae_models::{AutoencoderConfig, Vae};
//! use dvae_random::{Key, Purpose};
//! use dvae_train::{TrainConfig, Trainer};
//!
//! let device = Device::flex();
//! let rows = dvae_data::fashion_mnist().train.take(200);
//! let (train, held_out) = rows.split(50, Key::new(1).purpose(Purpose::Split))?;
//! let config = AutoencoderConfig::mlp(train.event(), 4);
//! let model = config.init(Key::new(1).purpose(Purpose::Weights), &device)?;
//! let training = TrainConfig { epochs: 1, ..TrainConfig::default() };
//! let trainer = Trainer::<4, _>::new(model, Masking::new(0.5)?, training, &device)?;
//! let model = trainer.fit(&train, &held_out)?.model;
//! let cleaned = model.denoise(held_out.gather::<4>(&held_out.ids()[..3], &device));
//! assert_eq!(cleaned.dims(), [3, 1, 28, 28]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this gives up
//!
//! - A killed process loses the work since the last checkpoint; an [`Interrupt`] loses nothing.
//! - One device for each process: several of them train together as processes ([`Communicator`]), each with its own.
//! - A term or gradient that is not finite is found when metrics are read, every ten steps. The error names
//!   the exact step for a term or gradient, and the last of the ten for a weight.
//! - With clipping, every step on a GPU waits for the norm of its gradient.

mod ahead;
mod average;
mod checkpoint;
mod clock;
mod communicator;
mod config;
mod early_stopping;
mod error;
mod estimators;
mod evaluate;
mod fit;
mod identity;
mod interrupt;
mod json_lines;
mod learning_rate;
mod module_path;
#[cfg(feature = "mpi")]
mod mpi;
mod noise;
mod observer;
mod optimizer;
mod pending;
mod progress;
mod run_folder;
mod step;
mod tensor_board;
mod terms;
mod text_log;
mod trainer;
mod utc;
mod weights;

pub use clock::TimeLimit;
pub use communicator::{Communicator, Single};
pub use config::{Every, TrainConfig};
pub use early_stopping::EarlyStopping;
pub use error::TrainError;
pub use evaluate::{Evaluation, EvaluationContext, evaluate, row_bounds};
pub use identity::{Difference, Settings};
pub use interrupt::Interrupt;
pub use json_lines::JsonLines;
pub use learning_rate::{Decay, LearningRate};
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use noise::BatchNoise;
pub use observer::{End, Event, Observer, Report, Training, Validation};
pub use optimizer::OptimizerConfig;
pub use progress::Progress;
pub use run_folder::{RunFolder, read_file};
pub use step::{CorruptedBatch, denoising_elbo};
pub use tensor_board::TensorBoard;
pub use terms::MeanElbo;
pub use text_log::TextLog;
pub use trainer::{Trained, Trainer, has_checkpoint, load_checkpoint};
pub use weights::{
    Precision, WeightFile, export_state_dict, import_state_dict, load_weights, save_weights,
};
