//! What users type and feed by mistake: one line that names the thing, exit code 2, and nothing is lost.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use dvae::data::{Domain, Element, Format, RowWriter};

use common::{SMALL, array, ok, picture, refused, run, trained};

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
        (
            &["small.toml", "--set", "train.learning_rate.warm_up=2"],
            "`learning_rate.warm_up` must be at least 0 and below 1",
        ),
        (&["small.toml", "--set", "train.ema=1.5"], "`ema` must be above 0 and below 1"),
        (&["small.toml", "--set", "model.latent=0"], "`latent` must be between 1"),
        (&["small.toml", "--set", "model.network=transformer"], "cannot be `transformer`"),
        (&["small.toml", "--set", "model.event=[3]"], "leave the key out"),
        (&["small.toml", "--set", "corruption=gausian:0.3"], "`gausian:0.3` is not a corruption"),
        (&["small.toml", "--set", "corruption=masking:1.5"], "must be between 0 and 1"),
        (&["small.toml", "--set", "data.source=csv"], "`data.path` is missing"),
        (
            &["small.toml", "--set", "data.path=x.csv"],
            "`data.path` is for `data.source = \"idx\"` or `data.source = \"npy\"`",
        ),
        (&["small.toml", "--set", "data.validation=1"], "above 0 and below 1, but is 1"),
        (&["small.toml", "--set", "data.shape=[5, 5]"], "must have as many entries"),
        (&["small.toml", "--backend", "tpu"], "`tpu` is no back end"),
        (
            &[
                "small.toml",
                "--set",
                "data.binarization=dynamic",
                "--set",
                "model.likelihood={ type = \"categorical\", classes = 1 }",
            ],
            "`classes` must be between 2 and 16777216",
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
    let cases: [(&[&str], &str); 10] = [
        (&["embed", "run", "big.png", "-o", "z.csv"], "big.png has rows of shape [1, 30, 28]"),
        (&["denoise", "run", "torn.png", "-o", "o.png"], "torn.png is no picture that can be read"),
        (&["denoise", "run", "empty", "-o", "out"], "holds no picture"),
        (&["denoise", "run", "gone.png", "-o", "o.png"], "cannot read gone.png"),
        (&["denoise", "run", "right.png", "-o", "o.csv"], "needs a name that ends in .png or .tif"),
        (
            &["denoise", "run", "right.png", "-o", "small.toml/o.png"],
            "cannot write small.toml/o.png",
        ),
        (&["denoise", "small.toml", "right.png", "-o", "o.png"], "small.toml cannot be used"),
        (&["denoise", "empty", "right.png", "-o", "o.png"], "it holds no weights"),
        (&["sample", "run", "-n", "3", "-o", "o.txt"], "a name that ends in"),
        (
            &["sample", "run", "--shared", "1", "-o", "o.npy"],
            "--shared must be below the number of",
        ),
    ];
    for (arguments, expected) in cases {
        let error = refused(folder.path(), arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    // A color picture of the right sides is seen as gray.
    let color = vec![0.25; 3 * 28 * 28];
    dvae::data::write_picture(&at("color.png"), &color, &[3, 28, 28]).unwrap();
    ok(folder.path(), &["denoise", "run", "color.png", "-o", "gray.png"]);
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

    let wider =
        ["train", "small.toml", "--out", "wide", "--quiet", "--set", "model.network.hidden=[33]"];
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

/// What is in a folder, and what of it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut files: Vec<_> = files.map(|path| (name(&path), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn no_input_is_overwritten_and_nothing_half_written_stays() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    array(&at("x.npy"), &[28, 28], 3, |at| (at % 5) as f64 / 5.0);
    fs::copy(at("x.npy"), at("y-deviation.npy")).unwrap();
    picture(&at("a.png"), 28, 28);
    picture(&at("a.jpg"), 28, 28);
    picture(&at("big.png"), 29, 28);
    fs::write(at("t.csv"), "a\n1\nx\n").unwrap();
    fs::write(at("w.pt"), "x").unwrap();
    let before = contents(folder.path());
    for arguments in [
        &["denoise", "run", "x.npy", "-o", "x.npy"][..],
        &["denoise", "run", "x.npy", "-o", "./x.npy"],
        &["denoise", "run", "y-deviation.npy", "-o", "y.npy", "--samples", "2"],
        &["embed", "run", "x.npy", "-o", "x.npy"],
        &["interpolate", "run", "a.png", "a.jpg", "-o", "a.png"],
        &["traverse", "run", "--input", "a.png", "-o", "a.png"],
        &["corrupt", "masking", "a.png", "-o", "a.png"],
        &["import", "small.toml", "w.pt", "-o", "w.pt"],
    ] {
        let error = refused(folder.path(), arguments);
        assert!(error.contains("would be overwritten"), "{arguments:?}: {error}");
    }
    let twice = ["denoise", "run", "a.png", "a.jpg", "-o", "out", "--samples", "2"];
    let error = refused(folder.path(), &twice);
    assert!(error.contains("a.png and a.jpg would both become out/a.png"), "{error}");
    for arguments in [
        &["embed", "run", "big.png", "-o", "z.npy"][..],
        &["embed", "run", "gone.npy", "-o", "z.npy"],
        &["corrupt", "masking", "t.csv", "-o", "u.csv"],
        &["embed", "run", "big.png", "-o", "o.csv"],
    ] {
        refused(folder.path(), arguments);
    }
    assert!(contents(folder.path()) == before, "something was left or changed");
}

#[test]
fn arrays_of_another_layout_or_unit_are_refused() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let value = |at: usize| (at % 5) as f64 / 5.0;
    array(&at("channels.npy"), &[28, 14, 2], 2, value);
    let error = refused(folder.path(), &["denoise", "run", "channels.npy", "-o", "o.npy"]);
    assert!(error.contains("rows of shape [28, 14, 2], but the model is for"), "{error}");
    for (name, event) in
        [("flat.npy", &[784][..]), ("last.npy", &[28, 28, 1]), ("own.npy", &[1, 28, 28])]
    {
        array(&at(name), event, 2, value);
        ok(folder.path(), &["denoise", "run", name, "-o", "o.npy"]);
        ok(folder.path(), &["evaluate", "run", "--data", name]);
    }
    array(&at("infinite.npy"), &[784], 2, |at| if at == 800 { f64::INFINITY } else { 0.5 });
    let error = refused(folder.path(), &["denoise", "run", "infinite.npy", "-o", "o.npy"]);
    assert!(error.contains("row 1 holds an infinite value"), "{error}");
    let bytes = Format::new(&[28, 28], Element::U8, Domain::Counts);
    let mut writer = RowWriter::create(&at("binary.npy"), &bytes).unwrap();
    (0..9).for_each(|row| writer.write(&bytes.row(&[f64::from(row % 2 == 0); 784])).unwrap());
    writer.finish().unwrap();
    let data =
        ["--set", "data.source=npy", "--set", "data.path=binary.npy", "--set", "model.network=mlp"];
    let error = refused(folder.path(), &[&["train"], &data[..]].concat());
    assert!(error.contains("save it as bool or float32"), "{error}");
    let error = refused(folder.path(), &["sample", "run", "-n", "1000000", "-o", "o.png"]);
    assert!(error.contains("holds 10000 samples at most"), "{error}");
    let error =
        refused(folder.path(), &["denoise", "run", "flat.npy", "-o", "o.npy", "--no-header"]);
    assert!(error.contains("--no-header is for CSV files"), "{error}");
}

const TABLE: [&str; 12] = [
    "data.source=csv",
    "data.path=t.csv",
    "data.scaling=standard",
    "data.test=0.2",
    "corruption=masking:0.2",
    "model.network=mlp",
    "model.latent=2",
    "model.network.hidden=[8]",
    "model.likelihood={ type = \"normal\", scale = 0.5 }",
    "train.epochs=3",
    "train.batch_size=16",
    "train.seed=4",
];

fn train_table(folder: &Path, run: &str, more: &[&str]) {
    let settings = TABLE.iter().chain(more).flat_map(|setting| ["--set", *setting]);
    let arguments: Vec<&str> =
        ["train", "--quiet", "--out", run].into_iter().chain(settings).collect();
    ok(folder, &arguments);
}

#[test]
fn columns_are_found_by_name_and_rows_are_not_taken_for_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rows = |order: [usize; 3]| -> String {
        (0..60)
            .map(|row| {
                let cells = [row as f32, 100.0 + row as f32, -3.0 * row as f32];
                order.map(|at| cells[at].to_string()).join(",") + "\n"
            })
            .collect()
    };
    fs::write(at("t.csv"), format!("a,b,c\n{}", rows([0, 1, 2]))).unwrap();
    let turned = rows([2, 0, 1])
        .lines()
        .map(|line| line.replacen(',', ",word,", 1) + "\n")
        .collect::<String>();
    fs::write(at("turned.csv"), format!("c,note,a,b\n{turned}")).unwrap();
    fs::write(at("bare.csv"), rows([0, 1, 2])).unwrap();
    train_table(folder.path(), "named", &[]);
    ok(folder.path(), &["denoise", "named", "t.csv", "-o", "one.csv"]);
    ok(folder.path(), &["denoise", "named", "turned.csv", "-o", "two.csv"]);
    // Columns come back where they were, with those that the model does not know.
    let turned = |text: String| -> Vec<String> {
        let cells = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        cells.map(|cells| [&cells[2], &cells[3], &cells[0]].map(String::as_str).join(",")).collect()
    };
    let two = fs::read_to_string(at("two.csv")).unwrap();
    assert!(
        two.starts_with("c,note,a,b\n") && two.lines().skip(1).all(|line| line.contains(",word,"))
    );
    assert_eq!(fs::read_to_string(at("one.csv")).unwrap().lines().collect::<Vec<_>>(), turned(two));

    let bare = ["data.path=bare.csv", "data.header=false"];
    train_table(folder.path(), "bare", &bare);
    ok(folder.path(), &["denoise", "bare", "bare.csv", "-o", "three.csv"]);
    assert_eq!(fs::read_to_string(at("three.csv")).unwrap().lines().count(), 60);
    let forgotten = ["train", "--set", "data.source=csv", "--set", "data.path=bare.csv"];
    let error = refused(folder.path(), &forgotten);
    assert!(error.contains("numbers and not names of columns"), "{error}");

    // Rows that come later change what is held out.
    ok(folder.path(), &["evaluate", "named"]);
    fs::write(at("t.csv"), format!("a,b,c\n{}1,2,3\n", rows([0, 1, 2]))).unwrap();
    let error = refused(folder.path(), &["evaluate", "named"]);
    assert!(error.contains("the data has changed since the training"), "{error}");
    assert!(error.contains("name the rows to evaluate on by `--data PATH`"), "{error}");
    let error = refused(folder.path(), &["train", "--resume", "named"]);
    assert!(error.contains("the checksum of the training rows was"), "{error}");
    assert!(error.contains("`--set data.path=PATH`") && !error.contains("--data "), "{error}");
    let log = fs::read_to_string(at("named/log.txt")).unwrap();
    assert!(log.lines().last().unwrap().contains("Z  failed: the data has changed"), "{log}");
    ok(folder.path(), &["evaluate", "named", "--data", "t.csv"]);
}
