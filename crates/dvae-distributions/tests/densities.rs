//! Every likelihood against values computed with many digits (`reference.py`), against its own total mass, and
//! its samples against its density.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Device, Tensor, TensorData};
use dvae_distributions::{ColumnGroup, Likelihood, LikelihoodConfig, Support};
use dvae_random::Key;
use proptest::prelude::*;
use serde::Deserialize;

/// One line of `reference.json`.
#[derive(Debug, Deserialize)]
struct Reference {
    likelihood: LikelihoodConfig,
    outputs: Vec<f32>,
    x: f32,
    log_prob: f64,
    gradient: Vec<f64>,
    mean: Option<f64>,
}

fn references() -> Vec<Reference> {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

/// One entry `[1, 1]` from its outputs `[1, n]`.
fn entry(config: &LikelihoodConfig, outputs: Tensor<2>) -> Box<dyn Likelihood<2>> {
    config.of(outputs, None).unwrap()
}

fn row(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), device)
}

/// To 10⁻⁵ of the value, or of 1 if it is smaller.
fn assert_close(what: &str, reference: &Reference, got: f64, expected: f64) {
    let bound = 1e-5 * expected.abs().max(1.0);
    assert!((got - expected).abs() <= bound, "{what} {got}, not {expected}: {reference:?}");
}

#[test]
fn densities_gradients_and_means_are_those_of_the_reference() {
    let device = Device::flex().autodiff();
    for reference in references() {
        let outputs = row(&reference.outputs, &device).require_grad();
        let law = entry(&reference.likelihood, outputs.clone());
        let x = row(&[reference.x], &device);
        assert!(law.support(0).contains(reference.x), "{reference:?}");
        let log_prob = law.log_prob(x.clone());
        assert_close("log_prob", &reference, log_prob.clone().into_scalar(), reference.log_prob);
        let sum = law.log_likelihood(x).into_scalar::<f64>();
        assert_close("sum", &reference, sum, reference.log_prob);
        if let Some(mean) = reference.mean {
            assert_close("mean", &reference, law.mean().into_scalar(), mean);
        }
        let gradient = outputs.grad(&log_prob.sum().backward()).unwrap().into_data();
        for (got, expected) in gradient.iter::<f64>().zip(&reference.gradient) {
            assert_close("gradient", &reference, got, *expected);
        }
    }
}

// Of 4 and of 1000 degrees of freedom and a scale of 2: s² ν/(ν − 2). With 2 or fewer there is none.
#[test]
fn the_variance_of_heavy_tails_is_that_of_their_degrees_of_freedom() {
    let law = |degrees: f64| LikelihoodConfig::StudentT { min_scale: 2.0, min_degrees: degrees };
    let variance = |degrees| {
        let outputs = row(&[0.3, -1e4, -1e4], &Device::flex());
        entry(&law(degrees), outputs).variance().into_scalar::<f64>()
    };
    assert!((variance(4.0) - 8.0).abs() < 1e-4, "{}", variance(4.0));
    assert!((variance(1000.0) - 4.0 * 1000.0 / 998.0).abs() < 1e-4, "{}", variance(1000.0));
    assert_eq!(variance(2.0), f64::INFINITY);
    assert_eq!(variance(0.5), f64::INFINITY);
}

// However narrow a component is, and beyond the levels.
#[test]
fn the_variance_of_levels_is_never_negative_and_none_where_all_mass_is_on_one() {
    for levels in [2, 5, 256, 1000, 65_536] {
        let law = LikelihoodConfig::DiscretizedLogistic { levels, components: 1, min_scale: 1e-6 };
        for location in [-3.0, 0.0, 1.0, 7.0] {
            let variance = entry(&law, row(&[location, -1e4], &Device::flex())).variance();
            let variance = variance.into_scalar::<f64>();
            assert!((0.0..1e-6).contains(&variance), "{levels} {location}: {variance}");
        }
        // Half way between two levels, each has half of the mass.
        let step = 1.0 / (levels.min(1024) - 1) as f32;
        let variance = entry(&law, row(&[0.5 * step, -1e4], &Device::flex())).variance();
        let expected = 0.25 * f64::from(step * step);
        let variance = variance.into_scalar::<f64>();
        assert!(
            (variance - expected).abs() < 0.05 * expected,
            "{levels}: {variance}, not {expected}"
        );
    }
}

