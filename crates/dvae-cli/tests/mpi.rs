//! Training on several processes: to the bits of one, and through signals that one of them gets. Needs `mpirun`.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

#[cfg(not(feature = "mpi"))]
#[test]
fn a_program_without_mpi_does_not_work_several_times() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["train"][..],
        &["evaluate", "photographs", "--data", "x.png"],
        &["denoise", "photographs", "x.png", "-o", "y.png"],
    ] {
        let mut command = common::dvae(folder.path());
        let output = command.args(arguments).env("OMPI_COMM_WORLD_SIZE", "3").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = common::text(&output);
        assert!(
            error.contains("3 processes were started together")
                && error.contains("cargo feature `mpi`"),
            "{error}"
        );
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn a_command_that_is_not_shared_is_refused_to_several_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = common::dvae(folder.path());
    command.args(["sample", "photographs", "-n", "1", "-o", "x.png"]);
    let output = command.env("OMPI_COMM_WORLD_SIZE", "3").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = common::text(&output);
    assert!(error.contains("only `train`, `evaluate` and `denoise` are shared"), "{error}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[cfg(feature = "mpi")]
mod together {
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};
    use std::time::Duration;

    use crate::common::{SMALL, kills, ok, random, text};

    /// A command on so many processes; each writes its number to the file of its rank.
    fn mpirun(folder: &Path, size: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new("mpirun");
        let script = "echo $$ > pid-$OMPI_COMM_WORLD_RANK; exec \"$0\" \"$@\"";
        command
            .args(["--oversubscribe", "-n", &size.to_string(), "sh", "-c", script])
            .arg(env!("CARGO_BIN_EXE_dvae"))
            .args(arguments)
            .current_dir(folder)
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn together(folder: &Path, size: usize, arguments: &[&str]) -> Output {
        mpirun(folder, size, arguments).output().unwrap()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let experiment = SMALL.replace(
            "batch_size = 32",
            "batch_size = 8\naccumulate = 4\ncheckpoint = { steps = 2 }",
        );
        fs::write(folder.path().join("e.toml"), experiment).unwrap();
        ok(folder.path(), &["train", "e.toml", "--out", "alone", "--quiet"]);
        folder
    }

    /// What two runs must share: weights, and metrics apart from the time.
    fn results(run: &Path) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let line = |line: &str| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("seconds");
            line
        };
        let weights = |name: &str| fs::read(run.join(name)).unwrap();
        (
            weights("best.safetensors"),
            weights("last.safetensors"),
            metrics.lines().map(line).collect(),
        )
    }

    #[test]
    fn any_number_of_processes_trains_to_the_bits_of_one() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        for size in [1, 2, 3, 4] {
            let name = format!("of-{size}");
            let output =
                together(folder.path(), size, &["train", "e.toml", "--out", &name, "--quiet"]);
            assert!(output.status.success(), "{}", text(&output));
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said.matches("Done").count(), 1, "{said}");
            assert!(results(&at(&name)) == results(&at("alone")), "{size}");
        }
    }

    #[test]
    fn measures_and_files_are_shared() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let evaluate = |name: &str| -> Vec<String> {
            let corruptions = ["--corruption", "masking:0.3", "--corruption", "gaussian:0.2"];
            let own = ["evaluate", "alone", "--samples", "3", "--json", "--per-row", name];
            [&own[..], &corruptions].concat().iter().map(|&word| word.to_owned()).collect()
        };
        let run = |size: usize, words: &[String]| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let output = together(folder.path(), size, &words);
            assert!(output.status.success(), "{}", text(&output));
            String::from_utf8(output.stdout).unwrap()
        };
        let expected = run(1, &evaluate("rows-1.csv"));
        assert!(expected.contains("active_latents"), "{expected}");
        for size in [2, 3] {
            let rows = format!("rows-{size}.csv");
            assert_eq!(run(size, &evaluate(&rows)), expected, "{size}");
            assert_eq!(fs::read(at(&rows)).unwrap(), fs::read(at("rows-1.csv")).unwrap());
        }
        // Five pictures, of which one is broken.
        fs::create_dir(at("in")).unwrap();
        for number in 0..5 {
            let (name, seed) = (format!("in/{number}.png"), number.to_string());
            ok(folder.path(), &["sample", "alone", "-n", "1", "--seed", &seed, "-o", &name]);
        }
        fs::write(at("in/3.png"), "no picture").unwrap();
        for size in [1, 2, 7] {
            let out = format!("out-{size}");
            let words = ["denoise", "alone", "in", "-o", &out, "--samples", "4"];
            let output = together(folder.path(), size, &words);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            let done = String::from_utf8_lossy(&output.stdout);
            assert_eq!(done.matches("Cleaned 4 rows of 4 files").count(), 1, "{done}");
            assert_eq!(said.matches("in/3.png").count(), 1, "{said}");
            for name in ["0.png", "0-deviation.npy", "1.png", "2.png", "4.png", "4-deviation.npy"] {
                let [own, alone] = [&*out, "out-1"].map(|of| fs::read(at(of).join(name)).unwrap());
                assert_eq!(own, alone, "{size}, {name}");
            }
            assert!(!at(&out).join("3.png").exists());
        }
    }

    #[test]
    fn an_error_is_said_once_and_ends_all() {
        let folder = folder();
        let accumulate = ["train", "e.toml", "--out", "x", "--set", "train.accumulate=1"];
        for (arguments, expected) in [
            (&accumulate[..], "2 processes share the batches of a step, but `accumulate` is 1"),
            (&["train", "nothing.toml"], "nothing.toml"),
            (&["evaluate", "nothing"], "nothing"),
            (&["denoise", "alone", "nothing.png", "-o", "x.png"], "nothing.png"),
        ] {
            let output = together(folder.path(), 2, arguments);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert_eq!(said.matches(expected).count(), 1, "{said}");
        }
        // A second program in the same job, with other arguments, or other files to be seen.
        let bin = env!("CARGO_BIN_EXE_dvae");
        let mut job = mpirun(folder.path(), 1, &["evaluate", "alone"]);
        job.args([":", "-n", "1", bin, "evaluate", "alone", "--json"]);
        let output = job.output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("their arguments differ").count(), 1, "{said}");
        let words = ["denoise", "alone", "-", "--format", "png", "-o", "x.png"];
        let said = text(&together(folder.path(), 2, &words));
        assert_eq!(said.matches("standard input is read by one process").count(), 1, "{said}");
    }

    fn pid(folder: &Path, rank: usize) -> Option<String> {
        let text = fs::read_to_string(folder.join(format!("pid-{rank}"))).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Sends a signal to one of the processes after some time, and waits for the end of all.
    fn stopped(mut job: Child, folder: &Path, rank: usize, signal: &str, after: Duration) {
        std::thread::sleep(after);
        if job.try_wait().unwrap().is_none()
            && let Some(pid) = pid(folder, rank)
        {
            let _ =
                Command::new("kill").args([signal, &pid]).stderr(Stdio::null()).status().unwrap();
        }
        // Open MPI's own `mpirun` may wait forever for a process that was killed while it started.
        for _ in 0..200 {
            if job.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        job.kill().unwrap();
        job.wait().unwrap();
    }

    /// Whatever process a signal meets, and when: the run goes on, with any number of processes, to the bits of one that was left alone.
    #[test]
    fn a_run_goes_on_after_a_signal_to_any_process() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let expected = results(&at("alone"));
        let mut random = random(5);
        for attempt in 0..kills() {
            let name = format!("run-{attempt}");
            let signal = ["-TERM", "-KILL"][attempt % 2];
            let arguments = ["train", "e.toml", "--out", &name, "--quiet", "--resume-or-start"];
            for size in [2, 3, 2] {
                (0..3).for_each(|rank| drop(fs::remove_file(at(&format!("pid-{rank}")))));
                let job = mpirun(folder.path(), size, &arguments).spawn().unwrap();
                let rank = (random.next().unwrap() * size as f64) as usize;
                let after = Duration::from_millis((random.next().unwrap() * 700.0) as u64);
                stopped(job, folder.path(), rank, signal, after);
            }
            let output = together(folder.path(), 2, &arguments);
            assert!(output.status.success(), "{signal}: {}", text(&output));
            let found = results(&at(&name));
            assert!(found.1 == expected.1 && found.0 == expected.0, "{signal}, {attempt}");
        }
    }
}
