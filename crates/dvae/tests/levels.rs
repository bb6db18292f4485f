//! Models with several levels of latents: densities, bounds, objectives, training and measures.

#![allow(clippy::unwrap_used)] // A test may panic.

mod two_levels;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use dvae::corruption::Clean;
use dvae::distributions::{
    DiagonalNormal, Encoding, Kl, Latent, LatentShape, Latents, Posterior, Prior,
};
use dvae::eval::latent_activity;
use dvae::losses::{DipCovariance, Emphasis, LossContext, MmdKernel};
use dvae::models::Autoencoder;
use dvae::prelude::*;
use dvae::train::{BatchNoise, CorruptedBatch, EvaluationContext, Interrupt, evaluate};
use two_levels::{BELOW, TOP, TwoLevels, model};

const SIDES: [usize; 2] = [4, 5];

fn pictures(count: usize) -> Dataset {
    let pixels = (0..count * 20).map(|i| ((i * i * 7 + i / 20 * 31) % 256) as u8).collect();
    Dataset::from_bytes(pixels, &[1, SIDES[0], SIDES[1]]).unwrap()
}

fn clean(rows: &Dataset) -> Tensor<4> {
    rows.gather(&rows.ids(), &Device::flex())
}

fn encoded(model: &Autoencoder<TwoLevels>, rows: &Dataset) -> Encoding {
    model.encode(clean(rows), &Vae::<4>::prior(model))
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn normal_parts(normal: &DiagonalNormal) -> [Vec<f64>; 2] {
    [numbers(normal.mean()), numbers(normal.log_variance())]
}

fn diagonal(posterior: &Posterior) -> &DiagonalNormal {
    posterior.diagonal().unwrap()
}

/// `log N(z; μ, e^v)` of one number.
fn log_normal(z: f64, mean: f64, log_variance: f64) -> f64 {
    -0.5 * ((z - mean).powi(2) / log_variance.exp() + log_variance + std::f64::consts::TAU.ln())
}

// Everything that a draw says, written once more in double precision from the parameters of its levels.
#[test]
fn densities_and_kls_are_those_of_the_levels_parameters() {
    let (model, rows) = (model(SIDES, &Device::flex()), pictures(3));
    let encoding = encoded(&model, &rows);
    let inference = encoding.infer(&mut Key::new(2).rows(&rows.ids()));
    let levels = inference.latents.levels();
    let map = LatentShape::Map { channels: BELOW, height: 4, width: 5 };
    assert_eq!(inference.latents.shapes(), [LatentShape::Vector(TOP), map]);
    let below = encoding.below(&levels[0]).unwrap();
    assert!(below.below(&levels[1]).is_none());
    let Prior::Diagonal(prior) = &below.prior else { panic!("{:?}", below.prior) };
    let [m1, v1] = normal_parts(diagonal(&encoding.posterior));
    let [m2, v2] = normal_parts(diagonal(&below.posterior));
    let [p2, w2] = normal_parts(prior);
    let [z1, z2] = [0, 1].map(|level| numbers(levels[level].values()));
    let (mut log_q, mut log_p, mut kl) = (vec![0.0; 3], vec![0.0; 3], vec![[0.0; 2]; 3]);
    for i in 0..3 * TOP {
        log_q[i / TOP] += log_normal(z1[i], m1[i], v1[i]);
        log_p[i / TOP] += log_normal(z1[i], 0.0, 0.0);
        kl[i / TOP][0] += 0.5 * (m1[i].powi(2) + v1[i].exp() - 1.0 - v1[i]);
    }
    let size = BELOW * 20;
    for i in 0..3 * size {
        log_q[i / size] += log_normal(z2[i], m2[i], v2[i]);
        log_p[i / size] += log_normal(z2[i], p2[i], w2[i]);
        let ratio = v2[i] - w2[i];
        let gap = (m2[i] - p2[i]).powi(2) / w2[i].exp();
        kl[i / size][1] += 0.5 * (gap + ratio.exp() - 1.0 - ratio);
    }
    for row in 0..3 {
        let close = |got: f64, expected: f64| {
            assert!((got - expected).abs() < 1e-4 * expected.abs().max(1.0), "{got}, {expected}");
        };
        close(numbers(inference.log_posterior.clone())[row], log_q[row]);
        close(numbers(inference.log_prior.clone())[row], log_p[row]);
        for (level, of_level) in inference.kl.iter().enumerate() {
            assert!(matches!(of_level, Kl::ClosedForm(_)));
            close(numbers(of_level.total())[row], kl[row][level]);
        }
    }
    let again = numbers(encoding.log_posterior(&inference.latents).unwrap());
    for (again, log_q) in again.iter().zip(&log_q) {
        assert!((again - log_q).abs() < 1e-3 * log_q.abs(), "{again}, {log_q}");
    }
}

// The closed forms, averaged over draws of the level above, are the mean of log q − log p.
#[test]
fn the_kl_is_the_mean_over_draws_of_the_log_ratio() {
    let n = 20_000;
    let model = model(SIDES, &Device::flex());
    let input = clean(&pictures(1)).expand([n, 1, 4, 5]);
    let ids: Vec<u64> = (0..n as u64).collect();
    let inference = model.infer(input, &mut Key::new(3).rows(&ids));
    let gap = numbers(inference.sampled_kl() - inference.total_kl());
    let mean = gap.iter().sum::<f64>() / n as f64;
    let variance = gap.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
    assert!(mean.abs() < 6.0 * (variance / n as f64).sqrt(), "{mean} of variance {variance}");
}

/// A chain of one number a level, all linear and Gaussian:
/// `z₁ ~ N(0, 1)`, `z₂ ~ N(a z₁ + b, s²)`, `x ~ N(w₁ z₁ + w₂ z₂ + c, σ²)`, and for any input
/// `z₁ ~ N(A x̃ + C, v₁)`, `z₂ ~ N(α z₁ + γ x̃ + δ, v₂)`.
#[derive(Module, Debug)]
struct Chain {
    #[module(skip)]
    q: [f64; 7],
    #[module(skip)]
    p: [f64; 7],
    nothing: Param<Tensor<1>>,
}

const Q: [f64; 7] = [0.4, -0.1, 0.5, 0.3, 0.2, 0.1, 0.4]; // A C v₁ α γ δ v₂
const P: [f64; 7] = [0.7, -0.2, 0.6, 0.5, 0.8, 0.1, 0.6]; // a b s² w₁ w₂ c σ
const X: f64 = 0.9;

#[derive(Debug)]
struct ChainBelow(Chain, Tensor<2>);

impl dvae::distributions::LevelBelow for ChainBelow {
    fn given(&self, above: &dvae::distributions::Latent) -> Encoding {
        let ([_, _, _, alpha, gamma, delta, v2], [a, b, s2, ..]) = (self.0.q, self.0.p);
        let z = above.values();
        let normal = |mean: Tensor<2>, variance: f64| {
            let log_variance = mean.full_like(variance.ln());
            DiagonalNormal::new(mean, log_variance)
        };
        let posterior = normal(z.clone() * alpha + self.1.clone() * gamma + delta, v2);
        Encoding::new(Posterior::Diagonal(posterior), Prior::Diagonal(normal(z * a + b, s2)))
    }
}

impl Vae<2> for Chain {
    type Likelihood = dvae::distributions::Normal<2>;

    fn latent_shapes(&self) -> Vec<LatentShape> {
        vec![LatentShape::Vector(1); 2]
    }

    fn prior(&self) -> Prior {
        Prior::Standard
    }

    fn encode(&self, input: Tensor<2>, prior: &Prior) -> Encoding {
        let [slope, shift, variance, ..] = self.q;
        let mean = input.clone() * slope + shift;
        let log_variance = mean.full_like(variance.ln());
        let top = Posterior::Diagonal(DiagonalNormal::new(mean, log_variance));
        let below = std::sync::Arc::new(ChainBelow(self.clone(), input));
        Encoding::new(top, prior.clone()).above(below)
    }

    fn decode(&self, latents: impl Into<Latents>) -> Self::Likelihood {
        let [.., w1, w2, c, sigma] = self.p;
        let latents = latents.into();
        let [z1, z2] = [0, 1].map(|level| latents.levels()[level].values());
        dvae::distributions::Normal::new(z1 * w1 + z2 * w2 + c, sigma).unwrap()
    }

    fn sample_below(&self, _above: &[Latent], _draws: &mut RowStreams) -> Latents {
        unreachable!("not asked for")
    }
}

fn chain(q: [f64; 7]) -> Chain {
    Chain { q, p: P, nothing: Param::from_tensor(Tensor::zeros([1], &Device::flex())) }
}

fn bounds(
    chain: &Chain,
    objective: &Objective,
    corruption: &dyn Corruption<2>,
    n: usize,
) -> Vec<f64> {
    let ids: Vec<u64> = (0..n as u64).collect();
    let rows = Tensor::<2>::full([n, 1], X, &Device::flex());
    let mut noise = BatchNoise::training(Key::new(6), 0, &ids);
    let draws = (objective.corruptions(), &mut noise.corruption);
    let batch = CorruptedBatch::new(rows, None, corruption, draws.0, draws.1);
    numbers(objective.bound_of(&batch.score(chain, objective, &mut noise.latent)))
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / n).sqrt())
}

