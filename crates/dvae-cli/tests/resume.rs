//! Runs that are resumed with changes: what may change, and what is refused by its key.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use common::{dvae, ok, refused};

const TABLE: &str = r#"
corruption = "masking:0.2"

[data]
source = "csv"
path = "t.csv"
test_path = "test.csv"
scaling = "standard"

[model]
network = { type = "mlp", hidden = [8] }
latent = 2
likelihood = { type = "normal", scale = 0.5 }

[train]
epochs = 3
batch_size = 16
"#;

fn rows(first: usize) -> String {
    let row = |row: usize| format!("{},{}\n", (row * 7 % 13) as f32 / 3.0, (row * 5 % 11) as f32);
    format!("a,b\n{}", (first..first + 60).map(row).collect::<String>())
}

/// A folder with `table.toml`, its data, and a run of it in `run`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("table.toml"), TABLE).unwrap();
    fs::write(at("t.csv"), rows(0)).unwrap();
    fs::write(at("test.csv"), rows(500)).unwrap();
    ok(folder.path(), &["train", "table.toml", "--out", "run", "--quiet"]);
    folder
}

fn resume(settings: &[&str]) -> Vec<String> {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    ["train", "--resume", "run", "--quiet"].into_iter().chain(settings).map(str::to_owned).collect()
}

fn resumed(folder: &Path, settings: &[&str]) {
    let arguments = resume(settings);
    ok(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

fn not_resumed(folder: &Path, settings: &[&str]) -> String {
    let arguments = resume(settings);
    refused(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn config(folder: &Path) -> String {
    fs::read_to_string(folder.join("run/config.toml")).unwrap()
}

/// Weights and metrics without times.
fn outcome(folder: &Path, run: &str) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
    let at = |name: &str| folder.join(run).join(name);
    let weights = |name: &str| {
        let file = fs::read(at(name)).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        file[8 + header..].to_vec()
    };
    let metrics = fs::read_to_string(at("metrics.jsonl")).unwrap();
    let report = |line: &str| {
        let mut report: serde_json::Value = serde_json::from_str(line).unwrap();
        report["seconds"] = 0.into();
        report
    };
    let metrics = metrics.lines().map(report).collect();
    (weights("best.safetensors"), weights("last.safetensors"), metrics)
}

#[test]
fn data_that_moved_is_found_again_and_other_rows_are_refused() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("t.csv"), at("moved.csv")).unwrap();
    fs::rename(at("test.csv"), at("moved-test.csv")).unwrap();
    let error = not_resumed(folder.path(), &[]);
    assert!(error.contains("t.csv") && error.contains("`--set data.path=PATH`"), "{error}");
    let error = refused(folder.path(), &["evaluate", "run"]);
    assert!(error.contains("t.csv") && error.contains("`--data PATH`"), "{error}");

    fs::write(at("other.csv"), rows(1)).unwrap();
    let before = config(folder.path());
    let test = "data.test_path=moved-test.csv";
    let error = not_resumed(folder.path(), &["data.path=other.csv", test]);
    assert!(error.contains("the checksum of the training rows was"), "{error}");
    let error = not_resumed(folder.path(), &["data.path=moved.csv", "data.test_path=other.csv"]);
    assert!(error.contains("the checksum of the test rows was"), "{error}");
    assert_eq!(config(folder.path()), before);

    resumed(folder.path(), &["data.path=moved.csv", test]);
    let after = config(folder.path());
    assert!(after.contains("/moved.csv\"") && after.contains("/moved-test.csv\""), "{after}");
    resumed(folder.path(), &[]);

    // By variables of the environment, too.
    fs::rename(at("moved.csv"), at("again.csv")).unwrap();
    let mut command = dvae(folder.path());
    command.env("DVAE__DATA__PATH", "again.csv").args(resume(&[]));
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert!(config(folder.path()).contains("/again.csv\""));
}

#[test]
fn a_setting_that_would_change_the_result_is_refused_by_its_key() {
    let folder = folder();
    let before = config(folder.path());
    for (setting, expected) in [
        ("train.batch_size=8", "`train.batch_size` is 16 in the run run, and cannot become 8"),
        ("train.epochs=2", "`train.epochs` is 3 in the run run, and cannot become 2"),
        ("train.validate={ steps = 2 }", "`train.validate.epochs` is 1 in the run run"),
        ("model.latent=3", "`model.latent` is 2 in the run run, and cannot become 3"),
        ("data.seed=9", "`data.seed` is 1 in the run run, and cannot become 9"),
        ("data.sed=9", "unknown key `data.sed`: did you mean `seed`?"),
    ] {
        let error = not_resumed(folder.path(), &[setting]);
        assert!(error.starts_with(&format!("error: --set {setting}: {expected}")), "{error}");
    }
    let mut command = dvae(folder.path());
    let output = command.env("DVAE__TRAIN__BATCH_SIZE", "8").args(resume(&[])).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let expected = "error: the environment variable DVAE__TRAIN__BATCH_SIZE: `train.batch_size` is";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(config(folder.path()), before);
    // A value that the run has already is no change.
    resumed(folder.path(), &["train.batch_size=16"]);
    assert_eq!(config(folder.path()), before);
}

#[test]
fn more_epochs_are_those_of_a_run_that_asked_for_them_at_once() {
    let folder = folder();
    let longer = ["train", "table.toml", "--out", "straight", "--quiet", "--set", "train.epochs=6"];
    ok(folder.path(), &longer);
    resumed(folder.path(), &["train.epochs=6", "train.checkpoint={ steps = 2 }", "train.keep=1"]);
    assert_eq!(outcome(folder.path(), "run"), outcome(folder.path(), "straight"));
    let after = config(folder.path());
    assert!(after.contains("epochs = 6") && after.contains("keep = 1"), "{after}");

    let cosine = "train.learning_rate={ rate = 0.001, decay = { cosine = { to = 0.0001 } } }";
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    ok(folder.path(), &["train", "table.toml", "--out", "run", "--quiet", "--set", cosine]);
    let before = config(folder.path());
    let error = not_resumed(folder.path(), &["train.epochs=6"]);
    let expected = "`train.epochs` was 3, and cannot become 6: `train.learning_rate.decay` is a";
    assert!(error.contains(expected), "{error}");
    assert_eq!(config(folder.path()), before);
}
