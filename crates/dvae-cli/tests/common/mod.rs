//! Runs the program as a user does.

#![allow(dead_code)] // Not every test uses all of it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

pub(crate) fn dvae(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dvae"));
    command.current_dir(folder).stdin(Stdio::null());
    // Nothing of the tester's environment is an experiment.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DVAE__") {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    dvae(folder).args(arguments).output().unwrap()
}

/// What a command that works prints.
pub(crate) fn ok(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that cannot work complains of.
pub(crate) fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(!error.contains("panicked"), "{error}");
    let at = error.find("error: ").unwrap_or_else(|| panic!("{error}"));
    error[at..].to_owned()
}

/// A small, fast experiment on embedded images.
pub(crate) const SMALL: &str = r#"
corruption = "mixed"

[data]
rows = 300

[model]
network = { type = "mlp", hidden = [32] }
latent = 4

[train]
epochs = 3
batch_size = 32
learning_rate = { rate = 0.003, warm_up = 0.1, decay = { cosine = { to = 0.0001 } } }
ema = 0.95
max_gradient_norm = 200.0
"#;

/// A folder with `small.toml`, and a run of it in `run`.
pub(crate) fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    ok(folder.path(), &["train", "small.toml", "--out", "run", "--quiet"]);
    folder
}

/// A gray picture of these sides.
pub(crate) fn picture(path: &Path, height: usize, width: usize) {
    let values: Vec<f32> = (0..height * width).map(|at| (at % 7) as f32 / 7.0).collect();
    dvae::data::write_picture(path, &values, &[1, height, width]).unwrap();
}

/// Writes rows as an array of floats.
pub(crate) fn array(path: &Path, event: &[usize], rows: usize, value: impl Fn(usize) -> f64) {
    use dvae::data::{Domain, Element, Format, RowWriter};
    let format = Format::new(event, Element::F32, Domain::Real);
    let mut writer = RowWriter::create(path, &format).unwrap();
    let width: usize = event.iter().product();
    for row in 0..rows {
        let row: Vec<f64> = (0..width).map(|at| value(row * width + at)).collect();
        writer.write(&format.row(&row)).unwrap();
    }
    writer.finish().unwrap();
}

/// The shape of a row of a file, and its rows.
pub(crate) fn rows(path: &Path) -> (Vec<usize>, Vec<Vec<f64>>) {
    let rows = dvae::data::read_rows(path, &dvae::data::ReadOptions::default()).unwrap();
    (rows.format.event.clone(), rows.map(|row| row.unwrap().values()).collect())
}

/// How often a command is killed.
pub(crate) fn kills() -> usize {
    std::env::var("DVAE_KILLS").map_or(20, |text| text.parse().unwrap())
}

/// Numbers in `[0, 1)`: Knuth's MMIX generator.
pub(crate) fn random(mut state: u64) -> impl Iterator<Item = f64> {
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    })
}

/// Runs a command whose address space is limited to so many megabytes.
#[cfg(unix)]
pub(crate) fn within(folder: &Path, megabytes: usize, arguments: &[&str]) -> Output {
    let limited = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes << 10);
    let mut command = Command::new("bash");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_dvae")]).args(arguments);
    command.current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// What a command says on standard error.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
