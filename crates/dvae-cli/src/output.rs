//! Output of commands on standard output.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::Error;

/// The format of the output: for people, or for machines.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Writes the text, or the value as JSON.
    pub(crate) fn write(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        let mut text = if self.json { serde_json::to_string_pretty(value)? } else { text() };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// A path as a text, which it need not be.
pub(crate) fn path<S: serde::Serializer>(
    path: impl AsRef<Path>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().to_string_lossy())
}

/// Prints an error of a part of a command.
pub(crate) fn report(error: &dyn fmt::Display) {
    say("error", error);
}

/// Whether this process says what others say as well.
static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// Lets another process of several print the warnings that all have.
pub(crate) fn silence_shared_warnings() {
    IS_SILENT.store(true, Ordering::Relaxed);
}

/// Prints a warning, which all of several processes have.
pub(crate) fn warn(text: &impl fmt::Display) {
    if !IS_SILENT.load(Ordering::Relaxed) {
        warn_of_own(text);
    }
}

/// Prints a warning of what this process alone works on.
pub(crate) fn warn_of_own(text: &impl fmt::Display) {
    say("warning", text);
}

/// Standard error may be closed.
fn say(what: &str, text: &dyn fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{what}: {}", plain(&text.to_string()));
}

/// A message for the terminal: control characters of names and cells are escaped, so that they do not steer it.
fn plain(text: &str) -> String {
    let escaped = |letter: char| match letter {
        '\n' => "\n".to_owned(),
        letter if letter.is_control() => letter.escape_default().to_string(),
        letter => letter.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// Formats a table; columns of numbers are right-aligned.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let column = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let shape = |(at, head): (usize, &&str)| {
        let width = column(at).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let number = |cell: &String| cell == "-" || cell.parse::<f64>().is_ok();
        (width.max(head.chars().count()), at > 0 && column(at).all(number))
    };
    let shapes: Vec<(usize, bool)> = head.iter().enumerate().map(shape).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&shapes).map(|(cell, &(width, right))| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:width$}"),
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let head = line(&mut head.iter().copied());
    rows.iter().fold(head, |text, row| text + &line(&mut row.iter().map(String::as_str)))
}
