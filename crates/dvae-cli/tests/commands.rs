//! Each command of the program, as a user runs it.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use common::{SMALL, array, dvae, ok, picture, refused, rows, run, trained};
use dvae::data::{Dataset, ReadOptions};
use serde_json::Value;

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let text = ok(folder, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_run_folder_has_what_its_readers_need() {
    let folder = trained();
    for file in ["config.toml", "metrics.jsonl", "log.txt", "best.safetensors", "last.safetensors"]
    {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }
    let metrics = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 3);
    let info = json(folder.path(), &["info", "run"]);
    assert_eq!(info["status"]["epochs_done"], 3);
    assert_eq!((info["latents"].as_u64(), &info["row"][2]), (Some(4), &Value::from(28)));
    let text = ok(folder.path(), &["info", "run/best.safetensors"]);
    assert!(text.contains("type = \"mlp\"") && text.contains("latents         4"), "{text}");
}

#[test]
fn the_environment_and_settings_override_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    let mut command = dvae(folder.path());
    command.env("DVAE__TRAIN__EPOCHS", "1").env("DVAE__MODEL__LATENT", "3");
    let arguments = ["train", "small.toml", "--set", "model.latent=2", "--json", "--quiet"];
    let output = command.args(arguments).output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["run"], &summary["end"]), (&"runs/run-001".into(), &"finished".into()));
    let info = json(folder.path(), &["info", "runs/run-001"]);
    assert_eq!((&info["status"]["epochs"], &info["latents"]), (&1.into(), &2.into()));
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn pictures_are_denoised_one_by_one_and_by_folders() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("Bilder ü")).unwrap();
    for name in ["a.png", "b.png", "c.jpg"] {
        picture(&at("Bilder ü").join(name), 28, 28);
    }
    fs::write(at("Bilder ü/notes.txt"), "no picture").unwrap();
    ok(folder.path(), &["denoise", "run", "Bilder ü/a.png", "-o", "clean.png"]);
    let text =
        ok(folder.path(), &["denoise", "run", "Bilder ü", "-o", "cleaned", "--samples", "3"]);
    assert_eq!(text, "Cleaned 3 rows of 3 files to cleaned\n");
    // What comes from a JPEG file is kept as it is.
    for name in ["a.png", "b.png", "c.png", "a-deviation.npy", "c-deviation.npy"] {
        assert!(at("cleaned").join(name).is_file(), "{name}");
    }
    let row = dvae::data::read_picture(&at("clean.png")).unwrap();
    assert_eq!(row.event(), [1, 28, 28]);
    let spread = rows(&at("cleaned/a-deviation.npy")).1;
    assert!(spread[0].iter().any(|&deviation| deviation > 0.0));
}

#[test]
fn arrays_keep_their_shape_and_batches_do_not_matter() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    array(&at("x.npy"), &[28, 28], 10, |at| (at % 784 * (at / 784 + 3) % 11) as f64 / 11.0);
    ok(folder.path(), &["denoise", "run", "x.npy", "-o", "a.npy"]);
    ok(folder.path(), &["denoise", "run", "x.npy", "-o", "b.npy", "--batch-size", "3"]);
    let rows = |name: &str| rows(&at(name));
    let ((shape, a), (_, b)) = (rows("a.npy"), rows("b.npy"));
    assert_eq!((shape, a.len()), (vec![28, 28], 10));
    assert!(a.concat().iter().zip(b.concat()).all(|(a, b)| (a - b).abs() < 1e-5));
    ok(folder.path(), &["embed", "run", "x.npy", "-o", "z.npy"]);
    assert_eq!((rows("z.npy").0, rows("z.npy").1.len()), (vec![4], 10));
    ok(
        folder.path(),
        &["interpolate", "run", "x.npy", "--rows", "0,9,4", "--steps", "5", "-o", "i.npy"],
    );
    assert_eq!(rows("i.npy").1.len(), 10);
    ok(folder.path(), &["interpolate", "run", "x.npy", "-o", "i.png"]);
}

