//! Requests to stop a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop a training. Clones share it, so that a signal handler or another thread can hold one.
///
/// A [`Trainer`](crate::Trainer) checks it after each step. It then saves a checkpoint and returns.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Creates an interrupt that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests a stop; returns whether one was already requested.
    pub fn set(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether a stop is requested.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
