//! Models of texts: what `dvae denoise` changes of a file, what stays byte for byte, and what is refused.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{ok, random, refused, run, text};
use dvae::data::{ReadOptions, read_texts};

const TEXTS: &str = r#"
corruption = "typos:20"
[data]
source = "text"
path = "x.txt"
validation = 0.5
[model]
network = { type = "tokens", hidden = 16, embedding = 8, places = 4 }
latent = 8
[train]
epochs = 2
batch_size = 32
learning_rate = 0.01
[train.objective]
kl = { type = "weighted", beta = 0.05 }
"#;

const NUMBERS: &str = r#"
corruption = "gaussian:0.2"
[data]
source = "csv"
path = "n.csv"
scaling = "standard"
[model]
network = { type = "mlp", hidden = [8] }
latent = 2
likelihood = { type = "normal", scale = 0.5 }
[train]
epochs = 1
batch_size = 16
"#;

/// Names of two to four syllables, none of them twice.
fn names() -> Vec<String> {
    let mut random = random(7);
    let mut pick = |of: &str| of.as_bytes()[(random.next().unwrap() * of.len() as f64) as usize];
    let (mut names, mut seen) = (vec![], BTreeSet::new());
    while names.len() < 500 {
        let syllables = usize::from(pick("234") - b'0');
        let letters = (0..2 * syllables).map(|at| pick(["bdklmnrst", "aeiou"][at % 2]) as char);
        let name: String = letters.collect();
        if seen.insert(name.clone()) {
            names.push(name);
        }
    }
    names
}

/// A folder with experiments `texts.toml` and `numbers.toml`, and their data `x.txt` and `n.csv`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let cells: Vec<f64> = random(5).take(120).collect();
    let rows = cells.chunks_exact(2).map(|row| format!("{},{}\n", row[0], row[1]));
    write("texts.toml", TEXTS);
    write("x.txt", &(names().join("\n") + "\n"));
    write("numbers.toml", NUMBERS);
    write("n.csv", &("a,b\n".to_owned() + &rows.collect::<String>()));
    folder
}

/// The arguments that train a run.
fn train<'a>(experiment: &'a str, run: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    ["train", experiment, "--out", run, "--quiet"].into_iter().chain(settings).collect()
}

/// A folder with a run of texts in `run`.
fn trained(settings: &[&str]) -> tempfile::TempDir {
    let folder = folder();
    ok(folder.path(), &train("texts.toml", "run", settings));
    folder
}

/// What a command says as JSON.
fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&ok(folder, &[arguments, &["--json"]].concat())).unwrap()
}

fn changed(folder: &Path, arguments: &[&str]) -> u64 {
    json(folder, arguments)["changed"].as_u64().unwrap()
}

/// The names of the files in a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect()
}

/// Puts parts into the gaps of a frame.
fn framed(frame: &[&str], parts: &[&str]) -> String {
    assert_eq!(frame.len(), parts.len() + 1);
    let gaps = parts.iter().chain([&""]);
    frame.iter().zip(gaps).map(|(piece, part)| (*piece).to_owned() + part).collect()
}

/// What stands in the gaps of a frame, which must be in a text as it is.
fn parts<'a>(frame: &[&str], text: &'a str) -> Vec<&'a str> {
    let rest = text.strip_prefix(frame[0]).unwrap_or_else(|| panic!("{text:?}"));
    let (mut rest, mut parts) = (rest, vec![]);
    for (at, piece) in frame.iter().enumerate().skip(1) {
        let is_last = at + 1 == frame.len();
        let end = if is_last { rest.strip_suffix(piece).map(str::len) } else { rest.find(piece) };
        let end = end.unwrap_or_else(|| panic!("{piece:?} is not in {rest:?} of {text:?}"));
        parts.push(&rest[..end]);
        rest = &rest[end + piece.len()..];
    }
    parts
}

/// The texts of a column.
fn column(path: &Path, name: &str) -> Vec<String> {
    let rows = read_texts(path, Some(name), &ReadOptions::default()).unwrap();
    rows.map(|row| row.unwrap().text()).collect()
}

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

/// A folder with a run of words in `run`.
fn trained_on_words() -> tempfile::TempDir {
    let folder = folder();
    let lines: Vec<String> = names().chunks(3).map(|names| names.join(" ") + ".").collect();
    fs::write(folder.path().join("x.txt"), lines.join("\n")).unwrap();
    ok(folder.path(), &train("texts.toml", "run", &["data.unit=word"]));
    folder
}

/// What stands in the gaps of a frame when words in them are repaired without a margin.
fn repaired_words(frame: &[&str], words: &[&str]) -> Vec<String> {
    let folder = trained_on_words();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("w.txt"), framed(frame, words)).unwrap();
    ok(folder.path(), &["denoise", "run", "w.txt", "-o", "out.txt", "--margin", "0"]);
    let after = fs::read_to_string(at("out.txt")).unwrap();
    parts(frame, &after).into_iter().map(str::to_owned).collect()
}

#[test]
fn what_stands_between_words_comes_back_byte_for_byte() {
    let frame = [
        "\u{feff}",
        ",\t\u{a0}",
        "  (",
        ") 12\r\n\r\n-",
        "_",
        "!\n\n42 ; --\n🙂",
        "🙂 <",
        "> 3\u{ba}\n\" ",
    ];
    let words = ["sebu", "temuko", "rebe", "direno", "nisoba", "sebu", "temuko", "rebe"];
    let frame = [&frame[..], &[""]].concat();
    let after = repaired_words(&frame, &words);
    let differ = after.iter().zip(words).filter(|(after, before)| after != before).count();
    assert_eq!(differ, words.len(), "{after:?}");
}

