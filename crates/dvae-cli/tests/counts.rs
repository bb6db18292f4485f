//! Counts: rows with totals of their own, thinned, from tables and from sparse files.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use common::{ok, refused};

/// Rows of two kinds, which have most counts in the first or in the last columns, and of depths from 20 to 200.
fn rows() -> Vec<Vec<u32>> {
    (0..300u32)
        .map(|row| {
            let depth = 1 + row * 7 % 10;
            let count = |column: u32| {
                let is_large = (column < 6) == row.is_multiple_of(2);
                let noise = (row * 31 + column * 17).wrapping_mul(2_654_435_761) >> 30;
                depth * if is_large { 3 } else { 0 } + noise
            };
            (0..12).map(count).collect()
        })
        .collect()
}

fn table(rows: &[Vec<u32>]) -> String {
    let names: Vec<String> = (0..12).map(|column| format!("g{column}")).collect();
    let lines = rows.iter().map(|row| row.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    std::iter::once(names.join(",")).chain(lines).map(|line| line + "\n").collect()
}

/// The same with a line for each column, without the zeros.
fn matrix(rows: &[Vec<u32>]) -> String {
    let entries = rows.iter().enumerate().flat_map(|(row, counts)| {
        let placed = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        placed.map(move |(column, count)| format!("{} {} {count}\n", column + 1, row + 1))
    });
    let entries: Vec<String> = entries.collect();
    let head = "%%MatrixMarket matrix coordinate integer general\n";
    format!("{head}12 {} {}\n{}", rows.len(), entries.len(), entries.concat())
}

const EXPERIMENT: &str = r#"
corruption = "binomial-thinning:0.1..0.5"
DATA
[model]
latent = 2
network = { type = "mlp", hidden = [16] }
likelihood = { type = "proportions", of = { type = "poisson" }, total = 500 }
log_input = true
[train]
epochs = 60
batch_size = 32
learning_rate = 0.01
"#;

const TABLE: &str = "[data]\nsource = \"csv\"\npath = \"a.csv\"\ndomain = \"counts\"\n";
const MATRIX: &str =
    "[data]\nsource = \"npy\"\npath = \"a.mtx\"\ntransposed = true\ndomain = \"counts\"\n";

/// A folder with both files, and an experiment on each.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.csv", &table(&rows()));
    write("a.mtx", &matrix(&rows()));
    write("table.toml", &EXPERIMENT.replace("DATA", TABLE));
    write("matrix.toml", &EXPERIMENT.replace("DATA", MATRIX));
    folder
}

fn totals(path: &Path) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap();
    let total = |line: &str| line.split(',').map(|cell| cell.parse::<f64>().unwrap()).sum();
    text.lines().skip(1).map(total).collect()
}

#[test]
fn counts_are_predicted_better_than_by_themselves_and_keep_their_totals() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    ok(folder.path(), &["train", "table.toml", "--out", "run", "--quiet"]);
    let evaluate = ["evaluate", "run", "--corruption", "binomial-thinning:0.2"];
    let text = ok(folder.path(), &[&evaluate[..], &["--corruption", "masking:0.1"]].concat());
    assert_eq!(text.matches("are predicted with a Poisson deviance").count(), 1, "{text}");
    let json = ok(folder.path(), &[&evaluate[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let molecular = &json["corruptions"][0]["molecular"];
    let of = |part: &str, loss: &str| molecular[part][loss].as_f64().unwrap();
    for loss in ["deviance", "squared_error"] {
        assert!(of("output", loss) < 0.8 * of("input", loss), "{molecular}");
    }
    ok(folder.path(), &["denoise", "run", "a.csv", "-o", "b.csv"]);
    let expected: Vec<f64> = rows().iter().map(|row| f64::from(row.iter().sum::<u32>())).collect();
    for (found, expected) in totals(&at("b.csv")).iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-3 * expected, "{found}, not {expected}");
    }
    // By draws as well.
    ok(folder.path(), &["denoise", "run", "a.csv", "-o", "c.csv", "--samples", "8"]);
    for (found, expected) in totals(&at("c.csv")).iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-3 * expected, "{found}, not {expected}");
    }
    // Rows of which no total is known have that of the likelihood.
    ok(folder.path(), &["sample", "run", "-o", "s.csv"]);
    assert!(totals(&at("s.csv")).iter().all(|total| (total - 500.0).abs() < 0.5));
}

