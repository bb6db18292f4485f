//! Each objective trains the small convolutional model on embedded images and does what it is for.

#![allow(clippy::unwrap_used)] // A test may panic.

mod reports;

use burn::tensor::{Bool, Device, Tensor};
use dvae_corruption::{Clean, Corruption, Masking, Part};
use dvae_data::{Dataset, fashion_mnist};
use dvae_distributions::{Likelihood, LikelihoodConfig, Prior};
use dvae_losses::{
    DipCovariance, Emphasis, ImportanceWeights, KlDecomposition, KlTerm, LossContext, MmdKernel,
    Objective, Schedule, WarmUp, mmd,
};
use dvae_models::{
    AnyNetwork, Autoencoder, AutoencoderConfig, ConvNetConfig, PosteriorConfig, PriorConfig, Vae,
};
use dvae_random::{Key, Purpose};
use dvae_train::{
    BatchNoise, CorruptedBatch, EvaluationContext, LearningRate, Report, TrainConfig, Trainer,
    evaluate,
};
use reports::Reports;

const LATENT: usize = 12;
const EPOCHS: usize = 8;

fn device() -> Device {
    Device::flex()
}

fn images() -> (Dataset, Dataset) {
    fashion_mnist().train.take(700).split(100, Key::new(1)).unwrap()
}

fn small(image: &[usize]) -> AutoencoderConfig {
    AutoencoderConfig::new(ConvNetConfig::new(&[8, 16]), image, LATENT)
}

fn masking() -> Box<dyn Corruption<4>> {
    Box::new(Masking::new(0.3).unwrap())
}

/// A trained model, and the report of each epoch.
struct Run {
    model: Autoencoder<AnyNetwork>,
    reports: Vec<Report>,
}

impl Run {
    fn last(&self) -> &Report {
        self.reports.last().unwrap()
    }
}

fn run(
    config: &AutoencoderConfig,
    objective: Objective,
    corruption: Box<dyn Corruption<4>>,
    sets: &(Dataset, Dataset),
) -> Run {
    run_for(EPOCHS, config, objective, corruption, sets)
}

fn run_for(
    epochs: usize,
    config: &AutoencoderConfig,
    objective: Objective,
    corruption: Box<dyn Corruption<4>>,
    sets: &(Dataset, Dataset),
) -> Run {
    run_seeded(3, epochs, config, objective, corruption, sets)
}

fn run_seeded(
    seed: u64,
    epochs: usize,
    config: &AutoencoderConfig,
    objective: Objective,
    corruption: Box<dyn Corruption<4>>,
    (train, held_out): &(Dataset, Dataset),
) -> Run {
    let model = config.init(Key::new(seed).purpose(Purpose::Weights), &device()).unwrap();
    let learning_rate = LearningRate::constant(3e-3);
    let training = TrainConfig {
        epochs,
        batch_size: 32,
        learning_rate,
        objective,
        seed,
        ..TrainConfig::default()
    };
    let trainer = Trainer::new(model, corruption, training, &device()).unwrap();
    let reports = Reports::default();
    let model = trainer.observe(reports.clone()).fit(train, held_out).unwrap().model;
    let reports = reports.all();
    Run { model, reports }
}

/// On the embedded images, masked.
fn trained(objective: Objective) -> Run {
    run(&small(&[1, 28, 28]), objective, masking(), &images())
}

fn emphasizing(emphasis: Emphasis) -> Objective {
    Objective::Dvae { corruptions: 1, latents: 1, kl: KlTerm::default(), emphasis }
}

fn weighted(beta: f64) -> Objective {
    KlTerm::Weighted { beta: Schedule::Constant(beta) }.into()
}

/// Posterior means of the held-out rows.
fn embedded(model: &Autoencoder<AnyNetwork>, rows: &Dataset) -> Tensor<2> {
    model.embed(rows.gather::<4>(&rows.ids(), &device())).flat()
}

fn number(value: Tensor<1>) -> f64 {
    value.into_scalar::<f64>()
}

