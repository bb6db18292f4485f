//! Checkpoints and weights whose bytes changed: an error or the checkpoint before, never a panic.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use burn::tensor::Device;
use dvae_corruption::Masking;
use dvae_data::Dataset;
use dvae_models::{AnyNetwork, Autoencoder, AutoencoderConfig, MlpConfig};
use dvae_random::Key;
use dvae_train::{Precision, TrainConfig, Trainer, load_checkpoint, load_weights, save_weights};
use proptest::prelude::*;

fn model() -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig::new(MlpConfig::new(&[3]), &[4], 2);
    config.init(Key::new(1), &Device::flex()).unwrap()
}

/// The weights to the bit.
fn bits(model: &Autoencoder<AnyNetwork>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bits.safetensors");
    save_weights(&file, model, "", Precision::Single).unwrap();
    fs::read(file).unwrap()
}

/// A whole checkpoint, file by file, and weights.
static WHOLE: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let rows = Dataset::from_bytes((0..40).collect(), &[4]).unwrap();
    let config =
        TrainConfig { epochs: 1, batch_size: 10, ema: Some(0.9), ..TrainConfig::default() };
    let process = Box::new(Masking::new(0.5).unwrap());
    let trainer = Trainer::<2, _>::new(model(), process, config, &Device::flex()).unwrap();
    trainer.checkpoints(folder.path()).fit(&rows, &rows).unwrap();
    let checkpoint = folder.path().join("step-00000001");
    let weights = folder.path().join("a.safetensors");
    save_weights(&weights, &model(), "a = 1", Precision::Single).unwrap();
    let names = ["manifest.json", "manifest.crc32", "model.bpk", "average.bpk", "optimizer.bpk"];
    let mut files: Vec<(String, Vec<u8>)> =
        names.map(|name| (name.to_owned(), fs::read(checkpoint.join(name)).unwrap())).into();
    files.push(("a.safetensors".to_owned(), fs::read(weights).unwrap()));
    files
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_are_an_error_that_names_the_place(
        file in 0..6usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("step-00000001");
        fs::create_dir(&checkpoint).unwrap();
        let mut changed = false;
        for (place, (name, whole)) in WHOLE.iter().enumerate() {
            let mut bytes = whole.clone();
            if place == file {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                if let Some(cut) = &cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                changed = bytes != *whole;
            }
            let path: PathBuf = match name.as_str() {
                "a.safetensors" => folder.path().join(name),
                name => checkpoint.join(name),
            };
            fs::write(path, bytes).unwrap();
        }
        let loaded = load_checkpoint(folder.path(), model());
        // All files of a checkpoint are under checksums.
        prop_assert_eq!(loaded.is_err(), changed && file < 5);
        if let Err(error) = loaded {
            let error = error.to_string();
            prop_assert!(error.contains("step-00000001"), "{}", error);
        }
        let weights = folder.path().join("a.safetensors");
        // Its names, shapes, configuration and weights are under a checksum, or must be those of the model.
        match load_weights(&weights, model()) {
            Ok(loaded) => prop_assert_eq!(bits(&loaded), bits(&model())),
            Err(error) => prop_assert!(error.to_string().contains("a.safetensors"), "{}", error),
        }
    }
}
