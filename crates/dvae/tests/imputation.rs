//! Missing entries of a model whose conditional distribution is known in closed form.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fmt::Write;
use std::path::Path;

use dvae::train::Interrupt;
use dvae::{Experiment, Imputation, Pretrained, Run, Weights};

const SCALE: f64 = 0.5;

/// A linear model of three columns with two latents: `x = W z + b`, and noise of 0.5.
fn linear(folder: &Path, likelihood: &str) -> Pretrained {
    let mut text = "a,b,c\n".to_owned();
    for at in 0..400 {
        let (u, v) = ((at as f64 * 0.7).sin(), (at as f64 * 1.3).cos());
        writeln!(text, "{},{},{}", 2.0 * u, u + 1.5 * v, 1.0 + 0.5 * u - v).unwrap();
    }
    std::fs::write(folder.join("a.csv"), text).unwrap();
    let text = format!(
        "corruption = \"masking:0.3\"\n\
         [data]\nsource = \"csv\"\npath = {:?}\n\
         [model]\nlatent = 2\nnetwork = {{ type = \"mlp\", hidden = [] }}\n\
         likelihood = {likelihood}\n\
         [train]\nepochs = 30\nbatch_size = 32\nlearning_rate = 0.01\n",
        folder.join("a.csv")
    );
    std::fs::write(folder.join("a.toml"), text).unwrap();
    let experiment = Experiment::load(Some(&folder.join("a.toml")), &[]).unwrap();
    let mut run = Run::create_at(&experiment, folder.join("run")).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    run.model(Weights::Last, None).unwrap()
}

/// Mean and standard deviation of the first entry given the two others: `x` is normal with the mean `b` and the covariance
/// `W Wᵀ + s² I`.
fn exact(model: &Pretrained, [b, c]: [f64; 2]) -> (f64, f64) {
    let decoded = model.decode(&[vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]]);
    let bias = &decoded[0];
    let weight = |row: usize, latent: usize| decoded[1 + latent][row] - bias[row];
    let covariance = |i: usize, j: usize| {
        let own = if i == j { SCALE * SCALE } else { 0.0 };
        weight(i, 0) * weight(j, 0) + weight(i, 1) * weight(j, 1) + own
    };
    let (p, q, r) = (covariance(1, 1), covariance(1, 2), covariance(2, 2));
    let determinant = p * r - q * q;
    // The covariance with the others, times the inverse of theirs.
    let (s, t) = (covariance(0, 1), covariance(0, 2));
    let gain = [(s * r - t * q) / determinant, (t * p - s * q) / determinant];
    let mean = bias[0] + gain[0] * (b - bias[1]) + gain[1] * (c - bias[2]);
    let variance = covariance(0, 0) - gain[0] * s - gain[1] * t;
    (mean, variance.sqrt())
}

#[test]
fn imputed_entries_are_those_of_the_exact_conditional() {
    let folder = tempfile::tempdir().unwrap();
    let model = linear(folder.path(), &format!("{{ type = \"normal\", scale = {SCALE} }}"));
    for (at, known) in [[0.5, 0.2], [-1.0, 2.0], [2.5, -0.5]].into_iter().enumerate() {
        let (mean, deviation) = exact(&model, known);
        let row = vec![f64::NAN, known[0], known[1]];
        let filled = &model.impute(std::slice::from_ref(&row), &[at as u64], 20_000, 0).unwrap()[0];
        let Imputation { values, deviations, effective_draws, .. } = filled;
        assert!((1000.0..20_000.0).contains(effective_draws), "{effective_draws}");
        // Five standard errors of a mean of so many draws.
        let error = 5.0 * deviation / effective_draws.sqrt();
        assert!((values[0] - mean).abs() < error, "{} for {mean}", values[0]);
        assert!((deviations[0] / deviation - 1.0).abs() < 0.05, "{deviations:?} for {deviation}");
        assert_eq!((&values[1..], &deviations[1..]), (&row[1..], &[0.0, 0.0][..]));
        // The mean and the deviation of draws of 3,000 rows; importance resampling from 200 draws is a little off.
        let rows = vec![row; 3000];
        let ids: Vec<u64> = (0..3000).collect();
        let filled = model.impute(&rows, &ids, 200, 1).unwrap();
        let draws: Vec<f64> = filled.iter().map(|filled| filled.draws[0][0]).collect();
        let center = draws.iter().sum::<f64>() / 3000.0;
        let spread = draws.iter().map(|draw| (draw - center).powi(2)).sum::<f64>() / 2999.0;
        assert!((center - mean).abs() < 0.12 * deviation, "{center} for {mean}");
        assert!((spread.sqrt() / deviation - 1.0).abs() < 0.08, "{spread} for {deviation}");
    }
}

#[test]
fn rows_do_not_depend_on_each_other_and_what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = linear(folder.path(), "{ type = \"shared-normal\" }");
    let rows = [vec![f64::NAN, 0.3, 1.0], vec![1.0, 2.0, 3.0], vec![0.4, f64::NAN, f64::NAN]];
    let all = model.impute(&rows, &[5, 6, 7], 50, 2).unwrap();
    let alone = model.impute(&rows[2..], &[7], 50, 2).unwrap();
    let gap =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(gap(&all[2].values, &alone[0].values) < 1e-4);
    assert!(gap(&all[2].draws[1], &alone[0].draws[1]) < 1e-4);
    assert_ne!(all[2].draws[0], all[2].draws[1]);
    // A row without holes is what it was.
    assert_eq!((&all[1].values, all[1].draws.len()), (&rows[1], 2));
    // Nor does a slip of the key in one row.
    let slip = [vec![1e30, f64::NAN, 2.0], rows[2].clone()];
    let found = model.impute(&slip, &[1, 7], 50, 1).unwrap();
    assert!(found[0].effective_draws == 0.0 && found[0].values[1].is_nan(), "{:?}", found[0]);
    assert!(found[0].draws[0][1].is_nan() && found[0].values[0] == 1e30);
    assert!(gap(&found[1].values, &alone[0].values) < 1e-4);
    let error =
        |rows: &[Vec<f64>], ids: &[u64]| model.impute(rows, ids, 50, 0).unwrap_err().to_string();
    assert!(error(&rows, &[1]).contains("an id each"));
    assert!(error(&[vec![1.0]], &[1]).contains("rows of 3 entries"));
    let folder = tempfile::tempdir().unwrap();
    let model = linear(folder.path(), "{ type = \"optimal-normal\" }");
    let error = model.impute(&rows, &[5, 6, 7], 50, 0).unwrap_err().to_string();
    assert!(error.contains("\"shared-normal\" in place of \"optimal-normal\""), "{error}");
}
