//! Walks the table of docs/formats.md with files of Pillow, tifffile, NumPy and pandas. Needs a Python with them, named by
//! `DVAE_PYTHON`; where that is not set, only the table itself is checked.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{ok, refused, run};

/// A line of the table: a file, and a word for each command.
struct Line {
    file: String,
    train: String,
    corrupt: String,
    denoise: String,
    embed: String,
}

fn table() -> Vec<Line> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [file, _, train, corrupt, denoise, embed] = cells[..] else { return None };
        let file = file.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let [train, corrupt, denoise, embed] = [train, corrupt, denoise, embed].map(str::to_owned);
        Some(Line { file, train, corrupt, denoise, embed })
    });
    lines.collect()
}

/// Runs the fixture's program in Python; nothing where there is none.
fn python(arguments: &[&Path], command: &str, word: &str) -> Option<()> {
    let python = std::env::var_os("DVAE_PYTHON")?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats.py");
    let output =
        Command::new(python).arg(program).arg(command).args(arguments).arg(word).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {arguments:?}: {error}");
    Some(())
}

/// Settings of a training that takes a moment.
const QUICK: [&str; 6] = [
    "corruption=masking:0.2",
    "model.network=mlp",
    "model.network.hidden=[4]",
    "model.latent=2",
    "train.epochs=1",
    "train.batch_size=16",
];
/// Settings for numbers of any size.
const NUMBERS: [&str; 2] =
    ["data.scaling=standard", "model.likelihood={ type = \"normal\", scale = 0.5 }"];

/// The arguments of a training on a file. A picture is trained on as a folder of copies of it.
fn training(folder: &Path, file: &str, out: &str) -> Vec<String> {
    let is_picture = picture(file);
    let mut path = file.to_owned();
    if is_picture {
        path = format!("copies-{file}");
        fs::create_dir_all(folder.join(&path)).unwrap();
        for copy in 0..3 {
            fs::copy(folder.join(file), folder.join(&path).join(format!("{copy}-{file}"))).unwrap();
        }
    }
    let source = match file.rsplit('.').next().unwrap() {
        "csv" | "tsv" => "csv",
        "npy" | "npz" | "mtx" | "safetensors" => "npy",
        _ => "images",
    };
    let mut settings: Vec<String> = QUICK.iter().map(|&setting| setting.to_owned()).collect();
    settings.extend([format!("data.source={source}"), format!("data.path={path}")]);
    let in_unit = is_picture || ["u1.npy", "bool.npy", "binary.npy", "last.npy"].contains(&file);
    if !in_unit || ["float.tif", "signed.tif"].contains(&file) {
        settings.extend(NUMBERS.map(str::to_owned));
    }
    if file == "comma.csv" {
        settings.push("data.decimal=\",\"".to_owned());
    }
    let mut arguments: Vec<String> = ["train", "--quiet", "--out", out].map(str::to_owned).into();
    arguments.extend(settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
    arguments
}

fn picture(file: &str) -> bool {
    !["npy", "npz", "mtx", "safetensors", "csv", "tsv"].contains(&file.rsplit('.').next().unwrap())
}

/// The run whose model is for a file.
fn model(file: &str) -> &'static str {
    match file {
        "float.tif" | "signed.tif" => "of-float.tif",
        "last.npy" => "of-last",
        "u1.npy" | "bool.npy" | "binary.npy" => "of-gray8.png",
        file if picture(file) => "of-gray8.png",
        file if [".npy", ".npz", ".mtx", ".safetensors"].iter().any(|kind| file.contains(kind)) => {
            "of-f8.npy"
        }
        _ => "of-plain.csv",
    }
}

/// Where a command writes what it makes of a file: beside it in a folder.
fn output(folder: &Path, command: &str, file: &str) -> PathBuf {
    let name = match file.rsplit_once('.').unwrap() {
        (name, "npz" | "mtx" | "safetensors") => format!("{name}.npy"),
        (name, "jpg") => format!("{name}.png"),
        _ => file.to_owned(),
    };
    folder.join(command).join(name)
}

fn check(folder: &Path, line: &Line) {
    let file = line.file.as_str();
    let more: &[&str] = if file == "comma.csv" { &["--decimal-comma"] } else { &[] };
    let training = training(folder, file, &format!("of-{file}"));
    let training: Vec<&str> = training.iter().map(String::as_str).collect();
    let does = |word: &str, arguments: &[&str]| match word {
        "refused" => {
            let error = refused(folder, arguments);
            let known =
                error.contains(file.split('.').next().unwrap()) || error.contains("channels");
            assert!(known, "{arguments:?}: {error}");
            false
        }
        _ => {
            ok(folder, arguments);
            true
        }
    };
    // The models of other files were trained before.
    if !folder.join(format!("of-{file}")).exists() {
        does(&line.train, &training);
    }
    fs::create_dir_all(folder.join("corrupt")).unwrap();
    fs::create_dir_all(folder.join("denoise")).unwrap();
    let corrupt = [&["corrupt", "gaussian:0", file, "-o", "corrupt"], more].concat();
    if does(&line.corrupt, &corrupt) {
        python(&[&folder.join(file), &output(folder, "corrupt", file)], "same", "");
    }
    let denoise = [&["denoise", model(file), file, "-o", "denoise"], more].concat();
    if does(&line.denoise, &denoise) {
        let files = [&*folder.join(file), &output(folder, "denoise", file)];
        python(&files, "typed", &line.denoise);
    }
    does(&line.embed, &[&["embed", model(file), file, "-o", "z.csv"], more].concat());
}

#[test]
fn every_file_of_the_page_is_read_kept_or_refused_as_it_says() {
    let table = table();
    let words = ["read", "kept", "floats", "refused"];
    for line in &table {
        let said = [&line.train, &line.corrupt, &line.denoise, &line.embed];
        assert!(said.iter().all(|word| words.contains(&word.as_str())), "{}", line.file);
    }
    let folder = tempfile::tempdir().unwrap();
    if python(&[folder.path()], "make", "").is_none() {
        eprintln!("DVAE_PYTHON is not set: no file was made");
        return;
    }
    let made: BTreeSet<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(made, table.iter().map(|line| line.file.clone()).collect());
    for file in ["gray8.png", "float.tif", "f8.npy", "plain.csv"] {
        let arguments = training(folder.path(), file, &format!("of-{file}"));
        ok(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut last = training(folder.path(), "last.npy", "of-last");
    last.extend(["--set", "data.channels=last"].map(str::to_owned));
    ok(folder.path(), &last.iter().map(String::as_str).collect::<Vec<_>>());
    table.iter().for_each(|line| check(folder.path(), line));
    // What is asked for is answered.
    for arguments in [
        &["corrupt", "gaussian:0", "last.npy", "-o", "l.npy", "--channels", "last"][..],
        &["corrupt", "gaussian:0", "several.npz", "-o", "s.npy", "--key", "y"],
    ] {
        ok(folder.path(), arguments);
    }
    python(&[&folder.path().join("last.npy"), &folder.path().join("l.npy")], "same", "");
    let gone = run(folder.path(), &["denoise", "of-f8.npy", "u1.npy", "-o", "o.npy"]);
    assert_eq!(gone.status.code(), Some(2), "bytes are no real numbers");
}
