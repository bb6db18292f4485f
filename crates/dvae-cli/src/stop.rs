//! Signals that stop a run: Ctrl-C, and on Unix also those of schedulers and of terminals that are closed.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use dvae::train::Interrupt;

use crate::Error;

/// The number of Ctrl-C's signal on every system.
const CTRL_C: u8 = 2;

/// The signal that stopped a run.
#[derive(Clone)]
pub(crate) struct Stop {
    interrupt: Interrupt,
    /// 0 if there was none.
    signal: Arc<AtomicU8>,
}

impl Stop {
    /// Handles signals from now on: the first one sets `interrupt`, and a Ctrl-C after it ends the process.
    pub(crate) fn listen(interrupt: &Interrupt) -> Result<Self, Error> {
        let stop = Self { interrupt: interrupt.clone(), signal: Arc::default() };
        stop.clone().handle_all()?;
        Ok(stop)
    }

    /// The exit code of a run that a signal stopped: 128 and the signal's number, as shells have it.
    pub(crate) fn exit_code(&self) -> u8 {
        128 + self.signal.load(Ordering::SeqCst)
    }

    /// A terminal that is closed may send its signal twice, and a scheduler may repeat its own: only Ctrl-C asks
    /// for an end at once.
    fn handle(&self, signal: u8) {
        // The signal is noted first: a run that ends because of the interrupt asks for it.
        let is_first =
            self.signal.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        self.interrupt.set();
        if is_first {
            let text = "Finishing the step and saving; Ctrl-C once more ends at once.";
            let _ = writeln!(std::io::stderr(), "\n{text}");
        } else if signal == CTRL_C {
            std::process::exit(128 + i32::from(CTRL_C));
        }
    }

    #[cfg(unix)]
    fn handle_all(self) -> Result<(), Error> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let mut signals = vec![SIGINT, SIGTERM];
        if !is_hangup_ignored() {
            signals.push(SIGHUP);
        }
        let mut signals = signal_hook::iterator::Signals::new(signals)?;
        let number = |signal| u8::try_from(signal).expect("the numbers of signals are small");
        std::thread::spawn(move || {
            signals.forever().for_each(|signal| self.handle(number(signal)));
        });
        Ok(())
    }

    #[cfg(not(unix))]
    fn handle_all(self) -> Result<(), Error> {
        Ok(ctrlc::set_handler(move || self.handle(CTRL_C))?)
    }
}

/// Whether the process was started to survive its terminal, as by `nohup`. No safe function tells, but a child
/// ignores what its parent ignores: here a shell that sends the signal to itself.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "kill -HUP $$"]).stdin(std::process::Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}
