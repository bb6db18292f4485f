//! The schema of an experiment's keys, for people and for editors.

use schemars::Schema;
use serde_json::Value;

use super::{Experiment, ExperimentError};

/// The maximum line width.
const WIDTH: usize = 110;

pub(super) fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Experiment)).expect("plain values")
}

/// Rewrites the schema of a table with a flattened enum so that editors can check it: the alternatives no
/// longer reject the shared keys, and the table as a whole rejects keys that neither part knows.
pub(super) fn flat(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    for list in ["oneOf", "anyOf"] {
        let each = object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        each.filter_map(Value::as_object_mut).for_each(|own| {
            own.remove("additionalProperties");
        });
    }
    object.insert("unevaluatedProperties".to_owned(), false.into());
}

/// What is wrong with a key of a table.
pub(super) enum Wrong {
    /// A key that no table of this kind has.
    Key {
        path: String,
        known: Vec<String>,
        /// The kinds of table that have the key, as `key = "kind"`.
        belongs: Vec<String>,
    },
    /// An unknown name.
    Name { path: String, name: String, known: Vec<String> },
    /// A missing required key.
    Missing { path: String },
}

/// The first wrong key or name of an experiment, by its schema. Values are left to serde.
pub(super) fn wrong(value: &toml::Value) -> Option<Wrong> {
    let root = schemars::schema_for!(Experiment).to_value();
    wrong_in(value, &[&root], &root, "")
}

fn wrong_in(value: &toml::Value, nodes: &[&Value], root: &Value, path: &str) -> Option<Wrong> {
    let all: Vec<&Value> = nodes.iter().flat_map(|node| alternatives(node, root, None)).collect();
    match value {
        toml::Value::Table(table) => wrong_key(table, &all, root, path),
        toml::Value::Array(values) => {
            let items: Vec<&Value> = all.iter().filter_map(|node| node.get("items")).collect();
            let mut each = values.iter().enumerate();
            each.find_map(|(at, value)| wrong_in(value, &items, root, &format!("{path}[{at}]")))
        }
        _ => None,
    }
}

fn wrong_key(table: &toml::Table, all: &[&Value], root: &Value, path: &str) -> Option<Wrong> {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let objects: Vec<&Value> =
        all.iter().copied().filter(|node| node.get("properties").is_some()).collect();
    if objects.is_empty() {
        return None;
    }
    let tags: Vec<(&str, &str)> = objects.iter().filter_map(|node| tag(node)).collect();
    if let Some((key, _)) = tags.first() {
        let names = || tags.iter().map(|(_, name)| (*name).to_owned()).collect::<Vec<_>>();
        match table.get(*key).map(toml::Value::as_str) {
            None => return Some(Wrong::Missing { path: under(key) }),
            Some(Some(name)) if !tags.iter().any(|(_, known)| *known == name) => {
                let (path, name) = (under(key), name.to_owned());
                return Some(Wrong::Name { path, name, known: names() });
            }
            _ => {}
        }
    }
    let own: Vec<&Value> = objects.iter().copied().filter(|node| fits(node, Some(table))).collect();
    let keys = own.iter().filter_map(|node| node["properties"].as_object());
    let known: Vec<String> = keys.flat_map(|keys| keys.keys().cloned()).collect();
    for (key, value) in table {
        if !known.contains(key) {
            let others = objects.iter().filter(|node| node["properties"].get(key).is_some());
            let kind = |(tag, name): (&str, &str)| format!("{} = \"{name}\"", under(tag));
            let belongs = others.filter_map(|node| tag(node).map(kind)).collect();
            return Some(Wrong::Key { path: under(key), known, belongs });
        }
        let inner = properties(key, &own);
        if let Some(wrong) = wrong_in(value, &inner, root, &under(key)) {
            return Some(wrong);
        }
    }
    // With several untagged alternatives, a missing key does not tell which one was meant.
    let required = own.iter().filter(|node| tag(node).is_some() || own.len() == 1);
    let required = required.filter_map(|node| node.get("required")?.as_array()).flatten();
    let mut required = required.filter_map(Value::as_str);
    required.find(|key| !table.contains_key(*key)).map(|key| Wrong::Missing { path: under(key) })
}

/// The key and the constant that identify this kind of table.
fn tag(node: &Value) -> Option<(&str, &str)> {
    let properties = node.get("properties")?.as_object()?;
    properties
        .iter()
        .find_map(|(key, property)| Some((key.as_str(), property.get("const")?.as_str()?)))
}

