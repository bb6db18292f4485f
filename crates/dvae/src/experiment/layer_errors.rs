//! Errors of layered configurations: where a wrong value comes from, and which known name is nearest.

use std::path::Path;

use config::{Value, ValueKind};
use dvae_checks::shown_path;

use super::ExperimentError;
use super::schema::Wrong;

/// The smallest similarity at which a known name is suggested for an unknown one.
const NEAR: f64 = 0.7;

/// An error that names the source of the value at a path.
pub(super) fn placed(
    merged: &Value,
    path: &str,
    reason: String,
    file: Option<&Path>,
) -> ExperimentError {
    let origin = at(merged, path).and_then(origin).map(str::to_owned);
    let file = file.map(shown_path);
    let place = origin.or(file).unwrap_or_else(|| "the configuration".to_owned());
    ExperimentError::Config { place, reason }
}

/// The error for a wrong key or name, with the nearest known one.
pub(super) fn refused(merged: &Value, wrong: Wrong, file: Option<&Path>) -> ExperimentError {
    let hint = |name: &str, known: &[String]| {
        let near = nearest(name, known).map(|near| format!(": did you mean `{near}`?"));
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!("{} (known: {list})", near.unwrap_or_default())
    };
    match wrong {
        Wrong::Key { path, belongs, .. } if !belongs.is_empty() => {
            let kinds = belongs.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>();
            let reason = format!("`{path}` is for {}: leave it out", kinds.join(" or "));
            placed(merged, &path, reason, file)
        }
        Wrong::Key { path, known, .. } => {
            let name = path.rsplit('.').next().unwrap_or(&path);
            let reason = format!("unknown key `{path}`{}", hint(name, &known));
            placed(merged, &path, reason, file)
        }
        Wrong::Name { path, name, known } => {
            let reason = format!("`{path}` cannot be `{name}`{}", hint(&name, &known));
            placed(merged, &path, reason, file)
        }
        Wrong::Missing { path } => {
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            placed(merged, parent, format!("`{path}` is missing"), file)
        }
    }
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let distance = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), other);
    let best = known.iter().max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    (distance(best) >= NEAR).then_some(best)
}

/// The source of a value. A table created by a setting on the way to its key has that setting as its source.
fn origin(value: &Value) -> Option<&str> {
    value.origin().or_else(|| match &value.kind {
        ValueKind::Table(table) => table.values().find_map(origin),
        ValueKind::Array(values) => values.iter().find_map(origin),
        _ => None,
    })
}

/// The value at a path such as `corruption.of[1].level`.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = value;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        value = match &value.kind {
            ValueKind::Table(table) => table.get(part)?,
            ValueKind::Array(values) => {
                values.get(part.trim_end_matches(']').parse::<usize>().ok()?)?
            }
            _ => return None,
        };
    }
    Some(value)
}
