//! Every family of posterior and prior, in a model.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use dvae_distributions::{DiagonalNormal, Encoding, Inference, Kl, Likelihood};
use dvae_models::{
    AnyNetwork, Autoencoder, AutoencoderConfig, ConvNetConfig, MlpConfig, ModelError,
    PosteriorConfig, PriorConfig, ResNetConfig, Vae,
};
use dvae_random::{Key, RowStreams};

const LATENT: usize = 2;

const POSTERIORS: [PosteriorConfig; 4] = [
    PosteriorConfig::DiagonalNormal {},
    PosteriorConfig::FullNormal {},
    PosteriorConfig::Planar { flows: 3 },
    PosteriorConfig::InverseAutoregressive { flows: 2, hidden: 8 },
];
const PRIORS: [PriorConfig; 4] = [
    PriorConfig::StandardNormal {},
    PriorConfig::Mixture { components: 3 },
    PriorConfig::Vamp { components: 4 },
    PriorConfig::RealNvp { couplings: 3, hidden: 8 },
];

fn draws(rows: usize, seed: u64) -> RowStreams {
    let ids: Vec<u64> = (0..rows as u64).collect();
    Key::new(seed).rows(&ids)
}

/// All combinations that go together.
fn models() -> Vec<(PosteriorConfig, PriorConfig, Autoencoder<AnyNetwork>)> {
    let pairs = POSTERIORS.iter().flat_map(|q| PRIORS.iter().map(move |p| (*q, *p)));
    pairs
        .filter_map(|(posterior, prior)| {
            let config = AutoencoderConfig::new(MlpConfig::new(&[6]), &[3], LATENT);
            let config = AutoencoderConfig { posterior, prior, ..config };
            match config.init(Key::new(5), &Device::flex()) {
                Ok(model) => Some((posterior, prior, model)),
                Err(error) => {
                    assert_eq!(error, ModelError::Vamp);
                    None
                }
            }
        })
        .collect()
}

fn encoded(model: &Autoencoder<AnyNetwork>, input: Tensor<2>) -> Encoding {
    model.encode(input, &Vae::<2>::prior(model))
}

fn input(rows: usize, device: &Device) -> Tensor<2> {
    Tensor::<2>::from_data([[0.2, 0.9, 0.4]], device).expand([rows, 3])
}

/// The narrow normal about the mean of some points, as an encoding, and it at each of them.
fn narrow_at(points: &Tensor<2>) -> Tensor<1> {
    let center = points.clone().mean_dim(0);
    let log_variance = Tensor::full([1, LATENT], (0.3f64 * 0.3).ln(), &points.device());
    DiagonalNormal::new(center, log_variance).log_prob(points.clone())
}

/// The mean of `e^log` is 1 within six of its own standard errors.
fn assert_mean_is_one(what: &str, log: Tensor<1>) {
    let weights: Vec<f64> = log.into_data().iter::<f64>().map(f64::exp).collect();
    let n = weights.len() as f64;
    let mean = weights.iter().sum::<f64>() / n;
    let error = (weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n / n).sqrt();
    assert!(error < 0.03, "{what}: too uncertain, ± {error}");
    assert!((mean - 1.0).abs() < 6.0 * error + 2e-3, "{what}: {mean} ± {error}");
}

// With z ~ q and any density g, E[g(z)/q(z)] = 1 if and only if q is the density of its draws (where g is not
// 0). A bijection whose determinant is off, or a draw from elsewhere, moves it.
#[test]
fn densities_are_those_of_the_draws() {
    let rows = 100_000;
    for (posterior, prior, model) in models() {
        let encoding = encoded(&model, input(rows, &Device::flex()));
        let inference = encoding.infer(&mut draws(rows, 1));
        let weight = narrow_at(&inference.latents.flat()) - inference.log_posterior;
        assert_mean_is_one(&format!("{posterior:?}"), weight);
        let z = Vae::<2>::sample_prior(&model, &mut draws(rows, 2)).flat();
        let weight = narrow_at(&z) - encoding.prior.log_prob(z);
        assert_mean_is_one(&format!("{prior:?}"), weight);
    }
}

#[test]
fn the_mass_of_every_prior_is_one() {
    let (side, width) = (241, 0.1);
    let at = |i: usize| (i as f32 - 120.0) * width;
    let values: Vec<f32> = (0..side * side).flat_map(|i| [at(i / side), at(i % side)]).collect();
    let grid = Tensor::<2>::from_data(TensorData::new(values, [side * side, 2]), &Device::flex());
    for (_, prior, model) in models().into_iter().take(4) {
        let encoding = encoded(&model, input(1, &Device::flex()));
        let log_prob = encoding.prior.log_prob(grid.clone()).into_data();
        let mass: f64 =
            log_prob.iter::<f64>().map(f64::exp).sum::<f64>() * f64::from(width).powi(2);
        assert!((mass - 1.0).abs() < 5e-3, "{prior:?}: {mass}");
    }
}

