//! Values are what the user's files say, or a refusal: nothing is guessed.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use common::{SMALL, array, ok, picture, refused, rows, run, trained};
use dvae::data::{Domain, Element, Format, RowWriter};

const QUICK: [&str; 5] = [
    "model.network=mlp",
    "model.network.hidden=[4]",
    "model.latent=2",
    "train.epochs=1",
    "train.batch_size=16",
];

fn train(folder: &Path, out: &str, settings: &[&str]) -> std::process::Output {
    let settings = QUICK.iter().chain(settings).flat_map(|setting| ["--set", *setting]);
    let arguments: Vec<&str> =
        ["train", "--quiet", "--out", out].into_iter().chain(settings).collect();
    run(folder, &arguments)
}

fn error(output: &std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_model_of_standardized_words_makes_no_pictures_and_takes_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let format = Format::new(&[1, 8, 8], Element::U16, Domain::Integers);
    let mut writer = RowWriter::create(&at("x.npy"), &format).unwrap();
    for row in 0..40 {
        let values: Vec<f64> = (0..64).map(|at| 20_000.0 + f64::from(at * 31 + row * 7)).collect();
        writer.write(&format.row(&values)).unwrap();
    }
    writer.finish().unwrap();
    let settings = [
        "data.source=npy",
        "data.path=x.npy",
        "data.scaling=standard",
        "model.likelihood={ type = \"normal\", scale = 0.5 }",
    ];
    assert!(train(folder.path(), "run", &settings).status.success());
    picture(&at("a.png"), 8, 8);
    for (arguments, expected) in [
        (&["denoise", "run", "a.png", "-o", "o.png"][..], "a.png holds bytes"),
        (&["embed", "run", "a.png", "-o", "z.csv"], "a.png holds bytes"),
        (&["sample", "run", "-n", "4", "-o", "s.png"], "are not pictures"),
        (&["traverse", "run", "--latents", "0", "-o", "t.png"], "are not pictures"),
        (&["interpolate", "run", "x.npy", "-o", "i.png"], "are not pictures"),
    ] {
        let error = refused(folder.path(), arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    // A picture of as many bits says which number stands for 1; these numbers do not.
    let words = Format::new(&[1, 8, 8], Element::U16, Domain::Unit);
    let mut writer = RowWriter::create(&at("w.png"), &words).unwrap();
    writer.write(&words.row(&[0.5; 64])).unwrap();
    writer.finish().unwrap();
    let error = refused(folder.path(), &["denoise", "run", "w.png", "-o", "o.png"]);
    assert!(error.contains("w.png holds integers of 16 bits"), "{error}");
    // Nor the other way round, where a scaling hides the range.
    fs::create_dir(at("pics")).unwrap();
    for copy in 0..4 {
        fs::copy(at("w.png"), at(&format!("pics/{copy}.png"))).unwrap();
    }
    let pictures =
        [&settings[2..], &["data.source=images", "data.path=pics", "corruption=masking:0.2"]];
    assert!(train(folder.path(), "pictures", &pictures.concat()).status.success());
    array(&at("gray.npy"), &[1, 8, 8], 2, |at| (at % 256) as f64);
    for file in ["x.npy", "gray.npy"] {
        let error = refused(folder.path(), &["embed", "pictures", file, "-o", "z.csv"]);
        assert!(error.contains(file) && error.contains("[0, 1]"), "{error}");
    }
    ok(folder.path(), &["denoise", "run", "x.npy", "-o", "o.npy"]);
    let cleaned = rows(&at("o.npy")).1.concat();
    assert!(cleaned.iter().all(|value| (19_000.0..24_000.0).contains(value)));
}

#[test]
fn values_that_no_training_input_could_have_are_refused_by_row() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    array(&at("gray.npy"), &[28, 28], 3, |at| (at % 256) as f64);
    for command in ["denoise", "embed"] {
        let error = refused(folder.path(), &[command, "run", "gray.npy", "-o", "o.npy"]);
        assert!(error.contains("row 0 holds 2, but the model is for numbers in [0, 1]"), "{error}");
    }
    // Where training itself leaves the range, so may an input.
    fs::write(at("loose.toml"), SMALL).unwrap();
    let corruption = "corruption={ process = \"gaussian\", level = 0.4, clip = \"none\" }";
    ok(
        folder.path(),
        &[
            "train",
            "loose.toml",
            "--quiet",
            "--out",
            "loose",
            "--set",
            corruption,
            "--set",
            "train.epochs=1",
        ],
    );
    array(&at("noisy.npy"), &[28, 28], 3, |at| (at % 3) as f64 - 0.5);
    ok(folder.path(), &["denoise", "loose", "noisy.npy", "-o", "o.npy"]);
    assert!(
        refused(folder.path(), &["denoise", "loose", "gray.npy", "-o", "o.npy"]).contains("row 0")
    );
}

#[test]
fn test_rows_are_not_the_training_rows_and_declared_bytes_are_counts() {
    let folder = tempfile::tempdir().unwrap();
    let format = Format::new(&[4], Element::U8, Domain::Counts);
    let mut writer = RowWriter::create(&folder.path().join("n.npy"), &format).unwrap();
    (0..60).for_each(|row| writer.write(&format.row(&[f64::from(row % 7); 4])).unwrap());
    writer.finish().unwrap();
    let poisson = [
        "data.source=npy",
        "data.path=n.npy",
        "data.domain=counts",
        "model.likelihood={ type = \"poisson\" }",
    ];
    assert!(train(folder.path(), "counts", &poisson).status.success());
    ok(folder.path(), &["denoise", "counts", "n.npy", "-o", "means.npy"]);
    assert!(
        rows(&folder.path().join("means.npy")).1.concat().iter().any(|mean| mean.fract() != 0.0)
    );
    let same = [&poisson[..], &["data.test_path=n.npy"]].concat();
    let error = error(&train(folder.path(), "same", &same));
    assert!(error.contains("the test rows are the training rows"), "{error}");
}

#[test]
fn a_column_without_any_value_is_named_and_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let lines: String =
        (0..40).map(|row| format!("2020-01-{:02},{row},,{}\n", row % 28 + 1, 3 * row)).collect();
    fs::write(at("t.csv"), format!("day,a,hole,b\n{lines}")).unwrap();
    let settings = [
        "data.source=csv",
        "data.path=t.csv",
        "data.scaling=standard",
        "model.likelihood={ type = \"normal\", scale = 0.5 }",
    ];
    let text = error(&train(folder.path(), "no", &settings));
    assert!(text.contains("line 2: column `day` holds `2020-01-01`"), "{text}");
    let text = error(&train(
        folder.path(),
        "no",
        &[&settings[..], &["data.columns=[\"a\", \"hole\"]"]].concat(),
    ));
    assert!(text.contains("column `hole` has no value"), "{text}");
    // Without the dates, the empty column is left out.
    let numbers: String = lines.lines().map(|line| format!("{}\n", &line[11..])).collect();
    fs::write(at("n.csv"), format!("a,hole,b\n{numbers}")).unwrap();
    let settings = [&settings[..], &["data.path=n.csv"]].concat();
    let output = train(folder.path(), "run", &settings);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("column `hole` has no value"), "{text}");
    ok(folder.path(), &["denoise", "run", "t.csv", "-o", "o.csv"]);
    let cleaned = fs::read_to_string(at("o.csv")).unwrap();
    for (line, old) in cleaned.lines().zip(format!("day,a,hole,b\n{lines}").lines()) {
        let (new, old): (Vec<&str>, Vec<&str>) =
            (line.split(',').collect(), old.split(',').collect());
        assert_eq!((new[0], new[2], new.len()), (old[0], old[2], old.len()));
    }
}

