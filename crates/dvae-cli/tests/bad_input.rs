//! What users type and feed by mistake: one line that names the thing, exit code 2, and nothing is lost.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;

use common::{SMALL, ok, picture, refused, run, trained};

#[test]
fn experiments_with_mistakes_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    let cases: [(&[&str], &str); 18] = [
        (&["none.toml"], "none.toml: it cannot be read"),
        (&["small.toml", "--set", "train.epohs=3"], "did you mean `epochs`?"),
        (&["small.toml", "--set", "train.epochs=0"], "`epochs` must be between 1"),
        (&["small.toml", "--set", "train.epochs=-3"], "--set train.epochs=-3: `train.epochs`"),
        (
            &["small.toml", "--set", "train.learning_rate=nan"],
            "must be finite and above 0, but is NaN",
        ),
        (&["small.toml", "--set", "train.learning_rate.warm_up=2"], "longer than the training"),
        (&["small.toml", "--set", "train.ema=1.5"], "`ema` must be above 0 and below 1"),
        (&["small.toml", "--set", "model.latent=0"], "`latent` must be between 1"),
        (&["small.toml", "--set", "model.network=transformer"], "cannot be `transformer`"),
        (&["small.toml", "--set", "model.event=[3]"], "leave the key out"),
        (&["small.toml", "--set", "corruption=gausian:0.3"], "`gausian:0.3` is no corruption"),
        (&["small.toml", "--set", "corruption=masking:1.5"], "1.5"),
        (&["small.toml", "--set", "data.source=csv"], "`data.path` is missing"),
        (&["small.toml", "--set", "data.path=x.csv"], "choose the kind of your data"),
        (&["small.toml", "--set", "data.validation=1"], "above 0 and below 1, but is 1"),
        (&["small.toml", "--set", "data.shape=[5, 5]"], "must have as many entries"),
        (&["small.toml", "--backend", "tpu"], "`tpu` is no back end"),
        (
            &[
                "small.toml",
                "--set",
                "data.binarisation=dynamic",
                "--set",
                "model.likelihood={ law = \"categorical\", classes = 1 }",
            ],
            "classes",
        ),
    ];
    for (arguments, expected) in cases {
        let error = refused(folder.path(), &[&["train"], arguments].concat());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn data_with_mistakes_is_refused_by_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("pics")).unwrap();
    picture(&at("pics/a.png"), 8, 8);
    picture(&at("pics/b.png"), 8, 9);
    fs::write(at("words.csv"), "a,b\n1,2\n3,x\n").unwrap();
    fs::write(at("ragged.csv"), "a,b\n1,2\n3\n").unwrap();
    fs::write(at("head.csv"), "a,b\n").unwrap();
    fs::write(at("one.csv"), "a,b\n1,2\n").unwrap();
    fs::write(at("nan.npy"), b"\x93NUMPY\x01\0").unwrap();
    fs::write(at("x.txt"), "1,2\n").unwrap();
    let cases = [
        ("csv", "words.csv", "words.csv, line 3: column `b` holds `x`"),
        ("csv", "ragged.csv", "ragged.csv cannot be used"),
        ("csv", "head.csv", "head.csv cannot be used: it holds no rows"),
        ("csv", "one.csv", "cannot hold out 1 rows of 1"),
        ("csv", "x.txt", "x.txt is of no kind that is known"),
        ("csv", "gone.csv", "cannot read"),
        ("npy", "nan.npy", "nan.npy cannot be used"),
        ("npy", "one.csv", "one.csv is of no kind"),
        ("images", "empty", "holds no picture"),
        (
            "images",
            "pics",
            "b.png is of shape [1, 8, 9], but the rows before it are of shape [1, 8, 8]",
        ),
        ("idx", "empty", "holds no training images"),
    ];
    for (source, path, expected) in cases {
        let (source, path) = (format!("data.source={source}"), format!("data.path={path}"));
        let arguments = ["train", "--set", &source, "--set", &path, "--set", "model.network=mlp"];
        let error = refused(folder.path(), &arguments);
        assert!(error.contains(expected), "{path}: {error}");
    }
    let arguments =
        ["train", "--set", "data.source=csv", "--set", "data.path=one.csv", "--set", "data.rows=0"];
    assert!(refused(folder.path(), &arguments).contains("`data.rows` must be at least 1"));
    assert!(!at("runs").exists());
}

#[test]
fn files_that_a_model_is_not_for_are_refused_by_name() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    picture(&at("big.png"), 30, 28);
    fs::write(at("torn.png"), &fs::read(at("big.png")).unwrap()[..40]).unwrap();
    fs::create_dir(at("empty")).unwrap();
    picture(&at("right.png"), 28, 28);
    let cases: [(&[&str], &str); 9] = [
        (&["denoise", "run", "big.png", "-o", "o.png"], "big.png has rows of shape [1, 30, 28]"),
        (&["denoise", "run", "torn.png", "-o", "o.png"], "torn.png is no picture that can be read"),
        (&["denoise", "run", "empty", "-o", "out"], "holds no picture"),
        (&["denoise", "run", "gone.png", "-o", "o.png"], "cannot read gone.png"),
        (&["denoise", "run", "right.png", "-o", "o.csv"], "needs a name that ends in .png or .jpg"),
        (&["denoise", "run", "right.png", "-o", "none/o.png"], "cannot write none/o.png"),
        (&["denoise", "small.toml", "right.png", "-o", "o.png"], "small.toml cannot be used"),
        (&["denoise", "empty", "right.png", "-o", "o.png"], "it holds no weights"),
        (&["sample", "run", "-n", "3", "-o", "o.txt"], "a name that ends in"),
    ];
    for (arguments, expected) in cases {
        let error = refused(folder.path(), arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    // A colour picture of the right sides is seen as grey.
    let colour = vec![0.25; 3 * 28 * 28];
    dvae::data::write_picture(&at("colour.png"), &colour, &[3, 28, 28]).unwrap();
    ok(folder.path(), &["denoise", "run", "colour.png", "-o", "grey.png"]);
}

#[test]
fn weights_and_checkpoints_that_are_damaged_or_of_others_are_refused() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let whole = fs::read(at("run/best.safetensors")).unwrap();
    fs::write(at("torn.safetensors"), &whole[..whole.len() / 2]).unwrap();
    picture(&at("a.png"), 28, 28);
    let error = refused(folder.path(), &["denoise", "torn.safetensors", "a.png", "-o", "o.png"]);
    assert!(error.contains("torn.safetensors cannot be used"), "{error}");

    let wider = ["train", "small.toml", "--out", "wide", "--quiet", "--set", "model.hidden=[33]"];
    ok(folder.path(), &wider);
    fs::remove_dir_all(at("wide/checkpoints")).unwrap();
    fs::rename(at("run/checkpoints"), at("wide/checkpoints")).unwrap();
    let error = refused(folder.path(), &["train", "--resume", "wide"]);
    assert!(error.contains("its weights do not fit this model"), "{error}");
    let error = refused(folder.path(), &["train", "--resume", "gone"]);
    assert!(error.contains("cannot read the folder gone"), "{error}");
    let error = refused(folder.path(), &["train", "small.toml", "--out", "wide"]);
    assert!(error.contains("wide exists and is not empty"), "{error}");
}

#[test]
fn a_run_that_fails_on_its_own_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    let arguments =
        ["train", "small.toml", "--out", "run", "--quiet", "--set", "train.learning_rate=1e30"];
    let output = run(folder.path(), &arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("at epoch 1, step 2, on rows ") && error.contains("and 24 more"),
        "{error}"
    );
}