#[test]
fn beta_trades_the_kl_for_the_reconstruction_and_its_warm_up_is_logged() {
    let (one, four) = (trained(weighted(1.0)), trained(weighted(4.0)));
    let (kl, less) = (one.last().train.mean, four.last().train.mean);
    assert!(less.kl < 0.7 * kl.kl && less.log_likelihood < kl.log_likelihood);
    // The loss is the weighted one, the bound beside it is not.
    let last = four.last();
    assert!((last.train.loss - (4.0 * less.kl - less.log_likelihood)).abs() < 1e-3);
    assert!((less.elbo - (less.log_likelihood - less.kl)).abs() < 1e-9);
    assert_eq!(last.train.kl_per_latent[0].len(), LATENT);
    assert!((last.train.kl_per_latent[0].iter().sum::<f64>() - less.kl).abs() < 1e-3);
    let warm_up = WarmUp { from: 0.0, to: 1.0, until: 0.5 };
    let warm = trained(Objective::from(KlTerm::Weighted { beta: Schedule::Linear(warm_up) }));
    let betas: Vec<f64> = warm.reports.iter().map(|report| report.beta.unwrap()).collect();
    assert!(betas.windows(2).all(|pair| pair[0] <= pair[1]) && betas[0] > 0.0 && betas[0] < 0.3);
    assert_eq!(betas[EPOCHS - 1], 1.0);
    let first = |run: &Run| run.reports[0].train.mean.kl;
    assert!(first(&warm) > 1.5 * first(&one), "{} {}", first(&warm), first(&one));
}

// Three nats a unit are free, and six a group of four: more than the bound alone spends on them.
#[test]
fn free_bits_keep_every_unit_active() {
    let kl = |objective| trained(objective).last().validation.corrupted.kl_per_latent.concat();
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let groups = |values: &[f64]| values.chunks(4).map(|group| group.iter().sum()).collect();
    let plain = kl(Objective::default());
    let free = kl(Objective::from(KlTerm::FreeBits { nats: 3.0, group: 1 }));
    assert!(least(&plain) < 1.2 && least(&free) > 1.7, "{plain:.2?} and {free:.2?}");
    let (plain, free): (Vec<f64>, Vec<f64>) =
        (groups(&plain), groups(&kl(Objective::from(KlTerm::FreeBits { nats: 8.0, group: 4 }))));
    assert!(least(&plain) < 5.0 && least(&free) > 6.5, "{plain:.2?} and {free:.2?}");
}

#[test]
fn capacity_reaches_its_target() {
    let nats = Schedule::Linear(WarmUp { from: 0.0, to: 6.0, until: 0.5 });
    let run = trained(Objective::from(KlTerm::Capacity { gamma: 30.0, nats }));
    let kl: Vec<f64> = run.reports.iter().map(|report| report.train.mean.kl).collect();
    assert!((kl[EPOCHS - 1] - 6.0).abs() < 0.6 && kl[0] < 4.0);
}

/// Images of 12 × 12 of a bar whose place, thickness and brightness are independent.
fn factors() -> (Dataset, Dataset) {
    let uniforms = Key::new(7).rows(&(0..600).collect::<Vec<u64>>()).uniform_host(3);
    let mut values = Vec::new();
    for factors in uniforms.chunks(3) {
        let (place, thickness, light) =
            (factors[0] * 8.0 + 2.0, factors[1] * 2.0 + 0.5, factors[2]);
        for at in 0..144 {
            let gap = (at as f32 % 12.0 - place).abs();
            values.push((0.3 + 0.7 * light) / (1.0 + (4.0 * (gap - thickness)).exp()));
        }
    }
    Dataset::from_floats(values, &[1, 12, 12]).unwrap().split(100, Key::new(1)).unwrap()
}

