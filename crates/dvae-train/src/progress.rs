//! A progress bar, or plain lines where there is no terminal.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{Event, MeanElbo, Observer, TrainError};

const BAR: &str = "{prefix} {wide_bar} epoch {msg}, {eta} left";

/// Shows epoch, ELBO, reconstruction and KL in nats, and the remaining time, on standard error.
#[derive(Debug)]
pub struct Progress {
    name: String,
    bar: ProgressBar,
    epochs: usize,
    steps_per_epoch: usize,
}

impl Progress {
    /// Creates a bar with this name in front of it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), bar: ProgressBar::hidden(), epochs: 0, steps_per_epoch: 1 }
    }

    fn describe(&self, epoch: usize, terms: &MeanElbo) -> String {
        format!(
            "{epoch}/{}: ELBO {:.1} nats = reconstruction {:.1} − KL {:.1}",
            self.epochs, terms.elbo, terms.log_likelihood, terms.kl
        )
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event) -> Result<(), TrainError> {
        match *event {
            Event::Started { steps_done, epochs, steps_per_epoch } => {
                (self.epochs, self.steps_per_epoch) = (epochs, steps_per_epoch);
                let style = ProgressStyle::with_template(BAR).expect("a right template");
                self.bar = ProgressBar::new((epochs * steps_per_epoch) as u64)
                    .with_style(style)
                    .with_prefix(self.name.clone())
                    .with_position(steps_done as u64);
                self.bar.reset_eta();
            }
            Event::Steps { step, so_far } => {
                let epoch = (step - 1) / self.steps_per_epoch + 1;
                self.bar.set_message(self.describe(epoch, &so_far));
                self.bar.set_position(step as u64);
            }
            Event::Measured(report) if self.bar.is_hidden() => {
                let text = self.describe(report.epoch, &report.validation.corrupted.mean);
                // Standard error may be closed.
                let line = format!("{} epoch {text} (held-out, corrupted input)", self.name);
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Event::Measured(_) | Event::Saved(_) => {}
            Event::Ended(_) => self.bar.abandon(),
        }
        Ok(())
    }
}
