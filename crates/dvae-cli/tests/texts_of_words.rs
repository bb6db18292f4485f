//! Models of words, errors that are learned from pairs, and what is not for texts.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;
mod text_runs;

use std::fs;

use common::{ok, refused};
use text_runs::{changed, column, files, folder, framed, names, parts, train, trained};

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

#[test]
fn commands_that_are_not_for_texts_say_so() {
    let folder = trained(&[]);
    ok(folder.path(), &["calibrate", "run"]);
    let before = files(folder.path());
    let commands: [&[&str]; 8] = [
        &["embed", "run", "n.csv", "-o", "z.csv"],
        &["impute", "run", "n.csv", "-o", "z.csv"],
        &["interpolate", "run", "n.csv", "-o", "z.csv"],
        &["traverse", "run", "-o", "z.csv"],
        &["export", "run", "-o", "z.safetensors", "--layout", "pytorch"],
        &["denoise", "run", "n.csv", "-o", "z.csv"],
        &["evaluate", "run", "--per-row", "z.csv"],
        &["sample", "run", "-o", "z.csv"],
    ];
    for arguments in commands {
        let error = refused(folder.path(), arguments);
        let says = ["one of texts", "--column", "rows of numbers", "ends in .txt"];
        assert!(says.iter().any(|says| error.contains(says)), "{arguments:?}: {error}");
    }
    // What is measured is never less than the file.
    fs::write(folder.path().join("long.txt"), "sebu\nmuch longer than a row has room for\n")
        .unwrap();
    let error = refused(folder.path(), &["evaluate", "run", "--data", "long.txt"]);
    assert!(error.contains("longer than rows of the model, 1 of them: take them out"), "{error}");
    fs::remove_file(folder.path().join("long.txt")).unwrap();
    assert_eq!(files(folder.path()), before);
    ok(folder.path(), &["sample", "run", "-o", "s.txt", "-n", "3"]);
    assert_eq!(fs::read_to_string(folder.path().join("s.txt")).unwrap().lines().count(), 3);
}
