//! The main example as a user runs it: on data of their own, and with everything that can be wrong.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::Path;
use std::process::Output;

mod common;

use common::{idx, printed, user_folder};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    common::run("denoise_images", folder, arguments)
}

fn assert_refused(folder: &Path, arguments: &[&str], needle: &str) {
    common::assert_refused("denoise_images", folder, arguments, needle);
}

#[test]
fn a_run_leaves_all_that_it_promises() {
    let folder = user_folder();
    for model in ["mlp", "conv", "ladder"] {
        let arguments = [
            ["--data", "data", "--model", model],
            ["--epochs", "2", "--batch-size", "64"],
            ["--latent", "3", "--out", model],
        ];
        let arguments = arguments.concat();
        let output = run(folder.path(), &arguments);
        let text = printed(&output);
        for word in [
            "gaussian, sigma 0.3",
            "masking, rate 0.5",
            "salt and pepper, rate 0.2",
            "20 test images",
        ] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
        let run = folder.path().join(model);
        for file in [
            "config.toml",
            "metrics.jsonl",
            "denoised.png",
            "samples.png",
            "results.json",
            "checkpoints/step-00000002/manifest.json",
            "plain-vae/metrics.jsonl",
        ] {
            assert!(run.join(file).is_file(), "{file} is missing");
        }
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count(), 2);
        assert!(metrics.lines().all(|line| line.contains("\"elbo\"")));
        let config = fs::read_to_string(run.join("config.toml")).unwrap();
        assert!(config.contains("latent = 3") && config.contains("epochs = 2"), "{config}");
    }
}

#[test]
fn the_run_folder_is_enough_to_build_the_model_again() {
    use dvae::prelude::*;
    let folder = user_folder();
    let arguments = ["--data", "data", "--epochs", "1", "--latent", "3", "--out", "run"];
    assert!(run(folder.path(), &arguments).status.success());
    let text = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    let train: TrainConfig = config["train"].clone().try_into().unwrap();
    assert_eq!(train.epochs, 1);
    let corruption = config["args"]["corruption"].clone();
    corruption.try_into::<CorruptionConfig>().unwrap().build::<4>(Domain::Unit).unwrap();
    let model: AutoencoderConfig = config["model"].clone().try_into().unwrap();
    let device = "flex".parse::<Backend>().unwrap().device().unwrap();
    let model = model.init(Key::new(99), &device).unwrap();
    let checkpoints = folder.path().join("run/checkpoints");
    let model = dvae::train::load_checkpoint(&checkpoints, model).unwrap();
    let dark = Tensor::<4>::full([1, 1, 6, 5], 30.0 / 255.0, &device);
    assert_eq!(model.denoise(dark).dims(), [1, 1, 6, 5]);
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let folder = user_folder();
    let metrics = |out: &str, seed: &str| {
        let arguments = ["--data", "data", "--epochs", "1", "--seed", seed, "--out", out];
        assert!(run(folder.path(), &arguments).status.success());
        fs::read(folder.path().join(out).join("results.json")).unwrap()
    };
    let first = metrics("a", "5");
    assert_eq!(first, metrics("b", "5"));
    assert_ne!(first, metrics("c", "6"));
}

#[test]
fn wrong_options_are_refused_by_name() {
    let folder = user_folder();
    for (arguments, needle) in [
        (["--backend", "gpu"], "`gpu` is no back end; known are flex, ndarray, wgpu"),
        (
            ["--backend", "rocm"],
            "the back end `rocm` is not compiled in: build with `--features rocm`",
        ),
        (["--corruption", "gaussian:nan"], "`sigma` must be between 0 and 1e30, but is NaN"),
        (["--corruption", "masking:-0.5"], "must be between 0 and 1, but is -0.5"),
        (["--corruption", "blur"], "`blur` is not a corruption: write NAME, NAME:LEVEL"),
        (["--epochs", "0"], "`epochs` must be between 1 and 4294967295, but is 0"),
        (["--epochs", "-3"], "'-3'"),
        (["--batch-size", "0"], "`batch_size` must be between 1 and 4294967295, but is 0"),
        (["--latent", "0"], "`latent` must be between 1 and 16777216, but is 0"),
        (["--latent", "18446744073709551615"], "but is 18446744073709551615"),
        (["--seed", "NaN"], "'NaN'"),
        (["--model", "transformer"], "'transformer'"),
        (["--data", "nowhere"], "cannot read nowhere"),
    ] {
        assert_refused(folder.path(), &arguments, needle);
    }
}

#[test]
fn wrong_data_is_refused_by_file() {
    let data = |change: &dyn Fn(&Path)| {
        let folder = user_folder();
        change(&folder.path().join("data"));
        folder
    };
    let train = "train-images-idx3-ubyte";
    let truncated = data(&|path| fs::write(path.join(train), &idx(60)[..500]).unwrap());
    let arguments = ["--data", "data"];
    let needle = "train-images-idx3-ubyte should have 1800 bytes after its header but has 484";
    assert_refused(truncated.path(), &arguments, needle);
    let other = data(&|path| fs::write(path.join(train), "P5 28 28 255 ").unwrap());
    assert_refused(other.path(), &arguments, "is no IDX file of unsigned bytes");
    let counts = data(&|path| {
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 1, 2];
        fs::write(path.join("train-labels-idx1-ubyte"), labels).unwrap();
    });
    assert_refused(counts.path(), &arguments, "holds 2 labels for 60 images");
    let empty = data(&|path| {
        fs::remove_file(path.join(train)).unwrap();
        fs::remove_file(path.join("t10k-images-idx3-ubyte")).unwrap();
    });
    assert_refused(empty.path(), &arguments, "data holds no training images");
    let one = data(&|path| fs::write(path.join(train), idx(1)).unwrap());
    assert_refused(
        one.path(),
        &arguments,
        "cannot hold out 1 rows of 1: at least one must be left",
    );
    let none = data(&|path| fs::write(path.join(train), idx(0)).unwrap());
    assert_refused(none.path(), &arguments, "all above 0, but has [0, 6, 5]");
}

#[test]
fn a_folder_that_cannot_be_the_run_folder_is_refused() {
    let folder = user_folder();
    let arguments = ["--data", "data", "--epochs", "1", "--out", "data"];
    assert_refused(folder.path(), &arguments, "data exists and is not empty");
    fs::write(folder.path().join("file"), "").unwrap();
    let arguments = ["--data", "data", "--epochs", "1", "--out", "file/run"];
    assert_refused(folder.path(), &arguments, "cannot make the folder file/run");
    // /proc takes no folders, not even from root.
    #[cfg(target_os = "linux")]
    {
        let arguments = ["--data", "data", "--epochs", "1", "--out", "/proc/run"];
        assert_refused(folder.path(), &arguments, "cannot make the folder /proc/run");
    }
}

#[test]
fn help_names_every_option() {
    let output = run(Path::new("."), &["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for option in [
        "--data",
        "--corruption",
        "--model",
        "--epochs",
        "--batch-size",
        "--latent",
        "--seed",
        "--backend",
        "--out",
        "--help",
    ] {
        assert!(text.contains(option), "{option} is missing in {text}");
    }
}