#[test]
fn the_bounds_of_rows_have_names_and_the_mean_that_is_printed() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("in/deep")).unwrap();
    picture(&at("in/a.png"), 28, 28);
    picture(&at("in/deep/b.png"), 28, 28);
    let arguments = [
        "evaluate",
        "run",
        "--data",
        "in",
        "--corruption",
        "gaussian:0.3",
        "--per-row",
        "r.csv",
        "--json",
    ];
    let metrics: serde_json::Value = serde_json::from_str(&ok(folder.path(), &arguments)).unwrap();
    let table = fs::read_to_string(at("r.csv")).unwrap();
    let lines: Vec<Vec<&str>> =
        table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(table.starts_with("file,row,clean,\"gaussian, sigma 0.3\"\n"), "{table}");
    assert_eq!((lines[0][0], lines[1][0], lines[0][1]), ("in/a.png", "in/deep/b.png", "0"));
    for (column, key) in [(2, "clean"), (3, "corrupted")] {
        let mean = lines.iter().map(|line| line[column].parse::<f64>().unwrap()).sum::<f64>() / 2.0;
        let printed = metrics["corruptions"][0][key]["elbo"].as_f64().unwrap();
        assert!((mean - printed).abs() < 1e-3, "{key}: {mean} and {printed}");
    }
    ok(folder.path(), &["evaluate", "run", "--per-row", "own.csv", "--samples", "3"]);
    assert!(fs::read_to_string(at("own.csv")).unwrap().lines().count() > 900);
}

