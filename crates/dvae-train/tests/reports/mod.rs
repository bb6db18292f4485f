//! An observer that keeps what it is told.

use std::sync::{Arc, Mutex};

use dvae_train::{Event, Observer, Report, TrainError};

/// Keeps the reports of a run.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<Report>>>);

impl Reports {
    /// The reports so far, by epoch.
    pub(crate) fn all(&self) -> Vec<Report> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Reports {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        if let Event::Measured(report) = event {
            self.0.lock().unwrap().push((*report).clone());
        }
        Ok(())
    }
}
