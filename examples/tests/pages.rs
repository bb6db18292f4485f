//! What the pages about likelihoods, latents and objectives say can be typed as it stands.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::Path;

mod common;

use common::{assert_refused, printed, run, user_folder};
use dvae::distributions::LikelihoodConfig;
use dvae::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latents {
    #[serde(default)]
    posterior: PosteriorConfig,
    #[serde(default)]
    prior: PriorConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Likelihood {
    likelihood: LikelihoodConfig,
}

/// The TOML of a page: each block as a whole if it has tables of its own, else line by line.
fn snippets(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs").join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .flat_map(|block| match block.starts_with('[') {
            true => vec![block.to_owned()],
            false => block.lines().map(str::to_owned).collect(),
        })
        .collect()
}

#[test]
fn every_likelihood_of_the_page_can_be_read() {
    let snippets = snippets("likelihoods.md");
    assert!(snippets.len() > 10);
    for snippet in snippets {
        let Likelihood { likelihood } = toml::from_str(&snippet).unwrap();
        likelihood.check(4).unwrap();
    }
}

#[test]
fn every_posterior_and_prior_of_the_page_makes_a_model() {
    let snippets = snippets("latents.md");
    assert!(snippets.len() > 6);
    for snippet in snippets {
        let Latents { posterior, prior } = toml::from_str(&snippet).unwrap();
        let config = MlpVaeConfig { posterior, prior, ..MlpVaeConfig::new(&[4], 2) };
        let device = Backend::first().unwrap().device().unwrap();
        config.init(Key::new(1), &device).unwrap();
    }
}

#[test]
fn every_objective_of_the_page_can_be_read_and_the_first_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pasted.toml");
    let objective = |snippet: &str| {
        fs::write(&path, snippet).unwrap();
        Experiment::layered(Some(&path), [], &[]).unwrap().train.objective
    };
    let snippets = snippets("objectives.md");
    assert_eq!(objective(&snippets[0]), Objective::default());
    for snippet in &snippets[1..] {
        objective(snippet).check().unwrap();
    }
    // The KL terms of the table, which stand in code spans.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/objectives.md");
    let text = fs::read_to_string(path).unwrap();
    let terms: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| `{ type")).collect();
    assert_eq!(terms.len(), 8);
    for term in terms {
        let term = term.split('`').next().unwrap();
        objective(&format!("[train.objective]\nkl = {{ type{term}")).check().unwrap();
    }
}

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
    assert_refused("noise_and_kl", folder.path(), &wrong, "`kl.beta` is a weight");
}