#[test]
fn outputs_are_where_and_what_they_are_asked_to_be() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("in/deep")).unwrap();
    picture(&at("in/a.png"), 28, 28);
    picture(&at("in/deep/b.png"), 28, 28);
    fs::write(at("in/._a.png"), "a file of another system").unwrap();
    let error =
        refused(folder.path(), &["denoise", "run", "in/a.png", "in/deep/b.png", "-o", "two.png"]);
    assert!(error.contains("two.png is the name of one file"), "{error}");
    ok(folder.path(), &["denoise", "run", "in", "-o", "new/out"]);
    assert!(at("new/out/a.png").is_file() && at("new/out/deep/b.png").is_file());
    ok(folder.path(), &["denoise", "run", "in/a.png", "-o", "other/new/a.png"]);
    ok(folder.path(), &["embed", "run", "in", "-o", "z.csv"]);
    let latents = fs::read_to_string(at("z.csv")).unwrap();
    let mut lines = latents.lines();
    assert!(lines.next().unwrap().starts_with("file,row,z0,"));
    assert!(lines.next().unwrap().starts_with("in/a.png,0,"));
    assert!(lines.next().unwrap().starts_with("in/deep/b.png,0,"));
    let text = ok(folder.path(), &["corrupt", "masking:0.5", "in/a.png", "-o", "m.png"]);
    assert_eq!(text, "Damaged 1 row of 1 file to m.png\n");
    // A JPEG file is warned of.
    let output = run(folder.path(), &["corrupt", "masking:0.5", "in/a.png", "-o", "m.jpg"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("warning: JPEG"), "{output:?}");
}

/// Settings of a table that is scaled.
const SCALED: [&str; 4] = [
    "data.source=csv",
    "data.path=t.csv",
    "data.scaling=standard",
    "model.likelihood={ type = \"normal\", scale = 0.5 }",
];

#[test]
fn columns_are_those_of_their_names_in_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let table = |turned: bool, from: usize| -> String {
        let row = |row: usize| match turned {
            false => format!("{},{}\n", row, 1000 * row),
            true => format!("{},{}\n", 1000 * row, row),
        };
        let head = if turned { "y,x\n" } else { "x,y\n" };
        head.to_owned() + &(from..from + 40).map(row).collect::<String>()
    };
    fs::write(at("t.csv"), table(false, 0)).unwrap();
    fs::write(at("test.csv"), table(true, 3)).unwrap();
    let settings = [&SCALED[..], &["data.test_path=test.csv", "corruption=gaussian:0.1"]].concat();
    assert!(train(folder.path(), "run", &settings).status.success());
    let metrics: serde_json::Value =
        serde_json::from_str(&ok(folder.path(), &["evaluate", "run", "--json"])).unwrap();
    assert!(metrics["corruptions"][0]["clean"]["elbo"].as_f64().unwrap() > -100.0, "{metrics}");
    // The noise of y is that of y's scale, wherever y stands.
    fs::copy(at("run/config.toml"), at("e.toml")).unwrap();
    ok(folder.path(), &["corrupt", "e.toml", "test.csv", "-o", "noisy.csv"]);
    let noisy = fs::read_to_string(at("noisy.csv")).unwrap();
    for (row, line) in noisy.lines().skip(1).enumerate() {
        let x: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
        assert!((x - (row + 3) as f64).abs() < 10.0, "{line}");
    }
    // Data that a model was trained on are kept, by every command.
    let before = fs::read(at("t.csv")).unwrap();
    for arguments in [
        &["sample", "run", "-n", "3", "-o", "t.csv"][..],
        &["evaluate", "run", "--per-row", "t.csv"],
        &["traverse", "run", "--latents", "0", "-o", "t.csv"],
        &["denoise", "run", "noisy.csv", "-o", "t.csv"],
        &["embed", "run", "noisy.csv", "-o", "test.csv"],
        &["corrupt", "e.toml", "noisy.csv", "-o", "t.csv"],
    ] {
        let error = refused(folder.path(), arguments);
        assert!(error.contains("belongs to the data of the experiment"), "{arguments:?}: {error}");
    }
    assert_eq!(fs::read(at("t.csv")).unwrap(), before);
    // Columns are chosen for a corruption without an experiment.
    fs::write(at("dated.csv"), "day,x\n2020-01-01,1\n").unwrap();
    assert!(
        refused(folder.path(), &["corrupt", "gaussian:1", "dated.csv", "-o", "d.csv"])
            .contains("`day`")
    );
    ok(folder.path(), &["corrupt", "gaussian:1", "dated.csv", "-o", "d.csv", "--columns", "x"]);
    assert!(fs::read_to_string(at("d.csv")).unwrap().starts_with("day,x\n2020-01-01,"));
}

