//! Models of texts: what `dvae denoise` changes of a file, what stays byte for byte, and what is refused.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;
mod text_runs;

use std::collections::BTreeSet;
use std::fs;

use common::{ok, refused, run, text};
use text_runs::{changed, column, files, folder, framed, json, names, parts, train, trained};

#[test]
fn a_run_repairs_by_a_margin_that_was_learned_or_given_and_by_no_other() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    let denoise = ["denoise", "run", "x.txt", "-o", "out.txt"];
    let error = refused(folder.path(), &denoise);
    let expected = "error: run has not learned which repairs to trust: run `dvae calibrate run` first, or say by --margin how many \
                    nats likelier a repair must be\n";
    assert_eq!(error, expected);
    for (margin, number) in
        [("--margin=-1", "-1"), ("--margin=nan", "NaN"), ("--margin=inf", "inf")]
    {
        let error = refused(folder.path(), &[&denoise[..], &[margin]].concat());
        let expected = format!("error: --margin is a number of nats from 0, but is {number}\n");
        assert_eq!(error, expected);
    }
    assert!(!at("out.txt").exists());

    let few = names()[..50].join("\n");
    fs::write(at("few.txt"), few).unwrap();
    let error = refused(folder.path(), &["calibrate", "run", "few.txt"]);
    assert!(
        error.contains("50 held-out texts are too few") && error.contains("at least 200"),
        "{error}"
    );
    let learned = json(folder.path(), &["calibrate", "run"]);
    assert_eq!((&learned["texts"], &learned["beam"]), (&250.into(), &8.into()));
    ok(folder.path(), &denoise);

    // Of 500 gaps the margin is that of rank ⌈501 · 0.99⌉ = 496, from 1: four are beyond it. In another batch, rounding may move the margin's
    // own gap.
    json(folder.path(), &["calibrate", "run", "x.txt"]);
    let summary = json(folder.path(), &denoise);
    let changed = summary["changed"].as_u64().unwrap();
    assert_eq!((&summary["files"], &summary["rows"]), (&1.into(), &500.into()));
    assert!((3..=5).contains(&changed), "{changed}");
    let (before, after) =
        ["x.txt", "out.txt"].map(|name| fs::read_to_string(at(name)).unwrap()).into();
    let differ = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
    assert_eq!((after.lines().count(), differ.count() as u64), (500, changed));
}

/// Lines of all kinds: two of them have characters that the model knows and no others.
fn odd_lines() -> String {
    let long = "x".repeat(100_000);
    let lines = [
        "\u{feff}sebu\r\n",
        "\r\n",
        "\n",
        "  temuko  \t\n",
        "e\u{301}a\u{308} n\u{303}\n",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}\u{645}\u{631}\u{62d}\u{202c}\r\n",
        "🙂👨\u{200d}👩\u{200d}👧 sebu\n",
        "ba\rki\n",
        &long,
        "\n \n",
        "rebe",
    ];
    lines.concat()
}

#[test]
fn every_byte_of_a_file_comes_back_if_no_repair_is_sure_enough() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("odd.txt"), odd_lines()).unwrap();
    fs::write(at("empty.txt"), "").unwrap();
    let arguments =
        ["denoise", "run", "odd.txt", "empty.txt", "-o", "out", "--margin", "1e9", "--json"];
    let output = run(folder.path(), &arguments);
    let (summary, error) = (String::from_utf8_lossy(&output.stdout), text(&output));
    assert_eq!(output.status.code(), Some(0), "{error}");
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["rows"], &summary["changed"]), (&11.into(), &0.into()));
    assert!(fs::read(at("out/odd.txt")).unwrap() == odd_lines().as_bytes());
    assert_eq!(fs::read(at("out/empty.txt")).unwrap(), b"");
    // Eight characters, and room for four and a quarter of them.
    let expected = "warning: left as they are, because they are longer than the 14 characters that the model has room for: 1";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn repairs_without_a_margin_keep_lines_and_their_endings() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("odd.txt"), odd_lines()).unwrap();
    let arguments = ["denoise", "run", "odd.txt", "-o", "out.txt", "--margin", "0"];
    assert!(changed(folder.path(), &arguments) >= 2);
    let (before, after) = (odd_lines(), fs::read_to_string(at("out.txt")).unwrap());
    let shape = |text: &str| -> Vec<(bool, bool)> {
        text.split('\n')
            .map(|line| (line.trim_matches('\r').is_empty(), line.ends_with('\r')))
            .collect()
    };
    assert_eq!(shape(&after), shape(&before));
    assert!(
        after.starts_with('\u{feff}') && !after.starts_with("\u{feff}sebu\r"),
        "{:?}",
        after.get(..30)
    );
    assert!(after.contains(&"x".repeat(100_000)));
}

