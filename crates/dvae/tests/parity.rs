//! The same model, weights, batch and noise on every back end that is compiled in.
//!
//! Run with `--features ndarray,wgpu`. Where wgpu finds no adapter its part is skipped, with the
//! reason printed; `DVAE_REQUIRE_WGPU=1` makes that a failure.

#![allow(clippy::unwrap_used)] // A test may panic.

mod two_levels;

use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use dvae::corruption::{TokenProcess, Typos, Vocabulary};
use dvae::distributions::MissingSide;
use dvae::losses::LossContext;
use dvae::models::{Activation, LadderConfig, TokenConfig};
use dvae::prelude::*;
use dvae::train::{BatchNoise, CorruptedBatch, denoising_elbo};

const TOLERANCE: f32 = 1e-4;
const ROWS: usize = 24;
/// What must be the same to the bit.
const INITIAL: &str = "initial weight";

/// Devices to compare with the first one, by name.
fn devices() -> Vec<(Backend, Device)> {
    let required = std::env::var("DVAE_REQUIRE_WGPU").is_ok_and(|value| value == "1");
    let mut devices = Vec::new();
    for backend in Backend::compiled() {
        match backend.device() {
            Ok(device) => devices.push((backend, device)),
            Err(error) if !required => println!("skipped: {error}"),
            Err(error) => panic!("{error}"),
        }
    }
    if required {
        for needed in [Backend::Flex, Backend::NdArray, Backend::Wgpu] {
            let found = devices.iter().any(|(backend, _)| *backend == needed);
            assert!(found, "{needed} is required");
        }
    }
    if devices.len() < 2 {
        println!("nothing to compare: build with `--features ndarray,wgpu`");
    }
    devices
}

/// All weights, or the gradients of all weights, in the order of the model.
struct Collect<'a> {
    gradients: Option<&'a GradientsParams>,
    tensors: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id).expect("a gradient for every weight"),
            None => param.val().inner(),
        };
        self.tensors.push(tensor.into_data().iter::<f32>().collect());
    }
}

fn collect<M: Module>(model: &M, gradients: Option<&GradientsParams>) -> Vec<Vec<f32>> {
    let mut collect = Collect { gradients, tensors: vec![] };
    model.visit(&mut collect);
    collect.tensors
}

/// Numbers by what they are.
type Results = Vec<(&'static str, Vec<Vec<f32>>)>;

/// What one back end computes: the loss, its gradients, and the weights after three Adam steps.
fn compute<const D: usize, V: Vae<D>>(
    model: V,
    rows: &Dataset,
    process: Box<dyn Corruption<D>>,
    device: &Device,
) -> Results {
    let before = collect(&model, None);
    let clean = rows.gather::<D>(&rows.ids(), device);
    let mut streams = BatchNoise::training(Key::new(5), 0, &rows.ids());
    let training = model.clone().train();
    let elbo = denoising_elbo(&training, clean, &*process, &mut streams);
    let loss = elbo.loss();
    let value = loss.clone().into_scalar::<f32>();
    let gradients = GradientsParams::from_grads(loss.backward(), &training);

    // Three batches in one epoch are three steps.
    let config = TrainConfig { epochs: 1, batch_size: ROWS / 3, ..TrainConfig::default() };
    let trainer = Trainer::new(model, process, config, device).unwrap();
    let trained = trainer.fit(rows, rows).unwrap().model;
    vec![
        (INITIAL, before),
        ("loss", vec![vec![value]]),
        ("gradient", collect(&training, Some(&gradients))),
        ("weight after three steps", collect(&trained, None)),
    ]
}

/// `‖a − b‖ / ‖a‖`, Euclidean over the entries of one tensor.
///
/// Not the largest entry's difference: Adam divides each gradient by its own size, so a gradient
/// that cancels to the last bit is rounding noise, and its weight moves by as much as any other.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a == b {
        return 0.0; // Biases begin at 0.
    }
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut a.iter().copied())
}

/// Asserts that each back end computes what the first one does, and begins with the same bits.
fn assert_results(name: &str, compute: impl Fn(&Device) -> Results) {
    let mut reference = None;
    for (backend, device) in devices() {
        let results = compute(&device);
        let Some(expected) = &reference else {
            reference = Some(results);
            continue;
        };
        for ((what, expected), (_, got)) in Iterator::zip(expected.iter(), &results) {
            assert_eq!(expected.len(), got.len());
            for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
                assert_eq!(expected.len(), got.len());
                assert!(*what != INITIAL || expected == got, "{name}, {backend}: {what} {i}");
                let gap = distance(expected, got);
                assert!(gap <= TOLERANCE, "{name}, {backend}: {what} {i} differs by {gap}");
            }
        }
        println!("{name}: {backend} agrees");
    }
}

