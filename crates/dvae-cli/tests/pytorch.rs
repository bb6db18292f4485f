//! State dicts of PyTorch's twins of our networks: `fixtures/pytorch.py` makes them.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{ok, refused, rows};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

const EXPERIMENTS: [(&str, &str); 2] = [
    ("mlp", "network = { type = \"mlp\", hidden = [5, 4] }\nevent = [6]\nlatent = 2\n"),
    ("conv", "network = { type = \"conv\", channels = [3, 4] }\nevent = [1, 8, 8]\nlatent = 2\n"),
];

#[test]
fn an_imported_model_denoises_as_its_twin_in_pytorch_does() {
    for (name, model) in EXPERIMENTS {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("corruption = \"masking\"\n[model]\n{model}");
        fs::write(folder.path().join("e.toml"), config).unwrap();
        let state_dict = fixture(&format!("{name}.pt"));
        let state_dict = state_dict.to_str().unwrap();
        ok(folder.path(), &["import", "e.toml", state_dict, "-o", "m.safetensors"]);
        let input = fixture(&format!("{name}-input.npy"));
        let input = input.to_str().unwrap();
        ok(folder.path(), &["denoise", "m.safetensors", input, "-o", "out.npy"]);
        let expected = rows(&fixture(&format!("{name}-denoised.npy"))).1.concat();
        let found = rows(&folder.path().join("out.npy")).1.concat();
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-5, "{name}: {worst}");
    }
}

#[test]
fn a_state_dict_of_another_network_is_refused_with_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[model]\nnetwork = { type = \"mlp\", hidden = [5] }\nevent = [6]\nlatent = 2\n";
    fs::write(folder.path().join("e.toml"), config).unwrap();
    let state_dict = fixture("mlp.pt");
    let arguments = ["import", "e.toml", state_dict.to_str().unwrap(), "-o", "m.safetensors"];
    let error = refused(folder.path(), &arguments);
    assert!(error.contains("mlp.pt cannot be used: they do not fit this model"), "{error}");
    assert!(error.contains("levels.0.posterior.mean.weight is [2, 4], not [2, 5]"), "{error}");
    assert!(!folder.path().join("m.safetensors").exists());
    fs::write(folder.path().join("torn.pt"), &fs::read(&state_dict).unwrap()[..600]).unwrap();
    let error = refused(folder.path(), &["import", "e.toml", "torn.pt", "-o", "m.safetensors"]);
    assert!(error.contains("torn.pt cannot be used"), "{error}");
}