#[test]
fn the_kl_is_in_closed_form_for_normals_under_the_standard_prior_and_of_the_draw_else() {
    for (posterior, prior, model) in models() {
        let inference = Vae::<2>::infer(&model, input(5, &Device::flex()), &mut draws(5, 3));
        let normal = POSTERIORS[..2].contains(&posterior);
        let closed = normal && prior == PriorConfig::default();
        assert_eq!(
            matches!(inference.kl[..], [Kl::ClosedForm(_)]),
            closed,
            "{posterior:?} {prior:?}"
        );
        if !closed {
            let gap = inference.total_kl() - inference.sampled_kl();
            assert_eq!(gap.abs().max().into_scalar::<f32>(), 0.0);
        }
    }
}

/// Names what has no gradient, or none but zeros.
struct Reached<'a>(&'a GradientsParams, usize);

impl ModuleVisitor for Reached<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(param.id).expect("a gradient for every weight");
        assert!(gradient.clone().is_finite().all().into_scalar::<bool>());
        assert!(gradient.abs().max().into_scalar::<f32>() > 0.0, "{:?}", param.val().dims());
        self.1 += 1;
    }
}

#[test]
fn the_bound_reaches_every_weight() {
    for (posterior, prior, model) in models() {
        let model = model.train();
        let device = Device::flex();
        let Inference { latents, log_posterior, log_prior, .. } =
            Vae::<2>::infer(&model, input(16, &device), &mut draws(16, 3));
        let likelihood = Vae::<2>::decode(&model, latents);
        let bound = likelihood.log_likelihood(input(16, &device)) + log_prior - log_posterior;
        let gradients = GradientsParams::from_grads(bound.sum().backward(), &model);
        let mut reached = Reached(&gradients, 0);
        model.visit(&mut reached);
        assert!(reached.1 >= 10, "{posterior:?} {prior:?}");
    }
}

#[test]
fn image_models_take_every_family_too() {
    let device = Device::flex();
    let (posterior, prior) =
        (PosteriorConfig::DiagonalNormal {}, PriorConfig::Vamp { components: 3 });
    let images = Tensor::<4>::full([2, 1, 6, 5], 0.5, &device);
    let conv = AutoencoderConfig {
        posterior,
        prior,
        ..AutoencoderConfig::new(ConvNetConfig::new(&[3]), &[1, 6, 5], 2)
    };
    let conv = conv.init(Key::new(1), &device).unwrap();
    assert_eq!(conv.infer(images.clone(), &mut draws(2, 1)).log_prior.dims(), [2]);
    assert_eq!(Vae::<4>::sample_prior(&conv, &mut draws(4, 1)).flat().dims(), [4, 2]);
    let resnet = AutoencoderConfig {
        posterior,
        prior,
        ..AutoencoderConfig::new(ResNetConfig::new(&[3]), &[1, 6, 5], 2)
    };
    let resnet =
        AutoencoderConfig { mask_input: true, ..resnet }.init(Key::new(1), &device).unwrap();
    let shown = Tensor::cat(vec![images.clone(), images], 1);
    assert_eq!(resnet.infer(shown, &mut draws(2, 1)).log_prior.dims(), [2]);
}

#[test]
fn what_does_not_go_together_is_refused_with_the_reason() {
    let error = |posterior, prior, latent| {
        let config = AutoencoderConfig { posterior, prior, ..AutoencoderConfig::mlp(&[3], latent) };
        config.init(Key::new(1), &Device::flex()).unwrap_err().to_string()
    };
    let diagonal = PosteriorConfig::default();
    let full = PosteriorConfig::FullNormal {};
    let vamp = error(full, PriorConfig::Vamp { components: 2 }, 2);
    assert!(vamp.contains("`posterior` must be `diagonal-normal`"), "{vamp}");
    let one = error(diagonal, PriorConfig::RealNvp { couplings: 2, hidden: 4 }, 1);
    assert!(one.contains("`latent` must be at least 2"), "{one}");
    let none = error(diagonal, PriorConfig::Mixture { components: 0 }, 2);
    assert!(none.contains("`prior.components` must be between 1"), "{none}");
    let flows = error(PosteriorConfig::Planar { flows: 0 }, PriorConfig::default(), 2);
    assert!(flows.contains("`posterior.flows`"), "{flows}");
    let heavy = error(PosteriorConfig::FullNormal {}, PriorConfig::default(), 1 << 20);
    assert!(heavy.contains("weights in one layer"), "{heavy}");
}

// Fully, diagonally and by a flow: the encoding of one row does not depend on the others.
#[test]
fn rows_are_independent_of_each_other() {
    let device = Device::flex();
    for (posterior, prior, model) in models() {
        let rows = draws(4, 8).uniform::<2>([4, 3], &device);
        let log = |encoding: Encoding, draws: &mut RowStreams| {
            let inference = encoding.infer(draws);
            (inference.log_posterior, inference.log_prior)
        };
        let (q, p) = log(encoded(&model, rows.clone()), &mut draws(4, 1));
        let one = Key::new(1).rows(&[2]);
        let (q2, p2) = log(encoded(&model, rows.narrow(0, 2, 1)), &mut one.clone());
        let gap = (q.narrow(0, 2, 1) - q2).abs() + (p.narrow(0, 2, 1) - p2).abs();
        assert!(gap.into_scalar::<f32>() < 1e-4, "{posterior:?} {prior:?}");
    }
}
