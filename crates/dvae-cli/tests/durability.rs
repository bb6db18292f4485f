//! Outputs of commands that are killed, interrupted, or cut off from power: the old file or the new one.
//!
//! `DVAE_KILLS=300 cargo test --release --workspace --test durability --test survival -- --nocapture` kills each command as
//! often as it says.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{SMALL, array, dvae, kills, ok, random, trained};

/// Temporary files of ours in a folder.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().ends_with(".dvae-tmp")).collect()
}

#[test]
fn a_signal_leaves_no_temporary_file_and_the_old_output() {
    let folder = trained();
    let out = folder.path().join("out.npy");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        fs::write(&out, "old").unwrap();
        let arguments = ["sample", "run", "-o", "out.npy", "--n", "100000000"];
        let mut process =
            dvae(folder.path()).args(arguments).stdout(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while unfinished(folder.path()).is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60), "nothing is written");
            sleep(Duration::from_millis(5));
        }
        let id = process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(process.wait().unwrap().code(), Some(code));
        assert_eq!(unfinished(folder.path()), [] as [PathBuf; 0]);
        assert_eq!(fs::read(&out).unwrap(), b"old");
    }
}

#[test]
fn a_command_that_is_killed_leaves_the_old_output_or_the_new_one() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    array(&at("x.npy"), &[1, 28, 28], 2000, |at| (at % 13) as f64 / 13.0);
    let lines: String = (0..20_000).map(|row| format!("{row},{}\n", row % 17)).collect();
    fs::write(at("t.csv"), format!("x,y\n{lines}")).unwrap();
    let per_row = ["evaluate", "run", "--data", "x.npy", "--per-row", "out.csv"];
    let commands: [(&[&str], &str); 3] = [
        (&["denoise", "run", "x.npy", "-o", "out.npy"], "out.npy"),
        (&["corrupt", "gaussian:0.1", "t.csv", "-o", "out.csv"], "out.csv"),
        (&per_row, "out.csv"),
    ];
    for (arguments, out) in commands {
        let begin = Instant::now();
        ok(folder.path(), arguments);
        let takes = begin.elapsed();
        let whole = fs::read(at(out)).unwrap();
        let mut moments = random(whole.len() as u64);
        let (mut killed, mut halves) = (0, 0);
        for _ in 0..kills() {
            fs::write(at(out), "old").unwrap();
            let mut command = dvae(folder.path());
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = command.spawn().unwrap();
            sleep(takes.mul_f64(moments.next().unwrap()));
            process.kill().unwrap();
            killed += usize::from(!process.wait().unwrap().success());
            let found = fs::read(at(out)).unwrap();
            assert!(found == b"old" || found == whole, "{arguments:?}: {} bytes", found.len());
            halves += unfinished(folder.path()).len();
        }
        assert!(killed > 0, "{arguments:?}: no process was killed");
        println!("{}: {killed} killed, {halves} of them while writing", arguments[0]);
        // What those left is removed by the next one that writes the same file.
        ok(folder.path(), arguments);
        assert_eq!(unfinished(folder.path()), [] as [PathBuf; 0]);
        assert_eq!(fs::read(at(out)).unwrap(), whole);
    }
}

/// The system calls of a command that make names and contents durable, in their order; `None` if there is no strace.
fn traced(folder: &Path, arguments: &[&str]) -> Option<Vec<String>> {
    let calls = "trace=fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir";
    let log = folder.join("calls.txt");
    let status = Command::new("strace")
        .args(["-f", "-y", "-qq", "-s", "4096", "-e", calls, "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_dvae"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("DVAE_REQUIRE_STRACE").is_none(), "strace does not work");
        return None;
    }
    let text = fs::read_to_string(log).unwrap();
    Some(text.lines().filter(|line| line.ends_with("= 0")).map(str::to_owned).collect())
}

/// The texts in quotes of a call.
fn quoted(call: &str) -> Vec<&str> {
    call.split('"').skip(1).step_by(2).collect()
}

/// Whether a call waits until a file or folder of this path is on the disk.
fn syncs(call: &str, path: &Path) -> bool {
    (call.contains("fsync(") || call.contains("fdatasync("))
        && call.contains(&format!("<{}>", path.display()))
}

// A power cut cannot be had in a test: the order of the calls that survive one can.
#[test]
fn contents_are_on_the_disk_before_they_have_their_name_and_the_name_before_the_old_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let more = "checkpoint = { steps = 4 }\nkeep = 1\n";
    fs::write(
        root.join("small.toml"),
        SMALL.replace("epochs = 3\n", &format!("epochs = 3\n{more}")),
    )
    .unwrap();
    fs::write(root.join("t.csv"), "x,y\n1,2\n3,4\n").unwrap();
    let Some(calls) = traced(&root, &["corrupt", "gaussian:0.1", "t.csv", "-o", "out.csv"]) else {
        return;
    };
    let mut named = 0;
    named += files_are_durable(&root, &calls);
    let calls = traced(&root, &["train", "small.toml", "--out", "run", "--quiet"]).unwrap();
    named += files_are_durable(&root, &calls);
    assert!(named >= 5, "{named} files: {calls:#?}");
    // Checkpoints are folders: their files, the folder, its name, and only then the one before.
    let checkpoints = root.join("run/checkpoints");
    let renames: Vec<(usize, &str)> = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| call.contains("rename") && call.contains("/step-"))
        .map(|(at, call)| (at, quoted(call)[0]))
        .collect();
    assert!(renames.len() >= 5, "{calls:#?}");
    for (at, from) in renames {
        let from = root.join(from);
        let before = |path: &Path| calls[..at].iter().any(|call| syncs(call, path));
        for name in ["model.bpk", "optimizer.bpk", "average.bpk", "manifest.json", "manifest.crc32"]
        {
            assert!(before(&from.join(name)), "{name} of {}", from.display());
        }
        assert!(before(&from));
        let synced = calls[at..].iter().position(|call| syncs(call, &checkpoints)).unwrap();
        let removed = calls[at..].iter().position(|call| {
            (call.contains("unlink") || call.contains("rmdir")) && call.contains("step-")
        });
        assert!(removed.is_none_or(|removed| synced < removed), "{}", from.display());
    }
}

/// Checks every file that got its name by a rename; returns how many there are.
fn files_are_durable(root: &Path, calls: &[String]) -> usize {
    let mut named = 0;
    for (at, call) in calls.iter().enumerate() {
        let names = quoted(call);
        if !call.contains("rename")
            || !names.first().is_some_and(|from| from.ends_with(".dvae-tmp"))
        {
            continue;
        }
        named += 1;
        // Without the dot in `folder/./file`.
        let from: PathBuf = root.join(names[0]).components().collect();
        assert!(calls[..at].iter().any(|call| syncs(call, &from)), "{call} in {calls:#?}");
        let folder = from.parent().unwrap();
        assert!(calls[at..].iter().any(|call| syncs(call, folder)), "{call} in {calls:#?}");
    }
    named
}
