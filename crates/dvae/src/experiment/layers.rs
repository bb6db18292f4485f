//! Layered configuration: defaults, a file, the environment and single settings.

use std::io::Read;
use std::path::Path;

use config::{File, FileFormat, Map, Source, Value, ValueKind};
use dvae_checks::shown_path;
use serde::Deserialize;

use super::layer_errors::{at, placed, refused};
use super::schema;
use super::{Experiment, ExperimentError};

/// The prefix of environment variables.
pub(super) const PREFIX: &str = "DVAE__";
/// The keys that select the kind of a table. When the kind changes, the old table's keys are dropped.
const KINDS: [&str; 5] = ["process", "name", "type", "bound", "source"];
/// The kinds in effect when no layer sets another; every other default is serde's, but for [`FOR_TABLES`].
const DEFAULTS: &str = r#"
data = { source = "fashion-mnist" }
model = { network = { type = "conv" }, likelihood = { type = "bernoulli" }, posterior = { type = "diagonal-normal" }, prior = { type = "standard-normal" } }
train = { optimizer = { name = "adam" }, objective = { bound = "dvae", kl = { type = "weighted", beta = 1.0 } } }
"#;
/// The corruption of tables and arrays when no layer sets another: one for values of any size.
const FOR_TABLES: &str = "masking:0.25";
/// The longest experiment, in bytes.
const LONGEST: u64 = 16 << 20;
/// The largest list index that a single setting can create.
const LONGEST_LIST: usize = 1000;

pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    settings: &[String],
) -> Result<Experiment, ExperimentError> {
    let mut merged = Value::new(None, ValueKind::Table(Map::new()));
    overlay(&mut merged, table(File::from_str(DEFAULTS, FileFormat::Toml), "the defaults")?);
    if let Some(path) = file {
        overlay(&mut merged, table(file_source(path)?, &shown_path(path))?);
    }
    let variables = environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX));
    let variables = variables.map(|(name, value)| {
        let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        Setting::new(format!("the environment variable {name}"), &key, value)
    });
    let mut variables: Vec<Setting> = variables.collect();
    variables.sort_by(|a, b| a.place.cmp(&b.place));
    let settings = settings.iter().map(|setting| {
        let place = format!("--set {setting}");
        let Some((key, value)) = setting.split_once('=') else {
            let reason = "it must be of the form key=value, such as train.epochs=5".to_owned();
            return Err(ExperimentError::Config { place, reason });
        };
        Ok(Setting::new(place, key.trim(), value.trim().to_owned()))
    });
    let settings: Vec<Setting> = settings.collect::<Result<_, _>>()?;
    for mut layer in [variables, settings] {
        // A table's kind is set before its other keys.
        layer.sort_by_key(|setting| !setting.says_kind());
        layer.iter().try_for_each(|setting| setting.apply(&mut merged))?;
    }
    set_corruption(&mut merged);
    let value = to_toml(&merged);
    if let Some(wrong) = schema::wrong(&value) {
        return Err(refused(&merged, wrong, file));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { &path };
        let message = error.inner().message();
        let reason = if path.is_empty() { message.into() } else { format!("`{path}`: {message}") };
        placed(&merged, path, reason, file)
    })
}

/// Sets the corruption of tables and arrays if no layer did. That of pictures is serde's default.
fn set_corruption(merged: &mut Value) {
    let source = at(merged, "data.source").map(|source| &source.kind);
    let is_table =
        matches!(source, Some(ValueKind::String(name)) if name == "csv" || name == "npy");
    if let (true, ValueKind::Table(table)) = (is_table, &mut merged.kind) {
        table.entry("corruption".to_owned()).or_insert_with(|| Value::new(None, FOR_TABLES));
    }
}

/// The environment variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// Parses a value from TOML text; `place` is the source that an error names.
pub(super) fn from_toml_text<T: serde::de::DeserializeOwned>(
    text: &str,
    place: &str,
) -> Result<T, ExperimentError> {
    toml::from_str(text).map_err(|error| {
        let reason = error.to_string().trim_end().to_owned();
        ExperimentError::Config { place: place.to_owned(), reason }
    })
}

/// The table of a layer. A network given by its name alone becomes a table too.
fn table(source: impl Source, place: &str) -> Result<Value, ExperimentError> {
    let collected = source.collect().map_err(|error| ExperimentError::Config {
        place: place.to_owned(),
        reason: error.to_string(),
    })?;
    let mut table = Value::new(None, ValueKind::Table(collected));
    if let Some(network) = at_mut(&mut table, "model").and_then(|model| at_mut(model, "network"))
        && let ValueKind::String(name) = &network.kind
    {
        let name = Value::new(network.origin().map(String::from).as_ref(), name.as_str());
        network.kind = ValueKind::Table(Map::from([("type".to_owned(), name)]));
    }
    Ok(table)
}

fn at_mut<'a>(table: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match &mut table.kind {
        ValueKind::Table(table) => table.get_mut(key),
        _ => None,
    }
}

