//! Signals that stop a command: Ctrl-C, and on Unix also those of schedulers and of terminals that are closed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use dvae::data::remove_unfinished_files;
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
        let own = stop.clone();
        handle_all(move |signal| own.handle(signal))?;
        Ok(stop)
    }

    /// The exit code of a run that a signal stopped: 128 and the signal's number, as shells have it. If another process got it, that
    /// of SIGTERM.
    pub(crate) fn exit_code(&self) -> u8 {
        const TERM: u8 = 15;
        match self.signal.load(Ordering::SeqCst) {
            0 => 128 + TERM,
            signal => 128 + signal,
        }
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
            remove_unfinished_files();
            std::process::exit(128 + i32::from(CTRL_C));
        }
    }
}

/// A folder that is removed when a signal ends the process.
static AT_END: OnceLock<PathBuf> = OnceLock::new();

/// Removes a folder when a signal ends the process. There is one at most.
pub(crate) fn remove_at_end(folder: &Path) {
    let _ = AT_END.set(folder.into());
}

/// Ends the process at a signal, without the temporary files of what it was writing.
pub(crate) fn clean_up() -> Result<(), Error> {
    handle_all(|signal| {
        remove_unfinished_files();
        if let Some(folder) = AT_END.get() {
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(128 + i32::from(signal));
    })
}

/// Calls a function in a thread of its own for each signal.
#[cfg(unix)]
fn handle_all(mut handle: impl FnMut(u8) + Send + 'static) -> Result<(), Error> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let mut signals = vec![SIGTERM];
    signals.extend([SIGINT, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal)));
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let number = |signal| u8::try_from(signal).expect("the numbers of signals are small");
    std::thread::spawn(move || {
        signals.forever().for_each(|signal| handle(number(signal)));
    });
    Ok(())
}

#[cfg(not(unix))]
fn handle_all(mut handle: impl FnMut(u8) + Send + 'static) -> Result<(), Error> {
    Ok(ctrlc::set_handler(move || handle(CTRL_C))?)
}

/// Whether the process was started to ignore a signal: that of its terminal by `nohup`, Ctrl-C by a script that puts it in
/// the background. No safe function tells. Linux has a file of the signals that are ignored; elsewhere a child ignores
/// what its parent ignores: a shell that sends the signal to itself.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    if let Some(mask) = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        return mask >> (signal - 1) & 1 == 1;
    }
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("kill -{signal} $$")]).stdin(std::process::Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}