fn assert_parity<V: Vae<4>>(name: &str, init: impl Fn(&Device) -> V) {
    let mixed = "mixed".parse().unwrap();
    let rows = fashion_mnist().test.take(ROWS);
    for corruption in CorruptionConfig::standard_three().into_iter().chain([mixed]) {
        assert_results(&format!("{name}, {corruption}"), |device| {
            let process = corruption.build::<4>(Domain::Unit).unwrap();
            compute(init(device), &rows, process, device)
        });
    }
}

#[test]
fn a_fully_connected_model_computes_the_same_everywhere() {
    assert_parity("MLP", |device| {
        let config = AutoencoderConfig::new(MlpConfig::new(&[32]), &[1, 28, 28], 5);
        config.init(Key::new(1), device).unwrap()
    });
}

#[test]
fn a_convolutional_model_computes_the_same_everywhere() {
    assert_parity("conv", |device| {
        let config = AutoencoderConfig {
            likelihood: LikelihoodConfig::LearnedNormal {
                min_scale: 0.1,
                initial_scale: None,
                mean_scale: None,
            },
            ..AutoencoderConfig::new(
                ConvNetConfig { activation: Activation::Softplus, ..ConvNetConfig::new(&[4, 6]) },
                &[1, 28, 28],
                5,
            )
        };
        config.init(Key::new(1), device).unwrap()
    });
}

// The network of the main example, smaller.
#[test]
fn the_network_of_the_example_computes_the_same_everywhere() {
    assert_parity("example", |device| {
        let config = AutoencoderConfig::new(ConvNetConfig::new(&[4, 6]), &[1, 28, 28], 5);
        config.init(Key::new(1), device).unwrap()
    });
}

#[test]
fn a_residual_model_computes_the_same_everywhere() {
    assert_parity("residual", |device| {
        let network = ResNetConfig { groups: 2, ..ResNetConfig::new(&[3, 4]) };
        let config = AutoencoderConfig::new(network, &[1, 28, 28], 5);
        config.init(Key::new(1), device).unwrap()
    });
}

#[test]
fn a_ladder_computes_the_same_everywhere() {
    assert_parity("ladder", |device| {
        let network = LadderConfig::new(&[3, 4]);
        let config = AutoencoderConfig::new(network, &[1, 28, 28], 2);
        config.init(Key::new(1), device).unwrap()
    });
}

/// Texts of up to nine characters, and these characters.
fn words() -> (Dataset, Arc<Vocabulary>) {
    const WIDTH: usize = 9;
    let words = ["ada", "bea", "caesar", "d", "elizabeth", "", "fleur", "gus"];
    let known = Vocabulary::of(words, 1);
    let row = |word: &&str| {
        let mut row = known.tokens(word);
        row.resize(WIDTH, Vocabulary::END);
        row.into_iter().map(f32::from)
    };
    let values = words.iter().cycle().take(ROWS).flat_map(row).collect();
    let rows = Dataset::from_floats(values, &[WIDTH]).unwrap().declared(Domain::Tokens).unwrap();
    (rows, Arc::new(known))
}

// With latents for the text alone, and at each of its characters too.
#[test]
fn a_model_of_texts_computes_the_same_everywhere() {
    let (rows, known) = words();
    for places in [0, 2] {
        let network = TokenConfig { embedding: 6, hidden: 8, places };
        let config = AutoencoderConfig {
            likelihood: LikelihoodConfig::Tokens { classes: known.len() },
            ..AutoencoderConfig::new(network, rows.event(), 5)
        };
        assert_results(&format!("texts, {places} places"), |device| {
            let process = TokenProcess::new(Typos::new(20.0).unwrap(), known.clone());
            let model = config.init(Key::new(1), device).unwrap();
            compute::<2, _>(model, &rows, Box::new(process), device)
        });
    }
}