#[test]
fn what_stands_between_words_comes_back_even_if_it_is_not_composed() {
    // Each has a canonical equivalent: a semicolon, an en space, and an angle bracket of another block.
    let after =
        repaired_words(&["", "\u{37e} ", "\u{2000}", "\u{2329}"], &["sebu", "temuko", "rebe"]);
    assert_ne!(after, ["sebu", "temuko", "rebe"]);
}

#[test]
fn a_word_that_is_too_long_stays_as_it_is_beside_one_that_changes() {
    let long = "e\u{301}".repeat(50);
    let after = repaired_words(&["", &format!(" {long}, "), "\n"], &["sebu", "temuko"]);
    assert_ne!(after, ["sebu", "temuko"]);
}

#[test]
fn a_candidate_of_a_word_is_a_text_with_what_stands_around_it() {
    let folder = trained_on_words();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("w.txt"), "(sebu)\n").unwrap();
    let arguments =
        ["denoise", "run", "w.txt", "-o", "out.txt", "--margin", "0", "--candidates", "2"];
    ok(folder.path(), &arguments);
    let candidates = column(&at("out-candidates.csv"), "candidate");
    assert_eq!((candidates.len(), &*candidates[0]), (3, "(sebu)"));
    let is_whole = |text: &String| text.starts_with('(') && text.ends_with(')');
    assert!(candidates.iter().all(is_whole), "{candidates:?}");
}

#[test]
fn errors_learned_from_pairs_are_kept_with_the_run() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("pairs.txt"), "teh->the\nsbeu->sebu\nrebbe\trebe\nkma → kam\n").unwrap();
    let settings = ["corruption=learned-typos:60", "data.typos=pairs.txt"];
    ok(folder.path(), &train("texts.toml", "run", &settings));
    fs::remove_file(at("pairs.txt")).unwrap();
    assert!(
        changed(folder.path(), &["denoise", "run", "x.txt", "-o", "out.txt", "--margin", "0"]) > 0
    );
    ok(folder.path(), &["calibrate", "run"]);
    ok(folder.path(), &["evaluate", "run"]);
    ok(folder.path(), &["train", "--resume", "run", "--quiet", "--set", "train.epochs=3"]);

    let not_trained =
        |settings: &[&str]| refused(folder.path(), &train("texts.toml", "other", settings));
    let error = not_trained(&settings);
    assert!(error.contains("cannot read pairs.txt"), "{error}");
    fs::write(at("pairs.txt"), "teh->the\n\nsbeu sebu\n").unwrap();
    let error = not_trained(&settings);
    let expected =
        "pairs.txt cannot be used: line 3: `sbeu sebu` is not a pair: write WRONG->RIGHT";
    assert!(error.contains(expected), "{error}");
    fs::write(at("pairs.txt"), "the->the\n").unwrap();
    let error = not_trained(&settings);
    assert!(error.contains("pairs.txt cannot be used: no pair has an error to learn"), "{error}");
    let error = not_trained(&settings[..1]);
    assert!(error.starts_with("error: learned-typos: say by `data.typos` which file"), "{error}");
    assert!(!at("other").exists());
}

#[test]
fn settings_that_are_not_for_texts_or_for_nothing_else_are_refused_by_name() {
    let folder = folder();
    let table = "data.path=n.csv";
    let tokens = "model.network={ type = \"tokens\", hidden = 16, embedding = 8, places = 4 }";
    let normal = "model.likelihood={ type = \"normal\", scale = 0.5 }";
    let cases = [
        (
            "texts.toml",
            "model.network=mlp",
            "texts have `model.network = \"tokens\"`, but it is `mlp`",
        ),
        (
            "texts.toml",
            "model.network=conv",
            "texts have `model.network = \"tokens\"`, but it is `conv`",
        ),
        ("texts.toml", normal, "texts have the likelihood `tokens`: leave `model.likelihood` out"),
        ("texts.toml", "data.scaling=standard", "`data.scaling` is for numbers, and not for texts"),
        (
            "texts.toml",
            "data.binarization=dynamic",
            "`data.binarization` is for numbers, and not for texts",
        ),
        ("texts.toml", "data.domain=unit", "`data.domain` is for numbers, and not for texts"),
        ("texts.toml", "data.shape=[2, 7]", "`data.shape` is for numbers, and not for texts"),
        ("texts.toml", "corruption=gaussian:0.3", "gaussian: it is not for texts: use `typos`"),
        ("texts.toml", "corruption=masking:0.1", "masking: it is not for texts: use `typos`"),
        ("texts.toml", "data.longest=0", "`data.longest` must be between 1 and 4096, but is 0"),
        ("texts.toml", "data.longest=3", "its 500 texts are all longer than 3 characters"),
        ("texts.toml", table, "n.csv cannot be used: of a table, say which column has the texts"),
        ("texts.toml", "data.test_path=x.txt", "the test rows are the training rows"),
        (
            "numbers.toml",
            "corruption=typos:20",
            "typos: it is for texts, but the data are real numbers",
        ),
        (
            "numbers.toml",
            "corruption=learned-typos:20",
            "learned-typos: it is for texts, but the data are real",
        ),
        ("numbers.toml", "data.typos=x.txt", "`data.typos` is for `data.source = \"text\"`"),
        ("numbers.toml", tokens, "the network `tokens` is for `data.source = \"text\"`"),
    ];
    for (experiment, setting, expected) in cases {
        let error = refused(folder.path(), &train(experiment, "run", &[setting]));
        assert!(error.contains(expected), "{setting}: {error}");
    }
    assert!(!folder.path().join("run").exists());
}
