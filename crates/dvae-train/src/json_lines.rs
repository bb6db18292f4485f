//! Metrics as JSON Lines: one object per measurement.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use crate::{Event, Observer, Report, TrainError};

/// Appends a [`Report`] to a file after each measurement.
///
/// When a run resumes, lines of steps that will be repeated are removed first, so each measurement is in the
/// file once. A run that starts from the beginning empties the file.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
}

impl JsonLines {
    /// Logs to this file, which is created when training starts.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Keeps only the lines of the steps already done.
    fn rewind(&self, steps: usize) -> Result<(), TrainError> {
        let bytes = if self.path.exists() { crate::read_file(&self.path)? } else { vec![] };
        // An incomplete line, or one of a step that will be repeated, is removed.
        let behind = |line: &&[u8]| {
            serde_json::from_slice::<Report>(line).is_ok_and(|report| report.step <= steps)
        };
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        let kept: Vec<&[u8]> = lines.filter(|line| line.ends_with(b"\n")).filter(behind).collect();
        Ok(dvae_data::write_file(&self.path, &kept.concat())?)
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
            Event::Started { steps_done, .. } => self.rewind(*steps_done),
            Event::Measured(report) => serde_json::to_string(report)
                .map_err(std::io::Error::from)
                .and_then(|line| self.append(&line))
                .map_err(TrainError::io("write", &self.path)),
            _ => Ok(()),
        }
    }
}