/// The experiment as TOML, with a comment above each key.
pub(super) fn commented(experiment: &Experiment) -> Result<String, ExperimentError> {
    let schema: Schema = schemars::schema_for!(Experiment);
    let root = schema.to_value();
    let plain = experiment.to_toml()?;
    let table: toml::Table = toml::from_str(&plain).expect("what was just written");
    let mut nodes = Some(vec![&root]);
    let mut text = String::new();
    for line in plain.lines() {
        let meaning = if let Some(path) = line.strip_prefix('[') {
            // The list's own key explains the tables of a list.
            let path = path.strip_suffix(']').filter(|path| !path.starts_with('['));
            let place = path.and_then(|path| place(path, &table, &root));
            nodes = place.as_ref().map(|(_, nodes)| nodes.clone());
            place.and_then(|(meaning, _)| meaning)
        } else {
            let key = line.split(" = ").next().unwrap_or_default();
            nodes.as_ref().and_then(|nodes| meaning(key, nodes))
        };
        text.push_str(&meaning.map(|meaning| wrapped(&meaning)).unwrap_or_default());
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// The description of a table, and the schemas of its keys.
fn place<'a>(
    path: &str,
    table: &toml::Table,
    root: &'a Value,
) -> Option<(Option<String>, Vec<&'a Value>)> {
    let (mut nodes, mut table, mut own) = (vec![root], table, None);
    for key in path.split('.') {
        table = table.get(key)?.as_table()?;
        own = meaning(key, &nodes);
        let under = properties(key, &nodes).into_iter();
        nodes = under.flat_map(|node| alternatives(node, root, Some(table))).collect();
    }
    Some((own, nodes))
}

fn properties<'a>(key: &str, nodes: &[&'a Value]) -> Vec<&'a Value> {
    nodes.iter().filter_map(|node| node.get("properties")?.get(key)).collect()
}

/// The schema itself, the schemas it refers to, and its alternatives. Of alternatives identified by a
/// constant, only those whose constant the table has.
fn alternatives<'a>(
    node: &'a Value,
    root: &'a Value,
    table: Option<&toml::Table>,
) -> Vec<&'a Value> {
    let mut found = vec![node];
    if let Some(target) = node.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        found.extend(target.into_iter().flat_map(|node| alternatives(node, root, table)));
    }
    for list in ["anyOf", "oneOf", "allOf"] {
        let each = node.get(list).and_then(Value::as_array).into_iter().flatten();
        let each = each.filter(|node| table.is_none() || fits(node, table));
        found.extend(each.flat_map(|node| alternatives(node, root, table)));
    }
    found
}

fn fits(node: &Value, table: Option<&toml::Table>) -> bool {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else { return true };
    properties.iter().all(|(key, property)| {
        let constant = property.get("const").and_then(Value::as_str);
        let own = table.and_then(|table| table.get(key)).and_then(toml::Value::as_str);
        constant.is_none() || constant == own
    })
}

/// The first sentence of a key's description.
fn meaning(key: &str, nodes: &[&Value]) -> Option<String> {
    let node = properties(key, nodes).into_iter().find(|node| node.get("description").is_some())?;
    let text = node.get("description")?.as_str()?;
    let paragraph = text.split("\n\n").next()?.replace('\n', " ");
    Some(without_links(&paragraph))
}

/// Removes links from Markdown: ``[`Trainer`](crate::Trainer)`` becomes `Trainer`.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((name, after)) = after.split_once("`]") else { break };
        plain.push_str(&format!("{before}`{name}`"));
        rest = match after.strip_prefix('(').and_then(|link| link.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain + rest
}

fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::from("#"));
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_experiment() {
        let settings = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
            Experiment::layered(None, [], &settings).unwrap()
        };
        for experiment in [
            Experiment::default(),
            settings(&["model.network=mlp", "train.ema=0.9", "data.binarization=dynamic"]),
            settings(&["train.optimizer={ name = \"sgd\", momentum = 0.9 }", "corruption=none"]),
            settings(&["train.learning_rate={ rate = 0.1, decay = { cosine = { to = 0.01 } } }"]),
        ] {
            let text = commented(&experiment).unwrap();
            let again: Experiment = toml::from_str(&text).unwrap();
            assert_eq!(again, experiment, "{text}");
            // The parameters of a process are not explained here.
            let explained = text.lines().skip_while(|line| *line != "[data]");
            for line in explained.filter(|line| line.contains(" = ")) {
                let key = line.split(" = ").next().unwrap();
                let before = text.lines().zip(text.lines().skip(1)).find(|(_, own)| *own == line);
                let explained = before.is_some_and(|(before, _)| before.starts_with("# "));
                assert!(
                    explained
                        || ["name", "network", "type", "bound", "source", "epochs"].contains(&key),
                    "{line} in {text}"
                );
            }
        }
    }

    #[test]
    fn links_go_and_long_lines_are_broken() {
        assert_eq!(without_links("see [`A`](crate::A) and [`B`], [c]"), "see `A` and `B`, [c]");
        let lines = wrapped(&"word ".repeat(50));
        assert!(lines.lines().all(|line| line.starts_with("# ") && line.len() <= WIDTH), "{lines}");
    }

    #[test]
    fn the_schema_knows_every_key_and_refuses_others() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        for key in ["corruption", "data", "model", "train"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
    }
}
