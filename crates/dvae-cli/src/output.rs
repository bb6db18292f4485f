//! Output of commands on standard output.

use std::io::Write;

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
