//! A log for people.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::{Event, Observer, TrainError, utc};

/// Appends a line to a file for every event of a run except single steps, with the seconds since the session
/// began.
///
/// The log covers all sessions. When a run resumes, lines of steps that will be repeated are removed first, so
/// each measurement is in the file once.
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

    /// Removes the lines of steps after the first `steps`, and an incomplete one.
    fn rewind(&self, steps: usize) -> Result<(), TrainError> {
        if !self.path.exists() {
            return Ok(());
        }
        let bytes = crate::read_file(&self.path)?;
        let stays = |line: &&[u8]| {
            line.ends_with(b"\n")
                && step_of(&String::from_utf8_lossy(line)).is_none_or(|step| step <= steps)
        };
        let kept = bytes.split_inclusive(|&byte| byte == b'\n').filter(stays).collect::<Vec<_>>();
        let kept = kept.concat();
        if kept == bytes { Ok(()) } else { Ok(dvae_data::write_file(&self.path, &kept)?) }
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().append(true).create(true).open(&self.path)?),
        };
        writeln!(file, "{:9.1} s  {line}", self.since.elapsed().as_secs_f64())
    }
}

/// The number of steps done when a line was written, if the line says it of a measurement or of a checkpoint.
fn step_of(line: &str) -> Option<usize> {
    let text = line.split_once(" s  ")?.1.trim_end();
    let number = match text.strip_prefix("epoch ") {
        Some(rest) => rest.split_once(", step ")?.1.split_once(':')?.0,
        None => text.strip_prefix("saved ")?.rsplit_once("step-")?.1,
    };
    number.parse().ok()
}

/// Appends the reason why a run failed, with the time. What made the run fail may also make this fail: then
/// there is no line.
pub(crate) fn log_failure(path: &Path, error: &dyn fmt::Display) {
    let line = format!("{}  failed: {error}\n", utc::now());
    let _ = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
}

impl Observer for TextLog {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        if let Event::Started { steps_done, .. } = event {
            self.since = Instant::now();
            self.rewind(*steps_done)?;
        }
        let line = match event {
            Event::Steps { .. } => return Ok(()),
            Event::Started { steps_done: 0, epochs, steps_per_epoch } => {
                let now = utc::now();
                format!("training starts at {now}: {epochs} epochs of {steps_per_epoch} steps")
            }
            Event::Started { steps_done, epochs, steps_per_epoch } => {
                let (now, steps) = (utc::now(), epochs * steps_per_epoch);
                format!("training goes on at {now} after step {steps_done} of {steps}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_what_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        let old = "      0.0 s  training starts at 2026-03-01T12:00:00Z: 3 epochs of 4 steps\n\
                   1.0 s  epoch 1, step 4: ELBO -1.000 nats in training; on held-out rows\n\
                   1.0 s  saved runs/step-00000099/checkpoints/step-00000004\n\
                   2.0 s  epoch 2, step 8: ELBO -1.000 nats in training; on held-out rows\n\
                   2026-03-01T12:00:03Z  failed: cannot write epoch 9, step 9\n\
                   3.0 s  saved runs/checkpoints/step-00000009\n";
        std::fs::write(&path, format!("{old}3.0 s  epoch 3, st")).unwrap();
        let log = TextLog::new(&path);
        log.rewind(9).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), old);
        log.rewind(4).unwrap();
        let kept = std::fs::read_to_string(&path).unwrap();
        let steps: Vec<_> = kept.lines().map(step_of).collect();
        assert_eq!(steps, [None, Some(4), Some(4), None]);
        TextLog::new(folder.path().join("none")).rewind(0).unwrap();
    }

    #[test]
    fn a_failure_is_logged_if_that_is_possible() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        log_failure(&path, &"the loss became NaN");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("Z  failed: the loss became NaN\n"), "{text}");
        log_failure(&folder.path().join("none/log.txt"), &"a full disk");
    }
}