fn laws() -> impl Strategy<Value = LikelihoodConfig> {
    use LikelihoodConfig as L;
    prop_oneof![
        Just(L::Bernoulli {}),
        Just(L::ContinuousBernoulli {}),
        (0.05..2.0).prop_map(|scale| L::Normal { scale }),
        Just(L::LearnedNormal { min_scale: 0.05, initial_scale: None, mean_scale: None }),
        (0.0..2.0, 0.01..2.0).prop_map(|(gain, offset)| L::PoissonGaussian {
            gain,
            offset,
            min_scale: 0.1
        }),
        (0.05..2.0).prop_map(|scale| L::Laplace { scale }),
        Just(L::LearnedLaplace { min_scale: 0.05 }),
        Just(L::StudentT { min_scale: 0.05, min_degrees: 2.0 }),
        (2usize..300, 1usize..4).prop_map(|(levels, components)| L::DiscretizedLogistic {
            levels,
            components,
            min_scale: 1e-3
        }),
        (2usize..9).prop_map(|classes| L::Categorical { classes }),
        Just(L::Poisson {}),
        Just(L::NegativeBinomial { min_inverse_dispersion: 0.5 }),
        Just(L::ZeroInflatedNegativeBinomial { min_inverse_dispersion: 0.5 }),
    ]
}

/// Values that carry all but 10⁻³ of the mass of moderate parameters, and the width that each stands for.
fn grid(support: Support, law: &LikelihoodConfig) -> (Vec<f32>, f64) {
    let counted = |n: usize| ((0..n).map(|i| i as f32).collect(), 1.0);
    // Densities have corners and heavy tails: a fine grid of midpoints, and far.
    let midpoints = |from: f64, to: f64, n: usize| {
        let width = (to - from) / n as f64;
        ((0..n).map(|i| (from + (i as f64 + 0.5) * width) as f32).collect(), width)
    };
    match support {
        Support::Real => midpoints(-150.0, 150.0, 200_000),
        Support::UnitInterval if *law == (LikelihoodConfig::Bernoulli {}) => (vec![0.0, 1.0], 1.0),
        Support::UnitInterval => midpoints(0.0, 1.0, 10_000),
        Support::Counts => counted(2000),
        Support::Classes(classes) => counted(classes),
        Support::Levels(levels) => {
            ((0..levels).map(|i| i as f32 / (levels - 1) as f32).collect(), 1.0)
        }
    }
}

/// Entries as rows, all of one law.
fn rows(config: &LikelihoodConfig, outputs: &[f32], n: usize) -> Box<dyn Likelihood<2>> {
    let outputs = row(outputs, &Device::flex()).expand([n, outputs.len()]);
    entry(config, outputs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_mass_is_one_and_the_mean_is_where_it_balances(
        law in laws(), outputs in proptest::collection::vec(-4.0f32..4.0, 12),
    ) {
        let outputs = &outputs[..law.outputs(1)];
        let support = entry(&law, row(outputs, &Device::flex())).support(0);
        let (values, width) = grid(support, &law);
        let n = values.len();
        let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [n, 1]), &Device::flex());
        let log_prob = rows(&law, outputs, n).log_prob(x).into_data();
        let mass: Vec<f64> = log_prob.iter::<f64>().map(|log| log.exp() * width).collect();
        let total: f64 = mass.iter().sum();
        prop_assert!((total - 1.0).abs() < 2e-3, "{law:?} {outputs:?}: {total}");
        let mean: f64 = mass.iter().zip(&values).map(|(m, x)| m * f64::from(*x)).sum();
        let said = rows(&law, outputs, 1).mean().into_scalar::<f64>();
        // Of classes it is the most probable one.
        let bound = match support {
            Support::Classes(_) => {
                let most = mass.iter().copied().fold(0.0, f64::max);
                prop_assert_eq!(mass[said as usize], most);
                return Ok(());
            }
            Support::Levels(_) => 1e-5,
            _ => 0.02 * (1.0 + mean.abs()),
        };
        prop_assert!((said - mean).abs() <= bound, "{law:?} {outputs:?}: {said}, not {mean}");
        let squares = mass.iter().zip(&values).map(|(m, x)| m * (f64::from(*x) - mean).powi(2));
        let (variance, said) =
            (squares.sum::<f64>(), rows(&law, outputs, 1).variance().into_scalar::<f64>());
        let bound = match support {
            // Of a squared distance between levels, and of the mean's rounding.
            Support::Levels(levels) => 1e-4 / (levels as f64 - 1.0).powi(2) + 1e-4 * variance + 1e-7,
            // Heavy tails: a part of the variance is beyond the grid. Its formula is tested below.
            _ if matches!(law, LikelihoodConfig::StudentT { .. }) => return Ok(()),
            _ => 0.02 * variance + 1e-6,
        };
        prop_assert!((said - variance).abs() <= bound, "{law:?} {outputs:?}: {said}, not {variance}");
    }

    // The distribution function of the density, summed over the same grid, against that of 20,000 draws: the
    // Kolmogorov–Smirnov distance that a right sample exceeds once in 10⁹ times is √(ln(2 · 10⁹) / 2n), and
    // for discrete laws less often.
    #[test]
    fn samples_follow_the_density(
        law in laws(), outputs in proptest::collection::vec(-4.0f32..4.0, 12), seed: u64,
    ) {
        let outputs = &outputs[..law.outputs(1)];
        let support = entry(&law, row(outputs, &Device::flex())).support(0);
        let (values, width) = grid(support, &law);
        let n = values.len();
        let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [n, 1]), &Device::flex());
        let log_prob = rows(&law, outputs, n).log_prob(x).into_data();
        let draws = 20_000;
        let ids: Vec<u64> = (0..draws as u64).collect();
        let sample = rows(&law, outputs, draws).sample(&mut Key::new(seed).rows(&ids));
        let mut sample: Vec<f32> = sample.into_data().try_to_vec().unwrap();
        prop_assert!(sample.iter().all(|&x| support.contains(x)), "{law:?}");
        sample.sort_by(f32::total_cmp);
        let mut below = 0.0;
        let bound = ((2e9f64).ln() / (2.0 * draws as f64)).sqrt() + 3e-3;
        for (value, log) in values.iter().zip(log_prob.iter::<f64>()) {
            below += log.exp() * width;
            let edge = f64::from(*value) + if support == Support::Counts { 0.5 } else { 0.5 * width.min(1e-3) };
            let drawn = sample.partition_point(|x| f64::from(*x) <= edge) as f64 / draws as f64;
            prop_assert!((drawn - below).abs() < bound, "{law:?} {outputs:?} at {value}: {drawn}, not {below}");
        }
    }
}

