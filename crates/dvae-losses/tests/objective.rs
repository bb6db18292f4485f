//! Objectives as they stand in files, what they refuse, and their losses by hand.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Device, Tensor};
use dvae_distributions::{
    Chain, DiagonalNormal, Encoding, FlowPosterior, FullNormal, Inference, Kl, MixtureNormal,
    Planar, Posterior, Prior,
};
use dvae_losses::{
    BoundTerms, DipCovariance, Elbo, Emphasis, Estimator, ImportanceWeights, KlTerm, LossContext,
    MmdKernel, Objective, Schedule, WarmUp,
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
    let kl = vec![Kl::ClosedForm(tensor([[0.25, 1.0], [0.75, 2.0]]))];
    with_kl(kl, log_likelihoods)
}

/// The same with the KL of each level.
fn with_kl(kl: Vec<Kl>, log_likelihoods: &[[f32; 2]]) -> Vec<BoundTerms> {
    let draws = log_likelihoods.iter().map(|log_likelihood| {
        let inference = Inference {
            latents: tensor::<2>([[0.0, 0.0], [1.0, 1.0]]).into(),
            log_posterior: tensor([1.0, 2.0]),
            log_prior: tensor([0.0, 0.0]),
            kl: kl.clone(),
            context: None,
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

fn emphasizing(emphasis: Emphasis) -> Objective {
    Objective::Dvae { corruptions: 1, latents: 1, kl: KlTerm::default(), emphasis }
}

// Mean KL of the levels 2, 1 and 3 nats: β (2 + ω λ + ω² 3) with λ = 1½ and ω = 2 half-way from 3 to 1.
#[test]
fn a_level_weighs_the_ratio_times_the_level_above() {
    let level = |nats: f32| Kl::ClosedForm(tensor([[nats - 0.5], [nats + 0.5]]));
    let sampled = with_kl(vec![level(2.0), level(1.0), level(3.0)], &[[-3.0, -5.0]]);
    let ratio = Schedule::Linear(WarmUp { from: 3.0, to: 1.0, until: 1.0 });
    let kl = KlTerm::LevelFreeBits { nats: 1.5, beta: 0.5.into(), ratio };
    let expected = 4.0 + 0.5 * (2.0 + 2.0 * 1.5 + 4.0 * 3.0);
    assert!((loss(&Objective::from(kl), &sampled, 0.5) - expected).abs() < 1e-6);
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
        (KlTerm::LevelFreeBits { nats: 3.0, beta: 0.5.into(), ratio: 4.0.into() }, 1.0, 4.0 + 1.5),
        (KlTerm::LevelFreeBits { nats: 1.0, beta: 0.5.into(), ratio: 4.0.into() }, 1.0, 4.0 + 1.0),
        (KlTerm::Capacity { gamma: 10.0, nats: Schedule::Constant(5.0) }, 1.0, 4.0 + 30.0),
        (KlTerm::Capacity { gamma: 10.0, nats: Schedule::Linear(warm_up) }, 0.5, 4.0 + 10.0),
        // Means (0, 0), (1, 2): covariance ¼, ½, ½, 1: 2 · ¼ off, 9/16 on.
        (
            KlTerm::Dip { covariance: DipCovariance::Means, off_diagonal: 2.0, diagonal: 4.0 },
            1.0,
            4.0 + 2.0 + 2.0 * 0.5 + 4.0 * 0.5625,
        ),
    ] {
        let got = loss(&kl.clone().into(), &draws, progress);
        assert!((got - expected).abs() < 1e-5, "{kl:?}: {got}, not {expected}");
    }
    // Two draws: the mean of their terms; importance weights: ln of the mean of e^−4, e^−2 and of e^−7, e^−9.
    let draws = sampled(&[[-3.0, -5.0], [-1.0, -7.0]]);
    let two = Objective::dvae(1, 2);
    assert!((loss(&two, &draws, 1.0) - (4.0 + 2.0)).abs() < 1e-6);
    let log_mean = |a: f64, b: f64| ((a.exp() + b.exp()) / 2.0).ln();
    let expected = -0.5 * (log_mean(-4.0, -2.0) + log_mean(-7.0, -9.0));
    for weights in [ImportanceWeights::Own, ImportanceWeights::DoublyReparameterized] {
        let diwae = Objective::Diwae { corruptions: 1, latents: 2, weights };
        assert!((loss(&diwae, &draws, 1.0) - expected).abs() < 1e-5, "{weights:?}");
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
        kl = { type = "weighted", beta = { cyclical = { from = 0, to = 1, cycles = 4 } } }
        emphasis = { changed = 2.0 }
    "#;
    let objective: Objective = toml::from_str(text).unwrap();
    objective.check().unwrap();
    assert_eq!((objective.corruptions(), objective.latents()), (2, 3));
    assert_eq!(objective.emphasis(), Emphasis { changed: 2.0, unchanged: 1.0 });
    let again: Objective = toml::from_str(&toml::to_string(&objective).unwrap()).unwrap();
    assert_eq!(again, objective);
    for kl in [
        r#"{ type = "free-bits", nats = 0.1, group = 2 }"#,
        r#"{ type = "level-free-bits", nats = 4, ratio = { linear = { from = 4, to = 1, until = 0.6 } } }"#,
        r#"{ type = "capacity", gamma = 30, nats = { linear = { from = 0, to = 25, until = 0.8 } } }"#,
        r#"{ type = "total-correlation", beta = 6 }"#,
        r#"{ type = "mmd", alpha = 0.5, lambda = 100, kernel = "gaussian" }"#,
        r#"{ type = "dip", covariance = "latents", off_diagonal = 10, diagonal = 5 }"#,
        r#"{ type = "weighted", beta = { cosine = { from = 0, to = 1, until = 0.2 } } }"#,
        r#"{ type = "sticking-the-landing", beta = 2 }"#,
        r#"{ type = "mixture" }"#,
    ] {
        let objective: Objective = toml::from_str(&format!("bound = \"dvae\"\nkl = {kl}")).unwrap();
        objective.check().unwrap();
        let again: Objective = toml::from_str(&toml::to_string(&objective).unwrap()).unwrap();
        assert_eq!(again, objective);
    }
    let read = |text: &str| toml::from_str::<Objective>(&format!("bound = {text}"));
    assert_eq!(read("\"dvae\"").unwrap(), Objective::default());
    assert_eq!(read("\"diwae\"\nlatents = 9").unwrap(), Objective::diwae(1, 9));
    for wrong in ["\"dvae\"\ncorruption = 2", "\"dvae\"\nkl = { gamma = 1 }", "\"elbo\""] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

// What a bound cannot be combined with is an unknown key or type of it.
#[test]
fn a_bound_has_only_what_it_can_be_combined_with() {
    for (wrong, key) in [
        ("\"diwae\"\nkl = { type = \"free-bits\", nats = 0.1 }", "kl"),
        ("\"diwae\"\nemphasis = { changed = 2 }", "emphasis"),
        ("\"diwae\"\nweights = \"sticking-the-landing\"", "sticking-the-landing"),
        ("\"dvae\"\nweights = \"doubly-reparameterized\"", "weights"),
        ("\"dvae\"\nkl = { type = \"doubly-reparameterized\" }", "doubly-reparameterized"),
        ("\"dvae\"\nkl = { type = \"mixture\", nats = 0.1 }", "nats"),
    ] {
        let error = toml::from_str::<Objective>(&format!("bound = {wrong}")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("unknown") && text.contains(&format!("`{key}`")), "{text}");
    }
}

#[test]
fn a_kl_or_weights_say_the_estimator_and_the_denominator() {
    use Estimator::{DoublyReparameterized, Reparameterized, StickingTheLanding};
    let beta = Schedule::Constant(2.0);
    let weights = |weights| Objective::Diwae { corruptions: 1, latents: 1, weights };
    for (objective, estimator, mixture, beta) in [
        (Objective::default(), Reparameterized, false, Some(1.0)),
        (KlTerm::FreeBits { nats: 0.1, group: 1 }.into(), Reparameterized, false, None),
        (KlTerm::StickingTheLanding { beta }.into(), StickingTheLanding, false, Some(2.0)),
        (KlTerm::Mixture { beta }.into(), Reparameterized, true, Some(2.0)),
        (weights(ImportanceWeights::Own), Reparameterized, false, Some(1.0)),
        (
            weights(ImportanceWeights::DoublyReparameterized),
            DoublyReparameterized,
            false,
            Some(1.0),
        ),
        (weights(ImportanceWeights::Mixture), Reparameterized, true, Some(1.0)),
    ] {
        assert_eq!(objective.estimator(), estimator, "{objective:?}");
        assert_eq!(objective.mixture_denominator(), mixture, "{objective:?}");
        assert_eq!(objective.beta(0.5), beta, "{objective:?}");
    }
}

#[test]
fn what_is_out_of_range_is_named() {
    for (kl, needle) in [
        (KlTerm::Weighted { beta: Schedule::Constant(-1.0) }, "`kl.beta`"),
        (KlTerm::FreeBits { nats: f64::NAN, group: 1 }, "`kl.nats`"),
        (KlTerm::FreeBits { nats: 1.0, group: 0 }, "`kl.group`"),
        (KlTerm::LevelFreeBits { nats: -1.0, beta: 1.0.into(), ratio: 1.0.into() }, "`kl.nats`"),
        (
            KlTerm::LevelFreeBits { nats: 1.0, beta: 1.0.into(), ratio: f64::NAN.into() },
            "`kl.ratio`",
        ),
        (KlTerm::LevelFreeBits { nats: 1.0, beta: 1.0.into(), ratio: 11.0.into() }, "`kl.ratio`"),
        (KlTerm::Capacity { gamma: f64::INFINITY, nats: Schedule::Constant(1.0) }, "`kl.gamma`"),
        (KlTerm::TotalCorrelation { alpha: 1.0, beta: -2.0, gamma: 1.0 }, "`kl.beta`"),
        (KlTerm::Mmd { alpha: 2.0, lambda: 1.0, kernel: MmdKernel::Gaussian }, "`1 - kl.alpha`"),
        (
            KlTerm::Mmd { alpha: 0.0, lambda: 0.5, kernel: MmdKernel::Gaussian },
            "`kl.alpha + kl.lambda - 1`",
        ),
        (
            KlTerm::Dip { covariance: DipCovariance::Means, off_diagonal: -1.0, diagonal: 1.0 },
            "`kl.off_diagonal`",
        ),
    ] {
        let error = Objective::from(kl).check().unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    let none = Objective::diwae(0, 1);
    let error = none.check().unwrap_err().to_string();
    assert!(error.contains("`corruptions` must be between 1 and"), "{error}");
    let emphasis = Emphasis { changed: f64::NAN, unchanged: 1.0 };
    let error = emphasizing(emphasis).check().unwrap_err().to_string();
    assert!(error.contains("`emphasis.changed` must be finite and at least 0"), "{error}");
}

#[test]
fn a_model_that_an_objective_is_not_for_is_refused() {
    let two = || tensor::<2>([[0.0, 0.0]]);
    let diagonal = || DiagonalNormal::new(two(), two());
    let planar = Planar::new(two(), two(), tensor([[0.0]]));
    let flow = FlowPosterior::new(diagonal(), std::sync::Arc::new(Chain(vec![planar])));
    let flow = Encoding::new(Posterior::Flow(flow), Prior::Standard);
    let full = Posterior::Full(FullNormal::new(two(), two(), Some(tensor([[0.1]]))));
    let full = Encoding::new(full, Prior::Standard);
    let mixture = Prior::Mixture(MixtureNormal::uniform(two(), two()));
    let mixed = Encoding::new(Posterior::Diagonal(diagonal()), mixture);
    let refused = |objective: &Objective, encoding: &Encoding, needle: &str| {
        objective.check().unwrap();
        let error = objective.check_encoding(encoding).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    };
    let beta = Schedule::Constant(1.0);
    let landing = Objective::from(KlTerm::StickingTheLanding { beta });
    refused(&landing, &flow, "known at every point, but the model has a posterior by a flow");
    landing.check_encoding(&full).unwrap();
    let known = "known at every point";
    refused(&KlTerm::Mixture { beta }.into(), &flow, known);
    for weights in [ImportanceWeights::Mixture, ImportanceWeights::DoublyReparameterized] {
        refused(&Objective::Diwae { corruptions: 2, latents: 2, weights }, &flow, known);
    }
    Objective::diwae(2, 2).check_encoding(&flow).unwrap();
    let free = |group| Objective::from(KlTerm::FreeBits { nats: 0.1, group });
    refused(&free(1), &flow, "a KL of each latent");
    refused(&free(1), &mixed, "a KL of each latent");
    free(2).check_encoding(&flow).unwrap();
    free(1).check_encoding(&full).unwrap();
    refused(&free(3), &full, "a multiple of 3, but the model has 2 latents");
    let correlation =
        Objective::from(KlTerm::TotalCorrelation { alpha: 1.0, beta: 2.0, gamma: 1.0 });
    refused(&correlation, &full, "a diagonal normal posterior");
    refused(&correlation, &mixed, "a standard normal prior");
    let dip = Objective::from(KlTerm::Dip {
        covariance: DipCovariance::Means,
        off_diagonal: 1.0,
        diagonal: 1.0,
    });
    refused(&dip, &flow, "a diagonal normal posterior");
}