/// Asserts that what each back end computes is what the first one does.
fn assert_equal_everywhere(name: &str, compute: impl Fn(&Device) -> Vec<Vec<f32>>) {
    let mut reference: Option<Vec<Vec<f32>>> = None;
    for (backend, device) in devices() {
        let results = compute(&device);
        let expected = reference.get_or_insert_with(|| results.clone());
        assert_eq!(expected.len(), results.len());
        for (i, (expected, got)) in expected.iter().zip(&results).enumerate() {
            let gap = distance(expected, got);
            assert!(gap <= TOLERANCE, "{name}, {backend}: {i} differs by {gap}");
            assert!(got.iter().all(|value| value.is_finite()), "{name}, {backend}: {i}");
        }
    }
}

#[test]
fn every_likelihood_computes_the_same_everywhere() {
    use LikelihoodConfig as L;
    let laws = [
        L::Bernoulli {},
        L::ContinuousBernoulli {},
        L::Normal { scale: 0.5 },
        L::OptimalNormal { min_scale: 0.1 },
        L::LearnedNormal { min_scale: 0.1, initial_scale: None, mean_scale: None },
        L::PoissonGaussian { gain: 0.3, offset: 0.05, min_scale: 0.1 },
        L::LearnedLaplace { min_scale: 0.1 },
        L::StudentT { min_scale: 0.1, min_degrees: 1.0 },
        L::DiscretizedLogistic { levels: 5, components: 3, min_scale: 0.01 },
        L::Categorical { classes: 5 },
        L::Ordinal { classes: 5 },
        L::Poisson {},
        L::NegativeBinomial { min_inverse_dispersion: 0.01 },
        L::ZeroInflatedNegativeBinomial { min_inverse_dispersion: 0.01 },
        L::Proportions {
            of: Box::new(L::ZeroInflatedNegativeBinomial { min_inverse_dispersion: 0.01 }),
            total: 50.0,
        },
    ];
    for law in laws {
        assert_equal_everywhere(&format!("{law:?}"), |device| {
            let outputs = Key::new(6).rows(&[1, 2, 3]).normal([3, law.outputs(8)], device) * 2.0;
            let outputs: Tensor<2> = Tensor::from_inner(outputs).detach().require_grad();
            let weights = law.shared_weights(8);
            let shared = (weights > 0).then(|| {
                let drawn: Tensor<2> = Key::new(7).rows(&[1]).normal([1, weights], device);
                (drawn * 0.1).flatten::<1>(0, 1)
            });
            let likelihood = law.of(outputs.clone(), shared.as_ref()).unwrap();
            let whole = likelihood.support(0).contains(2.0);
            let x = [0.0, 1.0, 2.0, 4.0, 0.0, 1.0, 3.0, 4.0];
            let x = Tensor::<1>::from_data(x, device) * if whole { 1.0 } else { 0.25 };
            let log_prob = likelihood.log_prob(x.unsqueeze::<2>().expand([3, 8]));
            let gradients = log_prob.clone().sum().backward();
            [log_prob.inner(), likelihood.mean().inner(), outputs.grad(&gradients).unwrap()]
                .map(|tensor| tensor.into_data().iter::<f32>().collect())
                .into()
        });
    }
}

#[test]
fn what_is_missing_is_explained_the_same_everywhere() {
    use LikelihoodConfig as L;
    for of in [
        L::LearnedNormal { min_scale: 0.1, initial_scale: None, mean_scale: None },
        L::Categorical { classes: 5 },
        L::Ordinal { classes: 5 },
    ] {
        let law = L::SelfMasking { of: Box::new(of), missing: MissingSide::Either };
        assert_equal_everywhere(&format!("{law:?}"), |device| {
            let tracked =
                |tensor: Tensor<2>| Tensor::<2>::from_inner(tensor).detach().require_grad();
            let outputs = Key::new(6).rows(&[1, 2, 3]).normal([3, law.outputs(8)], device) * 2.0;
            let shared = Key::new(7).rows(&[1]).normal([1, law.shared_weights(8)], device) * 0.1;
            let (outputs, shared) = (tracked(outputs), tracked(shared));
            let likelihood = law.of(outputs.clone(), Some(&shared.clone().flatten(0, 1))).unwrap();
            let x = [0.0, 1.0, 2.0, 4.0, 0.0, 1.0, 3.0, 4.0];
            let x = Tensor::<1>::from_data(x, device).unsqueeze::<2>().expand([3, 8]);
            let observed = Tensor::<1>::from_data([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], device);
            let observed = observed.unsqueeze::<2>().expand([3, 8]);
            let missingness = likelihood.log_missingness(x.clone(), Some(observed)).unwrap();
            let odds = likelihood.log_missing_odds(x).unwrap();
            let missing = likelihood.given_missing().unwrap();
            let gradients = missingness.clone().sum().backward();
            let gradient = |of: &Tensor<2>| of.grad(&gradients).unwrap();
            let parts = [odds, missing.mean(), missing.variance()].map(Tensor::inner);
            let parts = parts.into_iter().chain([gradient(&outputs), gradient(&shared)]);
            let parts = parts.chain([missingness.inner().unsqueeze::<2>()]);
            parts.map(|tensor| tensor.into_data().iter::<f32>().collect()).collect()
        });
    }
}

