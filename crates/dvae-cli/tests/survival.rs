//! Runs that are killed, interrupted, or run out of disk, with real processes.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use common::{SMALL, dvae, kills, ok, random, refused};

/// Long enough to be killed within, with a checkpoint every few steps.
fn experiment() -> String {
    let checkpoints = "checkpoint = { steps = 7 }\nvalidate = { steps = 20 }\naccumulate = 2\n";
    SMALL.replace("epochs = 3\n", &format!("epochs = 40\n{checkpoints}"))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), experiment()).unwrap();
    folder
}

fn start(folder: &Path, run: &str) -> Child {
    let arguments = ["train", "small.toml", "--out", run, "--quiet"];
    dvae(folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(path: &Path) {
    let since = Instant::now();
    while !path.exists() {
        assert!(since.elapsed() < Duration::from_secs(120), "{} never came", path.display());
        sleep(Duration::from_millis(1));
    }
}

/// What a run comes to: its weights, and its metrics without times.
fn outcome(folder: &Path, run: &str) -> (u32, u32, Vec<serde_json::Value>) {
    let read = |name: &str| crc32fast::hash(&fs::read(folder.join(run).join(name)).unwrap());
    let metrics = fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap();
    let report = |line: &str| {
        let mut report: serde_json::Value = serde_json::from_str(line).unwrap();
        report["seconds"] = 0.into();
        report
    };
    (read("last.safetensors"), read("best.safetensors"), metrics.lines().map(report).collect())
}

fn signal(name: &str, process: &Child) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

#[test]
fn a_run_killed_at_random_moments_comes_to_the_same_bits() {
    killed_runs_come_to_the_same_bits(&folder());
}

#[test]
fn a_killed_run_of_a_ladder_comes_to_the_same_bits() {
    let folder = folder();
    let ladder = experiment()
        .replace("{ type = \"mlp\", hidden = [32] }", "{ type = \"ladder\", channels = [3, 4] }")
        .replace("latent = 4", "latent = 2")
        .replace("epochs = 40", "epochs = 6");
    assert!(ladder.contains("ladder") && ladder.contains("latent = 2"));
    fs::write(folder.path().join("small.toml"), ladder).unwrap();
    killed_runs_come_to_the_same_bits(&folder);
}

fn killed_runs_come_to_the_same_bits(folder: &tempfile::TempDir) {
    let begin = Instant::now();
    assert!(start(folder.path(), "straight").wait().unwrap().success());
    let takes = begin.elapsed();
    let expected = outcome(folder.path(), "straight");
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}, a run takes {takes:?}");
    let mut moments = random(seed);
    let (mut killed, mut tried) = (0, 0);
    // On a busy machine a run may end before its moment: that was no kill.
    while killed < kills() {
        tried += 1;
        assert!(tried <= 5 * kills(), "only {killed} of {tried} runs could be killed");
        let run = format!("killed-{tried}");
        let moment = 0.8 * moments.next().unwrap();
        let mut process = start(folder.path(), &run);
        wait_for(&folder.path().join(&run).join("config.toml"));
        sleep(takes.mul_f64(moment));
        process.kill().unwrap(); // SIGKILL
        killed += usize::from(!process.wait().unwrap().success());
        ok(folder.path(), &["train", "--resume", &run, "--quiet"]);
        let outcome = outcome(folder.path(), &run);
        assert_eq!(outcome, expected, "killed at {moment} of {takes:?}, seed {seed}");
        fs::remove_dir_all(folder.path().join(&run)).unwrap();
    }
}

#[test]
fn ctrl_c_saves_and_says_how_to_go_on_and_a_second_process_is_kept_out() {
    let folder = folder();
    assert!(start(folder.path(), "straight").wait().unwrap().success());
    let process = start(folder.path(), "run");
    wait_for(&folder.path().join("run/checkpoints/step-00000007"));
    let error = refused(folder.path(), &["train", "--resume", "run"]);
    assert!(error.contains("run is in use by another process"), "{error}");
    signal("-INT", &process);
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // Not 0: `dvae train … && next` must not go on with half a model.
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(text, "Stopped. Go on with: dvae train --resume run\n");
    ok(folder.path(), &["train", "--resume", "run", "--quiet"]);
    assert_eq!(outcome(folder.path(), "run"), outcome(folder.path(), "straight"));
    // A run that is done stays as it is.
    ok(folder.path(), &["train", "--resume", "run", "--quiet"]);
    assert_eq!(outcome(folder.path(), "run"), outcome(folder.path(), "straight"));
}

// A scheduler ends a job, and a terminal is closed: its standard output is gone, too.
#[test]
fn a_run_that_is_terminated_or_hung_up_on_saves_and_its_exit_code_names_the_signal() {
    let folder = folder();
    assert!(start(folder.path(), "straight").wait().unwrap().success());
    for (name, code) in [("-TERM", 143), ("-HUP", 129)] {
        let run = &format!("run{name}");
        let arguments = ["train", "small.toml", "--out", run, "--quiet", "--json"];
        // The tests themselves may have been started to survive their terminal.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(env!("CARGO_BIN_EXE_dvae"));
        command.current_dir(folder.path()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        wait_for(&folder.path().join(run).join("checkpoints/step-00000007"));
        if name == "-HUP" {
            drop(process.stdout.take());
        }
        signal(name, &process);
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        if name == "-TERM" {
            let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(summary["end"], "interrupted");
        }
        ok(folder.path(), &["train", "--resume", run, "--quiet"]);
        assert_eq!(outcome(folder.path(), run), outcome(folder.path(), "straight"));
    }
}

#[test]
fn a_run_that_was_started_to_survive_its_terminal_does() {
    let folder = folder();
    let ignored = "trap '' HUP; exec \"$0\" train small.toml --out run --quiet";
    let mut process = Command::new("bash")
        .args(["-c", ignored, env!("CARGO_BIN_EXE_dvae")])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&folder.path().join("run/checkpoints/step-00000007"));
    signal("-HUP", &process);
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

// What a job of a scheduler calls each time it is started.
#[test]
fn a_run_is_resumed_or_started() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    assert!(start(folder.path(), "straight").wait().unwrap().success());
    let job = ["train", "small.toml", "--out", "run", "--resume-or-start", "--quiet"];
    // A run that never came to its start leaves this.
    fs::create_dir(at("run")).unwrap();
    fs::write(at("run/.lock"), "").unwrap();
    fs::write(at("run/data.toml"), "half").unwrap();
    let mut process = dvae(folder.path()).args(job).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&at("run/checkpoints/step-00000007"));
    signal("-TERM", &process);
    assert_eq!(process.wait().unwrap().code(), Some(143));
    let error = refused(folder.path(), &[&job[..], &["--set", "train.ema=0.9"]].concat());
    assert!(error.contains("`train.ema` is 0.95 in the run run, and cannot become 0.9"), "{error}");
    ok(folder.path(), &job);
    assert_eq!(outcome(folder.path(), "run"), outcome(folder.path(), "straight"));
    let again = ok(folder.path(), &job);
    assert!(again.starts_with("Done: all epochs are done"), "{again}");
    let without = ["train", "small.toml", "--resume-or-start"];
    assert!(refused(folder.path(), &without).contains("--out"));
    fs::create_dir(at("other")).unwrap();
    fs::write(at("other/notes.txt"), "mine").unwrap();
    let other = ["train", "small.toml", "--out", "other", "--resume-or-start"];
    let error = refused(folder.path(), &other);
    assert!(error.contains("other exists and is not empty"), "{error}");
}

