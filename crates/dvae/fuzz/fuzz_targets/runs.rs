//! Any bytes as an experiment, safetensors, PyTorch's weights, or a checkpoint's weights or manifest: the first byte chooses
//! which. Checksums of a checkpoint are right.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dvae::burn::tensor::Device;
use dvae::data::Dataset;
use dvae::models::AnyNetwork;
use dvae::prelude::*;
use dvae::train::{import_state_dict, load_checkpoint};
use dvae::{Experiment, Pretrained, Weights};
use libfuzzer_sys::fuzz_target;

fn model() -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig::new(MlpConfig::new(&[5, 4]), &[6], 2);
    config.init(Key::new(1), &Device::flex()).expect("a small model")
}

/// The files of a whole checkpoint.
static WHOLE: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a place for files");
    let rows = Dataset::from_bytes((0..60).collect(), &[6]).expect("ten rows");
    let config = TrainConfig { epochs: 1, batch_size: 10, ..TrainConfig::default() };
    let process = Box::new(Masking::new(0.5).expect("a rate"));
    let trainer = Trainer::<2, _>::new(model(), process, config, &Device::flex());
    let trainer = trainer.expect("a small training").checkpoints(folder.path());
    trainer.fit(&rows, &rows).expect("a small training");
    let entries = fs::read_dir(folder.path().join("step-00000001")).expect("a checkpoint");
    entries
        .map(|entry| {
            let entry = entry.expect("a file");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("a small file"))
        })
        .collect()
});

/// Writes a checkpoint in which a file is these bytes.
fn checkpoint(folder: &Path, changed: &str, bytes: &[u8]) {
    let own = folder.join("step-00000001");
    fs::create_dir(&own).expect("a new folder");
    let write = |name: &str, bytes: &[u8]| fs::write(own.join(name), bytes).expect("a small file");
    let mut manifest = vec![];
    for (name, whole) in &*WHOLE {
        write(name, whole);
        if name == "manifest.json" {
            manifest.clone_from(whole);
        }
    }
    write(changed, bytes);
    if changed == "manifest.json" {
        manifest = bytes.to_vec();
    } else {
        let mut value: serde_json::Value = serde_json::from_slice(&manifest).expect("a manifest");
        for file in value["files"].as_array_mut().expect("files") {
            if file["name"] == changed {
                file["crc32"] = crc32fast::hash(bytes).into();
            }
        }
        manifest = value.to_string().into_bytes();
        write("manifest.json", &manifest);
    }
    write("manifest.crc32", format!("{:08x}", crc32fast::hash(&manifest)).as_bytes());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a place for files");
    let file = |name: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a small file");
        path
    };
    let device = Device::flex();
    match kind % 5 {
        0 => drop(Experiment::load(Some(&file("e.toml")), &[])),
        1 => drop(Pretrained::load(&file("m.safetensors"), Weights::Best, Some(&device))),
        2 => drop(import_state_dict(&file("m.pt"), model())),
        kind => {
            let changed = if kind == 3 { "model.bpk" } else { "manifest.json" };
            checkpoint(folder.path(), changed, bytes);
            drop(load_checkpoint(folder.path(), model()));
        }
    }
});
