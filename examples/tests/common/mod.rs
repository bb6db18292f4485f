//! Running the examples as a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An example, which `cargo test` builds beside the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    assert!(program.is_file(), "run the whole `cargo test`: it builds the example");
    program
}

pub(crate) fn run(name: &str, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program(name)).args(arguments).current_dir(folder).output().unwrap()
}

/// What it printed, if it ended well.
pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Images of 6×5 pixels as IDX files: bright and dark ones in turn.
pub(crate) fn idx(images: usize) -> Vec<u8> {
    let header =
        [0, 0, 8, 3].into_iter().chain([images as u32, 6, 5].map(u32::to_be_bytes).concat());
    header.chain((0..images * 30).map(|i| if i / 30 % 2 == 0 { 200 } else { 30 })).collect()
}

pub(crate) fn user_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("train-images-idx3-ubyte"), idx(60)).unwrap();
    std::fs::write(data.join("t10k-images-idx3-ubyte"), idx(20)).unwrap();
    folder
}

/// One clear line, exit code 2, no panic, and nothing written.
pub(crate) fn assert_refused(name: &str, folder: &Path, arguments: &[&str], needle: &str) {
    let listing = || -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let before = listing();
    let output = run(name, folder, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains(needle), "{arguments:?}: {errors}");
    assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    assert_eq!(listing(), before, "{arguments:?} left something behind");
}
