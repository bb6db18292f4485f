//! Tables with holes on the command line: what their columns are, and what fills them in.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::{ok, picture, refused, run};

const EXPERIMENT: &str = r#"
corruption = { process = "show-mask", of = { process = "masking", level = 0.3 } }
[data]
source = "csv"
path = "a.csv"
columns = ["x", "y", "z"]
scaling = "standard"
validation = 0.1
[model]
network = { type = "mlp", hidden = [32] }
latent = 2
likelihood = { type = "shared-normal" }
[train]
epochs = 200
batch_size = 32
learning_rate = 0.003
"#;

/// Lines in which y is 20 x and z is 10 − x, about, with holes in y and z; line 7 has nothing but its name.
fn table() -> String {
    let line = |at: usize| {
        let x = (at * 37 % 100) as f64 / 10.0;
        let hole = |every: usize, text: String| if at % every == 3 { String::new() } else { text };
        let y = hole(5, format!("{:.0}", 20.0 * x + (at % 3) as f64));
        let z = hole(7, format!("{:.2}", 10.0 - x));
        match at {
            7 => "\"no, one\",NA,, ".to_owned(),
            _ => format!("\"row, {at}\", {x:.1} ,{y},{z}"),
        }
    };
    let lines: Vec<String> = (0..300).map(line).collect();
    "name,x,y,z\r\n".to_owned() + &lines.join("\r\n")
}

#[test]
fn missing_cells_alone_change_and_look_like_those_of_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.csv"), table()).unwrap();
    fs::write(at("a.toml"), EXPERIMENT).unwrap();
    ok(folder.path(), &["train", "a.toml", "--out", "run", "--quiet"]);
    let output = run(folder.path(), &["impute", "run", "a.csv", "-o", "filled.csv"]);
    let (text, warning) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("103 cells of 300 rows filled in: filled.csv"), "{text}");
    assert!(warning.contains("1 row without a cell that the model knows"), "{warning}");
    let filled = fs::read_to_string(at("filled.csv")).unwrap();
    let (before, after) = (table(), filled.clone());
    assert_eq!(before.lines().count(), after.lines().count());
    for (line, (before, after)) in before.split("\r\n").zip(after.split("\r\n")).enumerate() {
        let cells = |line: &str| line.rsplitn(4, ',').map(str::to_owned).collect::<Vec<String>>();
        let (before, after) = (cells(before), cells(after));
        let is_none = line == 8; // The header is line 0.
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new || (old.is_empty() && !is_none), "{line}: {old} {new}");
        }
        if line == 0 || is_none {
            continue;
        }
        let [z, y, x] = [0, 1, 2].map(|at| after[at].trim().parse::<f64>().unwrap());
        assert!((y - 20.0 * x).abs() < 25.0 && (z - 10.0 + x).abs() < 1.3, "{line}: {x} {y} {z}");
        // Of y no cell has decimals, and of z all have two at most.
        let decimals = |cell: &str| cell.split_once('.').map_or(0, |(_, digits)| digits.len());
        assert!(decimals(&after[1]) == 0 && decimals(&after[0]) <= 2, "{after:?}");
        assert!(y >= 0.0 && z >= 0.0);
    }
    // What has no holes, but for a line of which nothing is known, is the same bytes.
    ok(folder.path(), &["impute", "run", "filled.csv", "-o", "again.csv"]);
    assert_eq!(fs::read_to_string(at("again.csv")).unwrap(), filled);
    // Other draws of the cells, and of them alone; the same each time.
    let multiple = ["impute", "run", "a.csv", "-o", "m.csv", "--multiple", "3", "--samples", "200"];
    let text = ok(folder.path(), &multiple);
    assert!(text.contains("m-1.csv to m-3.csv"), "{text}");
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    let tables = ["m-1.csv", "m-2.csv", "m-3.csv"].map(read);
    assert!(tables[0] != tables[1] && tables[1] != tables[2]);
    for (old, new) in table().split("\r\n").zip(tables[0].split("\r\n")) {
        let cells = |line: &str| line.rsplitn(4, ',').map(str::to_owned).collect::<Vec<String>>();
        let kept = cells(old).into_iter().zip(cells(new));
        kept.for_each(|(old, new)| assert!(old == new || old.is_empty(), "{old} {new}"));
    }
    // From a pipe, which can be read once.
    let mut program = common::dvae(folder.path());
    program.args(["impute", "run", "-", "--format", "csv", "-o", "piped.csv"]);
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(table().as_bytes()).unwrap();
    drop(pipe);
    assert!(child.wait().unwrap().success());
    assert_eq!(read("piped.csv"), filled);
    // What no draw explains, because of a slip of a key, stays as it is, and nothing becomes 0.
    fs::write(at("slip.csv"), "x,y,z\n1e30,,2\n5.0,,5\n").unwrap();
    let output = run(folder.path(), &["impute", "run", "slip.csv", "-o", "out.csv"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("1 row without a cell"));
    let lines = read("out.csv");
    assert!(lines.starts_with("x,y,z\n1e30,,2\n5.0,"), "{lines}");
    assert!(!lines.lines().last().unwrap().contains(",,"), "{lines}");
    ok(folder.path(), &multiple);
    assert_eq!(["m-1.csv", "m-2.csv", "m-3.csv"].map(read), tables);
}

