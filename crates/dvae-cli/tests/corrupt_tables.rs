//! Corruption of tables and arrays: noise on numbers of any size keeps their size.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::{ok, picture, refused};
use tempfile::TempDir;

const TABLE: &str = "x,y\n20,60\n21,61\n";
const CLEAN: [f64; 4] = [20.0, 60.0, 21.0, 61.0];

fn folder(table: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), table).unwrap();
    folder
}

/// The numbers of a table below its names.
fn numbers(text: &str) -> Vec<f64> {
    let lines = text.trim().lines().skip(1);
    lines.flat_map(|line| line.split(',').map(|cell| cell.parse().unwrap())).collect()
}

/// What a corruption makes of the table.
fn corrupted(folder: &TempDir, corruption: &str) -> Vec<f64> {
    ok(folder.path(), &["corrupt", corruption, "a.csv", "-o", "b.csv"]);
    numbers(&std::fs::read_to_string(folder.path().join("b.csv")).unwrap())
}

// The bound of each: 5.77 and 16.7 scales of normal and Laplace noise, all of uniform noise, half a step of
// rounding, 5.77 standard deviations relative to the entry. A count of x / g photons has the deviation
// √(g x), here at most √6.1 = 2.47; beyond the normal it is skewed, so ten of them.
#[test]
fn noise_on_a_table_keeps_its_size() {
    let folder = folder(TABLE);
    for (corruption, bound) in [
        ("gaussian:0.3", 5.77 * 0.3),
        ("laplace:0.1", 1.67),
        ("uniform:0.5", 0.5),
        ("speckle:0.01", 0.0577 * 61.0),
        ("quantization:0.8", 0.4),
        ("shot:0.1", 24.7),
    ] {
        let values = corrupted(&folder, corruption);
        assert_eq!(values.len(), 4);
        for (value, clean) in values.iter().zip(CLEAN) {
            assert!((value - clean).abs() <= bound + 1e-4, "{corruption}: {clean} became {value}");
        }
        assert!(values.iter().zip(CLEAN).any(|(value, clean)| *value != clean), "{corruption}");
    }
    // 20 is 25 steps of 0.8, 60 is 75, 21 is nearest to 26 (20.8), 61 to 76 (60.8).
    let rounded = corrupted(&folder, "quantization:0.8");
    for (value, expected) in rounded.iter().zip([20.0, 60.0, 20.8, 60.8]) {
        assert!((value - expected).abs() < 1e-4, "{rounded:?}");
    }
    assert_eq!(corrupted(&folder, "brightness:0.5"), [20.5, 60.5, 21.5, 61.5]);
    // What is erased is missing, unless it is filled.
    let text = |corruption: &str| {
        ok(folder.path(), &["corrupt", corruption, "a.csv", "-o", "b.csv"]);
        std::fs::read_to_string(folder.path().join("b.csv")).unwrap()
    };
    assert_eq!(text("masking:1"), "x,y\n,\n,\n");
    let fill = "corruption = { process = \"masking\", level = 1, fill = 7 }\n[data]\nsource = \"csv\"\npath = \"a.csv\"\n";
    std::fs::write(folder.path().join("f.toml"), fill).unwrap();
    assert_eq!(text("f.toml"), "x,y\n7,7\n7,7\n");
}

#[test]
fn what_is_for_the_unit_interval_is_refused_with_the_reason() {
    let folder = folder(TABLE);
    for (corruption, needles) in [
        ("gamma:2", ["gamma: it is for numbers in [0, 1]", "but the data are real numbers"]),
        ("masking+gamma:2", ["gamma: it is for numbers in [0, 1]", "`data.domain = \"unit\"`"]),
        ("salt-and-pepper:0.1", ["`values` must be given", "real numbers have no range"]),
        ("mostly-pepper:0.1", ["`values` must be given", "set values = [LOW, HIGH]"]),
        ("impulse:0.1", ["`values` must be given", "real numbers have no range"]),
        ("clipping:0.1", ["`range` must be given", "real numbers have no range"]),
    ] {
        let error = refused(folder.path(), &["corrupt", corruption, "a.csv", "-o", "b.csv"]);
        assert!(needles.iter().all(|needle| error.contains(needle)), "{corruption}: {error}");
    }
}

#[test]
fn shot_noise_of_values_below_zero_is_refused_by_row() {
    let folder = folder("x,y\n20,60\n21,-2\n");
    let error = refused(folder.path(), &["corrupt", "shot:0.1", "a.csv", "-o", "b.csv"]);
    assert!(error.contains("row 1") && error.contains("at least 0, but one is -2"), "{error}");
}

#[test]
fn what_is_for_the_unit_interval_works_on_pictures() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("a.png"), 8, 8);
    for (i, corruption) in ["gamma:2", "salt-and-pepper:0.5", "clipping:0.5"].iter().enumerate() {
        let out = format!("{i}.png");
        ok(folder.path(), &["corrupt", corruption, "a.png", "-o", &out]);
        assert!(folder.path().join(out).is_file());
    }
}

// The same corruption as text and as a table has one label in `evaluate`, and the same metrics.
#[test]
fn one_label_has_one_set_of_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..60).map(|i| format!("{},{}\n", 20 + i % 7, 60 - i % 5)).collect();
    std::fs::write(folder.path().join("t.csv"), format!("x,y\n{rows}")).unwrap();
    let experiment = r#"
corruption = { process = "gaussian", level = 0.3 }

[data]
source = "csv"
path = "t.csv"
test = 0.2
scaling = "standard"

[model]
network = { type = "mlp", hidden = [4] }
latent = 1
likelihood = { type = "normal", scale = 1.0 }

