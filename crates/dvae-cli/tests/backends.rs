//! The program on every back end that is compiled in and usable here.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;

use common::{SMALL, ok, picture};
use serde_json::Value;

#[test]
fn a_model_trains_and_denoises_on_every_back_end_and_its_weights_go_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SMALL).unwrap();
    picture(&folder.path().join("a.png"), 28, 28);
    let backends: Value =
        serde_json::from_str(&ok(folder.path(), &["backends", "--json"])).unwrap();
    let usable: Vec<&str> = backends
        .as_array()
        .unwrap()
        .iter()
        .filter(|backend| backend["usable"] == true)
        .map(|backend| backend["name"].as_str().unwrap())
        .collect();
    assert!(usable.contains(&"flex"), "{usable:?}");
    if std::env::var_os("DVAE_REQUIRE_WGPU").is_some() {
        assert!(usable.contains(&"wgpu"), "{usable:?}");
    }
    for backend in usable {
        let few =
            ["--set", "train.epochs=1", "--set", "data.rows=100", "--quiet", "--out", backend];
        ok(folder.path(), &[&["train", "small.toml", "--backend", backend], &few[..]].concat());
        ok(folder.path(), &["train", "--resume", backend, "--backend", backend, "--quiet"]);
        let cleaned = format!("{backend}.png");
        ok(folder.path(), &["denoise", backend, "a.png", "-o", &cleaned, "--backend", backend]);
        // What one back end trained, another one uses, to the same gray values or nearly.
        ok(folder.path(), &["denoise", backend, "a.png", "-o", "flex.png"]);
        let gray = |name: &str| {
            let row =
                dvae::data::picture_row(&fs::read(folder.path().join(name)).unwrap()).unwrap();
            row.mean()
        };
        let pairs = gray(&cleaned).into_iter().zip(gray("flex.png"));
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1.5 / 255.0, "{backend}");
    }
}
