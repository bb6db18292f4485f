//! Shared code of the examples: options, training with observers, and exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use dvae::data::{picture_row, read_picture};
use dvae::prelude::*;
use dvae::train::TrainError;
use serde::Serialize;

pub use model::Model;
pub use table::{Columns, neighbors};

mod model;
mod table;

/// Fewer page faults than the system's allocator: Burn makes a new buffer for every operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An error of any kind.
pub type Error = Box<dyn std::error::Error>;

/// Options of every example that trains on images.
#[derive(Debug, clap::Args, Serialize)]
pub struct Options {
    /// Folder of IDX files (MNIST, Fashion-MNIST, …) [default: an embedded part of Fashion-MNIST]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Passes over the training images [default: 30; of a ladder 4]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Images a step [default: 64; of a ladder 16]
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Number of latents [default: 32; of a ladder 4 at each place of a level]
    #[arg(long)]
    pub latent: Option<usize>,
    /// What all randomness comes from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// flex, or another back end that is compiled in, as by `--features wgpu` [default: the first]
    #[arg(long)]
    pub backend: Option<String>,
    /// Folder of the run, new or empty [default: a numbered one in runs/]
    #[arg(long)]
    #[serde(skip)]
    pub out: Option<PathBuf>,
}

/// Options of every example that damages one picture.
#[derive(Debug, clap::Args, Serialize)]
pub struct PictureOptions {
    /// A picture of your own [default: an embedded one]
    #[arg(long)]
    pub image: Option<PathBuf>,
    /// What all randomness comes from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for the results, new or empty [default: a numbered one in runs/]
    #[arg(long)]
    #[serde(skip)]
    pub out: Option<PathBuf>,
}

impl PictureOptions {
    /// The picture, `[1, channels, height, width]`: that of the options, or else this PNG file.
    pub fn picture(&self, embedded: &[u8], device: &Device) -> Result<Tensor<4>, Error> {
        let picture = match &self.image {
            Some(path) => read_picture(path)?,
            None => picture_row(embedded)?,
        };
        Ok(picture.gather(&[0], device))
    }

    /// The folder for the results of the example of this name.
    pub fn folder(&self, name: &str) -> Result<RunFolder, Error> {
        Ok(match &self.out {
            Some(path) => RunFolder::new(path)?,
            None => RunFolder::numbered("runs".as_ref(), name)?,
        })
    }
}

/// What the options are where they are not given.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Number of latents.
    pub latent: usize,
}

impl Default for Defaults {
    /// Those of a model with one level of latents.
    fn default() -> Self {
        Self { epochs: 30, batch_size: 64, latent: 32 }
    }
}

impl Options {
    /// The options, with those that were not given.
    pub fn or(mut self, defaults: Defaults) -> Self {
        self.epochs.get_or_insert(defaults.epochs);
        self.batch_size.get_or_insert(defaults.batch_size);
        self.latent.get_or_insert(defaults.latent);
        self
    }

    /// The number of latents.
    pub fn latent(&self) -> usize {
        self.latent.unwrap_or(Defaults::default().latent)
    }

    /// The device of the selected back end.
    pub fn device(&self) -> Result<Device, Error> {
        let backend = match &self.backend {
            Some(name) => name.parse()?,
            None => Backend::first().ok_or("no back end is compiled in: add `--features flex`")?,
        };
        Ok(backend.device()?)
    }

    /// The selected images.
    pub fn sets(&self) -> Result<Sets, Error> {
        Ok(self.data.as_deref().map_or_else(|| Ok(fashion_mnist()), read_idx_folder)?)
    }

    /// The training settings, with a learning rate that suits these images.
    pub fn training(&self) -> TrainConfig {
        let defaults = Defaults::default();
        TrainConfig {
            epochs: self.epochs.unwrap_or(defaults.epochs),
            batch_size: self.batch_size.unwrap_or(defaults.batch_size),
            learning_rate: LearningRate::cosine(2e-3, 1e-4),
            seed: self.seed,
            ..TrainConfig::default()
        }
    }

    /// Splits the training rows into training and validation rows; validation gets a twentieth.
    pub fn split(&self, train: &Dataset) -> Result<(Dataset, Dataset), Error> {
        let held_out = (train.len() / 20).max(1);
        Ok(train.split(held_out, Key::new(self.seed).purpose(Purpose::Split))?)
    }

    /// The selected folder, or a numbered one with this name.
    pub fn folder(&self, name: &str) -> Result<RunFolder, Error> {
        Ok(match &self.out {
            Some(path) => RunFolder::new(path)?,
            None => RunFolder::numbered("runs".as_ref(), name)?,
        })
    }
}

/// Trains with a progress bar; metrics and checkpoints go to the folder.
pub fn fit<V: Vae<4>>(
    trainer: Trainer<4, V>,
    name: &str,
    (train, held_out): &(Dataset, Dataset),
    folder: &RunFolder,
) -> Result<V, TrainError> {
    let trainer = trainer.checkpoints(folder.checkpoints());
    let trainer = trainer.observe(Progress::new(name)).observe(JsonLines::new(folder.metrics()));
    Ok(trainer.fit(train, held_out)?.model)
}

/// Prints an error on one line. The exit code is 1 if training failed although its input was valid, and 2 for
/// errors that the user can correct.
pub fn exit(result: Result<(), Error>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    match error.downcast_ref() {
        Some(TrainError::NonFinite { .. }) => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

/// Rust code on the pages runs as documentation tests of this package, which is not published: in a published
/// package the paths under `../../` would not exist.
#[cfg(doctest)]
mod pages {
    macro_rules! pages {
        ($($page:literal $name:ident)*) => { $(#[doc = include_str!($page)] struct $name;)* };
    }

    pages! {
        "../../README.md" Readme
        "../../docs/cli.md" Program
        "../../docs/corruptions.md" Corruptions
        "../../docs/tables.md" Tables
        "../../docs/extending.md" Extending
        "../../crates/dvae/README.md" Dvae
        "../../crates/dvae-checks/README.md" DvaeChecks
        "../../crates/dvae-corruption/README.md" DvaeCorruption
        "../../crates/dvae-data/README.md" DvaeData
        "../../crates/dvae-distributions/README.md" DvaeDistributions
        "../../crates/dvae-eval/README.md" DvaeEval
        "../../crates/dvae-kernels/README.md" DvaeKernels
        "../../crates/dvae-losses/README.md" DvaeLosses
        "../../crates/dvae-models/README.md" DvaeModels
        "../../crates/dvae-onnx/README.md" DvaeOnnx
        "../../crates/dvae-random/README.md" DvaeRandom
        "../../crates/dvae-train/README.md" DvaeTrain
    }
}