/// Puts a layer over `base`: tables of the same kind are merged, anything else is replaced.
fn overlay(base: &mut Value, layer: Value) {
    if let (ValueKind::Table(own), ValueKind::Table(over)) = (&mut base.kind, &layer.kind)
        && KINDS.iter().all(|kind| same_kind(own.get(*kind), over.get(*kind)))
    {
        for (key, value) in over.clone() {
            match own.get_mut(&key) {
                Some(inner) => overlay(inner, value),
                None => {
                    own.insert(key, value);
                }
            }
        }
        return;
    }
    *base = layer;
}

/// Whether a layer keeps the kind of a table.
fn same_kind(own: Option<&Value>, over: Option<&Value>) -> bool {
    match (own.map(|value| &value.kind), over.map(|value| &value.kind)) {
        (Some(ValueKind::String(own)), Some(ValueKind::String(over))) => own == over,
        _ => true,
    }
}

/// The table of a file. The text is parsed first, because that error names line and column.
fn file_source(path: &Path) -> Result<File<config::FileSourceString, FileFormat>, ExperimentError> {
    let place = shown_path(path);
    let failed = |reason: String| ExperimentError::Config { place: place.clone(), reason };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| failed(format!("it cannot be read: {error}")))?;
    if text.len() as u64 > LONGEST {
        return Err(failed("it is longer than 16 MiB".to_owned()));
    }
    if let Err(error) = text.parse::<toml::Table>() {
        return Err(failed(error.to_string().trim_end().to_owned()));
    }
    Ok(File::from_str(&text, FileFormat::Toml))
}

/// One setting. Its value is parsed as TOML; if that fails, it is a string.
#[derive(Clone, Debug)]
struct Setting {
    place: String,
    key: String,
    value: String,
}

impl Setting {
    /// A bare network name selects the network's type.
    fn new(place: String, key: &str, value: String) -> Self {
        let is_name = key == "model.network" && !value.starts_with('{');
        let key = if is_name { "model.network.type" } else { key };
        Self { place, key: key.to_owned(), value }
    }

    fn says_kind(&self) -> bool {
        self.key.rsplit('.').next().is_some_and(|last| KINDS.contains(&last)) && self.key != "name"
    }

    fn value(&self) -> Value {
        #[derive(Deserialize)]
        struct Parsed {
            value: toml::Value,
        }
        let parsed = toml::from_str::<Parsed>(&format!("value = {}", self.value));
        let value = parsed.map_or(toml::Value::String(self.value.clone()), |parsed| parsed.value);
        from_toml(&value, &self.place)
    }

    /// Sets the value at the key's path. A table replaces the old value, and so does a change of the table's
    /// kind.
    fn apply(&self, merged: &mut Value) -> Result<(), ExperimentError> {
        let failed = |reason: String| ExperimentError::Config { place: self.place.clone(), reason };
        let indices = self.key.split('[').skip(1).filter_map(|rest| rest.split(']').next());
        for index in indices {
            if !index.parse::<usize>().is_ok_and(|index| index < LONGEST_LIST) {
                return Err(failed(format!("`{index}` is not a place in a list")));
            }
        }
        let value = self.value();
        let is_table = matches!(value.kind, ValueKind::Table(_));
        let (parent, last) = self.key.rsplit_once('.').unwrap_or(("", &self.key));
        let kind_changes = self.says_kind()
            && at(merged, parent).is_some_and(|table| match &table.kind {
                ValueKind::Table(table) => !same_kind(table.get(last), Some(&value)),
                _ => false,
            });
        if kind_changes {
            clear(merged, parent);
        } else if is_table {
            clear(merged, &self.key);
        }
        let layer = Layer { key: self.key.clone(), value };
        layer.collect_to(merged).map_err(|error| failed(error.to_string()))
    }
}

/// One value at a path.
#[derive(Clone, Debug)]
struct Layer {
    key: String,
    value: Value,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(Map::from([(self.key.clone(), self.value.clone())]))
    }
}

/// Removes the value at a path, if there is one.
fn clear(merged: &mut Value, path: &str) {
    let mut value = merged;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let inner = match &mut value.kind {
            ValueKind::Table(table) => table.get_mut(part),
            ValueKind::Array(values) => {
                let index = part.trim_end_matches(']').parse::<usize>();
                index.ok().and_then(|index| values.get_mut(index))
            }
            _ => None,
        };
        let Some(inner) = inner else { return };
        value = inner;
    }
    value.kind = ValueKind::Table(Map::new());
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

#[cfg(test)]
mod tests {
    use super::*;