#[test]
fn total_correlation_makes_latents_less_dependent() {
    let sets = factors();
    let total_correlation = |objective: Objective| {
        let run = run(&small(&[1, 12, 12]), objective, Box::new(Clean), &sets);
        let rows = &sets.0;
        let encoding = run.model.encode(rows.gather::<4>(&rows.ids(), &device()), &Prior::Standard);
        let posterior = encoding.posterior.diagonal().unwrap();
        let latent = posterior.sample(&mut Key::new(9).rows(&rows.ids()));
        let parts = KlDecomposition::new(posterior, latent, rows.len());
        number(parts.total_correlation)
    };
    let plain = total_correlation(Objective::default());
    let term = KlTerm::TotalCorrelation { alpha: 1.0, beta: 8.0, gamma: 1.0 };
    let less = total_correlation(term.into());
    assert!(less < 0.6 * plain, "{less} against {plain}");
}

#[test]
fn mmd_pulls_the_aggregated_posterior_to_the_prior_without_costing_information() {
    let (_, rows) = images();
    let discrepancy = |run: &Run| {
        let prior = Vae::<4>::sample_prior(&run.model, &mut Key::new(4).rows(&rows.ids())).flat();
        number(mmd(embedded(&run.model, &rows), prior, MmdKernel::InverseMultiquadratic))
    };
    let info = trained(Objective::from(KlTerm::Mmd {
        alpha: 1.0,
        lambda: 300.0,
        kernel: MmdKernel::InverseMultiquadratic,
    }));
    let (none, one) = (trained(weighted(0.0)), trained(weighted(1.0)));
    let [with, without] = [&info, &none].map(discrepancy);
    assert!(with < 0.2 * without && info.last().train.mean.kl > one.last().train.mean.kl);
}

#[test]
fn dip_makes_the_covariance_of_latents_more_like_the_identity() {
    let (_, rows) = images();
    let apart = |run: &Run, covariance| {
        let encoding = run.model.encode(rows.gather::<4>(&rows.ids(), &device()), &Prior::Standard);
        number(dvae_losses::dip(encoding.posterior.diagonal().unwrap(), covariance, [1.0, 1.0]))
    };
    let plain = trained(Objective::default());
    for covariance in [DipCovariance::Means, DipCovariance::Latents] {
        let kl = KlTerm::Dip { covariance, off_diagonal: 20.0, diagonal: 20.0 };
        let (before, after) = (apart(&plain, covariance), apart(&trained(kl.into()), covariance));
        assert!(after < 0.5 * before, "{covariance:?}: {after} against {before}");
    }
}

// The upper half of every image is erased; two latents have to choose what they say.
#[test]
fn emphasis_explains_what_was_changed_better() {
    let upper = || -> Box<dyn Corruption<4>> {
        let erase = Box::new(Masking::new(1.0).unwrap());
        Box::new(Part::new(erase).unwrap().region(0..14, None).unwrap())
    };
    let (_, rows) = images();
    let of_changed = |emphasis| {
        let config = AutoencoderConfig { latent: 2, ..small(&[1, 28, 28]) };
        let run = run_for(20, &config, emphasizing(emphasis), upper(), &images());
        let clean = rows.gather::<4>(&rows.ids(), &device());
        let mut streams = BatchNoise::evaluation(Key::new(5), &rows.ids());
        let damaged = upper().corrupt(clean.clone(), &mut streams.corruption);
        let likelihood = run.model.decode(run.model.embed(damaged.input));
        number(likelihood.weighted_log_likelihood(clean, damaged.changed.float()).mean())
    };
    let even = of_changed(Emphasis::default());
    let emphasized = of_changed(Emphasis { changed: 1.0, unchanged: 0.05 });
    assert!(emphasized > even + 1.0);
}

