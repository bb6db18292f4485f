//! Small models of texts, and what they make of files.

#![allow(dead_code)] // Each test uses a part.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dvae::data::{ReadOptions, read_texts};

use crate::common::{ok, random};

pub(crate) const TEXTS: &str = r#"
corruption = "typos:20"
[data]
source = "text"
path = "x.txt"
validation = 0.5
[model]
network = { type = "tokens", hidden = 16, embedding = 8, places = 4 }
latent = 8
[train]
epochs = 2
batch_size = 32
learning_rate = 0.01
[train.objective]
kl = { type = "weighted", beta = 0.05 }
"#;

pub(crate) const NUMBERS: &str = r#"
corruption = "gaussian:0.2"
[data]
source = "csv"
path = "n.csv"
scaling = "standard"
[model]
network = { type = "mlp", hidden = [8] }
latent = 2
likelihood = { type = "normal", scale = 0.5 }
[train]
epochs = 1
batch_size = 16
"#;

/// Names of two to four syllables, none of them twice.
pub(crate) fn names() -> Vec<String> {
    let mut random = random(7);
    let mut pick = |of: &str| of.as_bytes()[(random.next().unwrap() * of.len() as f64) as usize];
    let (mut names, mut seen) = (vec![], BTreeSet::new());
    while names.len() < 500 {
        let syllables = usize::from(pick("234") - b'0');
        let letters = (0..2 * syllables).map(|at| pick(["bdklmnrst", "aeiou"][at % 2]) as char);
        let name: String = letters.collect();
        if seen.insert(name.clone()) {
            names.push(name);
        }
    }
    names
}

/// A folder with experiments `texts.toml` and `numbers.toml`, and their data `x.txt` and `n.csv`.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let cells: Vec<f64> = random(5).take(120).collect();
    let rows = cells.chunks_exact(2).map(|row| format!("{},{}\n", row[0], row[1]));
    write("texts.toml", TEXTS);
    write("x.txt", &(names().join("\n") + "\n"));
    write("numbers.toml", NUMBERS);
    write("n.csv", &("a,b\n".to_owned() + &rows.collect::<String>()));
    folder
}

/// The arguments that train a run.
pub(crate) fn train<'a>(experiment: &'a str, run: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    ["train", experiment, "--out", run, "--quiet"].into_iter().chain(settings).collect()
}

/// A folder with a run of texts in `run`.
pub(crate) fn trained(settings: &[&str]) -> tempfile::TempDir {
    let folder = folder();
    ok(folder.path(), &train("texts.toml", "run", settings));
    folder
}

/// What a command says as JSON.
pub(crate) fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&ok(folder, &[arguments, &["--json"]].concat())).unwrap()
}

pub(crate) fn changed(folder: &Path, arguments: &[&str]) -> u64 {
    json(folder, arguments)["changed"].as_u64().unwrap()
}

/// The names of the files in a folder.
pub(crate) fn files(folder: &Path) -> BTreeSet<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect()
}

/// Puts parts into the gaps of a frame.
pub(crate) fn framed(frame: &[&str], parts: &[&str]) -> String {
    assert_eq!(frame.len(), parts.len() + 1);
    let gaps = parts.iter().chain([&""]);
    frame.iter().zip(gaps).map(|(piece, part)| (*piece).to_owned() + part).collect()
}

/// What stands in the gaps of a frame, which must be in a text as it is.
pub(crate) fn parts<'a>(frame: &[&str], text: &'a str) -> Vec<&'a str> {
    let rest = text.strip_prefix(frame[0]).unwrap_or_else(|| panic!("{text:?}"));
    let (mut rest, mut parts) = (rest, vec![]);
    for (at, piece) in frame.iter().enumerate().skip(1) {
        let is_last = at + 1 == frame.len();
        let end = if is_last { rest.strip_suffix(piece).map(str::len) } else { rest.find(piece) };
        let end = end.unwrap_or_else(|| panic!("{piece:?} is not in {rest:?} of {text:?}"));
        parts.push(&rest[..end]);
        rest = &rest[end + piece.len()..];
    }
    parts
}

/// The texts of a column.
pub(crate) fn column(path: &Path, name: &str) -> Vec<String> {
    let rows = read_texts(path, Some(name), &ReadOptions::default()).unwrap();
    rows.map(|row| row.unwrap().text()).collect()
}