    use dvae_corruption::{CorruptionConfig, Domain};

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
    fn a_setting_changes_what_is_there_and_another_kind_replaces_it() {
        let latent = settings(&["model.latent=8"]).unwrap();
        assert_eq!((latent.model.network.name(), latent.model.latent), ("conv", 8));
        let rest = settings(&["train.optimizer.beta_1=0.8", "train.objective.kl.beta=4"]).unwrap();
        let text = rest.to_toml().unwrap();
        assert!(text.contains("beta_1 = 0.8") && text.contains("beta = 4.0"), "{text}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.toml");
        std::fs::write(&path, Experiment::default().to_commented_toml().unwrap()).unwrap();
        let changed = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
            read(Some(&path), [], &settings).map_err(|error| error.to_string())
        };
        // In any order: the table's kind is set first.
        let mlp = changed(&["model.network.hidden=[9]", "model.network.type=mlp"]).unwrap();
        assert!(mlp.to_toml().unwrap().contains("hidden = [9]"));
        let table = changed(&["corruption={process=\"masking\",level=0.3}"]).unwrap();
        assert_eq!(table.corruption, "masking:0.3".parse().unwrap());
        assert!(changed(&["train.optimizer={name=\"sgd\"}"]).is_ok());
        assert!(changed(&["train.optimizer.name=sgd"]).is_ok());
        assert!(
            changed(&["train.objective.kl.type=free-bits", "train.objective.kl.nats=2"]).is_ok()
        );
        let tight = changed(&["train.objective.latents=5", "train.objective.bound=diwae"]).unwrap();
        assert_eq!(tight.train.objective, dvae_losses::Objective::diwae(1, 5));
        assert!(changed(&["corruption.of[1].level=0.1"]).is_ok());
        let error = changed(&["corruption.of[1000000000]=1"]).unwrap_err();
        assert!(error.contains("`1000000000` is not a place in a list"), "{error}");
    }

    #[test]
    fn the_default_corruption_is_one_for_the_kind_of_data() {
        let corruption = |data: &[&str]| settings(data).unwrap().corruption;
        let mixed: CorruptionConfig = "mixed".parse().unwrap();
        assert_eq!(corruption(&[]), mixed);
        for pictures in ["idx", "images"] {
            let data = format!("data={{ source = \"{pictures}\", path = \"p\" }}");
            assert_eq!(corruption(&[&data]), mixed, "{pictures}");
        }
        for tables in ["csv", "npy"] {
            let data = format!("data={{ source = \"{tables}\", path = \"p\" }}");
            assert_eq!(corruption(&[&data]), "masking:0.25".parse().unwrap(), "{tables}");
            assert_eq!(corruption(&[&data, "corruption=shot:0.1"]), "shot:0.1".parse().unwrap());
            // It is for any domain.
            for domain in [Domain::Unit, Domain::Counts, Domain::Integers, Domain::Real] {
                assert!(corruption(&[&data]).build::<2>(domain).is_ok(), "{domain}");
            }
        }
        let file = file("[data]\nsource = \"csv\"\npath = \"t.csv\"\n").unwrap();
        assert_eq!(file.corruption, "masking:0.25".parse().unwrap());
    }

    #[test]
    fn values_are_toml_or_else_text() {
        let corruption = |text: &str| settings(&[text]).unwrap().corruption;
        assert_eq!(corruption("corruption=gaussian:0.3"), "gaussian:0.3".parse().unwrap());
        let table = "corruption={ process = \"masking\", level = 0.25 }";
        assert_eq!(corruption(table), "masking:0.25".parse().unwrap());
        let rate = settings(&["train.learning_rate=0.01"]).unwrap().train.learning_rate;
        assert_eq!(rate, 0.01.into());
        let hidden =
            settings(&["model.network.type=mlp", "model.network.hidden=[10, 20]"]).unwrap();
        assert!(hidden.to_toml().unwrap().contains("hidden = [10, 20]"));
    }

    #[test]
    fn a_wrong_key_is_named_with_its_place_and_the_nearest_one() {
        let error = file("[train]\nepohs = 3\n").unwrap_err();
        assert!(
            error.contains("experiment.toml: unknown key `train.epohs`: did you mean `epochs`?"),
            "{error}"
        );
        let error = file("[model.network]\ntype = \"mlp\"\nhiden = [3]\n").unwrap_err();
        assert!(
            error.contains("unknown key `model.network.hiden`: did you mean `hidden`?"),
            "{error}"
        );
        let error = file(
            "corruption = { process = \"sequence\", of = [{ process = \"masking\", levl = 1 }] }",
        );
        let error = error.unwrap_err();
        assert!(error.contains("corruption.of[0].levl") && error.contains("`level`"), "{error}");
        let error = settings(&["trian.epochs=3"]).unwrap_err();
        assert!(
            error.starts_with("--set trian.epochs=3: unknown key `trian`: did you mean `train`?"),
            "{error}"
        );
        let variable = ("DVAE__TRAIN__EPOHS".to_owned(), "5".to_owned());
        let error = read(None, [variable], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "the environment variable DVAE__TRAIN__EPOHS: unknown key `train.epohs`"
            ),
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
        let error = settings(&["train.objective.kl={ type = \"fre-bits\" }"]).unwrap_err();
        assert!(error.contains("`train.objective.kl.type` cannot be `fre-bits`"), "{error}");
        let error = settings(&["train.epochs"]).unwrap_err();
        assert!(error.contains("of the form key=value"), "{error}");
        let error = file("[train\n").unwrap_err();
        assert!(error.contains("experiment.toml") && error.contains("line 1"), "{error}");
        let error = settings(&["corruption=gausian"]).unwrap_err();
        assert!(error.starts_with("--set corruption=gausian: `corruption`:"), "{error}");
    }
}
