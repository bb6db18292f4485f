//! Asking a run to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to stop a training: clones share it, so that a signal handler or another thread can have one.
///
/// A [`Trainer`](crate::Trainer) looks at it after each step. It then saves a checkpoint and returns.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Nothing is requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests it; whether it was requested before.
    pub fn set(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether it is requested.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
