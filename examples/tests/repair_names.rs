//! The example that repairs names.

#![allow(clippy::unwrap_used)] // A test may panic.

#[allow(dead_code)] // It has helpers of other tests too.
mod common;

use common::{assert_refused, printed, run};

#[test]
fn names_are_repaired_beside_a_list_that_does_not_have_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--epochs", "2", "--out", "run"];
    let text = printed(&run("repair_names", folder.path(), &arguments));
    let shares = |name: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{text}"));
        let numbers = line[18..].split_whitespace().filter(|word| *word != "%");
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let nearest = shares("nearest in list");
    // What is in the list is found, and nothing else can be.
    assert_eq!(nearest[0], 100.0);
    assert!(nearest[1] > 60.0 && nearest[4] < 1.0, "{text}");
    assert!(shares("noisy channel")[1] > 60.0, "{text}");
    // Even after so short a training a clean name is hardly ever changed.
    for name in ["model  ", "model with list"] {
        let model = shares(name);
        assert!(model[0] > 97.0 && model[3] > 95.0, "{text}");
    }
    assert!(folder.path().join("run/last.safetensors").is_file());
}

#[test]
fn too_few_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "Ada\nBea\nCleo\nDora\n".repeat(9)).unwrap();
    let arguments = ["--data", "a.txt", "--epochs", "1"];
    assert_refused("repair_names", folder.path(), &arguments, "are too few to learn from");
}
