//! Watching a run.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Evaluation, MeanElbo, TrainError};

/// Something that watches training. It is told and cannot answer, except that it failed.
pub trait Observer: Send {
    /// Called at each event, in order. An error stops the run after its last checkpoint.
    fn observe(&mut self, event: &Event) -> Result<(), TrainError>;
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        (**self).observe(event)
    }
}

/// An observer that is read after the run.
impl<O: Observer + ?Sized> Observer for Arc<Mutex<O>> {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        // What a panic elsewhere left behind is still there to be read.
        self.lock().unwrap_or_else(PoisonError::into_inner).observe(event)
    }
}

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Training starts, or goes on after `steps_done` steps of an earlier session.
    Started {
        /// Steps that are behind.
        steps_done: usize,
        /// Epochs in all.
        epochs: usize,
        /// Steps in each of them.
        steps_per_epoch: usize,
    },
    /// Some steps are done.
    Steps {
        /// Steps done since the beginning of the training.
        step: usize,
        /// Means over the rows since the last measurement.
        so_far: MeanElbo,
    },
    /// The bound on held-out rows was measured.
    Measured(&'a Report),
    /// The state was saved in this folder.
    Saved(&'a Path),
    /// The session ends.
    Ended(End),
}

/// How a session of a training ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// All epochs are done.
    Finished,
    /// The bound no longer improved: [`EarlyStopping`](crate::EarlyStopping).
    StoppedEarly,
    /// It was asked to: [`Trainer::until`](crate::Trainer::until), [`Interrupt`](crate::Interrupt).
    Interrupted,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "all epochs are done",
            Self::StoppedEarly => "the bound no longer improved",
            Self::Interrupted => "it was interrupted",
        })
    }
}

/// A measurement, and the training that led to it, as they are logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps done since the beginning of the training.
    pub step: usize,
    /// The weight of the KL in the loss at the last step, if the objective has one; the terms below are
    /// never weighted.
    pub beta: Option<f64>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The largest norm of a gradient since the last measurement, before clipping.
    pub gradient_norm: f64,
    /// Means over the training rows since the last measurement, each at the weights of its own step, on
    /// corrupted input.
    pub train: Training,
    /// Measured on held-out rows after the step, with the averaged weights if there are any.
    pub validation: Validation,
    /// Whether no measurement before had a larger bound with corrupted input.
    pub best: bool,
    /// Wall time of the training steps since the last measurement of this session.
    pub seconds: f64,
}

/// What training saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// What was minimized, in nats.
    pub loss: f64,
    /// The unweighted bound and its terms.
    #[serde(flatten)]
    pub mean: MeanElbo,
    /// Mean `KL(q ‖ p)` of each latent; nothing where it has no closed form.
    pub kl_per_latent: Vec<Vec<f64>>,
}

/// The bound on held-out rows, with noise that is the same every time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// With clean input.
    pub clean: Evaluation,
    /// With input corrupted as in training.
    pub corrupted: Evaluation,
}