#[test]
fn importance_weights_train_a_tighter_bound_by_every_estimator() {
    let (_, rows) = images();
    let measure = Objective::diwae(1, 200);
    let tight = |run: &Run| {
        let process = masking();
        let device = device();
        let context = EvaluationContext::new(Key::new(2), 100, &device);
        evaluate(&run.model, &rows, &*process, &measure, &context).unwrap().bound
    };
    let plain = trained(Objective::default());
    let reference = tight(&plain);
    for weights in [
        ImportanceWeights::Own,
        ImportanceWeights::DoublyReparameterized,
        ImportanceWeights::Mixture,
    ] {
        let run = trained(Objective::Diwae { corruptions: 2, latents: 8, weights });
        let last = run.last();
        // The loss is the bound, which lies above the mean of its terms.
        assert!(-last.train.loss > last.train.mean.elbo + 0.3, "{last:?}");
        let validation = &last.validation.corrupted;
        assert!(validation.bound > validation.mean.elbo + 0.3, "{validation:?}");
        let got = tight(&run);
        assert!(got > reference + 3.0, "{weights:?}: {got} against {reference}");
    }
    let landing = KlTerm::StickingTheLanding { beta: Schedule::Constant(1.0) };
    let stuck = trained(landing.into()).last().validation.corrupted.mean.elbo;
    let reference = plain.last().validation.corrupted.mean.elbo;
    assert!((stuck - reference).abs() < 4.0);
}

#[test]
fn every_posterior_and_prior_trains() {
    let standard = PriorConfig::default();
    let diagonal = PosteriorConfig::default();
    // Training amplifies the rounding of products: one seed is up to a nat apart from one processor to the next.
    const SEEDS: [u64; 3] = [3, 4, 5];
    let bound = |posterior, prior| {
        let config = AutoencoderConfig { posterior, prior, ..small(&[1, 28, 28]) };
        let of_seed = |seed| {
            let run = run_seeded(seed, 30, &config, Objective::default(), masking(), &images());
            run.last().validation.corrupted.mean.elbo
        };
        SEEDS.map(of_seed).iter().sum::<f64>() / SEEDS.len() as f64
    };
    let reference = bound(diagonal, standard);
    for (posterior, prior, gain) in [
        (PosteriorConfig::FullNormal {}, standard, -4.0),
        (PosteriorConfig::Planar { flows: 4 }, standard, -4.0),
        (PosteriorConfig::InverseAutoregressive { flows: 2, hidden: 32 }, standard, -4.0),
        (diagonal, PriorConfig::Mixture { components: 10 }, -1.0),
        (diagonal, PriorConfig::Vamp { components: 20 }, -1.0),
        // A prior that bends to the latents saves part of the KL.
        (diagonal, PriorConfig::RealNvp { couplings: 4, hidden: 32 }, 1.0),
    ] {
        let got = bound(posterior, prior);
        assert!(got > reference + gain, "{posterior:?} {prior:?}: {got} against {reference}");
    }
}

// The shared scale of a calibrated decoder becomes the root mean square error, learned or optimal.
#[test]
fn a_calibrated_decoder_learns_the_scale_of_its_errors() {
    let (_, rows) = images();
    for likelihood in [
        LikelihoodConfig::SharedNormal { min_scale: 1e-3, initial_scale: None },
        LikelihoodConfig::OptimalNormal { min_scale: 1e-3 },
    ] {
        let config = AutoencoderConfig { likelihood: likelihood.clone(), ..small(&[1, 28, 28]) };
        let run = run_for(30, &config, Objective::default(), masking(), &images());
        let clean = rows.gather::<4>(&rows.ids(), &device());
        let inference = run.model.infer(clean.clone(), &mut Key::new(1).rows(&rows.ids()));
        let law = run.model.decode(inference.latents);
        let rms = number((law.mean() - clean.clone()).square().mean()).sqrt();
        // The density of a row that is its mean, but for one entry that keeps the errors of the batch, is
        // 1/(σ √2π) at all others; so σ is what the log-likelihood of the rows says it is.
        let nats = number(law.log_likelihood(clean.clone()).mean()) / 784.0;
        // nats = −½ (rms/σ)² − ln σ − ½ ln 2π, solved for the σ above rms by bisection.
        let at = |scale: f64| {
            -0.5 * (rms / scale).powi(2) - scale.ln() - 0.5 * std::f64::consts::TAU.ln() - nats
        };
        let (mut low, mut high) = (rms, 10.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            (low, high) = if at(middle) > 0.0 { (middle, high) } else { (low, middle) };
        }
        let scale = low;
        assert!((scale / rms - 1.0).abs() < 0.25 && rms < 0.3);
        // A scale that was guessed costs hundreds of nats.
        let elbo = run.last().validation.clean.mean.elbo;
        let fixed = AutoencoderConfig {
            likelihood: LikelihoodConfig::Normal { scale: 1.0 },
            ..small(&[1, 28, 28])
        };
        let fixed = self::run(&fixed, Objective::default(), masking(), &images());
        assert!(elbo > fixed.last().validation.clean.mean.elbo + 100.0);
    }
}