/// `E log p(x | z) − KL₁ − E KL₂` under Gaussian corruption of scale `tau`, in closed form.
fn closed_form(tau: f64) -> f64 {
    let ([slope, shift, v1, alpha, gamma, delta, v2], [a, b, s2, w1, w2, c, sigma]) = (Q, P);
    let tau2 = tau * tau;
    let m1 = slope * X + shift;
    // The residual x − c − w₁ z₁ − w₂ z₂ is linear in the noises of x̃, z₁ and z₂.
    let along = w1 + w2 * alpha;
    let mean = X - c - w2 * (gamma * X + delta) - along * m1;
    let of_noise = w2 * gamma + along * slope;
    let residual = mean * mean + of_noise.powi(2) * tau2 + along.powi(2) * v1 + w2 * w2 * v2;
    let log_likelihood =
        -0.5 * residual / (sigma * sigma) - sigma.ln() - 0.5 * std::f64::consts::TAU.ln();
    let kl_1 = 0.5 * (m1 * m1 + slope * slope * tau2 + v1 - 1.0 - v1.ln());
    let gap = (alpha - a) * m1 + gamma * X + delta - b;
    let gap = gap * gap + ((alpha - a) * slope + gamma).powi(2) * tau2 + (alpha - a).powi(2) * v1;
    let kl_2 = 0.5 * (gap / s2 + v2 / s2 - 1.0 - (v2 / s2).ln());
    log_likelihood - kl_1 - kl_2
}

