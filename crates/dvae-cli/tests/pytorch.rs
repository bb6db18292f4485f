//! State dicts of PyTorch's twins of our networks: `fixtures/pytorch.py` makes them.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{array, ok, refused, rows, trained};

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

#[test]
fn weights_for_pytorch_come_back_as_they_were() {
    let networks = [
        "{ type = \"mlp\", hidden = [8] }",
        "{ type = \"res-net\", channels = [4, 6], groups = 2 }",
        "{ type = \"ladder\", channels = [3, 4] }",
    ];
    for network in networks {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let config = format!(
            "corruption = \"mixed\"\n[data]\nrows = 40\n[model]\nlatent = 3\nnetwork = {network}\n[train]\nepochs = 1\n"
        );
        fs::write(at("e.toml"), config).unwrap();
        ok(folder.path(), &["train", "e.toml", "--out", "run", "--quiet"]);
        let arguments = ["export", "run", "-o", "twin.safetensors", "--layout", "pytorch"];
        let text = ok(folder.path(), &arguments);
        assert!(text.contains("a module for them in twin.py"), "{text}");
        assert!(fs::read_to_string(at("twin.py")).unwrap().contains("def load(path):"));
        ok(folder.path(), &["import", "e.toml", "twin.safetensors", "-o", "back.safetensors"]);
        array(&at("x.npy"), &[1, 28, 28], 3, |i| (i * 7 % 11) as f64 / 10.0);
        ok(folder.path(), &["denoise", "run", "x.npy", "-o", "own.npy"]);
        ok(folder.path(), &["denoise", "back.safetensors", "x.npy", "-o", "back.npy"]);
        assert_eq!(
            fs::read(at("own.npy")).unwrap(),
            fs::read(at("back.npy")).unwrap(),
            "{network}"
        );
        let error =
            refused(folder.path(), &["denoise", "twin.safetensors", "x.npy", "-o", "no.npy"]);
        assert!(error.contains("written for PyTorch"), "{error}");
        // A source that somebody changed stays as it is.
        ok(folder.path(), &arguments);
        let changed = fs::read_to_string(at("twin.py")).unwrap() + "# changed";
        fs::write(at("twin.py"), &changed).unwrap();
        let error = refused(folder.path(), &arguments);
        assert!(
            error.contains("would replace twin.py, which is another one, or was changed"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(at("twin.py")).unwrap(), changed);
        // Either layout is not taken for the other one.
        let error = refused(
            folder.path(),
            &["import", "e.toml", "run/best.safetensors", "-o", "no.safetensors"],
        );
        assert!(error.contains("it is no state dict of PyTorch"), "{error}");
        let start = ["train", "e.toml", "--out", "no", "--set", "start=twin.safetensors"];
        let error = refused(folder.path(), &start);
        assert!(
            error.contains("they are in PyTorch's layout: `dvae import` reads them"),
            "{error}"
        );
        let other = [
            "import",
            "e.toml",
            "twin.safetensors",
            "-o",
            "no.safetensors",
            "--set",
            "model.likelihood={ type = \"continuous-bernoulli\" }",
        ];
        let error = refused(folder.path(), &other);
        assert!(error.contains("trained with the `model.likelihood`"), "{error}");
    }
}

#[test]
fn forms_of_an_export_that_do_not_go_together_are_refused() {
    let folder = trained();
    for (arguments, expected) in [
        (&["-o", "m.onnx", "--half"][..], "--half is for a .safetensors file of this program"),
        (
            &["-o", "m.safetensors", "--half", "--layout", "pytorch"],
            "--half is for a .safetensors file of this program",
        ),
        (&["-o", "m.onnx", "--layout", "pytorch"], "a graph of ONNX has no --layout"),
        (&["-o", "m.safetensors", "--part", "encode"], "--part is for a graph of ONNX"),
        (&["-o", "m.png"], "m.png must end in .safetensors or .onnx"),
        (&["-o", "run/config.toml"], "must end in .safetensors or .onnx"),
        (&["-o", "torch.safetensors", "--layout", "pytorch"], "names a module for PyTorch too"),
        (&["-o", "my-model.safetensors", "--layout", "pytorch"], "names a module for PyTorch too"),
    ] {
        let error = refused(folder.path(), &[&["export", "run"], arguments].concat());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    if cfg!(not(feature = "onnx")) {
        let error = refused(folder.path(), &["export", "run", "-o", "m.onnx"]);
        assert!(
            error.contains("m.onnx: ONNX is written by builds with the cargo feature `onnx`"),
            "{error}"
        );
    }
    assert!(!folder.path().join("m.onnx").exists());
}

#[cfg(feature = "onnx")]
#[test]
fn a_graph_of_onnx_has_the_experiment_without_its_paths() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let holds = |file: &str, text: &str| {
        let bytes = fs::read(at(file)).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    for (part, name) in [("denoise", "denoised"), ("encode", "log_variance_0"), ("decode", "z_0")] {
        let file = format!("{part}.onnx");
        ok(folder.path(), &["export", "run", "-o", &file, "--part", part]);
        assert!(
            holds(&file, name)
                && holds(&file, "learning_rate")
                && holds(&file, "numbers in [0, 1]")
        );
        assert!(!holds(&file, folder.path().to_str().unwrap()));
    }
    let text = ok(folder.path(), &["export", "photographs", "-o", "photographs.onnx", "--json"]);
    assert!(text.contains("photographs.onnx"), "{text}");
    // A table, with the scaling of its columns.
    let lines = (0..30).map(|i| format!("{},{},{}\n", i * 7 % 11, i % 5, 3 * i));
    fs::write(at("numbers.csv"), format!("a,b,c\n{}", lines.collect::<String>())).unwrap();
    let config = "[data]\nsource = \"csv\"\npath = \"numbers.csv\"\nscaling = \"standard\"\n[model]\nnetwork = \"mlp\"\nlikelihood = { type = \"normal\", scale = 1.0 }\n[train]\nepochs = 1\n";
    fs::write(at("numbers.toml"), config).unwrap();
    ok(folder.path(), &["train", "numbers.toml", "--out", "numbers", "--quiet"]);
    ok(folder.path(), &["export", "numbers", "-o", "numbers.onnx"]);
    assert!(holds("numbers.onnx", "[prepared.scaler]") && holds("numbers.onnx", "offset = ["));
    assert!(!holds("numbers.onnx", folder.path().to_str().unwrap()));
}
