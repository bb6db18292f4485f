//! One JSON object a line for each epoch.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use crate::{EpochReport, Event, Observer, TrainError};

/// Appends an [`EpochReport`](crate::EpochReport) to a file after each epoch.
///
/// When a run resumes, lines of epochs that are done again go first, so the file has each epoch
/// once; a run from its beginning empties the file.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
}

impl JsonLines {
    /// Logs to this file, made when training starts.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Leaves the lines of the epochs that are behind.
    fn rewind(&self, epochs: usize) -> Result<(), TrainError> {
        let text = if self.path.exists() {
            std::fs::read_to_string(&self.path).map_err(TrainError::io("read", &self.path))?
        } else {
            String::new()
        };
        // A line that was torn off, or is of an epoch that will be done again, goes.
        let behind = |line: &&str| {
            serde_json::from_str::<EpochReport>(line).is_ok_and(|report| report.epoch <= epochs)
        };
        let kept: String = text.split_inclusive('\n').filter(behind).collect();
        crate::run_folder::write_atomically(&self.path, kept.as_bytes())
    }

    fn append(&self, line: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        writeln!(file, "{line}")?;
        file.sync_all()
    }
}

impl Observer for JsonLines {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        match event {
            Event::Started { epochs_done, .. } => self.rewind(*epochs_done),
            Event::Epoch(report) => serde_json::to_string(report)
                .map_err(std::io::Error::from)
                .and_then(|line| self.append(&line))
                .map_err(TrainError::io("write", &self.path)),
            Event::Steps { .. } | Event::Finished => Ok(()),
        }
    }
}
