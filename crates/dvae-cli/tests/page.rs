//! The page of the program, read as a new user reads it: each command is pasted, in order.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::path::Path;
use std::process::Command;

use common::ok;

/// The blocks of the page that are to be pasted.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_command_of_the_page_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let page = std::fs::read_to_string(root.join("docs/cli.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("examples"), folder.path().join("examples")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_dvae")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut commands = 0;
    for block in blocks(&page) {
        // The program is there: it is the one that is tested.
        let block: String = block
            .lines()
            .filter(|line| !line.starts_with("cargo "))
            .map(|line| format!("{line}\n"))
            .collect();
        commands += block.matches("dvae ").count();
        let output = Command::new("bash")
            .args(["-e", "-c", &block])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}{error}");
    }
    assert!(commands > 20, "only {commands} commands were found");
    for file in [
        "clean/boot.png",
        "boot-deviation.npy",
        "grid.png",
        "latents.csv",
        "path.png",
        "filled.csv",
    ] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    let filled = std::fs::read_to_string(folder.path().join("filled.csv")).unwrap();
    assert_eq!(filled.lines().count(), 345);
    assert!(!filled.contains(",,") && !filled.contains("NaN"), "{filled}");
}

#[test]
fn every_ready_experiment_trains() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("examples"), folder.path().join("examples")).unwrap();
    let mut configs: Vec<_> = std::fs::read_dir(root.join("examples/configs")).unwrap().collect();
    configs.sort_by_key(|entry| entry.as_ref().unwrap().path());
    assert!(configs.len() >= 5);
    for entry in configs {
        let path = entry.unwrap().path();
        let path = path.to_str().unwrap();
        ok(
            folder.path(),
            &["train", path, "--quiet", "--set", "train.epochs=2", "--set", "data.rows=200"],
        );
    }
}