/// `log p(x)` of the chain: normal, with the variances of its noises added up.
fn log_evidence() -> f64 {
    let [a, b, s2, w1, w2, c, sigma] = P;
    let variance = (w1 + w2 * a).powi(2) + w2 * w2 * s2 + sigma * sigma;
    log_normal(X, w2 * b + c, variance.ln())
}

#[test]
fn the_bound_of_a_linear_gaussian_chain_is_its_closed_form() {
    let objective = Objective::default();
    for tau in [0.0, 0.7] {
        let process: Box<dyn Corruption<2>> = match tau == 0.0 {
            true => Box::new(Clean),
            false => Box::new(Gaussian::new(tau).unwrap()),
        };
        let (mean, error) = mean_and_error(&bounds(&chain(Q), &objective, &*process, 200_000));
        let expected = closed_form(tau);
        assert!((mean - expected).abs() < 6.0 * error, "{tau}: {mean} ± {error}, not {expected}");
        assert!(expected < log_evidence());
    }
}

// p(z₁ | x) and p(z₂ | z₁, x): then every importance weight is p(x), whatever the draw.
#[test]
fn at_the_exact_posterior_every_draw_says_the_evidence() {
    let [a, b, s2, w1, w2, c, sigma] = P;
    let along = w1 + w2 * a;
    let rest = w2 * w2 * s2 + sigma * sigma;
    let v1 = 1.0 / (1.0 + along * along / rest);
    let slope = v1 * along / rest;
    let v2 = 1.0 / (1.0 / s2 + w2 * w2 / (sigma * sigma));
    let [of_prior, of_x] = [v2 / s2, v2 * w2 / (sigma * sigma)];
    let shift = -slope * (w2 * b + c);
    let exact = [slope, shift, v1, of_prior * a - of_x * w1, of_x, of_prior * b - of_x * c, v2];
    for weight in bounds(&chain(exact), &Objective::diwae(1, 1), &Clean, 500) {
        assert!((weight - log_evidence()).abs() < 1e-4, "{weight}, not {}", log_evidence());
    }
}

#[test]
fn more_draws_and_the_mixture_of_posteriors_make_the_bound_tighter() {
    let noise = Gaussian::new(0.7).unwrap();
    let of = |objective: Objective| {
        objective.check().unwrap();
        mean_and_error(&bounds(&chain(Q), &objective, &noise, 20_000))
    };
    let one = of(Objective::dvae(1, 1));
    let beta = Schedule::Constant(1.0);
    let mixture = of(Objective::Dvae {
        corruptions: 4,
        latents: 1,
        kl: KlTerm::Mixture { beta },
        emphasis: Emphasis::default(),
    });
    let many = of(Objective::diwae(4, 8));
    assert!(mixture.0 > one.0 + 6.0 * one.1, "{mixture:?} {one:?}");
    assert!(many.0 > mixture.0 + 6.0 * mixture.1, "{many:?} {mixture:?}");
    assert!(many.0 < log_evidence() + 6.0 * many.1);
}