#[test]
fn what_is_no_table_to_fill_in_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.csv"), table()).unwrap();
    let settings = EXPERIMENT.replace("epochs = 200", "epochs = 1");
    fs::write(at("a.toml"), settings).unwrap();
    picture(&at("p.png"), 4, 4);
    ok(folder.path(), &["train", "a.toml", "--out", "run", "--quiet"]);
    let error = |args: &[&str]| refused(folder.path(), &[&["impute", "run"], args].concat());
    assert!(error(&["a.csv", "a.csv", "-o", "b.csv"]).contains("one table"));
    assert!(error(&["p.png", "-o", "b.png"]).contains("a table (.csv, .tsv) is filled in"));
    assert!(error(&["a.csv", "-o", "b.npy"]).contains("a.csv and b.npy"));
    assert!(error(&["a.csv", "-o", "a.csv"]).contains("a.csv would be overwritten"));
    fs::write(at("wrong.csv"), "x,y,z\n1,2,three\n").unwrap();
    let wrong = error(&["wrong.csv", "-o", "b.csv"]);
    assert!(wrong.contains("three") && wrong.contains("`z`"), "{wrong}");
    assert!(!at("b.csv").exists());
    fs::write(at("other.csv"), "x,y\n1,2\n").unwrap();
    assert!(error(&["other.csv", "-o", "b.csv"]).contains("no column `z`"));
}

