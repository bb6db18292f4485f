//! Observers of a run, and the events they see.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Evaluation, MeanElbo, TrainError};

/// An observer of training. It is notified of events and can only report its own failure.
pub trait Observer: Send {
    /// Called at each event, in order. An error stops the run after its last checkpoint.
    fn observe(&mut self, event: &Event) -> Result<(), TrainError>;
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        (**self).observe(event)
    }
}

/// A shared observer, which can be read after the run.
impl<O: Observer + ?Sized> Observer for Arc<Mutex<O>> {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        // After a panic elsewhere, the observer is still readable.
        self.lock().unwrap_or_else(PoisonError::into_inner).observe(event)
    }
}

/// An event of a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Training starts, or resumes after `steps_done` steps of an earlier session.
    Started {
        /// Steps already done.
        steps_done: usize,
        /// Epochs of the training.
        epochs: usize,
        /// Steps per epoch.
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
    /// A stop was requested: [`Trainer::until`](crate::Trainer::until), [`Interrupt`](crate::Interrupt).
    Interrupted,
    /// Another step might have ended after its [`TimeLimit`](crate::TimeLimit).
    OutOfTime,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "all epochs are done",
            Self::StoppedEarly => "the bound no longer improved",
            Self::Interrupted => "it was interrupted",
            Self::OutOfTime => "its time was up",
        })
    }
}

/// A measurement and the training before it, as they are logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps done since the beginning of the training.
    pub step: usize,
    /// The weight of the KL in the loss at the last step, if the objective has a single one; the terms below
    /// are never weighted.
    pub beta: Option<f64>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The largest gradient norm since the last measurement, before clipping.
    pub gradient_norm: f64,
    /// Means over the training rows since the last measurement, each at the weights of its own step, on
    /// corrupted input.
    pub train: Training,
    /// Measured on held-out rows after the step, with the averaged weights if they are kept.
    pub validation: Validation,
    /// Whether the bound with corrupted input is the largest so far.
    pub best: bool,
    /// Wall time of the training steps since the last measurement of this session.
    pub seconds: f64,
}

/// Metrics on the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The loss, in nats.
    pub loss: f64,
    /// The unweighted bound and its terms.
    #[serde(flatten)]
    pub mean: MeanElbo,
    /// Mean `KL(q ‖ p)` of each latent, or of each channel of a map, level by level; empty for a level without a closed form.
    pub kl_per_latent: Vec<Vec<f64>>,
}

/// The bound on held-out rows; the noise is the same every time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// With clean input.
    pub clean: Evaluation,
    /// With input corrupted as in training.
    pub corrupted: Evaluation,
}