#[test]
fn samples_and_traversals_are_pictures_or_rows() {
    let folder = trained();
    ok(folder.path(), &["sample", "run", "-n", "5", "-o", "s.png"]);
    ok(folder.path(), &["sample", "run", "-n", "70", "-o", "s.npy"]);
    ok(folder.path(), &["sample", "run", "-n", "70", "-o", "again.npy"]);
    ok(folder.path(), &["sample", "run", "-n", "70", "--seed", "2", "-o", "other.npy"]);
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("s.npy"), bytes("again.npy"));
    assert_ne!(bytes("s.npy"), bytes("other.npy"));
    let text = ok(folder.path(), &["traverse", "run", "-o", "t.png"]);
    assert!(text.starts_with("Latents ") && text.contains("t.png"), "{text}");
    let two = json(folder.path(), &["traverse", "run", "--latents", "3,1", "-o", "t.npy"]);
    assert_eq!(two["latents"], serde_json::json!([3, 1]));
    let error = refused(folder.path(), &["traverse", "run", "--latents", "4", "-o", "t.png"]);
    assert!(error.contains("there is no latent 4: they are numbered 0 to 3"), "{error}");
}

#[test]
fn samples_of_a_line_share_levels_of_a_ladder() {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "train",
        "--quiet",
        "--out",
        "run",
        "--set",
        "data.rows=40",
        "--set",
        "train.epochs=1",
        "--set",
        "model.network={ type = \"ladder\", channels = [3, 4] }",
        "--set",
        "model.latent=2",
    ];
    ok(folder.path(), &small);
    let sampled = |shared: &str, out: &str| {
        ok(folder.path(), &["sample", "run", "-n", "9", "--shared", shared, "-o", out]);
        rows(&folder.path().join(out)).1
    };
    let (own, alike) = (sampled("0", "own.npy"), sampled("1", "alike.npy"));
    assert_eq!((own.len(), alike.len()), (9, 9));
    assert_ne!(own, alike);
    assert_eq!(alike, sampled("1", "again.npy"));

    // With all levels shared, nothing differs within a group.
    let model = dvae::from_pretrained(folder.path().join("run")).unwrap();
    let same: Vec<_> = model.sample_sharing(2, 3, 0..9, 1).collect();
    let one: Vec<_> = model.sample_sharing(1, 3, 0..9, 1).collect();
    for (row, other) in (0..9).flat_map(|row| (0..row).map(move |other| (row, other))) {
        assert_eq!(same[row] == same[other], row / 3 == other / 3, "rows {other} and {row}");
        assert!(one[row] != one[other], "rows {other} and {row}");
    }
}

#[test]
fn the_noise_of_pictures_is_estimated() {
    let folder = tempfile::tempdir().unwrap();
    let gray = vec![0.5; 3 * 150 * 200];
    dvae::data::write_picture(&folder.path().join("a.png"), &gray, &[3, 150, 200]).unwrap();
    ok(folder.path(), &["corrupt", "gaussian:0.1", "a.png", "-o", "b.png"]);
    let lines = json(folder.path(), &["noise", "b.png", "a.png"]);
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 6);
    for (at, line) in lines.iter().enumerate() {
        let (sigma, expected) = (line["sigma"].as_f64().unwrap(), [0.1, 0.0][at / 3]);
        assert!((sigma - expected).abs() < 0.003, "{line}");
        assert_eq!(
            (line["row"].as_u64(), line["channel"].as_u64()),
            (Some(0), Some(at as u64 % 3))
        );
    }
    let text = ok(folder.path(), &["noise", "b.png"]);
    assert!(
        text.starts_with("file") && text.contains("of 255") && text.contains("b.png"),
        "{text}"
    );
    array(&folder.path().join("stack.npy"), &[64, 64], 2, |at| (at % 64) as f64);
    let text = ok(folder.path(), &["noise", "stack.npy"]);
    assert!(text.lines().count() == 3 && !text.contains("of 255"), "{text}");
    fs::write(folder.path().join("t.csv"), "a,b\n1,2\n3,4\n").unwrap();
    let error = refused(folder.path(), &["noise", "t.csv"]);
    assert!(error.contains("t.csv: rows of shape [2] are not pictures"), "{error}");
}