#[test]
fn the_columns_of_a_table_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.csv"), table()).unwrap();
    let text = ok(folder.path(), &["table", "a.csv"]);
    assert!(text.starts_with("a.csv: 300 rows, 4 columns"), "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("name").contains("pass-through") && line("name").contains("row, 0, row, 1"));
    assert!(line("x").contains("numeric") && line("x").contains("0 to 9.9"), "{text}");
    assert!(line("y").contains("count"), "{text}");
    let json = ok(folder.path(), &["table", "a.csv", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["columns"][1]["kind"], "numeric");
    assert_eq!(json[0]["columns"][1]["holes"], 1);
    picture(&at("p.png"), 4, 4);
    assert!(refused(folder.path(), &["table", "p.png"]).contains("is no table"));
    fs::write(at("ragged.csv"), "a,b\n1,2\n3\n").unwrap();
    assert!(refused(folder.path(), &["table", "ragged.csv"]).contains("line 3 has 1 cells"));
    fs::write(at("bare.csv"), "1,2\n3,4\n").unwrap();
    assert!(refused(folder.path(), &["table", "bare.csv"]).contains("--no-header"));
    assert!(ok(folder.path(), &["table", "bare.csv", "--no-header"]).contains("2 rows"));
    fs::write(at("gaps.csv"), "t,u\n-999,1\n1.5,none\n2.5,3\n").unwrap();
    let arguments = ["table", "gaps.csv", "--missing", "-999,none", "--json"];
    let gaps: serde_json::Value = serde_json::from_str(&ok(folder.path(), &arguments)).unwrap();
    for (column, range) in [(0, [1.5, 2.5]), (1, [1.0, 3.0])] {
        let column = &gaps[0]["columns"][column];
        assert!(column["holes"] == 1 && column["range"] == serde_json::json!(range), "{column}");
    }
}

/// Lines of which the town tells the size, with holes in both, quotes, and a column of notes.
fn towns() -> String {
    let line = |at: usize| {
        let town = at * 7 % 3;
        let size = 10.0 * town as f64 + (at % 5) as f64;
        let hole =
            |every: usize, text: String| if at % every == 3 { "NA".to_owned() } else { text };
        let town = hole(5, ["\"Ulm, old\"", "Bonn", " Trier "][town].to_owned());
        format!("note {at},{town},{}", hole(7, format!("{size:.1}")))
    };
    let lines: Vec<String> = (0..300).map(line).collect();
    "note,town,size\n".to_owned() + &lines.join("\n") + "\n"
}

const OF_TOWNS: &str = r#"
corruption = "masking:0.3"
[data]
source = "csv"
path = "a.csv"
kinds = {}
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

#[test]
fn classes_are_filled_in_as_the_table_writes_them_and_those_that_are_not_known_stay() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.csv"), towns()).unwrap();
    fs::write(at("a.toml"), OF_TOWNS).unwrap();
    ok(folder.path(), &["train", "a.toml", "--out", "run", "--quiet"]);
    ok(folder.path(), &["impute", "run", "--last", "a.csv", "-o", "filled.csv"]);
    let filled = fs::read_to_string(at("filled.csv")).unwrap();
    for (line, (old, new)) in towns().lines().zip(filled.lines()).enumerate().skip(1) {
        // Of a line without a cell nothing is known.
        if !old.contains("NA") || old.ends_with(",NA,NA") {
            assert_eq!(old, new);
            continue;
        }
        let town = (line - 1) * 7 % 3;
        if line % 5 == 4 && line % 7 != 4 {
            // A size of one town is that of no other.
            let expected = [",\"Ulm, old\",", ",Bonn,", ",Trier,"][town];
            assert!(new.contains(expected), "{old}: {new}");
        }
        assert!(!new.contains("NA"), "{new}");
    }
    ok(folder.path(), &["impute", "run", "--last", "filled.csv", "-o", "again.csv"]);
    assert_eq!(fs::read_to_string(at("again.csv")).unwrap(), filled);
    assert_intervals_hold(folder.path(), &filled);
    // Köln is no town of the training: it stays, and the size of its line is filled in all the same.
    let other = "size,more,town\n,x,Köln\n21.0,y,?\nNA,z,Bonn\n";
    fs::write(at("other.csv"), other).unwrap();
    let output = run(folder.path(), &["impute", "run", "--last", "other.csv", "-o", "out.csv"]);
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.contains("column town has classes that the training has not seen (Köln)"),
        "{warning}"
    );
    let lines = fs::read_to_string(at("out.csv")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[1].ends_with(",x,Köln") && lines[2] == "21.0,y,Trier", "{lines:?}");
    assert!(lines[3].ends_with(",z,Bonn") && !lines[3].contains("NA"), "{lines:?}");
    // What a model makes of a table by other commands has texts too.
    for command in [
        &["denoise", "run", "--last", "a.csv", "-o", "denoised.csv"][..],
        &["sample", "run", "--last", "-n", "5", "-o", "samples.csv"],
        &["evaluate", "run", "--last"],
        &["embed", "run", "--last", "a.csv", "-o", "latents.csv", "--keep", "note,town"],
    ] {
        ok(folder.path(), command);
    }
    // Kept columns stand beside the latents, as texts.
    let latents = fs::read_to_string(at("latents.csv")).unwrap();
    let lines: Vec<&str> = latents.lines().collect();
    assert!(lines[0].starts_with("file,row,note,town,z0,"), "{latents}");
    assert!(lines[1].starts_with("a.csv,0,note 0,\"Ulm, old\","), "{latents}");
    assert!(lines[4].starts_with("a.csv,3,note 3,NA,") && lines.len() == 301, "{latents}");
    for (arguments, why) in [
        (["a.csv", "-o", "z.csv", "--keep", "hamlet"], "hamlet"),
        (["a.csv", "-o", "z.npy", "--keep", "note"], "an array cannot keep columns"),
    ] {
        let arguments = [&["embed", "run", "--last"][..], &arguments].concat();
        let error = refused(folder.path(), &arguments);
        assert!(error.contains(why), "{error}");
    }
    let samples = fs::read_to_string(at("samples.csv")).unwrap();
    assert!(samples.starts_with("town,size\n") && samples.lines().count() == 6, "{samples}");
    let is_town =
        |line: &str| ["Bonn,", "Trier,", "\"Ulm, old\","].iter().any(|town| line.starts_with(town));
    assert!(samples.lines().skip(1).all(is_town), "{samples}");
    let denoised = fs::read_to_string(at("denoised.csv")).unwrap();
    assert_eq!(denoised.lines().count(), 301);
    let has_town =
        |line: &str| ["Bonn", "Trier", "\"Ulm, old\""].iter().any(|town| line.contains(town));
    assert!(denoised.lines().skip(1).all(has_town), "{denoised}");
    // The corruption of an experiment reads its columns by their kinds.
    ok(folder.path(), &["corrupt", "a.toml", "a.csv", "-o", "damaged.csv"]);
    let damaged = fs::read_to_string(at("damaged.csv")).unwrap();
    assert!(damaged.starts_with("note,town,size\n") && damaged != towns(), "{damaged}");
}