[train]
epochs = 1
batch_size = 16
"#;
    std::fs::write(folder.path().join("e.toml"), experiment).unwrap();
    ok(folder.path(), &["train", "e.toml", "--out", "run", "--quiet"]);
    let own = ok(folder.path(), &["evaluate", "run", "--json"]);
    let named = ok(folder.path(), &["evaluate", "run", "--json", "--corruption", "gaussian:0.3"]);
    assert!(own.contains("gaussian, sigma 0.3"), "{own}");
    assert_eq!(own, named);
}

/// Lines of a name, a class and a number that goes with it.
fn shops() -> String {
    let line = |at: usize| {
        let kind = ["bakery", "\"fish, meat\"", "books"][at % 3];
        format!("shop {at},{kind},{}.50\n", 10 * (at % 3) + at % 7)
    };
    "name,kind,sales\n".to_owned() + &(0..120).map(line).collect::<String>()
}

/// The lines of a table, cut at the commas outside of quotes.
fn cells(text: &str) -> Vec<Vec<String>> {
    let cut = |line: &str| {
        let mut is_inside = false;
        let cells = line.split(|c| {
            is_inside ^= c == '"';
            c == ',' && !is_inside
        });
        cells.map(str::to_owned).collect()
    };
    text.lines().map(cut).collect()
}

// Hidden cells are empty, swapped ones are another line's, and all others have the bytes that they had.
#[test]
fn processes_of_tables_hide_cells_or_swap_them() {
    let folder = folder(&shops());
    let config = "corruption = \"swap:0.3\"\n[data]\nsource = \"csv\"\npath = \"a.csv\"\nkinds = {}\n\
                  [model]\nnetwork = \"table\"\nlikelihood = { type = \"learned-normal\" }\n";
    std::fs::write(folder.path().join("a.toml"), config).unwrap();
    let before = cells(&shops());
    let changed = |corruption: &str| {
        let columns =
            if corruption.ends_with(".toml") { vec![] } else { vec!["--columns", "sales"] };
        let arguments = [&["corrupt", corruption, "a.csv", "-o", "b.csv"][..], &columns].concat();
        ok(folder.path(), &arguments);
        let after = cells(&std::fs::read_to_string(folder.path().join("b.csv")).unwrap());
        assert_eq!(before.len(), after.len());
        let places = (0..before.len()).flat_map(|row| [0, 1, 2].map(|column| (row, column)));
        let at = |(row, column): (usize, usize)| {
            let (old, new) = (&before[row][column], &after[row][column]);
            (old != new).then(|| (column, old.clone(), new.clone()))
        };
        places.filter_map(at).collect::<Vec<_>>()
    };
    let hidden = changed("masking-by-value:0.3");
    assert!((15..60).contains(&hidden.len()), "{}", hidden.len());
    assert!(hidden.iter().all(|(column, _, new)| *column == 2 && new.is_empty()), "{hidden:?}");
    let mean = |cells: &mut dyn Iterator<Item = &String>| {
        let cells: Vec<f64> = cells.map(|cell| cell.parse().unwrap()).collect();
        cells.iter().sum::<f64>() / cells.len() as f64
    };
    let all = mean(&mut before[1..].iter().map(|line| &line[2]));
    assert!(mean(&mut hidden.iter().map(|(_, old, _)| old)) > all + 2.0);
    let slipped = changed("unit-slip:1");
    let is_slip = |(_, old, new): &(usize, String, String)| {
        let [old, new] = [old, new].map(|text| text.parse::<f64>().unwrap());
        [10.0, 100.0, 0.1, 0.01].iter().any(|factor| (new / old / factor - 1.0).abs() < 1e-3)
    };
    assert!(slipped.len() == 120 && slipped.iter().all(is_slip), "{slipped:?}");
    let swapped = changed("a.toml");
    assert!(swapped.iter().any(|cell| cell.0 == 1) && swapped.iter().any(|cell| cell.0 == 2));
    for (column, _, new) in &swapped {
        // The same number exactly: 5.50 becomes 5.5.
        let number = |text: &str| text.parse::<f64>().ok();
        let is_same =
            |old: &String| old == new || number(old).is_some_and(|old| number(new) == Some(old));
        assert!(before[1..].iter().any(|line| is_same(&line[*column])), "{new}");
    }
    std::fs::write(folder.path().join("a.toml"), config.replace("swap", "masking")).unwrap();
    let hidden = changed("a.toml");
    assert!(hidden.len() > 40 && hidden.iter().all(|(_, _, new)| new.is_empty()), "{hidden:?}");
    picture(&folder.path().join("p.png"), 8, 8);
    let error = refused(folder.path(), &["corrupt", "swap:0.1", "p.png", "-o", "q.png"]);
    assert!(error.contains("rows of a table"), "{error}");
}

// In a second file, rows have other ids than in the first: no row gets its own cell all the same.
#[test]
fn rows_of_every_file_get_the_cells_of_others() {
    let folder = folder("x\n1\n2\n3\n");
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for file in ["a.csv", "b.csv", "c.csv"] {
        std::fs::write(folder.path().join("in").join(file), "x\n1\n2\n3\n").unwrap();
    }
    for seed in ["1", "2", "3", "4"] {
        let out = format!("out{seed}");
        let files = ["in/a.csv", "in/b.csv", "in/c.csv"];
        let arguments = [&["corrupt", "swap:1"][..], &files, &["-o", &out, "--seed", seed]];
        ok(folder.path(), &arguments.concat());
        for file in ["a.csv", "b.csv", "c.csv"] {
            let text = std::fs::read_to_string(folder.path().join(&out).join(file)).unwrap();
            let found = numbers(&text);
            assert!(found.iter().zip([1.0, 2.0, 3.0]).all(|(x, own)| *x != own), "{file}: {text}");
        }
    }
}