// Entries that were not observed are not scored, and the model fills them in better than their means do.
#[test]
fn what_was_not_observed_does_not_count_and_is_filled_in() {
    let (train, held_out) = images();
    let holes = |rows: &Dataset, seed| {
        let values =
            rows.gather::<4>(&rows.ids(), &device()).into_data().try_to_vec::<f32>().unwrap();
        let drop = Key::new(seed).rows(&[0]).uniform_host(values.len());
        let holes = values.iter().zip(drop).map(|(v, u)| if u < 0.4 { f32::NAN } else { *v });
        Dataset::from_incomplete(holes.collect(), &[1, 28, 28]).unwrap()
    };
    let sets = (holes(&train, 1), holes(&held_out, 2));
    let run = run_for(20, &small(&[1, 28, 28]), Objective::default(), masking(), &sets);
    let (ids, device) = (sets.1.ids(), device());
    let missing = sets.1.observed::<4>(&ids, &device).unwrap().bool_not().float();
    let truth = held_out.gather::<4>(&held_out.ids(), &device);
    let error = |guess: Tensor<4>| {
        number(((guess - truth.clone()).square() * missing.clone()).sum() / missing.clone().sum())
    };
    let mean = Tensor::<1>::from_data(sets.0.mean().as_slice(), &device).reshape([1, 1, 28, 28]);
    let by_mean = error(mean.expand([ids.len(), 1, 28, 28]));
    let by_model = error(run.model.denoise(sets.1.gather::<4>(&ids, &device)));
    assert!(by_model < 0.5 * by_mean);
    // 0.6 of the entries count: the bound is closer to 0 than that of whole rows.
    let whole = trained(Objective::default()).last().validation.clean.mean.log_likelihood;
    let part = run.last().validation.clean.mean.log_likelihood;
    assert!((part / whole - 0.6).abs() < 0.15, "{part} of {whole}");
}

// The encoder sees nothing of the row here: what is left is the score, to the bit.
#[test]
fn what_stands_in_place_of_an_entry_that_was_not_observed_is_not_scored() {
    let (_, rows) = images();
    let clean = rows.gather::<4>(&rows.ids(), &device());
    let observed = Key::new(1).rows(&rows.ids()).bernoulli(0.6, clean.shape(), &device());
    for likelihood in [
        LikelihoodConfig::Bernoulli {},
        LikelihoodConfig::OptimalNormal { min_scale: 1e-3 },
        LikelihoodConfig::LearnedNormal { min_scale: 1e-3, initial_scale: None, mean_scale: None },
    ] {
        let config = AutoencoderConfig { likelihood, ..small(&[1, 28, 28]) };
        let model = config.init(Key::new(3), &device()).unwrap();
        let emphasis = Emphasis { changed: 2.0, unchanged: 1.0 };
        let objective = emphasizing(emphasis);
        let loss = |filler: f64| {
            let hidden: Tensor<4, Bool> = observed.clone();
            let clean = clean.clone().mask_fill(hidden.clone().bool_not(), filler);
            let mut streams = BatchNoise::evaluation(Key::new(5), &rows.ids());
            let erase = Masking::new(1.0).unwrap();
            let seen = Some(hidden);
            let draws = CorruptedBatch::new(
                clean,
                seen,
                &erase,
                objective.corruptions(),
                &mut streams.corruption,
            )
            .score(&model, &objective, &mut streams.latent);
            let noise = &mut streams.latent;
            let context = &mut LossContext { progress: 1.0, rows: 100, noise };
            (objective.loss(&draws, context).into_data(), objective.bound_of(&draws).into_data())
        };
        assert_eq!(loss(0.0), loss(0.7), "{config:?}");
    }
}