/// The added columns of a table of towns hold what the sizes are, and say how probable the towns are; without them it is `filled`.
fn assert_intervals_hold(folder: &std::path::Path, filled: &str) {
    ok(folder, &["impute", "run", "--last", "a.csv", "-o", "sure.csv", "--intervals"]);
    let sure = fs::read_to_string(folder.join("sure.csv")).unwrap();
    assert!(sure.starts_with("note,town,size,town_probability,size_low,size_high\n"), "{sure}");
    let (mut holds, mut sizes) = (0, 0);
    for (at, (line, of_filled)) in sure.lines().zip(filled.lines()).enumerate().skip(1) {
        let cells: Vec<&str> = line.rsplitn(4, ',').collect();
        let [high, low, probability, rest] = cells[..] else { panic!("{line}") };
        assert_eq!(rest, of_filled);
        let before = towns().lines().nth(at).unwrap().to_owned();
        let is_hole = |hole: &str| before.contains(hole) && !before.ends_with("NA,NA");
        assert_eq!(!probability.is_empty(), is_hole(",NA,"), "{before}: {line}");
        assert_eq!(
            !low.is_empty(),
            before.ends_with(",NA") && !before.ends_with("NA,NA"),
            "{before}: {line}"
        );
        if !probability.is_empty() {
            assert!((0.3..=1.0).contains(&probability.parse::<f64>().unwrap()), "{line}");
        }
        if !low.is_empty() {
            let town = (at - 1) * 7 % 3;
            let size = 10.0 * town as f64 + ((at - 1) % 5) as f64;
            let [low, high] = [low, high].map(|end| end.parse::<f64>().unwrap());
            holds += usize::from((low..=high).contains(&size));
            assert!(high - low < 25.0, "{line}");
            sizes += 1;
        }
    }
    assert!(sizes > 20 && holds * 10 >= sizes * 8, "{holds} of {sizes}");
    // A table without holes gets no columns.
    let whole: String = towns()
        .lines()
        .filter(|line| !line.contains("NA"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    fs::write(folder.join("whole.csv"), &whole).unwrap();
    ok(folder, &["impute", "run", "--last", "whole.csv", "-o", "same.csv", "--intervals"]);
    assert_eq!(fs::read_to_string(folder.join("same.csv")).unwrap(), whole);
    // Nor is a column written twice.
    fs::write(folder.join("twice.csv"), "town,size,size_low\nUlm,NA,1\n").unwrap();
    let twice = ["impute", "run", "--last", "twice.csv", "-o", "out.csv", "--intervals"];
    let error = refused(folder, &twice);
    assert!(error.contains("already: rename it"), "{error}");
}