// One thread computes, prepares and is interrupted: it must not wait for itself.
#[test]
fn one_thread_is_enough_and_comes_to_the_same() {
    let folder = folder();
    assert!(start(folder.path(), "straight").wait().unwrap().success());
    let arguments = ["train", "small.toml", "--out", "run", "--quiet"];
    let mut alone = dvae(folder.path());
    alone.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null());
    let mut process = alone.args(arguments).spawn().unwrap();
    wait_for(&folder.path().join("run/checkpoints/step-00000007"));
    signal("-INT", &process);
    assert_eq!(process.wait().unwrap().code(), Some(130));
    let mut rest = dvae(folder.path());
    rest.env("RAYON_NUM_THREADS", "1").args(["train", "--resume", "run", "--quiet"]);
    assert!(rest.output().unwrap().status.success());
    assert_eq!(outcome(folder.path(), "run"), outcome(folder.path(), "straight"));
    // An error in the middle of an epoch ends it, too.
    let mut fails = dvae(folder.path());
    fails.env("RAYON_NUM_THREADS", "1").args(["train", "small.toml", "--out", "fails", "--quiet"]);
    let output = fails.args(["--set", "train.learning_rate=1e30"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = fs::read_to_string(folder.path().join("fails/log.txt")).unwrap();
    assert!(log.lines().last().unwrap().contains("Z  failed: the "), "{log}");
}

// A step of many batches takes seconds: the first signal is answered, the second is not waited for.
#[test]
fn a_second_ctrl_c_ends_at_once() {
    let folder = folder();
    let long = ["--set", "train.batch_size=1", "--set", "train.accumulate=100000"];
    let more = ["--set", "train.epochs=1000000", "--set", "model.network.hidden=[2000, 2000]"];
    let mut command = dvae(folder.path());
    command.args(["train", "small.toml", "--out", "run", "--quiet"]).args(long).args(more);
    let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&folder.path().join("run/log.txt"));
    signal("-TERM", &process);
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("once more ends at once")));
    // A scheduler that repeats itself does not cost the checkpoint; Ctrl-C is meant.
    signal("-TERM", &process);
    sleep(Duration::from_millis(300));
    assert!(process.try_wait().unwrap().is_none());
    signal("-INT", &process);
    assert_eq!(process.wait().unwrap().code(), Some(130));
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let folder = folder();
    assert!(start(folder.path(), "run").wait().unwrap().success());
    let expected = outcome(folder.path(), "run");
    let mut checkpoints: Vec<_> = fs::read_dir(folder.path().join("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    checkpoints.sort();
    let newest = checkpoints.last().unwrap().join("model.bpk");
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() - 100]).unwrap();
    ok(folder.path(), &["train", "--resume", "run", "--quiet"]);
    assert_eq!(outcome(folder.path(), "run"), expected);
    for checkpoint in checkpoints {
        fs::write(checkpoint.join("manifest.json"), "{}").unwrap();
    }
    let error = refused(folder.path(), &["train", "--resume", "run"]);
    assert!(error.contains("the checkpoint") && error.contains("cannot be used"), "{error}");
}