#[test]
fn a_sparse_file_trains_to_the_bit_as_the_table_does() {
    let folder = folder();
    let settings = ["--quiet", "--set", "train.epochs=3"];
    for name in ["table", "matrix"] {
        let file = format!("{name}.toml");
        ok(folder.path(), &[&["train", &file, "--out", name], &settings[..]].concat());
    }
    let info = |run: &str| {
        let text = ok(folder.path(), &["info", run]);
        text.lines().filter(|line| line.contains("ELBO")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(!info("table").is_empty());
    assert_eq!(info("table"), info("matrix"));
    // The experiment says which axis is which; what was made of such a file has its rows on the first axis, and is read as it is.
    ok(folder.path(), &["denoise", "matrix", "a.mtx", "-o", "b.npy"]);
    ok(folder.path(), &["corrupt", "binomial-thinning:0.2", "a.mtx", "-o", "turned.npy"]);
    ok(folder.path(), &["corrupt", "matrix.toml", "a.mtx", "-o", "thin.npy"]);
    ok(folder.path(), &["evaluate", "matrix", "--data", "thin.npy"]);
    ok(folder.path(), &["evaluate", "matrix", "--data", "turned.npy"]);
    ok(folder.path(), &["embed", "matrix", "a.mtx", "-o", "z.csv"]);
    let lines = fs::read_to_string(folder.path().join("z.csv")).unwrap().lines().count();
    assert_eq!(lines, 301);
    let error = refused(folder.path(), &["denoise", "matrix", "a.mtx", "-o", "b.mtx"]);
    assert!(error.contains("needs a name that ends in .npy"), "{error}");
}

#[test]
fn what_has_no_total_or_is_no_count_is_refused_by_name() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: String| fs::write(at(name), text).unwrap();
    let mut lines: Vec<String> = table(&rows()).lines().map(str::to_owned).collect();
    let first = lines[1].split_once(',').unwrap().1.to_owned();
    lines[1] = format!(",{first}");
    write("holes.csv", lines.join("\n"));
    lines[1] = format!("0.5,{first}");
    write("half.csv", lines.join("\n"));
    let train = |settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments = ["train", "table.toml", "--out", "no", "--quiet"].into_iter();
        let error = refused(folder.path(), &arguments.chain(settings).collect::<Vec<_>>());
        assert!(!at("no").exists(), "nothing is left");
        error
    };
    let error = train(&["data.path=holes.csv"]);
    assert!(error.contains("is of rows whose totals are known"), "{error}");
    let error = train(&["data.path=half.csv"]);
    assert!(error.contains("row 0 holds 0.5, but the data are declared to be counts"), "{error}");
    let error = train(&["data.domain=real"]);
    assert!(error.contains("binomial-thinning: it is for counts"), "{error}");
    let error = train(&["data.domain=real", "corruption=none"]);
    assert!(error.contains("`model.log_input` is for counts"), "{error}");
    let error = train(&["model.likelihood.of={ type = \"bernoulli\" }"]);
    assert!(error.contains("`of` of `proportions` is `poisson`"), "{error}");

    ok(
        folder.path(),
        &["train", "table.toml", "--out", "run", "--quiet", "--set", "train.epochs=1"],
    );
    let error = refused(folder.path(), &["impute", "run", "holes.csv", "-o", "filled.csv"]);
    assert!(
        error.contains("row 0 has a missing cell, but the likelihood `proportions`"),
        "{error}"
    );
    let error = refused(folder.path(), &["calibrate", "run"]);
    assert!(error.contains("no intervals can be learned"), "{error}");
    let error = refused(folder.path(), &["denoise", "run", "half.csv", "-o", "b.csv"]);
    assert!(error.contains("row 0 holds 0.5, but the model is for counts"), "{error}");
    let error = refused(folder.path(), &["denoise", "run", "holes.csv", "-o", "b.csv"]);
    assert!(error.contains("row 0 has a missing cell"), "{error}");
    let error =
        refused(folder.path(), &["corrupt", "binomial-thinning:0.2", "half.csv", "-o", "b.csv"]);
    assert!(error.contains("row 0: `binomial-thinning` is for counts"), "{error}");
}
