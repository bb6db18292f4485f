//! One configuration from several places.

use std::path::Path;

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use serde::Deserialize;

use super::{Experiment, ExperimentError};

/// What variables of the environment begin with.
const PREFIX: &str = "DVAE__";
/// How far a name may be from the one that was meant.
const NEAR: f64 = 0.7;

pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    settings: &[String],
) -> Result<Experiment, ExperimentError> {
    let mut builder = Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(file_source(path)?);
    }
    let mut variables: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        let place = format!("the environment variable {name}");
        builder = builder.add_source(Setting { place, key, value });
    }
    for setting in settings {
        let Some((key, value)) = setting.split_once('=') else {
            let reason = "it must be of the form key=value, such as train.epochs=5".to_owned();
            return Err(ExperimentError::Config { place: format!("--set {setting}"), reason });
        };
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        builder = builder.add_source(Setting { place: format!("--set {setting}"), key, value });
    }
    let whole = |error: config::ConfigError| ExperimentError::Config {
        place: file.map_or("the configuration".into(), |path| path.display().to_string()),
        reason: error.to_string(),
    };
    let merged = Value::new(None, builder.build().and_then(|c| c.collect()).map_err(whole)?);
    serde_path_to_error::deserialize(to_toml(&merged)).map_err(|error| {
        let path = error.path().to_string();
        explained(&merged, &path, error.into_inner().message(), file)
    })
}

/// The table of a file, whose text is looked at first: its errors name line and column.
fn file_source(path: &Path) -> Result<File<config::FileSourceString, FileFormat>, ExperimentError> {
    let place = path.display().to_string();
    let failed = |reason: String| ExperimentError::Config { place: place.clone(), reason };
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("it cannot be read: {error}")))?;
    if let Err(error) = text.parse::<toml::Table>() {
        return Err(failed(error.to_string().trim_end().to_owned()));
    }
    Ok(File::from_str(&text, FileFormat::Toml))
}

/// One setting; its value is TOML if it can be, and a text if not.
#[derive(Clone, Debug)]
struct Setting {
    place: String,
    key: String,
    value: String,
}

impl Source for Setting {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        #[derive(Deserialize)]
        struct Parsed {
            value: toml::Value,
        }
        let parsed = toml::from_str::<Parsed>(&format!("value = {}", self.value));
        let value = parsed.map_or(toml::Value::String(self.value.clone()), |parsed| parsed.value);
        Ok(Map::from([(self.key.clone(), from_toml(&value, &self.place))]))
    }
}

fn from_toml(value: &toml::Value, place: &String) -> Value {
    let kind = match value {
        toml::Value::Boolean(value) => ValueKind::Boolean(*value),
        toml::Value::Integer(value) => ValueKind::I64(*value),
        toml::Value::Float(value) => ValueKind::Float(*value),
        toml::Value::Array(values) => {
            ValueKind::Array(values.iter().map(|value| from_toml(value, place)).collect())
        }
        toml::Value::Table(table) => ValueKind::Table(
            table.iter().map(|(key, value)| (key.clone(), from_toml(value, place))).collect(),
        ),
        other => ValueKind::String(other.as_str().map_or_else(|| other.to_string(), str::to_owned)),
    };
    Value::new(Some(place), kind)
}

fn to_toml(value: &Value) -> toml::Value {
    match &value.kind {
        ValueKind::Nil => toml::Value::String(String::new()),
        ValueKind::Boolean(value) => (*value).into(),
        ValueKind::I64(value) => (*value).into(),
        ValueKind::U64(value) => i64::try_from(*value).unwrap_or(i64::MAX).into(),
        ValueKind::I128(value) => (*value as f64).into(),
        ValueKind::U128(value) => (*value as f64).into(),
        ValueKind::Float(value) => (*value).into(),
        ValueKind::String(value) => value.clone().into(),
        ValueKind::Array(values) => toml::Value::Array(values.iter().map(to_toml).collect()),
        ValueKind::Table(table) => toml::Value::Table(
            table.iter().map(|(key, value)| (key.clone(), to_toml(value))).collect(),
        ),
    }
}

/// An error with its place, and with the nearest known name if a name is unknown.
fn explained(merged: &Value, path: &str, message: &str, file: Option<&Path>) -> ExperimentError {
    let mut path = if path == "." { String::new() } else { path.to_owned() };
    let mut reason = message.to_owned();
    if let Some((kind, name, known)) = unknown(message) {
        let nearest = nearest(name, &known);
        let hint = nearest.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let list = if known.is_empty() { "there is none".into() } else { format!("known: {list}") };
        if kind == "field" {
            // In a table that is told apart by one of its keys, the path ends before the wrong one.
            let found = find(merged, name, "");
            let under = found.into_iter().find(|found| found.starts_with(&path));
            path = under.unwrap_or_else(|| format!("{path}.{name}"));
            reason = format!("`{path}` is no key{hint} ({list})");
        } else {
            reason = format!("`{path}` cannot be `{name}`{hint} ({list})");
        }
    } else if !path.is_empty() {
        reason = format!("`{path}`: {reason}");
    }
    let origin = at(merged, &path).and_then(origin).map(str::to_owned);
    let file = file.map(|path| path.display().to_string());
    let place = origin.or(file).unwrap_or_else(|| "the configuration".to_owned());
    ExperimentError::Config { place, reason }
}

