//! What is dropped gives its memory back.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::Device;
use dvae_corruption::Masking;
use dvae_models::{AutoencoderConfig, MlpConfig};
use dvae_random::Key;
use dvae_train::{TrainConfig, Trainer};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn a_trainer_that_is_dropped_keeps_nothing() {
    let device = Device::flex();
    let config = AutoencoderConfig::new(MlpConfig::new(&[8]), &[16], 2);
    let make = || {
        let model = config.init(Key::new(1), &device).unwrap();
        let process = Box::new(Masking::new(0.5).unwrap());
        Trainer::<2, _>::new(model, process, TrainConfig::default(), &device).unwrap();
    };
    let kept = |times: usize| {
        let before = MEMORY.current_usage();
        (0..times).for_each(|_| make());
        MEMORY.current_usage().saturating_sub(before)
    };
    kept(10); // What is made once.
    let kept = kept(200);
    println!("{kept} bytes after 200 trainers");
    assert!(kept < 20_000, "{kept} bytes are kept of 200 trainers");
}