/// Loss and gradients of a small model.
fn loss_and_gradients<V: Vae<4>>(
    model: V,
    objective: &Objective,
    device: &Device,
) -> Vec<Vec<f32>> {
    let model = model.train();
    let rows = fashion_mnist().test.take(ROWS);
    let clean = rows.gather::<4>(&rows.ids(), device);
    let process = Masking::new(0.3).unwrap();
    let mut streams = BatchNoise::training(Key::new(5), 0, &rows.ids());
    let draws = CorruptedBatch::new(
        clean,
        None,
        &process,
        objective.corruptions(),
        &mut streams.corruption,
    )
    .score(&model, objective, &mut streams.latent);
    let context = &mut LossContext { progress: 0.5, rows: 1000, noise: &mut streams.latent };
    let loss = objective.loss(&draws, context);
    let value = loss.clone().into_scalar::<f32>();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    [vec![vec![value]], collect(&model, Some(&gradients))].concat()
}

fn small() -> AutoencoderConfig {
    AutoencoderConfig::new(MlpConfig::new(&[16]), &[1, 28, 28], 4)
}

#[test]
fn every_posterior_and_prior_computes_the_same_everywhere() {
    let standard = PriorConfig::default();
    let diagonal = PosteriorConfig::default();
    for (posterior, prior) in [
        (PosteriorConfig::FullNormal {}, standard),
        (PosteriorConfig::Planar { flows: 2 }, standard),
        (PosteriorConfig::InverseAutoregressive { flows: 2, hidden: 8 }, standard),
        (diagonal, PriorConfig::Mixture { components: 3 }),
        (diagonal, PriorConfig::Vamp { components: 3 }),
        (diagonal, PriorConfig::RealNvp { couplings: 2, hidden: 8 }),
    ] {
        let config = AutoencoderConfig { posterior, prior, ..small() };
        assert_equal_everywhere(&format!("{posterior:?} {prior:?}"), |device| {
            loss_and_gradients(
                config.init(Key::new(1), device).unwrap(),
                &Objective::default(),
                device,
            )
        });
    }
}

#[test]
fn a_model_of_two_levels_computes_the_same_everywhere() {
    let free = KlTerm::FreeBits { nats: 0.2, group: 1 };
    for objective in [Objective::default(), Objective::diwae(2, 2), free.into()] {
        assert_equal_everywhere(&format!("two levels, {objective:?}"), |device| {
            loss_and_gradients(two_levels::model([28, 28], device), &objective, device)
        });
    }
}

#[test]
fn every_objective_computes_the_same_everywhere() {
    for text in [
        "'dvae'\ncorruptions = 2\nlatents = 2",
        "'dvae'\nkl = { type = 'mixture' }\ncorruptions = 2",
        "'dvae'\nkl = { type = 'sticking-the-landing' }",
        "'diwae'\nlatents = 3",
        "'diwae'\ncorruptions = 2\nweights = 'mixture'",
        "'diwae'\nlatents = 3\nweights = 'doubly-reparameterized'",
        "'dvae'\nkl = { type = 'weighted', beta = { linear = { from = 0, to = 4 } } }",
        "'dvae'\nkl = { type = 'free-bits', nats = 0.2, group = 2 }",
        "'dvae'\nkl = { type = 'capacity', gamma = 3, nats = 5 }",
        "'dvae'\nkl = { type = 'total-correlation', beta = 6 }",
        "'dvae'\nkl = { type = 'mmd', alpha = 0.5, lambda = 100 }",
        "'dvae'\nkl = { type = 'dip', covariance = 'latents', off_diagonal = 3, diagonal = 2 }",
        "'dvae'\nemphasis = { changed = 2, unchanged = 0.5 }",
    ] {
        let objective: Objective = toml::from_str(&format!("bound = {text}")).unwrap();
        objective.check().unwrap();
        assert_equal_everywhere(text, |device| {
            loss_and_gradients(small().init(Key::new(1), device).unwrap(), &objective, device)
        });
    }
}