/// What serde says of a name that is none: (field or variant, the name, the known ones).
fn unknown(message: &str) -> Option<(&str, &str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown ")?;
    let (kind, rest) = rest.split_once(" `")?;
    let (name, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((kind, name, known))
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), other);
    let best = known.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    (distance(best) >= NEAR).then_some(best)
}

/// The paths of all keys of this name.
fn find(value: &Value, name: &str, path: &str) -> Vec<String> {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &value.kind {
        ValueKind::Table(table) => table
            .iter()
            .flat_map(|(key, inner)| {
                let own = (key == name).then(|| under(key));
                own.into_iter().chain(find(inner, name, &under(key)))
            })
            .collect(),
        ValueKind::Array(values) => {
            let each = values.iter().enumerate();
            each.flat_map(|(at, inner)| find(inner, name, &format!("{path}[{at}]"))).collect()
        }
        _ => vec![],
    }
}

/// Where a value comes from; a table that a setting made on its way comes from that setting.
fn origin(value: &Value) -> Option<&str> {
    value.origin().or_else(|| match &value.kind {
        ValueKind::Table(table) => table.values().find_map(origin),
        ValueKind::Array(values) => values.iter().find_map(origin),
        _ => None,
    })
}

/// The value at a path such as `corruption.of[1].level`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(settings: &[&str]) -> Result<Experiment, String> {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        read(None, [], &settings).map_err(|error| error.to_string())
    }

    fn file(text: &str) -> Result<Experiment, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("experiment.toml");
        std::fs::write(&path, text).unwrap();
        read(Some(&path), [], &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "[train]\nepochs = 3\nbatch_size = 7\nseed = 9\n").unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment =
            [variable("DVAE__TRAIN__EPOCHS", "4"), variable("DVAE__TRAIN__BATCH_SIZE", "8")];
        let settings = ["train.epochs=5".to_owned()];
        let experiment = read(Some(&path), environment, &settings).unwrap();
        let train = &experiment.train;
        assert_eq!((train.epochs, train.batch_size, train.seed), (5, 8, 9));
        assert_eq!(train.accumulate, 1);
    }

    #[test]
    fn values_are_toml_or_else_text() {
        let corruption = |text: &str| settings(&[text]).unwrap().corruption;
        assert_eq!(corruption("corruption=gaussian:0.3"), "gaussian:0.3".parse().unwrap());
        let table = "corruption={ process = \"masking\", level = 0.25 }";
        assert_eq!(corruption(table), "masking:0.25".parse().unwrap());
        let rate = settings(&["train.learning_rate=0.01"]).unwrap().train.learning_rate;
        assert_eq!(rate, 0.01.into());
        let hidden = settings(&["model.network=mlp", "model.hidden=[10, 20]"]).unwrap();
        assert!(hidden.to_toml().contains("hidden = [10, 20]"), "{}", hidden.to_toml());
    }

    #[test]
    fn a_wrong_key_is_named_with_its_place_and_the_nearest_one() {
        let error = file("[train]\nepohs = 3\n").unwrap_err();
        assert!(
            error.contains("experiment.toml: `train.epohs` is no key: did you mean `epochs`?"),
            "{error}"
        );
        let error = file("[model]\nnetwork = \"mlp\"\nhiden = [3]\n").unwrap_err();
        assert!(error.contains("`model.hiden` is no key: did you mean `hidden`?"), "{error}");
        let error = file(
            "corruption = { process = \"sequence\", of = [{ process = \"masking\", levl = 1 }] }",
        );
        let error = error.unwrap_err();
        assert!(error.contains("corruption.of[0].levl") && error.contains("`level`"), "{error}");
        let error = settings(&["trian.epochs=3"]).unwrap_err();
        assert!(
            error.starts_with("--set trian.epochs=3: `trian` is no key: did you mean `train`?"),
            "{error}"
        );
        let variable = ("DVAE__TRAIN__EPOHS".to_owned(), "5".to_owned());
        let error = read(None, [variable], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("the environment variable DVAE__TRAIN__EPOHS: `train.epohs`"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        let error = file("[train]\nepochs = \"many\"\n").unwrap_err();
        assert!(
            error.contains("experiment.toml: `train.epochs`: invalid type: string \"many\""),
            "{error}"
        );
        let error = settings(&["train.optimizer={ name = \"adamw\" }"]).unwrap_err();
        assert!(
            error.contains("`train.optimizer.name` cannot be `adamw`: did you mean `adam-w`?"),
            "{error}"
        );
        let error = settings(&["train.epochs"]).unwrap_err();
        assert!(error.contains("of the form key=value"), "{error}");
        let error = file("[train\n").unwrap_err();
        assert!(error.contains("experiment.toml") && error.contains("line 1"), "{error}");
        let error = settings(&["corruption=gausian"]).unwrap_err();
        assert!(error.starts_with("--set corruption=gausian: `corruption`:"), "{error}");
    }
}