#[test]
fn large_numbers_are_not_damaged_in_digits_that_single_precision_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rows: String = (0..40).map(|row| format!("{},{row}\n", 1_700_000_000 + row)).collect();
    fs::write(at("t.csv"), format!("time,x\n{rows}")).unwrap();
    let error = refused(folder.path(), &["corrupt", "gaussian:100", "t.csv", "-o", "o.csv"]);
    assert!(error.contains("row 1 holds 1700000001"), "{error}");
    ok(folder.path(), &["corrupt", "gaussian:0", "t.csv", "-o", "same.csv"]);
    assert_eq!(fs::read(at("same.csv")).unwrap(), fs::read(at("t.csv")).unwrap());
    // With a scaling every time has noise of its own.
    let text = "corruption = \"gaussian:0.01\"\n[data]\nsource = \"csv\"\npath = \"t.csv\"\nscaling = \"standard\"\n";
    fs::write(at("e.toml"), text).unwrap();
    ok(folder.path(), &["corrupt", "e.toml", "t.csv", "-o", "noisy.csv"]);
    let noisy = fs::read_to_string(at("noisy.csv")).unwrap();
    let gaps = noisy.lines().skip(1).enumerate().map(|(row, line)| {
        let time: f64 = line.split(',').next().unwrap().parse().unwrap();
        time - (1_700_000_000 + row) as f64
    });
    let gaps: Vec<f64> = gaps.collect();
    assert!(gaps.iter().all(|gap| *gap != 0.0 && gap.abs() < 1.0), "{gaps:?}");
}

#[test]
fn shapes_keys_and_marks_of_the_training_hold_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // A shape that the file does not have, in a table with decimal commas.
    let rows: String = (0..40).map(|row| format!("{row},5;{};3;{}\n", 2 * row, row % 3)).collect();
    fs::write(at("t.csv"), format!("a;b;c;d\n{rows}")).unwrap();
    let settings = [&SCALED[..], &["data.decimal=\",\"", "data.shape=[1, 2, 2]"]].concat();
    assert!(train(folder.path(), "run", &settings).status.success());
    ok(folder.path(), &["denoise", "run", "t.csv", "-o", "o.csv"]);
    ok(folder.path(), &["evaluate", "run", "--data", "t.csv"]);
    ok(folder.path(), &["sample", "run", "-n", "5", "-o", "s.csv"]);
    ok(folder.path(), &["denoise", "run", "s.csv", "-o", "again.csv"]);
    let error = refused(folder.path(), &["denoise", "run", "t.csv", "-o", "o.tsv"]);
    assert!(error.contains("needs a name that ends in .csv"), "{error}");
    // Without names, a line may not end before the others.
    fs::write(at("bare.csv"), "1,2,\n3,4\n").unwrap();
    let error = refused(
        folder.path(),
        &["corrupt", "gaussian:0", "bare.csv", "-o", "b.csv", "--no-header"],
    );
    assert!(error.contains("line 2 has 2 cells"), "{error}");
}
