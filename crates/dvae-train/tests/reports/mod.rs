//! An observer that keeps what it is told.

use std::sync::{Arc, Mutex};

use dvae_train::{EpochReport, Event, Observer, TrainError};

/// Keeps the reports of a run.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<EpochReport>>>);

impl Reports {
    /// The reports so far, by epoch.
    pub(crate) fn all(&self) -> Vec<EpochReport> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Reports {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        if let Event::Epoch(report) = event {
            self.0.lock().unwrap().push((*report).clone());
        }
        Ok(())
    }
}