#[test]
fn repairs_keep_the_number_of_lines_though_the_model_knows_line_breaks() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let cells = names()
        .chunks(2)
        .map(|pair| format!("\"{}\n{}\",1\n", pair[0], pair[1]))
        .collect::<String>();
    fs::write(at("lines.csv"), "name,k\n".to_owned() + &cells).unwrap();
    let settings = ["data.path=lines.csv", "data.column=name", "train.epochs=30"];
    ok(folder.path(), &train("texts.toml", "run", &settings));
    ok(folder.path(), &["denoise", "run", "x.txt", "-o", "out.txt", "--margin", "0"]);
    let after = fs::read_to_string(at("out.txt")).unwrap();
    assert_eq!(after.lines().count(), 500);
}

/// A table of names in all but its gaps, which are cells of the column `name`.
const TABLE: [&str; 6] = [
    "\u{feff}id,name,note\r\n\r\n1, ",
    " ,\"a, \"\"b\"\"\"\r\n2,",
    ",\" x \"\n\n3,",
    ",z\n4,",
    ",sebu\r\n5,",
    ",e\u{301}\n\n",
];
const CELLS: [&str; 5] = ["\"sebu\"", "temuko", "", "\"two\nlines\"", "\"nisoba\""];

#[test]
fn of_a_table_the_cells_of_one_column_change_and_nothing_else() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    let table = framed(&TABLE, &CELLS);
    fs::write(at("t.csv"), &table).unwrap();
    let denoise = |margin: &str| {
        let arguments = ["denoise", "run", "t.csv", "--column", "name", "-o", "out.csv"];
        let changed = changed(folder.path(), &[&arguments[..], &["--margin", margin]].concat());
        (changed, fs::read_to_string(at("out.csv")).unwrap())
    };
    assert_eq!(denoise("1e9"), (0, table));
    let (changed, after) = denoise("0");
    let cells = parts(&TABLE, &after);
    let differ = cells.iter().zip(CELLS).filter(|(after, before)| *after != before);
    assert_eq!(differ.count() as u64, changed);
    assert!(changed >= 3 && cells[2].is_empty(), "{cells:?}");
    fs::write(at("s.csv"), "name;k\nsebu;1\n").unwrap();
    ok(
        folder.path(),
        &["denoise", "run", "s.csv", "--column", "name", "-o", "o.csv", "--margin", "1e9"],
    );
    assert_eq!(fs::read_to_string(at("o.csv")).unwrap(), "name;k\nsebu;1\n");
}

#[test]
fn a_column_that_is_missing_or_not_named_is_refused() {
    let folder = trained(&[]);
    fs::write(folder.path().join("t.csv"), framed(&TABLE, &CELLS)).unwrap();
    let cases: [(&[&str], &str); 6] = [
        (
            &["t.csv", "--column", "nam"],
            "t.csv cannot be used: it has no column `nam`, but id, name, note",
        ),
        (&["t.csv"], "t.csv: say by --column which column has the texts"),
        (&["x.txt", "--column", "name"], "x.txt cannot be used: its lines have no columns"),
        (
            &["t.csv", "--column", "name", "--no-header"],
            "t.csv cannot be used: columns are chosen by name, but it has no names",
        ),
        (
            &["t.csv", "--column", "name", "-o", "x.tsv"],
            "x.tsv: what is made of t.csv needs a name that ends in .csv",
        ),
        (&["x.txt", "-o", "x.csv"], "x.csv: what is made of x.txt needs a name that ends in .txt"),
    ];
    let before = files(folder.path());
    for (arguments, expected) in cases {
        let kind = if arguments[0] == "x.txt" { "o.txt" } else { "o.csv" };
        let out: &[&str] = if arguments.contains(&"-o") { &[] } else { &["-o", kind] };
        let error = refused(
            folder.path(),
            &[&["denoise", "run", "--margin", "0"], arguments, out].concat(),
        );
        assert_eq!(error, format!("error: {expected}\n"));
    }
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_run_of_a_column_repairs_that_column_and_quotes_what_needs_it() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let cell = |pair: &[String]| format!("\"{}, \"\"{}\"\"\",1\n", pair[0], pair[1]);
    let cells: String = names().chunks(2).map(cell).collect();
    fs::write(at("t.csv"), "name,k\n".to_owned() + &cells).unwrap();
    let settings = ["data.path=t.csv", "data.column=name", "train.epochs=30"];
    ok(folder.path(), &train("texts.toml", "run", &settings));
    ok(folder.path(), &["denoise", "run", "t.csv", "-o", "out.csv", "--margin", "0"]);
    assert_eq!(column(&at("out.csv"), "k"), vec!["1"; 250]);
    let (before, after) = (column(&at("t.csv"), "name"), column(&at("out.csv"), "name"));
    let is_quoted = |text: &String| text.contains(", \"");
    let differ = before.iter().zip(&after).filter(|(before, after)| before != after);
    // They were learned.
    assert!(differ.filter(|(_, after)| is_quoted(after)).count() > 100);
    // Another column and lines are repaired too.
    let other = ["denoise", "run", "t.csv", "--column", "k", "-o", "k.csv", "--margin", "1e9"];
    assert_eq!(json(folder.path(), &other)["rows"], 250);
    assert_eq!(
        json(folder.path(), &["denoise", "run", "x.txt", "-o", "o.txt", "--margin", "1e9"])["rows"],
        500
    );
}

