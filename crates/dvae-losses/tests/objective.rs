//! Objectives as they stand in files, what they refuse, and their losses by hand.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Device, Tensor};
use dvae_distributions::{
    Chain, DiagonalNormal, Encoding, FlowPosterior, FullNormal, Inference, Kl, MixtureNormal,
    Planar, Posterior, Prior,
};
use dvae_losses::{
    Bound, BoundTerms, Denominator, DipType, Elbo, Emphasis, Estimator, KlTerm, LossContext,
    LossError, MmdKernel, Objective, Schedule, WarmUp,
};
use dvae_random::Key;

fn tensor<const D: usize>(values: impl Into<burn::tensor::TensorData>) -> Tensor<D> {
    Tensor::from_data(values, &Device::flex())
}

fn encoding() -> Encoding {
    DiagonalNormal::new(tensor([[0.0, 0.0], [1.0, 2.0]]), tensor([[0.0, 0.0], [0.0, 0.0]])).into()
}

/// Draws whose log-likelihoods are given, row by row, and whose KLs are ½ and 1½ for the two latents.
fn sampled(log_likelihoods: &[[f32; 2]]) -> Vec<BoundTerms> {
    let draws = log_likelihoods.iter().map(|log_likelihood| {
        let inference = Inference {
            latent: tensor([[0.0, 0.0], [1.0, 1.0]]),
            log_posterior: tensor([1.0, 2.0]),
            log_prior: tensor([0.0, 0.0]),
            kl: Kl::ClosedForm(tensor([[0.25, 1.0], [0.75, 2.0]])),
        };
        Elbo::from_rows(tensor(*log_likelihood), inference)
    });
    vec![BoundTerms { encoding: encoding(), draws: draws.collect() }]
}

fn loss(objective: &Objective, sampled: &[BoundTerms], progress: f64) -> f64 {
    objective.check().unwrap();
    let context = &mut LossContext { progress, rows: 2, noise: &mut Key::new(1).rows(&[0, 1]) };
    objective.loss(sampled, context).into_scalar::<f64>()
}

fn with_kl(kl: KlTerm) -> Objective {
    Objective { kl, ..Objective::default() }
}

// Mean log-likelihood −4, mean KL per latent ½ and 1½.
#[test]
fn losses_are_hand_worked() {
    let draws = sampled(&[[-3.0, -5.0]]);
    let warm_up = WarmUp { from: 0.0, to: 2.0, until: 1.0 };
    for (kl, progress, expected) in [
        (KlTerm::default(), 1.0, 4.0 + 2.0),
        (KlTerm::Weighted { beta: Schedule::Constant(4.0) }, 1.0, 4.0 + 8.0),
        (KlTerm::Weighted { beta: Schedule::Linear(warm_up) }, 0.25, 4.0 + 0.5 * 2.0),
        (KlTerm::FreeBits { nats: 1.0, group: 1 }, 1.0, 4.0 + 1.0 + 1.5),
        (KlTerm::FreeBits { nats: 3.0, group: 2 }, 1.0, 4.0 + 3.0),
        (KlTerm::Capacity { gamma: 10.0, nats: Schedule::Constant(5.0) }, 1.0, 4.0 + 30.0),
        (KlTerm::Capacity { gamma: 10.0, nats: Schedule::Linear(warm_up) }, 0.5, 4.0 + 10.0),
        // Means (0, 0), (1, 2): covariance ¼, ½, ½, 1: 2 · ¼ off, 9/16 on.
        (
            KlTerm::Dip { form: DipType::I, off_diagonal: 2.0, diagonal: 4.0 },
            1.0,
            4.0 + 2.0 + 2.0 * 0.5 + 4.0 * 0.5625,
        ),
    ] {
        let got = loss(&with_kl(kl.clone()), &draws, progress);
        assert!((got - expected).abs() < 1e-5, "{kl:?}: {got}, not {expected}");
    }
    // Two draws: the mean of their terms; importance weights: ln of the mean of e^−4, e^−2 and of e^−7, e^−9.
    let draws = sampled(&[[-3.0, -5.0], [-1.0, -7.0]]);
    let two = Objective { latents: 2, ..Objective::default() };
    assert!((loss(&two, &draws, 1.0) - (4.0 + 2.0)).abs() < 1e-6);
    let log_mean = |a: f64, b: f64| ((a.exp() + b.exp()) / 2.0).ln();
    let expected = -0.5 * (log_mean(-4.0, -2.0) + log_mean(-7.0, -9.0));
    for estimator in [Estimator::Reparameterized, Estimator::DoublyReparameterized] {
        let diwae = Objective { bound: Bound::Diwae, estimator, ..two.clone() };
        assert!((loss(&diwae, &draws, 1.0) - expected).abs() < 1e-5, "{estimator:?}");
    }
}

