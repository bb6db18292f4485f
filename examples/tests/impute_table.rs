//! The example that fills in a table.

#![allow(clippy::unwrap_used)] // A test may panic.

#[allow(dead_code)] // It has helpers of other tests too.
mod common;

use common::{assert_refused, printed, run};

#[test]
fn removed_cells_are_filled_in_and_drawn_and_all_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--epochs", "3", "--removed", "0.3", "--out", "run"];
    let text = printed(&run("impute_table", folder.path(), &arguments));
    let error = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{text}"));
        line[24..].split_whitespace().next().unwrap().parse::<f64>().unwrap()
    };
    // The mean of a column is off by its deviation; so short a training is between it and its neighbors.
    assert!((0.9..1.1).contains(&error("column means")), "{text}");
    assert!(error("10 nearest neighbors") < 0.6 && error("model") < 1.0, "{text}");
    let file = |name: &str| folder.path().join("run").join(name);
    let cells = |name: &str| -> Vec<Vec<Option<f64>>> {
        let text = std::fs::read_to_string(file(name)).unwrap();
        let cells = |line: &str| line.split(',').map(|cell| cell.parse().ok()).collect();
        text.lines().skip(1).map(cells).collect()
    };
    let [complete, holes, filled] = ["complete.csv", "holes.csv", "filled.csv"].map(cells);
    let mut removed = 0;
    for ((complete, holes), filled) in complete.iter().zip(&holes).zip(&filled) {
        for ((complete, hole), filled) in complete.iter().zip(holes).zip(filled) {
            assert!(filled.is_some() && (hole.is_none() || hole == complete && hole == filled));
            removed += usize::from(hole.is_none());
        }
    }
    assert!((0.28..0.32).contains(&(removed as f64 / (569.0 * 30.0))), "{removed}");
    assert!(std::fs::read(file("imputed.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(file("run").join("last.safetensors").is_file());
}

#[test]
fn a_table_of_which_the_truth_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "x,y\n1,2\n3,\n").unwrap();
    assert_refused("impute_table", folder.path(), &["--table", "a.csv"], "take one without holes");
    let arguments = ["--removed", "1.5"];
    assert_refused("impute_table", folder.path(), &arguments, "`removed` is a share below 0.95");
}