// A row's draws are its own: the same alone, in company, and in another order.
#[test]
fn a_rows_sample_is_the_same_in_any_batch() {
    let outputs: Vec<f32> = (0..36).map(|i| (i as f32 * 0.37).sin() * 2.0).collect();
    let configs = [
        LikelihoodConfig::Poisson {},
        LikelihoodConfig::StudentT { min_scale: 0.1, min_degrees: 3.0 },
        LikelihoodConfig::Categorical { classes: 3 },
        LikelihoodConfig::DiscretizedLogistic { levels: 256, components: 2, min_scale: 0.01 },
        LikelihoodConfig::ZeroInflatedNegativeBinomial { min_inverse_dispersion: 0.1 },
        LikelihoodConfig::Proportions { of: Box::new(LikelihoodConfig::Poisson {}), total: 30.0 },
    ];
    for config in configs {
        let width = config.outputs(2);
        let draw = |rows: &[u64]| -> Vec<Vec<f32>> {
            let values: Vec<f32> =
                rows.iter().flat_map(|&r| outputs[r as usize..][..width].to_vec()).collect();
            let values = TensorData::new(values, [rows.len(), width]);
            let law = entry(&config, Tensor::from_data(values, &Device::flex()));
            let sample = law.sample(&mut Key::new(9).rows(rows)).into_data();
            sample.try_to_vec::<f32>().unwrap().chunks(2).map(<[f32]>::to_vec).collect()
        };
        let together = draw(&[0, 1, 2, 3]);
        let reversed: Vec<_> = draw(&[3, 2, 1, 0]).into_iter().rev().collect();
        assert_eq!(together, reversed, "{config:?}");
        assert_eq!(together[2], draw(&[2])[0], "{config:?}");
    }
}