#[test]
fn files_are_corrupted_and_the_clean_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("a.png"), 20, 31);
    let before = fs::read(folder.path().join("a.png")).unwrap();
    ok(folder.path(), &["corrupt", "gaussian:0.3", "a.png", "-o", "b.png"]);
    ok(folder.path(), &["corrupt", "gaussian:0.3", "a.png", "-o", "c.png"]);
    ok(folder.path(), &["corrupt", "gaussian:0.3", "a.png", "-o", "d.png", "--seed", "2"]);
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!((bytes("a.png"), bytes("b.png")), (before, bytes("c.png")));
    assert_ne!(bytes("b.png"), bytes("d.png"));
    fs::write(folder.path().join("t.csv"), "a,b\n1,2\n3,\n").unwrap();
    fs::write(folder.path().join("e.toml"), "corruption = \"masking:1\"\n").unwrap();
    ok(folder.path(), &["corrupt", "e.toml", "t.csv", "-o", "u.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("u.csv")).unwrap(), "a,b\n,\n,\n");
    let error = refused(folder.path(), &["corrupt", "motion-blur", "t.csv", "-o", "u.csv"]);
    assert!(error.contains("motion-blur"), "{error}");
    let error = refused(folder.path(), &["corrupt", "masking", "a.png", "-o", "a.png"]);
    assert!(error.contains("a.png would be overwritten"), "{error}");
}

#[test]
fn a_table_with_holes_is_learnt_scaled_and_filled() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Two columns that follow the first, far from [0, 1], and a hole in every seventh line.
    let mut text = "a,b,c\n".to_owned();
    for row in 0..400 {
        let a = 100.0 + f64::from(row * 37 % 101);
        let b = if row % 7 == 0 { String::new() } else { format!("{}", 2.0 * a) };
        text += &format!("{a},{b},{}\n", 1000.0 - a);
    }
    fs::write(at("t.csv"), &text).unwrap();
    let config = r#"
corruption = "masking:0.2"
[data]
source = "csv"
path = "t.csv"
scaling = "standard"
validation = 0.1
test = 0.1
[model]
network = { type = "mlp", hidden = [32] }
latent = 2
likelihood = { type = "normal", scale = 0.1 }
[train]
epochs = 60
batch_size = 32
learning_rate = 0.005
"#;
    fs::write(at("e.toml"), config).unwrap();
    ok(folder.path(), &["train", "e.toml", "--out", "run", "--quiet"]);
    ok(folder.path(), &["denoise", "run", "t.csv", "-o", "filled.csv"]);
    let filled = fs::read_to_string(at("filled.csv")).unwrap();
    assert_eq!(filled.lines().next(), Some("a,b,c"));
    let holes = filled.lines().skip(1).step_by(7).map(|line| {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        (cells[1] - 2.0 * (1000.0 - cells[2])).abs()
    });
    let worst = holes.fold(0.0, f64::max);
    // The column's standard deviation is 58.
    assert!(worst < 40.0, "{worst}");
    let metrics = json(folder.path(), &["evaluate", "run", "--data", "t.csv"]);
    assert_eq!((&metrics["rows"], &metrics["rows_are"]), (&400.into(), &"given".into()));
    assert!(metrics["corruptions"][0]["psnr_input"].is_null());
    let clean = &metrics["corruptions"][0]["clean"];
    assert!(clean["elbo_in_data_units"].as_f64() < clean["elbo"].as_f64(), "{metrics}");
    fs::write(at("two.csv"), "a,b\n1,2\n").unwrap();
    let error = refused(folder.path(), &["denoise", "run", "two.csv", "-o", "o.csv"]);
    assert!(error.contains("two.csv cannot be used: it has no column `c`, but a, b"), "{error}");
}

