//! Weights and checkpoints of strangers, or that were altered: refused before they are used, or make room for anything.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use common::{ok, refused, text, trained, within};

/// A safetensors file with another configuration, or with other weights, and no checksum.
fn changed(
    file: &Path,
    config: impl Fn(&str) -> String,
    weights: impl Fn(&mut [u8]),
    keeps_checksum: bool,
) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let metadata = header["__metadata__"].as_object_mut().unwrap();
    let text = config(metadata["config"].as_str().unwrap());
    metadata.insert("config".into(), text.into());
    if !keeps_checksum {
        metadata.remove("crc32").unwrap();
    }
    let mut data = bytes[8 + length..].to_vec();
    weights(&mut data);
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

#[test]
fn weights_that_were_altered_are_refused_and_those_without_a_checksum_are_read() {
    let folder = trained();
    let best = folder.path().join("run/best.safetensors");
    let same = |text: &str| text.to_owned();
    let nan = |data: &mut [u8]| data[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    let cases = [
        (changed(&best, same, |data| data[40] ^= 1, true), "their checksum does not hold"),
        (changed(&best, |text| text.replace("seed = 1", "seed = 2"), |_| {}, true), "checksum"),
        (changed(&best, same, nan, false), "holds values that are not finite"),
    ];
    for (bytes, expected) in cases {
        fs::write(folder.path().join("m.safetensors"), bytes).unwrap();
        let error = refused(folder.path(), &["sample", "m.safetensors", "-o", "s.png"]);
        assert!(error.contains("m.safetensors") && error.contains(expected), "{error}");
    }
    let bytes = changed(&best, same, |_| {}, false);
    fs::write(folder.path().join("m.safetensors"), bytes).unwrap();
    ok(folder.path(), &["sample", "m.safetensors", "-o", "s.npy"]);
    ok(folder.path(), &["sample", "run", "-o", "own.npy"]);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("s.npy"), read("own.npy"));
}

#[test]
fn a_configuration_that_asks_for_more_weights_than_its_file_has_is_refused_before_they_are_made() {
    let folder = trained();
    let best = folder.path().join("run/best.safetensors");
    let deep = ["500"; 1000].join(", ");
    let many = ["500"; 20_000].join(", ");
    let cases = [
        ("hidden = [32]", format!("hidden = [{deep}]"), "asks for more than"),
        ("hidden = [32]", format!("hidden = [{many}]"), "`hidden` asks for 20000 parts"),
        ("hidden = [32]", "hidden = [30000, 30000]".to_owned(), "asks for more than"),
        (
            "type = \"diagonal-normal\"",
            "type = \"inverse-autoregressive\"\nflows = 1000\nhidden = 20000".to_owned(),
            "asks for more than",
        ),
        (
            "type = \"standard-normal\"",
            "type = \"vamp\"\ncomponents = 100000".to_owned(),
            "asks for more than",
        ),
    ];
    for (old, new, expected) in cases {
        let config = |text: &str| {
            assert!(text.contains(old), "{text}");
            text.replacen(old, &new, 1)
        };
        let bytes = changed(&best, config, |_| {}, false);
        fs::write(folder.path().join("m.safetensors"), bytes).unwrap();
        let output = within(folder.path(), 2_000, &["sample", "m.safetensors", "-o", "s.png"]);
        let error = text(&output);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

// Whatever a manifest names, and with right checksums: no other file is read, and none is asked for twice.
#[test]
fn a_manifest_names_the_files_of_a_checkpoint_and_nothing_else() {
    let folder = trained();
    let checkpoints = folder.path().join("run/checkpoints");
    let mut all: Vec<_> =
        fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    let newest = all.pop().unwrap();
    all.iter().for_each(|older| fs::remove_dir_all(older).unwrap());
    let whole: serde_json::Value =
        serde_json::from_slice(&fs::read(newest.join("manifest.json")).unwrap()).unwrap();
    let seal = |manifest: &serde_json::Value| {
        let text = serde_json::to_vec(manifest).unwrap();
        let crc = format!("{:08x}", crc32fast::hash(&text));
        fs::write(newest.join("manifest.json"), text).unwrap();
        fs::write(newest.join("manifest.crc32"), crc).unwrap();
    };
    let list = "does not list the files of a checkpoint";
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 4] = [
        (|manifest| manifest["files"][0]["name"] = "/dev/zero".into(), list),
        (|manifest| manifest["files"] = serde_json::json!([]), list),
        (|manifest| manifest["state"]["steps"] = 1.into(), "is of another one, of 1 steps"),
        (
            |manifest| {
                let first = manifest["files"][0].clone();
                manifest["files"].as_array_mut().unwrap().push(first);
            },
            list,
        ),
    ];
    for (change, expected) in cases {
        let mut manifest = whole.clone();
        change(&mut manifest);
        seal(&manifest);
        let error = refused(folder.path(), &["train", "--resume", "run"]);
        assert!(error.contains("the checkpoint") && error.contains(expected), "{error}");
    }
    // Weights of another element type make Burn panic.
    let model = fs::read(newest.join("model.bpk")).unwrap();
    let place = model.windows(3).position(|bytes| bytes == b"F32").unwrap();
    let mut other = model;
    other[place..place + 3].copy_from_slice(b"I32");
    fs::write(newest.join("model.bpk"), &other).unwrap();
    let mut manifest = whole;
    let files = manifest["files"].as_array_mut().unwrap();
    let file = files.iter_mut().find(|file| file["name"] == "model.bpk").unwrap();
    file["crc32"] = crc32fast::hash(&other).into();
    seal(&manifest);
    let error = refused(folder.path(), &["train", "--resume", "run"]);
    assert!(
        error.contains("the checkpoint") && error.contains("its weights do not fit"),
        "{error}"
    );
}
