//! Tables with dates and with classes that have an order, on the command line.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{ok, refused};

const EXPERIMENT: &str = r#"
corruption = "masking:0.3"
[data]
source = "csv"
path = "a.csv"
kinds = { answer = { ordinal = ["never", "sometimes", "often"] }, born = { date = "%d.%m.%Y" }, seen = "date", age = "numeric" }
validation = 0.1
[model]
network = { type = "table", hidden = [32] }
latent = 2
likelihood = { type = "learned-normal", min_scale = 0.02 }
[train]
epochs = 80
batch_size = 32
learning_rate = 0.005
"#;

const ANSWERS: [&str; 3] = ["never", "sometimes", "often"];

/// Row `at`: the age, which tells the answer and the year of birth, about; and when it was seen.
fn row(at: usize) -> (usize, &'static str, String, String) {
    let age = 20 + at * 37 % 60;
    let born = format!("{:02}.{:02}.{}", at % 28 + 1, at % 12 + 1, 2020 - age);
    let seen = format!("2020-01-{:02} {:02}:{:02}", at % 31 + 1, at % 24, at % 60);
    (age, ANSWERS[(age - 20) / 20], born, seen)
}

fn table() -> String {
    let line = |at: usize| {
        let (age, answer, born, seen) = row(at);
        let hole = |every: usize, text: String| if at % every == 3 { String::new() } else { text };
        format!("{age},{},{},{}", hole(5, answer.to_owned()), hole(7, born), hole(11, seen))
    };
    let lines: Vec<String> = (0..400).map(line).collect();
    "age,answer,born,seen\n".to_owned() + &lines.join("\n") + "\n"
}

/// The year of a date as the table writes it.
fn year(date: &str) -> i32 {
    let parts: Vec<&str> = date.split('.').collect();
    assert!(parts.len() == 3 && parts[0].len() == 2 && parts[1].len() == 2, "{date}");
    parts[2].parse().unwrap()
}

#[test]
fn dates_and_ordered_classes_are_filled_in_as_the_table_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.csv"), table()).unwrap();
    fs::write(at("a.toml"), EXPERIMENT).unwrap();
    ok(folder.path(), &["train", "a.toml", "--out", "run", "--quiet"]);
    let impute = ["impute", "run", "--last", "a.csv", "-o", "filled.csv", "--intervals"];
    ok(folder.path(), &impute);
    let filled = fs::read_to_string(at("filled.csv")).unwrap();
    let mut lines = filled.lines();
    let head = "age,answer,born,seen,answer_probability,born_low,born_high,seen_low,seen_high";
    assert_eq!(lines.next().unwrap(), head);
    let (mut right, mut answers, mut held, mut dates) = (0, 0, 0, 0);
    for (at, (before, line)) in table().lines().skip(1).zip(lines).enumerate() {
        let (old, new): (Vec<&str>, Vec<&str>) =
            (before.split(',').collect(), line.split(',').collect());
        for (old, new) in old.iter().zip(&new) {
            assert!(old == new || old.is_empty() && !new.is_empty(), "{before}: {line}");
        }
        let (_, answer, born, _) = row(at);
        if old[1].is_empty() {
            answers += 1;
            right += usize::from(new[1] == answer);
            assert!(new[4].parse::<f64>().unwrap() > 0.3, "{line}");
        }
        if old[2].is_empty() {
            dates += 1;
            assert!((year(new[2]) - year(&born)).abs() < 15, "{born}: {line}");
            held += usize::from((year(new[5])..=year(new[6])).contains(&year(&born)));
        }
        if old[3].is_empty() {
            // Dates of ISO 8601 are in the order of their texts.
            assert!(new[3].len() == "2020-01-01 00:00".len() && new[3].starts_with("20"), "{line}");
            assert!(new[7] <= new[3] && new[3] <= new[8], "{line}");
        }
    }
    assert!(right * 10 >= answers * 8, "{right} of {answers}");
    assert!(held * 10 >= dates * 8, "{held} of {dates}");
    // Other commands write dates and classes too.
    ok(folder.path(), &["denoise", "run", "--last", "a.csv", "-o", "denoised.csv"]);
    let denoised = fs::read_to_string(at("denoised.csv")).unwrap();
    for line in denoised.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        assert!(ANSWERS.contains(&cells[1]) && year(cells[2]) > 1900, "{line}");
    }
    ok(folder.path(), &["sample", "run", "--last", "-n", "3", "-o", "samples.csv"]);
    let samples = fs::read_to_string(at("samples.csv")).unwrap();
    samples.lines().skip(1).for_each(|line| {
        year(line.split(',').nth(2).unwrap());
    });
    // What is swapped is what another row has, to the letter.
    fs::write(at("swap.toml"), EXPERIMENT.replace("masking:0.3", "swap:0.3")).unwrap();
    ok(folder.path(), &["corrupt", "swap.toml", "a.csv", "-o", "swapped.csv"]);
    let swapped = fs::read_to_string(at("swapped.csv")).unwrap();
    assert_ne!(swapped, table());
    let column = |text: &str, at: usize| -> BTreeSet<String> {
        text.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().to_owned()).collect()
    };
    for at in 0..4 {
        let known = column(&table(), at);
        assert!(column(&swapped, at).is_subset(&known), "column {at}");
    }
    // A date of another format is named with its place.
    fs::write(at("other.csv"), "age,answer,born,seen\n30,often,,\n31,never,1990-01-01,\n").unwrap();
    let error = refused(folder.path(), &["impute", "run", "--last", "other.csv", "-o", "o.csv"]);
    assert!(
        error.contains("other.csv, line 3: column `born` holds `1990-01-01`, which is no date of the format %d.%m.%Y"),
        "{error}"
    );
}

#[test]
fn an_order_or_a_format_that_is_not_said_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), table()).unwrap();
    for (said, why) in [
        (
            "answer = \"ordinal\"",
            "column `answer` cannot be ordinal: texts have no order of their own: name them from first to last",
        ),
        (
            "answer = { ordinal = [\"never\", \"often\"] }",
            "it holds `sometimes`, which is not named",
        ),
        ("born = \"date\"", "name theirs, as { date = \"%d.%m.%Y\" }"),
        ("born = { date = \"%Y-%m-%d\" }", "which is no date of the format %Y-%m-%d"),
        ("born = { date = \"%Y\" }", "a kind of a column is"),
        ("born = { dates = \"%Y\" }", "a kind of a column is"),
        ("born = \"day\"", "a kind of a column is"),
    ] {
        let start = EXPERIMENT.find("kinds =").unwrap();
        let end = start + EXPERIMENT[start..].find('\n').unwrap();
        let text = format!("{}kinds = {{ {said} }}{}", &EXPERIMENT[..start], &EXPERIMENT[end..]);
        fs::write(folder.path().join("b.toml"), text).unwrap();
        let error = refused(folder.path(), &["train", "b.toml", "--out", "run", "--quiet"]);
        assert!(error.contains(why), "{said}: {error}");
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_files_need_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.parquet"), "PAR1").unwrap();
    fs::write(folder.path().join("a.csv"), "x\n1\n2\n").unwrap();
    let error = refused(folder.path(), &["table", "a.parquet"]);
    assert!(error.contains("--features parquet"), "{error}");
    let corrupt = ["corrupt", "gaussian:1", "a.csv", "-o", "b.parquet"];
    assert!(refused(folder.path(), &corrupt).contains("needs a name that ends in .csv"));
}
