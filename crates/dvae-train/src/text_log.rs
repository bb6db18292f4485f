//! A log for people.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::{Event, Observer, TrainError};

/// Appends a line to a file for every event of a run except single steps, with the seconds since the session
/// began. Lines are never removed: the log covers all sessions.
#[derive(Debug)]
pub struct TextLog {
    path: PathBuf,
    since: Instant,
    file: Option<File>,
}

impl TextLog {
    /// Logs to this file, which is created when training starts.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), since: Instant::now(), file: None }
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().append(true).create(true).open(&self.path)?),
        };
        writeln!(file, "{:9.1} s  {line}", self.since.elapsed().as_secs_f64())
    }
}

impl Observer for TextLog {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        let line = match event {
            Event::Steps { .. } => return Ok(()),
            Event::Started { steps_done: 0, epochs, steps_per_epoch } => {
                self.since = Instant::now();
                format!("training starts: {epochs} epochs of {steps_per_epoch} steps")
            }
            Event::Started { steps_done, epochs, steps_per_epoch } => {
                self.since = Instant::now();
                let steps = epochs * steps_per_epoch;
                format!("training goes on after step {steps_done} of {steps}")
            }
            Event::Measured(report) => {
                let (train, held_out) = (&report.train.mean, &report.validation);
                format!(
                    "epoch {}, step {}: ELBO {:.3} nats in training; on held-out rows {:.3} corrupted, \
                     {:.3} clean{}",
                    report.epoch,
                    report.step,
                    train.elbo,
                    held_out.corrupted.mean.elbo,
                    held_out.clean.mean.elbo,
                    if report.best { " (the best)" } else { "" },
                )
            }
            Event::Saved(folder) => format!("saved {}", folder.display()),
            Event::Ended(end) => format!("training ends: {end}"),
        };
        let path = self.path.clone();
        self.write(&line).map_err(TrainError::io("write", &path))
    }
}
