//! Every loss term against a second implementation in double precision: values, and gradients by
//! central differences.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{DType, Device, Tensor};
use dvae_distributions::{
    Bernoulli, DiagonalNormal, LearnedNormal, Likelihood, LikelihoodConfig, Normal, OptimalNormal,
    StandardNormal,
};
use proptest::prelude::*;

/// The values of a term and its gradients in both parameters.
type Parts = (Vec<f32>, Vec<f32>, Vec<f32>);

/// A term of two parameters, by Burn.
fn by_burn(a: &[f64], b: &[f64], term: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Parts {
    let device = Device::flex().autodiff();
    let leaf = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        Tensor::<1>::from_data(values.as_slice(), &device)
            .reshape([1, values.len()])
            .detach()
            .require_grad()
    };
    let (a, b) = (leaf(a), leaf(b));
    let values = term(a.clone(), b.clone());
    let gradients = values.clone().sum().backward();
    let read = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
    let gradient =
        |leaf: Tensor<2>| leaf.grad(&gradients).map_or_else(|| vec![0.0; leaf.dims()[1]], read);
    (read(values.inner()), gradient(a), gradient(b))
}

fn check(a: &[f64], b: &[f64], parts: Parts, exact: impl Fn(f64, f64) -> f64) {
    const H: f64 = 1e-5;
    let close = |got: f32, expected: f64, what: &str, i: usize| {
        let gap = (f64::from(got) - expected).abs();
        assert!(
            gap <= 2e-5 * (1.0 + expected.abs()),
            "{what} at ({}, {}): {got}, not {expected}",
            a[i],
            b[i]
        );
    };
    for i in 0..a.len() {
        // The parameters as Burn sees them.
        let (x, y) = (f64::from(a[i] as f32), f64::from(b[i] as f32));
        close(parts.0[i], exact(x, y), "value", i);
        close(parts.1[i], (exact(x + H, y) - exact(x - H, y)) / (2.0 * H), "first gradient", i);
        close(parts.2[i], (exact(x, y + H) - exact(x, y - H)) / (2.0 * H), "second gradient", i);
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn normal(x: f64, mean: f64, scale: f64) -> f64 {
    let standard = (x - mean) / scale;
    -0.5 * standard * standard - scale.ln() - 0.5 * std::f64::consts::TAU.ln()
}

/// Rows of 9 pairs, the second within `[low, high]`.
fn pairs(low: f64, high: f64) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    use proptest::collection::vec;
    (vec(-6.0..6.0, 9), vec(low..high, 9))
}

proptest! {
    #[test]
    fn bernoulli((logits, x) in pairs(0.0, 1.0)) {
        let parts = by_burn(&logits, &x, |l, x| Bernoulli::new(l).log_prob(x));
        check(&logits, &x, parts, |l, x| x * l - softplus(l));
    }

    #[test]
    fn normal_of_fixed_scale((mean, x) in pairs(-2.0, 2.0)) {
        let parts = by_burn(&mean, &x, |m, x| Normal::new(m, 0.7).unwrap().log_prob(x));
        check(&mean, &x, parts, |m, x| normal(x, m, 0.7));
    }

    #[test]
    fn normal_of_learned_scale((raw, mean) in pairs(-2.0, 2.0)) {
        let parts = by_burn(&raw, &mean, |raw, mean| {
            let x = Tensor::full(mean.dims(), 0.5, &mean.device());
            LearnedNormal::new(mean, raw, 0.3).unwrap().log_prob(x)
        });
        check(&raw, &mean, parts, |raw, mean| normal(0.5, mean, 0.3 + softplus(raw)));
    }

    #[test]
    fn kl_to_the_standard_normal((mean, log_variance) in pairs(-4.0, 4.0)) {
        let kl = |mean, log_variance| DiagonalNormal::new(mean, log_variance).kl_to_standard_normal();
        let parts = by_burn(&mean, &log_variance, kl);
        check(&mean, &log_variance, parts, |m, lv| 0.5 * (m * m + lv.exp() - 1.0 - lv));
    }

    #[test]
    fn posterior_and_prior((mean, log_variance) in pairs(-2.0, 2.0)) {
        // One latent a row, so that the sum over latents is the latent itself.
        let column = |t: Tensor<2>| t.transpose();
        let parts = by_burn(&mean, &log_variance, |mean, log_variance| {
            let z = Tensor::full([9, 1], 0.4, &mean.device());
            let log_q = DiagonalNormal::new(column(mean), column(log_variance)).log_prob(z);
            log_q.reshape([1, 9])
        });
        check(&mean, &log_variance, parts, |m, lv| normal(0.4, m, (0.5 * lv).exp()));

        let parts = by_burn(&mean, &mean, |z, _| StandardNormal.log_prob(column(z)).reshape([1, 9]));
        check(&mean, &mean, parts, |z, _| normal(z, 0.0, 1.0));
    }
}

#[test]
fn gradients_at_extreme_logits_are_finite_and_right() {
    let logits = [1e4, -1e4, 1e4, -1e4];
    let x = [1.0, 0.0, 0.0, 1.0];
    // d/dl = x − σ(l).
    let (_, gradient, _) = by_burn(&logits, &x, |l, x| Bernoulli::new(l).log_prob(x));
    assert_eq!(gradient, [0.0, 0.0, -1.0, 1.0]);
    let raw = [1e4, -1e4];
    let (_, gradient, _) = by_burn(&raw, &[0.0, 0.0], |raw, mean| {
        let x = Tensor::full(mean.dims(), 0.5, &mean.device());
        LearnedNormal::new(mean, raw, 0.3).unwrap().log_prob(x)
    });
    assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
}

// Weights of 2, 1 and 0 count an entry twice, once and not at all.
#[test]
fn weights_count_entries() {
    let device = Device::flex();
    let tensor = |values: [f32; 3]| Tensor::<2>::from_data([values], &device);
    let (parameters, x) = (tensor([0.3, -1.2, 2.0]), tensor([1.0, 0.2, 0.0]));
    let of = |config: LikelihoodConfig, parts: usize| {
        config.of(Tensor::cat(vec![parameters.clone(); parts], 1), None).unwrap()
    };
    let counts = Tensor::<2>::from_data([[3.0, 0.0, 1.0]], &device);
    let laws = [
        (of(LikelihoodConfig::Bernoulli {}, 1), &x),
        (of(LikelihoodConfig::Normal { scale: 0.7 }, 1), &x),
        (
            of(
                LikelihoodConfig::LearnedNormal {
                    min_scale: 0.1,
                    initial_scale: None,
                    mean_scale: None,
                },
                2,
            ),
            &x,
        ),
        (of(LikelihoodConfig::StudentT { min_scale: 0.1, min_degrees: 2.0 }, 3), &x),
        (of(LikelihoodConfig::Poisson {}, 1), &counts),
        (of(LikelihoodConfig::NegativeBinomial { min_inverse_dispersion: 0.1 }, 2), &counts),
    ];
    for (law, x) in laws {
        let entries: Vec<f32> = law.log_prob(x.clone()).into_data().try_to_vec().unwrap();
        let sum = law.weighted_log_likelihood(x.clone(), tensor([2.0, 1.0, 0.0]));
        let expected: f32 = 2.0 * entries[0] + entries[1];
        assert!((sum.into_scalar::<f32>() - expected).abs() < 1e-6 * expected.abs().max(1.0));
    }
}

// Formulas with derivatives of their own against Burn's operations in double precision.
#[test]
fn fused_and_plain_agree_at_extremes() {
    type Law = fn(Tensor<1>) -> Box<dyn Likelihood<1>>;
    let far = [1e4, -1e4, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, 88.0, -88.0];
    // One infinite mean would make the scale of the whole batch infinite.
    let finite = [1e4, -1e4, 0.3, 0.0, 88.0, -88.0, 1e-6, -3.0];
    let laws: [(Law, [f32; 8]); 3] = [
        (|logits| Box::new(Bernoulli::new(logits)), far),
        (|mean| Box::new(Normal::new(mean, 0.5).unwrap()), far),
        (|mean| Box::new(OptimalNormal::new(mean, 0.1).unwrap()), finite),
    ];
    for (law, parameters) in laws {
        for x in [0.0f32, 1.0, 0.5] {
            let [fused, plain] = [DType::F32, DType::F64].map(|dtype| {
                let device = Device::flex().autodiff();
                let leaf = Tensor::<1>::from_data(parameters, &device).cast(dtype);
                let leaf = leaf.detach().require_grad();
                let x = Tensor::<1>::full([8], x, &Device::flex()).cast(dtype);
                let nats = law(leaf.clone()).log_prob(x);
                let gradient = leaf.grad(&nats.clone().sum().backward()).unwrap();
                [nats.inner(), gradient].map(|t| t.into_data().iter::<f64>().collect::<Vec<_>>())
            });
            for (i, (fused, plain)) in fused.concat().into_iter().zip(plain.concat()).enumerate() {
                let same = fused.is_nan() && plain.is_nan()
                    || fused == plain
                    || (fused - plain).abs() <= 2e-6 * plain.abs().max(1.0);
                assert!(same, "{}, x {x}, {i}: {fused}, not {plain}", parameters[i % 8]);
            }
        }
    }
}
