//! Texts of strangers in messages, and panics of libraries as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;

/// The longest text of a file that a message repeats, in characters.
const LONGEST: usize = 80;

/// A text of a file as a message shows it: control characters are escaped, and what is too long is cut.
///
/// ```
/// assert_eq!(dvae_checks::shown("a\u{1b}[31mb"), "a\\u{1b}[31mb");
/// assert_eq!(dvae_checks::shown(&"x".repeat(1000)).chars().count(), 81);
/// ```
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).flat_map(escaped).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Names of a file, such as those of its columns, as a message shows them: the first twenty.
///
/// ```
/// assert_eq!(dvae_checks::listed(&["a", "b\n"]), "a, b\\n");
/// ```
pub fn listed(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 20;
    let mut listed: Vec<String> =
        names.iter().take(MOST).map(|name| shown(name.as_ref())).collect();
    if names.len() > MOST {
        listed.push(format!("and {} more", names.len() - MOST));
    }
    listed.join(", ")
}

/// A path as a message shows it: control characters are escaped.
///
/// ```
/// assert_eq!(dvae_checks::shown_path("a\nb.csv".as_ref()), "a\\nb.csv");
/// ```
pub fn shown_path(path: &Path) -> String {
    path.to_string_lossy().chars().flat_map(escaped).collect()
}

fn escaped(letter: char) -> impl Iterator<Item = char> {
    let escape = letter.is_control().then(|| letter.escape_default());
    let plain = escape.is_none().then_some(letter);
    escape.into_iter().flatten().chain(plain)
}

thread_local! {
    /// How many calls of [`contained`] this thread is within.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// From now on, panics within [`contained`] print nothing: their message is in the error. For programs.
pub fn silence_contained_panics() {
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        if DEPTH.get() == 0 {
            hook(panic);
        }
    }));
}

/// Calls a function of a library that may panic on bad input; a panic becomes its message.
///
/// ```
/// assert_eq!(dvae_checks::contained(|| 1), Ok(1));
/// assert_eq!(dvae_checks::contained(|| [1][..0][0]).unwrap_err(), "index out of bounds: the len is 0 but the index is 0");
/// ```
pub fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "it failed without a message".to_owned())
    })
}