// Files that cannot grow beyond 32 KiB stand for a disk that is full: a checkpoint is larger.
#[test]
fn a_disk_that_is_full_is_named_and_the_state_before_it_is_untouched() {
    let folder = folder();
    assert!(start(folder.path(), "straight").wait().unwrap().success());
    let process = start(folder.path(), "run");
    wait_for(&folder.path().join("run/checkpoints/step-00000007"));
    let mut process = process;
    process.kill().unwrap();
    process.wait().unwrap();
    let names = || {
        let entries = fs::read_dir(folder.path().join("run/checkpoints")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| !name.to_string_lossy().ends_with(".tmp"));
        names.sort();
        names
    };
    let before = names();
    let limited = "trap '' XFSZ; ulimit -f 32; exec \"$0\" train --resume run --quiet";
    let output = Command::new("bash")
        .args(["-c", limited, env!("CARGO_BIN_EXE_dvae")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cannot write") && error.contains("run/"), "{error}");
    assert_eq!(names(), before);
    let log = fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
    assert!(log.contains("Z  failed: cannot write "), "{log}");
    ok(folder.path(), &["train", "--resume", "run", "--quiet"]);
    assert_eq!(outcome(folder.path(), "run"), outcome(folder.path(), "straight"));
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_anything_is_trained() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    for out in ["/proc/run", "file/run"] {
        let error = refused(folder.path(), &["train", "small.toml", "--out", out]);
        assert!(error.contains("cannot make the folder") && error.contains(out), "{error}");
    }
}