/// Adds a step to one number of one weight.
struct Nudge {
    weight: usize,
    entry: usize,
    step: f32,
    next: usize,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next += 1;
        if self.next - 1 != self.weight {
            return param;
        }
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let mut values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
            values[self.entry] += self.step;
            Tensor::<1>::from_data(values.as_slice(), &device).reshape(shape)
        })
    }
}

/// Collects the gradients of all weights.
struct Gradients<'a>(&'a burn::optim::GradientsParams, Vec<Vec<f64>>);

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.push(numbers(self.0.get::<D>(param.id).expect("a gradient for every weight")));
    }
}

fn loss(model: &Autoencoder<TwoLevels>, objective: &Objective, rows: &Dataset) -> Tensor<1> {
    let mut noise = BatchNoise::training(Key::new(4), 0, &rows.ids());
    let process = Masking::new(0.3).unwrap();
    let corruptions = objective.corruptions();
    let batch =
        CorruptedBatch::new(clean(rows), None, &process, corruptions, &mut noise.corruption);
    let terms = batch.score(model, objective, &mut noise.latent);
    let context = &mut LossContext { progress: 1.0, rows: 6, noise: &mut noise.latent };
    objective.loss(&terms, context)
}

fn objectives() -> Vec<Objective> {
    let constant = Schedule::Constant;
    vec![
        Objective::default(),
        Objective::diwae(2, 2),
        KlTerm::FreeBits { nats: 0.2, group: 1 }.into(),
        KlTerm::Capacity { gamma: 2.0, nats: constant(3.0) }.into(),
        KlTerm::Weighted { beta: constant(0.5) }.into(),
        Objective::Dvae {
            corruptions: 2,
            latents: 2,
            kl: KlTerm::Mixture { beta: constant(1.0) },
            emphasis: Emphasis { changed: 2.0, unchanged: 0.5 },
        },
    ]
}

#[test]
fn gradients_are_finite_differences_of_the_loss() {
    let (model, rows) = (model(SIDES, &Device::flex()), pictures(6));
    for objective in objectives() {
        objective.check_encoding(&encoded(&model, &rows)).unwrap();
        let training = model.clone().train();
        let value = loss(&training, &objective, &rows);
        let gradients = burn::optim::GradientsParams::from_grads(value.backward(), &training);
        let mut exact = Gradients(&gradients, vec![]);
        training.visit(&mut exact);
        for (weight, gradient) in exact.1.iter().enumerate() {
            let largest = gradient.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            let entry = gradient.iter().position(|g| g.abs() == largest).unwrap();
            let at = |step: f32| {
                let nudged = model.clone().map(&mut Nudge { weight, entry, step, next: 0 });
                loss(&nudged, &objective, &rows).into_scalar::<f64>()
            };
            let step = 4e-3;
            let difference = (at(step) - at(-step)) / (2.0 * f64::from(step));
            let gap = (difference - gradient[entry]).abs();
            assert!(
                gap < 2e-2 * largest.max(0.5),
                "{objective:?}, {weight}: {difference} {largest}"
            );
        }
    }
}

#[test]
fn what_an_objective_cannot_do_on_several_levels_is_refused_with_the_reason() {
    let (model, rows) = (model(SIDES, &Device::flex()), pictures(1));
    let beta = || Schedule::Constant(1.0);
    let one_level: [Objective; 5] = [
        KlTerm::StickingTheLanding { beta: beta() }.into(),
        KlTerm::TotalCorrelation { alpha: 1.0, beta: 4.0, gamma: 1.0 }.into(),
        KlTerm::Mmd { alpha: 0.5, lambda: 2.0, kernel: MmdKernel::Gaussian }.into(),
        KlTerm::Dip { covariance: DipCovariance::Means, off_diagonal: 1.0, diagonal: 1.0 }.into(),
        Objective::Diwae {
            corruptions: 1,
            latents: 2,
            weights: ImportanceWeights::DoublyReparameterized,
        },
    ];
    for objective in one_level {
        let error = objective.check_encoding(&encoded(&model, &rows)).unwrap_err().to_string();
        assert!(
            error.contains("needs one level of latents, but the model has 2 of them"),
            "{error}"
        );
    }
    let groups = Objective::from(KlTerm::FreeBits { nats: 0.1, group: 2 });
    let error = groups.check_encoding(&encoded(&model, &rows)).unwrap_err().to_string();
    assert!(error.contains("a multiple of 2, but the model has 3 latents"), "{error}");
}