/// Input and mask of three rows, damaged by a process.
fn damage(process: &dyn Corruption<4>, device: &Device) -> (Vec<f32>, Vec<bool>) {
    let rows = fashion_mnist().test.take(3);
    let ids = [5, 1 << 40, 7];
    let clean = rows.gather::<4>(&rows.ids(), device);
    let mut draws = Key::new(4).purpose(Purpose::Corruption).epoch(1).rows(&ids);
    let CorruptedInput { input, changed, .. } = process.corrupt(clean, &mut draws);
    let (input, changed) = (input.into_data(), changed.into_data());
    (input.iter::<f32>().collect(), changed.iter::<bool>().collect())
}

// What looks at a whole row is computed on the host: the same bits. What looks at entries is computed
// where they are: to the last bits of a float, and a threshold or a rounding may fall the other way once
// in a million.
#[test]
fn damage_is_the_same_everywhere() {
    let ranges = ["gaussian:0.1..0.5", "masking:0..1", "gamma:1..2", "laplace:0..0.3"];
    let ranges = ranges.map(|text| text.parse::<CorruptionConfig>().unwrap());
    for config in CorruptionConfig::all().into_iter().chain(ranges) {
        let process = config.build::<4>(Domain::Unit).unwrap();
        let whole_rows = config.build::<2>(Domain::Unit).is_err() || config.name() == "shot";
        let mut reference = None;
        for (backend, device) in devices() {
            let (input, changed) = damage(&*process, &device);
            let (expected, touched) =
                reference.get_or_insert_with(|| (input.clone(), changed.clone()));
            if whole_rows {
                assert!(*expected == input && *touched == changed, "{config}, {backend}");
                continue;
            }
            let gaps = expected.iter().zip(&input).map(|(a, b)| (a - b).abs());
            let far = gaps.filter(|gap| *gap > 2e-5).count();
            let other = touched.iter().zip(&changed).filter(|(a, b)| a != b).count();
            assert!(far <= 2, "{config}, {backend}: {far} entries differ");
            // An entry that moves by its last bit counts as changed on one of them.
            assert!(other <= input.len() / 1000, "{config}, {backend}: {other} flags differ");
        }
    }
}

/// Three draws of two rows, on the device or (for any that wants its own kernel) as the host makes them.
fn noise(shape: [usize; 3], device: &Device) -> [Vec<f32>; 3] {
    let ids: Vec<u64> = (0..shape[0] as u64).map(|i| i * (1 << 50) + 3).collect();
    let mut draws = Key::new(2).purpose(Purpose::Corruption).epoch(7).rows(&ids);
    let read = |tensor: Tensor<3>| tensor.into_data().iter::<f32>().collect();
    [
        read(draws.uniform(shape, device)),
        read(draws.bernoulli(0.3, shape, device).float()),
        read(draws.normal(shape, device)),
    ]
}

// Else the test below would compare the host with itself.
#[test]
fn a_gpu_makes_its_own_noise_unless_kernels_are_off() {
    let stream = dvae::kernels::streams::KeyedDraw { ids: &[1, 2], key: [3, 4], draw: 0 };
    for (backend, device) in devices() {
        let made = stream.normal::<2>(&[2, 5].into(), &device).is_some();
        assert_eq!(made, backend == Backend::Wgpu && dvae::kernels::enabled(), "{backend}");
    }
}

// On a GPU normals are made by a kernel whose products and sums may be fused: as equal as floats can
// be. Uniforms and trials are integers turned into what they are.
#[test]
fn noise_is_the_same_everywhere() {
    for shape in [[2, 37, 27], [1, 1, 1], [3, 8, 8], [5, 1, 65], [1, 3, 7001], [2, 0, 3]] {
        let mut reference = None;
        for (backend, device) in devices() {
            for device in [device.clone(), device.autodiff()] {
                let drawn = noise(shape, &device);
                let expected = reference.get_or_insert_with(|| drawn.clone());
                assert!(drawn[..2] == expected[..2], "{backend} has other noise, {shape:?}");
                let gaps = drawn[2].iter().zip(&expected[2]).map(|(a, b)| (a - b).abs());
                let largest = gaps.fold(0.0, f32::max);
                let allowed = if backend == Backend::Wgpu { 1e-6 } else { 0.0 };
                assert!(largest <= allowed, "{backend} {shape:?}: normals differ by {largest}");
                println!("{backend} {shape:?}: normals differ by {largest}");
            }
        }
    }
}
