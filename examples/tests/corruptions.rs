//! The examples about corruptions as a user runs them, and the pages that describe them.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::Path;

mod common;

use common::{assert_refused, printed, run, user_folder};
use dvae::prelude::*;

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(name)).unwrap()
}

#[test]
fn the_gallery_draws_every_process_and_lists_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed(&run("corruption_gallery", folder.path(), &["--out", "gallery"]));
    let catalog = CorruptionConfig::catalog();
    assert!(text.contains(&catalog));
    let gallery = folder.path().join("gallery");
    for config in CorruptionConfig::all() {
        let file = gallery.join(format!("{}.png", config.name()));
        let picture = dvae::data::read_picture(&file).unwrap();
        assert!(picture.event()[2] > 5 * 124, "{}", file.display());
    }
    assert!(gallery.join("contact_sheet.png").is_file());
    assert_eq!(fs::read_to_string(gallery.join("catalog.txt")).unwrap(), catalog);

    // A picture of the user's own, one that is none, and a folder that is not empty.
    let device = Backend::first().unwrap().device().unwrap();
    let own = Grid::new().row("", Tensor::zeros([1, 1, 5, 7], &device)).png();
    fs::write(folder.path().join("own.png"), own).unwrap();
    let arguments = ["--image", "own.png", "--out", "own", "--seed", "2"];
    printed(&run("corruption_gallery", folder.path(), &arguments));
    assert!(
        fs::read_to_string(folder.path().join("own/config.toml")).unwrap().contains("seed = 2")
    );
    fs::write(folder.path().join("no.png"), "no").unwrap();
    let arguments = ["--image", "no.png"];
    assert_refused("corruption_gallery", folder.path(), &arguments, "no.png is no picture");
    let arguments = ["--out", "own"];
    assert_refused("corruption_gallery", folder.path(), &arguments, "own exists and is not empty");
}

#[test]
fn a_robustness_run_leaves_a_table_and_pictures() {
    let folder = user_folder();
    let arguments = ["--data", "data", "--epochs", "1", "--latent", "2", "--out", "run"];
    let arguments = [&arguments[..], &["--corruption", "masking"]].concat();
    let text = printed(&run("robustness", folder.path(), &arguments));
    for level in ["0", "0.1", "0.25", "0.5", "0.75", "0.9"] {
        assert!(text.contains(&format!("trained at {level} ")), "{text}");
        let metrics = folder.path().join(format!("run/level-{level}/metrics.jsonl"));
        assert_eq!(fs::read_to_string(metrics).unwrap().lines().count(), 1);
    }
    for file in ["psnr.png", "bound.png", "results.json", "config.toml"] {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }
    for (corruption, needle) in [
        ("gaussian:-1", "`sigma` must be between 0 and 1e30, but is -1"),
        ("fog", "`fog` is not a corruption"),
    ] {
        let arguments = ["--data", "data", "--corruption", corruption];
        assert_refused("robustness", folder.path(), &arguments, needle);
    }
    let arguments = ["--data", "data", "--epochs", "0"];
    assert_refused("robustness", folder.path(), &arguments, "`epochs` must be between 1");
}

#[test]
fn a_corruption_of_ones_own_trains_a_model_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed(&run("custom_corruption", folder.path(), &[]));
    let metrics: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[damaged, denoised] = &metrics[..] else { panic!("{text}") };
    assert!(denoised > damaged + 1.0, "{text}");
    assert!(page("examples/custom_corruption.rs").lines().count() <= 60);
}

#[test]
fn the_pages_show_what_there_is() {
    let corruptions = page("docs/corruptions.md");
    assert!(corruptions.contains(&CorruptionConfig::catalog()), "the catalog has changed");
    let (tables, counts) = (CorruptionConfig::for_tables(), CorruptionConfig::for_counts());
    for config in [CorruptionConfig::all(), tables, counts].concat() {
        let section = format!("\n### {}\n", config.name());
        assert!(corruptions.contains(&section), "{} has no section", config.name());
    }
    let extending = page("docs/extending.md");
    assert!(extending.contains(&page("examples/custom_corruption.rs")), "the example has changed");
}

/// What stands in code font as text, TOML or JSON on the page must be understood.
#[test]
fn the_forms_that_the_page_names_are_understood() {
    for text in ["masking:0.5", "masking:0.1..0.9", "masking@4", "jpeg+gaussian:0.1"] {
        assert!(page("docs/corruptions.md").contains(&format!("`{text}`")));
        text.parse::<CorruptionConfig>().unwrap();
    }
    for level in page("docs/corruptions.md").split('`').filter(|code| code.starts_with("{ ")) {
        let code = level.replace("[a, b]", "[{ process = \"jpeg\" }, { process = \"haze\" }]");
        let code = code.replace("of = a", "of = { process = \"jpeg\" }");
        let config = if code.contains("process = ") {
            format!("x = {code}")
        } else {
            format!("x = {{ process = \"gaussian\", level = {code} }}")
        };
        let mut table: toml::Table = config.parse().unwrap();
        let config: CorruptionConfig = table.remove("x").unwrap().try_into().unwrap();
        config.build::<4>(Domain::Unit).unwrap_or_else(|error| panic!("{level}: {error}"));
    }
}
