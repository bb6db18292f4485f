//! Watching a run.

use serde::{Deserialize, Serialize};

use crate::{Evaluation, MeanElbo, TrainError};

/// Something that watches training. It is told and cannot answer, except that it failed.
pub trait Observer: Send {
    /// Called at each event, in order. An error stops the run after its last checkpoint.
    fn observe(&mut self, event: &Event) -> Result<(), TrainError>;
}

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Training starts, or goes on after `epochs_done` epochs of an earlier sitting.
    Started {
        /// Epochs that are behind.
        epochs_done: usize,
        /// Epochs in all.
        epochs: usize,
        /// Steps in each of them.
        steps_per_epoch: usize,
    },
    /// Some steps are done.
    Steps {
        /// The epoch, from 1.
        epoch: usize,
        /// Steps done in this epoch.
        step: usize,
        /// Means over the rows of this epoch so far.
        so_far: MeanElbo,
    },
    /// An epoch is done and validated.
    Epoch(&'a EpochReport),
    /// Training ends.
    Finished,
}

/// One epoch, as it is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The weight of the KL in the loss at the last step, if the objective has one; the terms below are
    /// never weighted.
    pub beta: Option<f64>,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Means over the training rows, each at the weights of its own step, on corrupted input.
    pub train: Training,
    /// Measured on held-out rows after the epoch.
    pub validation: Validation,
    /// Wall time of the epoch's training steps.
    pub seconds: f64,
}

/// What training saw in an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// What was minimised, in nats.
    pub loss: f64,
    /// The unweighted bound and its terms.
    #[serde(flatten)]
    pub mean: MeanElbo,
    /// Mean `KL(q ‖ p)` of each latent; nothing where it has no closed form.
    pub kl_per_latent: Vec<f64>,
}

/// The bound on held-out rows, with noise that is the same after every epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// With clean input.
    pub clean: Evaluation,
    /// With input corrupted as in training.
    pub corrupted: Evaluation,
}