fn config() -> TrainConfig {
    let kl = KlTerm::FreeBits { nats: 0.05, group: 1 };
    TrainConfig {
        epochs: 3,
        batch_size: 8,
        objective: kl.into(),
        ema: Some(0.9),
        ..Default::default()
    }
}

fn bits(model: &Autoencoder<TwoLevels>) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
        }
    }
    let mut bits = Bits(vec![]);
    model.visit(&mut bits);
    bits.0
}

#[test]
fn training_goes_on_to_the_bit_after_an_interruption() {
    let device = Device::flex();
    let (train, held_out) = pictures(40).split(8, Key::new(1)).unwrap();
    let trainer = || {
        Trainer::new(model(SIDES, &device), Masking::new(0.3).unwrap(), config(), &device).unwrap()
    };
    let whole = trainer().fit(&train, &held_out).unwrap().model;
    let folder = tempfile::tempdir().unwrap();
    let interrupt = Interrupt::new();
    let first = trainer().checkpoints(folder.path()).interrupt(interrupt).until(1);
    first.fit(&train, &held_out).unwrap();
    let second = trainer().resume(folder.path()).unwrap().fit(&train, &held_out).unwrap().model;
    assert_eq!(bits(&second), bits(&whole));
    assert_ne!(bits(&whole), bits(&model(SIDES, &device)));
}

#[test]
fn measures_speak_of_levels() {
    let device = Device::flex();
    let (model, rows) = (model(SIDES, &device), pictures(30));
    let context = &EvaluationContext::new(Key::new(1), 7, &device);
    let evaluation =
        evaluate::<4, _>(&model, &rows, &Clean, &Objective::default(), context).unwrap();
    let sizes = |levels: &[Vec<f64>]| levels.iter().map(Vec::len).collect::<Vec<_>>();
    // Of a map of 4 × 5 positions, by channel.
    assert_eq!(sizes(&evaluation.kl_per_latent), [TOP, BELOW]);
    let sum: f64 = evaluation.kl_per_latent.iter().flatten().sum();
    assert!((sum - evaluation.mean.kl).abs() < 1e-3 * sum, "{sum}");
    let activity = latent_activity::<4, _>(&model, &rows, &Clean, context).unwrap();
    assert_eq!(sizes(&activity), [TOP, BELOW * 20]);
    let drawn = Vae::<4>::sample_prior(&model, &mut Key::new(2).rows(&rows.ids()));
    assert_eq!(drawn.flat().dims(), [30, TOP + BELOW * 20]);
    let embedded = model.embed(clean(&rows));
    let again = Latents::from_flat(embedded.flat(), &Vae::<4>::latent_shapes(&model));
    let decoded = |latents: Latents| numbers(Vae::<4>::decode(&model, latents).mean());
    assert_eq!(decoded(again), decoded(embedded));
    assert_eq!(model.denoise(clean(&rows)).dims(), [30, 1, 4, 5]);
}

// Ancestral draws: the second level's are those of its prior given the first.
#[test]
fn draws_from_the_prior_have_its_conditional_moments() {
    let n = 20_000;
    let model = model(SIDES, &Device::flex());
    let ids: Vec<u64> = (0..n as u64).collect();
    let drawn = Vae::<4>::sample_prior(&model, &mut Key::new(2).rows(&ids));
    let [z1, z2] = [0, 1].map(|level| drawn.levels()[level].clone());
    let input = clean(&pictures(1)).expand([n, 1, 4, 5]);
    let below = model.encode(input, &Prior::Standard).below(&z1).unwrap();
    let Prior::Diagonal(prior) = below.prior else { panic!("{:?}", below.prior) };
    let standard = (z2.values() - prior.mean()) * (prior.log_variance() * -0.5).exp();
    for values in [numbers(z1.values()), numbers(standard)] {
        let (mean, error) = mean_and_error(&values);
        assert!(mean.abs() < 6.0 * error, "{mean}");
        let squares: Vec<f64> = values.iter().map(|v| v * v).collect();
        let (variance, error) = mean_and_error(&squares);
        assert!((variance - 1.0).abs() < 6.0 * error, "{variance}");
    }
}