#[test]
fn an_emphasis_is_in_the_loss_and_not_in_the_bound() {
    let mut draws = sampled(&[[-3.0, -5.0]]);
    let elbo = draws[0].draws.pop().unwrap();
    draws[0].draws.push(elbo.emphasizing(tensor([-1.0, -2.0])));
    let objective = Objective::default();
    assert_eq!(loss(&objective, &draws, 1.0), 1.5 + 2.0);
    assert_eq!(objective.bound_of(&draws).mean().into_scalar::<f64>(), -6.0);
}

#[test]
fn a_file_says_it_all_and_an_unknown_key_is_an_error() {
    let text = r#"
        bound = "dvae"
        corruptions = 2
        latents = 3
        denominator = "own"
        estimator = "reparameterized"
        kl = { rule = "weighted", beta = { cyclical = { from = 0, to = 1, cycles = 4 } } }
        emphasis = { changed = 2.0 }
    "#;
    let objective: Objective = toml::from_str(text).unwrap();
    objective.check().unwrap();
    assert_eq!((objective.corruptions, objective.latents), (2, 3));
    assert_eq!(objective.emphasis, Emphasis { changed: 2.0, unchanged: 1.0 });
    let again: Objective = toml::from_str(&toml::to_string(&objective).unwrap()).unwrap();
    assert_eq!(again, objective);
    for kl in [
        r#"{ rule = "free-bits", nats = 0.1, group = 2 }"#,
        r#"{ rule = "capacity", gamma = 30, nats = { linear = { from = 0, to = 25, until = 0.8 } } }"#,
        r#"{ rule = "total-correlation", beta = 6 }"#,
        r#"{ rule = "mmd", alpha = 0.5, lambda = 100, kernel = "gaussian" }"#,
        r#"{ rule = "dip", type = "ii", off_diagonal = 10, diagonal = 5 }"#,
        r#"{ rule = "weighted", beta = { cosine = { from = 0, to = 1, until = 0.2 } } }"#,
    ] {
        let objective: Objective = toml::from_str(&format!("kl = {kl}")).unwrap();
        objective.check().unwrap();
        let again: Objective = toml::from_str(&toml::to_string(&objective).unwrap()).unwrap();
        assert_eq!(again, objective);
    }
    assert_eq!(toml::from_str::<Objective>("").unwrap(), Objective::default());
    for wrong in ["corruption = 2", "kl = { rule = \"weighted\", gamma = 1 }", "bound = \"elbo\""] {
        assert!(toml::from_str::<Objective>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_be_combined_is_refused_with_the_reason() {
    use Denominator::Mixture;
    use Estimator::{DoublyReparameterized, StickingTheLanding};
    let plain = Objective::default();
    let diwae = Objective { bound: Bound::Diwae, ..plain.clone() };
    let free = KlTerm::FreeBits { nats: 0.1, group: 1 };
    let emphasis = Emphasis { changed: 2.0, unchanged: 1.0 };
    for (objective, reason) in [
        (Objective { kl: free.clone(), ..diwae.clone() }, "no KL term apart"),
        (Objective { emphasis, ..diwae.clone() }, "a likelihood that is one"),
        (Objective { estimator: StickingTheLanding, ..diwae.clone() }, "biased"),
        (
            Objective { estimator: StickingTheLanding, kl: free.clone(), ..plain.clone() },
            "estimates the KL from the draw",
        ),
        (Objective { denominator: Mixture, kl: free, ..plain.clone() }, "that of the draws"),
        (
            Objective { denominator: Mixture, estimator: StickingTheLanding, ..plain.clone() },
            "its own density",
        ),
        (Objective { estimator: DoublyReparameterized, ..plain }, "no importance weights"),
        (
            Objective { estimator: DoublyReparameterized, denominator: Mixture, ..diwae },
            "divided by its own density",
        ),
    ] {
        let error = objective.check().unwrap_err();
        assert!(matches!(error, LossError::Combination { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn what_is_out_of_range_is_named() {
    for (kl, needle) in [
        (KlTerm::Weighted { beta: Schedule::Constant(-1.0) }, "`kl.beta`"),
        (KlTerm::FreeBits { nats: f64::NAN, group: 1 }, "`kl.nats`"),
        (KlTerm::FreeBits { nats: 1.0, group: 0 }, "`kl.group`"),
        (KlTerm::Capacity { gamma: f64::INFINITY, nats: Schedule::Constant(1.0) }, "`kl.gamma`"),
        (KlTerm::TotalCorrelation { alpha: 1.0, beta: -2.0, gamma: 1.0 }, "`kl.beta`"),
        (KlTerm::Mmd { alpha: 2.0, lambda: 1.0, kernel: MmdKernel::Gaussian }, "`1 - kl.alpha`"),
        (
            KlTerm::Mmd { alpha: 0.0, lambda: 0.5, kernel: MmdKernel::Gaussian },
            "`kl.alpha + kl.lambda - 1`",
        ),
        (KlTerm::Dip { form: DipType::I, off_diagonal: -1.0, diagonal: 1.0 }, "`kl.off_diagonal`"),
    ] {
        let error = with_kl(kl).check().unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    let none = Objective { corruptions: 0, ..Objective::default() };
    let error = none.check().unwrap_err().to_string();
    assert!(error.contains("`corruptions` must be between 1 and"), "{error}");
    let emphasis = Emphasis { changed: f64::NAN, unchanged: 1.0 };
    let error = Objective { emphasis, ..Objective::default() }.check().unwrap_err().to_string();
    assert!(error.contains("`emphasis.changed` must be finite and at least 0"), "{error}");
}

#[test]
fn a_model_that_an_objective_is_not_for_is_refused() {
    let two = || tensor::<2>([[0.0, 0.0]]);
    let diagonal = || DiagonalNormal::new(two(), two());
    let planar = Planar::new(two(), two(), tensor([[0.0]]));
    let flow = FlowPosterior::new(diagonal(), std::sync::Arc::new(Chain(vec![planar])));
    let flow = Encoding { posterior: Posterior::Flow(flow), prior: Prior::Standard };
    let full = Posterior::Full(FullNormal::new(two(), two(), Some(tensor([[0.1]]))));
    let full = Encoding { posterior: full, prior: Prior::Standard };
    let mixture = Prior::Mixture(MixtureNormal::uniform(two(), two()));
    let mixed = Encoding { posterior: Posterior::Diagonal(diagonal()), prior: mixture };
    let refused = |objective: &Objective, encoding: &Encoding, needle: &str| {
        objective.check().unwrap();
        let error = objective.check_encoding(encoding).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    };
    let landing = Objective { estimator: Estimator::StickingTheLanding, ..Objective::default() };
    refused(&landing, &flow, "known at every point, but the model has a posterior by a flow");
    landing.check_encoding(&full).unwrap();
    let free = |group| with_kl(KlTerm::FreeBits { nats: 0.1, group });
    refused(&free(1), &flow, "a KL of each latent");
    refused(&free(1), &mixed, "a KL of each latent");
    free(2).check_encoding(&flow).unwrap();
    free(1).check_encoding(&full).unwrap();
    refused(&free(3), &full, "a multiple of 3, but the model has 2 latents");
    let correlation = with_kl(KlTerm::TotalCorrelation { alpha: 1.0, beta: 2.0, gamma: 1.0 });
    refused(&correlation, &full, "a diagonal normal posterior");
    refused(&correlation, &mixed, "a standard normal prior");
    let dip = with_kl(KlTerm::Dip { form: DipType::I, off_diagonal: 1.0, diagonal: 1.0 });
    refused(&dip, &flow, "a diagonal normal posterior");
}