#[test]
fn runs_are_evaluated_listed_and_compared() {
    let folder = trained();
    let more = ["train", "small.toml", "--out", "other", "--quiet", "--set"];
    ok(
        folder.path(),
        &[&more[..], &["train.objective.kl.beta=4.0", "--set", "train.objective.kl.type=weighted"]]
            .concat(),
    );
    let arguments =
        ["evaluate", "run", "--corruption", "gaussian:0.3", "--corruption", "masking:0.5"];
    let text = ok(folder.path(), &arguments);
    for word in ["1000 test rows", "gaussian, sigma 0.3", "masking, rate 0.5", "PSNR out", "clean"]
    {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let metrics = json(folder.path(), &[&arguments[..], &["--samples", "8"]].concat());
    let clean = &metrics["corruptions"][0]["clean"];
    assert!(clean["importance_weighted"].as_f64() > clean["elbo"].as_f64(), "{metrics}");
    // Input that equals its target has no finite ratio; the output has one.
    let none = ["evaluate", "run", "--corruption", "none"];
    let line = &json(folder.path(), &none)["corruptions"][0];
    assert!(line["psnr_input"].is_null() && line["psnr_output"].as_f64() > Some(0.0), "{line}");
    let text = ok(folder.path(), &none);
    let cells: Vec<&str> = text.lines().nth(4).unwrap().split_whitespace().collect();
    assert_eq!((cells[0], cells[cells.len() - 2]), ("none", "-"), "{text}");
    let runs = json(folder.path(), &["list", "."]);
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let text = ok(folder.path(), &["compare", "run", "other"]);
    assert!(text.contains("train.objective.kl.beta") && text.contains("held-out ELBO"), "{text}");
    assert!(!text.contains("batch_size"), "{text}");
    let text = ok(folder.path(), &["list", "."]);
    assert!(text.contains("3 of 3 epochs"), "{text}");
}

#[test]
fn runs_are_read_without_a_lock_and_nothing_is_written() {
    let folder = trained();
    let run = folder.path().join("run");
    let state = || {
        let entries = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap());
        let mut entries: Vec<_> = entries
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
            .collect();
        entries.sort();
        entries
    };
    fs::remove_file(run.join(".lock")).unwrap();
    let before = state();
    ok(folder.path(), &["list", "."]);
    ok(folder.path(), &["info", "run"]);
    ok(folder.path(), &["compare", "run", "run"]);
    assert_eq!(state(), before);
    // And while somebody writes.
    let _writer = dvae::Run::resume(&run).unwrap();
    ok(folder.path(), &["list", "."]);
    ok(folder.path(), &["info", "run"]);
}

#[test]
fn the_printed_configuration_is_one_that_trains_the_same() {
    let folder = trained();
    fs::write(folder.path().join("full.toml"), ok(folder.path(), &["config", "small.toml"]))
        .unwrap();
    ok(folder.path(), &["train", "full.toml", "--out", "again", "--quiet"]);
    let weights = |run: &str| fs::read(folder.path().join(run).join("last.safetensors")).unwrap();
    assert!(weights("run") == weights("again"));
    let schema: Value = serde_json::from_str(&ok(folder.path(), &["config", "--schema"])).unwrap();
    assert!(schema["properties"]["train"].is_object());
    let plain = json(folder.path(), &["config"]);
    assert_eq!(plain["train"]["epochs"], 20);
}

#[test]
fn help_has_examples_and_shells_have_completions() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "train",
        "denoise",
        "corrupt",
        "sample",
        "embed",
        "interpolate",
        "traverse",
        "evaluate",
        "benchmark",
        "info",
        "list",
        "noise",
        "compare",
        "config",
        "import",
        "completions",
    ] {
        let help = ok(folder.path(), &[command, "--help"]);
        assert!(help.contains("Example"), "{command}: {help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(ok(folder.path(), &["completions", shell]).contains("interpolate"), "{shell}");
    }
    let backends = json(folder.path(), &["backends"]);
    assert_eq!((&backends[0]["name"], &backends[0]["usable"]), (&"flex".into(), &true.into()));
    assert_eq!(run(folder.path(), &["trian"]).status.code(), Some(2));
}

#[test]
fn a_model_is_read_from_its_run_by_the_library() {
    let folder = trained();
    let path = folder.path().join("run");
    let model = dvae::from_pretrained(&path).unwrap();
    let rows = Dataset::read(
        &{
            let picture_path = folder.path().join("a.png");
            picture(&picture_path, 28, 28);
            picture_path
        },
        &ReadOptions::default(),
    );
    assert_eq!(rows.unwrap().event(), model.event());
    let cleaned = model.denoise(&[vec![0.5; 784], vec![f64::NAN; 784]]);
    assert!(cleaned.concat().iter().all(|value| (0.0..=1.0).contains(value)));
}