#[test]
fn columns_of_a_table_follow_their_own_laws() {
    let group = |columns, likelihood| ColumnGroup { columns, likelihood };
    let groups = vec![
        group(
            2,
            LikelihoodConfig::LearnedNormal {
                min_scale: 0.1,
                initial_scale: None,
                mean_scale: None,
            },
        ),
        group(1, LikelihoodConfig::Categorical { classes: 3 }),
        group(1, LikelihoodConfig::SharedNormal { min_scale: 0.2, initial_scale: None }),
        group(1, LikelihoodConfig::Poisson {}),
    ];
    let table = LikelihoodConfig::Columns { groups };
    table.check(5).unwrap();
    assert_eq!((table.outputs(5), table.shared_weights(5)), (4 + 3 + 1 + 1, 1));
    let device = Device::flex();
    let outputs = [0.5, -1.0, 0.3, 0.7, 0.0, 1.0, -1.0, 2.0, 1.5];
    let shared = Tensor::<1>::from_data([0.4], &device);
    let law = table.of(row(&outputs, &device), Some(&shared)).unwrap();
    let x = [0.1, -0.4, 2.0, 1.8, 3.0];
    let got: Vec<f32> = law.log_prob(row(&x, &device)).into_data().try_to_vec().unwrap();
    let alone = |config: &LikelihoodConfig, outputs: &[f32], x: &[f32]| -> Vec<f32> {
        let law = config.of(row(outputs, &device), Some(&shared)).unwrap();
        law.log_prob(row(x, &device)).into_data().try_to_vec().unwrap()
    };
    let LikelihoodConfig::Columns { groups } = &table else { unreachable!() };
    let expected = [
        alone(&groups[0].likelihood, &outputs[..4], &x[..2]),
        alone(&groups[1].likelihood, &outputs[4..7], &x[2..3]),
        alone(&groups[2].likelihood, &outputs[7..8], &x[3..4]),
        alone(&groups[3].likelihood, &outputs[8..], &x[4..]),
    ];
    assert_eq!(got, expected.concat());
    let supports: Vec<Support> = (0..5).map(|column| law.support(column)).collect();
    use Support::{Classes, Counts, Real};
    assert_eq!(supports, [Real, Real, Classes(3), Real, Counts]);
    let error = table.check(6).unwrap_err().to_string();
    assert_eq!(error, "the groups of `columns` have 5 columns, but a row has 6");
}

#[test]
fn parameters_are_named_as_the_density_uses_them() {
    let device = Device::flex();
    let of = |config: LikelihoodConfig, outputs: &[f32]| -> Vec<(&'static str, f32)> {
        let law = entry(&config, row(outputs, &device));
        law.parameters().into_iter().map(|(name, t)| (name, t.mean().into_scalar())).collect()
    };
    let ln2 = 2f32.ln();
    assert_eq!(of(LikelihoodConfig::Bernoulli {}, &[0.3]), [("logits", 0.3)]);
    assert_eq!(
        of(LikelihoodConfig::Normal { scale: 0.5 }, &[1.0]),
        [("mean", 1.0), ("scale", 0.5)]
    );
    let counts = LikelihoodConfig::NegativeBinomial { min_inverse_dispersion: 1.0 };
    let got = of(counts, &[0.0, 0.0]);
    assert_eq!([got[0].0, got[1].0], ["mean", "inverse_dispersion"]);
    assert!((got[0].1 - ln2).abs() < 1e-6 && (got[1].1 - 1.0 - ln2).abs() < 1e-6);
}

#[test]
fn what_is_out_of_range_is_named() {
    use LikelihoodConfig as L;
    for (config, needle) in [
        (L::Normal { scale: -1.0 }, "`scale` must be finite and above 0, but is -1"),
        (
            L::LearnedNormal { min_scale: f64::NAN, initial_scale: None, mean_scale: None },
            "`min_scale`",
        ),
        (
            L::LearnedNormal { min_scale: 0.1, initial_scale: None, mean_scale: Some(-1.0) },
            "`mean_scale`",
        ),
        (L::StudentT { min_scale: 0.1, min_degrees: 0.0 }, "`min_degrees`"),
        (
            L::DiscretizedLogistic { levels: 1, components: 1, min_scale: 0.1 },
            "`levels` must be between 2 and",
        ),
        (L::DiscretizedLogistic { levels: 8, components: 0, min_scale: 0.1 }, "`components`"),
        (L::Categorical { classes: 1 }, "`classes`"),
        (L::NegativeBinomial { min_inverse_dispersion: 0.0 }, "`min_inverse_dispersion`"),
    ] {
        let error = config.check(1).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    let text =
        r#"{"type": "columns", "groups": [{"columns": 1, "likelihood": {"type": "poisson"}}]}"#;
    serde_json::from_str::<LikelihoodConfig>(text).unwrap().check(1).unwrap();
    let unknown = r#"{"type": "normal", "sigma": 1.0}"#;
    assert!(serde_json::from_str::<LikelihoodConfig>(unknown).is_err());
}
