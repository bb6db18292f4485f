//! The example `noise_and_kl` as a user runs it.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;

mod common;

use common::{assert_refused, printed, run, user_folder};

#[test]
fn noise_and_kl_leaves_tables_and_pictures() {
    let folder = user_folder();
    let arguments = ["--data", "data", "--epochs", "1", "--latent", "2", "--out", "run"];
    let arguments = [&arguments[..], &["--sigmas", "0,0.3", "--betas", "1,4"]].concat();
    let text = printed(&run("noise_and_kl", folder.path(), &arguments));
    for title in ["PSNR of denoised images", "bound (ELBO)", "KL, nats", "active units"] {
        assert!(text.contains(title), "{text}");
    }
    assert_eq!(text.matches("trained at 0.3").count(), 4);
    for file in
        ["psnr.png", "bound.png", "kl.png", "active_units.png", "results.json", "config.toml"]
    {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }
    let results = fs::read_to_string(folder.path().join("run/results.json")).unwrap();
    assert_eq!(results.matches("active_units").count(), 4);
    let wrong = ["--betas=-1"];
    assert_refused(
        "noise_and_kl",
        folder.path(),
        &wrong,
        "`kl.beta` must be finite and at least 0",
    );
}