#[test]
fn candidates_are_in_a_table_with_the_text_itself_first_and_then_the_likeliest() {
    let folder = trained(&["train.epochs=30"]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("y.txt"), "sebu\n\n\"te\", mu\n".to_owned() + &names().join("\n")).unwrap();
    let arguments =
        ["denoise", "run", "y.txt", "-o", "out.txt", "--margin", "1e9", "--candidates", "3"];
    ok(folder.path(), &arguments);
    let table = fs::read_to_string(at("out-candidates.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("text,candidate,row,rank,nats"));
    let [texts, candidates, rows, ranks, nats] = ["text", "candidate", "row", "rank", "nats"]
        .map(|name| column(&at("out-candidates.csv"), name));
    let nats: Vec<f64> = nats.iter().map(|nats| nats.parse().unwrap()).collect();
    assert_eq!(
        (&rows[..4], &ranks[..4]),
        (&["1"; 4].map(str::to_owned)[..], &["0", "1", "2", "3"].map(str::to_owned)[..])
    );
    // The empty line has none, and is counted.
    assert!(!rows.contains(&"2".to_owned()) && rows.last() == Some(&"503".to_owned()));
    let (mut own, mut found) = (f64::NAN, 0);
    for at in 0..rows.len() {
        if ranks[at] == "0" {
            assert_eq!(texts[at], candidates[at]);
            own = nats[at];
        } else {
            assert_eq!((&texts[at], &rows[at]), (&texts[at - 1], &rows[at - 1]));
            assert_eq!(
                ranks[at].parse::<usize>().unwrap(),
                ranks[at - 1].parse::<usize>().unwrap() + 1
            );
            assert!(
                ranks[at] == "1" || nats[at] <= nats[at - 1],
                "{} {}",
                texts[at],
                candidates[at]
            );
        }
        if ranks[at] != "0" && texts[at] == candidates[at] {
            // The same probability, step by step and at once, in single precision.
            assert!((nats[at] - own).abs() < 1e-3, "{}: {} and {own}", texts[at], nats[at]);
            found += 1;
        }
    }
    assert!(found > 0);
    assert!(table.contains("\n\"\"\"te\"\", mu\",\"\"\"te\"\", mu\",3,0,"), "{}", &table[..400]);
}

#[test]
fn a_table_of_candidates_does_not_change_the_repairs() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    // With a wider beam, more texts would be beyond the margin.
    ok(folder.path(), &["calibrate", "run", "--beam", "4"]);
    let denoise = ["denoise", "run", "x.txt", "-o", "out.txt"];
    let repaired = |candidates: &[&str]| {
        ok(folder.path(), &[&denoise[..], candidates].concat());
        fs::read_to_string(at("out.txt")).unwrap()
    };
    let plain = repaired(&[]);
    for count in ["1", "4"] {
        let beside = repaired(&["--candidates", count]);
        let differ = plain.lines().zip(beside.lines()).filter(|(plain, beside)| plain != beside);
        assert_eq!(differ.count(), 0, "--candidates {count}");
    }
    let more = [&denoise[..], &["--candidates", "5"]].concat();
    let error = refused(folder.path(), &more);
    assert!(error.contains("--candidates 5 needs a --beam of as many, but it is 4"), "{error}");
    // A margin is for one beam.
    let wider = [&denoise[..], &["--beam", "8"]].concat();
    assert!(refused(folder.path(), &wider).contains("the margin was learned with --beam 4"));
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line_and_leave_no_output() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    // Beyond what is read at once.
    fs::write(at("bad.txt"), [&b"\n".repeat(5000)[..], b"se\xffbu\nsebu\n"].concat()).unwrap();
    fs::write(at("bad.csv"), b"name\nsebu\nre\xe9be\n").unwrap();
    let before = files(folder.path());
    let options = ["--margin", "0", "--candidates", "2"];
    for (file, out, line, byte) in
        [("bad.txt", "o.txt", 5001, "0xff"), ("bad.csv", "o.csv", 3, "0xe9")]
    {
        let column: &[&str] = if file == "bad.csv" { &["--column", "name"] } else { &[] };
        let error = refused(
            folder.path(),
            &[&["denoise", "run", file, "-o", out], column, &options].concat(),
        );
        let expected = format!(
            "error: {file} cannot be used: line {line} is not UTF-8 (byte {byte}): save it as UTF-8\n"
        );
        assert_eq!(error, expected);
    }
    assert_eq!(files(folder.path()), before);
    // Of several files the others are repaired.
    let output =
        run(folder.path(), &["denoise", "run", "bad.txt", "x.txt", "-o", "out", "--margin", "0"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(files(&at("out")), BTreeSet::from(["x.txt".to_owned()]));
    let error = refused(folder.path(), &train("texts.toml", "other", &["data.path=bad.txt"]));
    assert!(error.contains("bad.txt cannot be used: line 5001 is not UTF-8"), "{error}");
}

#[test]
fn options_of_texts_and_of_numbers_are_not_for_the_other() {
    let folder = trained(&[]);
    ok(folder.path(), &train("numbers.toml", "numbers", &[]));
    let before = files(folder.path());
    for option in [&["--samples", "3"][..], &["--interval", "0.9"], &["--flips"]] {
        let arguments = ["denoise", "run", "x.txt", "-o", "o.txt", "--margin", "0"];
        let error = refused(folder.path(), &[&arguments[..], option].concat());
        let expected =
            format!("error: {} is for numbers, and the model is one of texts\n", option[0]);
        assert_eq!(error, expected);
    }
    for option in [["--column", "a"], ["--margin", "1"], ["--beam", "2"], ["--candidates", "2"]] {
        let arguments = ["denoise", "numbers", "n.csv", "-o", "o.csv"];
        let error = refused(folder.path(), &[&arguments[..], &option].concat());
        let expected = format!(
            "error: {} is for texts, and the model of numbers is not one of texts\n",
            option[0]
        );
        assert_eq!(error, expected);
    }
    let error = refused(folder.path(), &["calibrate", "run", "--corruption", "typos:3"]);
    assert!(error.contains("--corruption is for intervals about numbers"), "{error}");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_resumed_run_of_texts_has_the_weights_of_one_that_was_not_interrupted() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    ok(folder.path(), &train("texts.toml", "parts", &["train.epochs=1"]));
    let weights = |run: &str| {
        let file = fs::read(at(run).join("last.safetensors")).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        file[8 + header..].to_vec()
    };
    assert!(weights("parts") != weights("run"));
    ok(folder.path(), &["train", "--resume", "parts", "--quiet", "--set", "train.epochs=2"]);
    assert!(weights("parts") == weights("run"));
    // Other characters are other rows, though each occurs as often.
    let other = |letter: char| (letter as u8 + u8::from(letter.is_alphabetic())) as char;
    fs::write(
        at("y.txt"),
        fs::read_to_string(at("x.txt")).unwrap().chars().map(other).collect::<String>(),
    )
    .unwrap();
    let resume =
        ["train", "--resume", "parts", "--set", "train.epochs=3", "--set", "data.path=y.txt"];
    let error = refused(folder.path(), &resume);
    assert!(error.contains("the checksum of the training rows was"), "{error}");
}

#[test]
fn weights_over_other_characters_are_no_start() {
    let folder = trained(&[]);
    let at = |name: &str| folder.path().join(name);
    let lines = fs::read_to_string(at("x.txt")).unwrap();
    // One letter more, and as many others: `b` becomes `c`, and so on.
    fs::write(at("more.txt"), lines.clone() + "zebu\nzeze\n").unwrap();
    let other = |letter: char| (letter as u8 + u8::from(letter.is_alphabetic())) as char;
    fs::write(at("other.txt"), lines.chars().map(other).collect::<String>()).unwrap();
    for path in ["data.path=more.txt", "data.path=other.txt"] {
        let error = refused(folder.path(), &train("texts.toml", "next", &["start=run", path]));
        assert!(error.starts_with("error: `start`: "), "{path}: {error}");
    }
    ok(folder.path(), &train("texts.toml", "next", &["start=run", "data.seed=2"]));
}
