//! Small models of texts, of which all texts can be listed.

#![allow(dead_code)] // Each test uses a part.

use std::sync::RwLock;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use dvae_distributions::{Latents, Likelihood, LikelihoodConfig};
use dvae_models::{AnyNetwork, Autoencoder, AutoencoderConfig, TokenConfig, TokenSequences, Vae};
use dvae_random::{Key, RowStreams};

pub(crate) type Model = Autoencoder<AnyNetwork>;

pub(crate) const WIDTH: usize = 4;
/// The end, and three letters.
pub(crate) const TOKENS: usize = 4;
/// Texts of up to four of three letters: 1 + 3 + 9 + 27 + 81.
pub(crate) const TEXTS: usize = 121;
/// Without latents at each character, and with some.
pub(crate) const PLACES: [usize; 2] = [0, 2];

/// Read by tests that compare bits, written by the one that turns fused operations off.
pub(crate) static KERNELS: RwLock<()> = RwLock::new(());

pub(crate) fn draws(ids: &[u64], key: u64) -> RowStreams {
    Key::new(key).rows(ids)
}

pub(crate) fn config(places: usize) -> AutoencoderConfig {
    let network = TokenConfig { embedding: 3, hidden: 5, places };
    let likelihood = LikelihoodConfig::Tokens { classes: TOKENS };
    AutoencoderConfig { likelihood, ..AutoencoderConfig::new(network, &[WIDTH], 3) }
}

/// Moves each weight by a normal: biases begin at 0, and some layers are nearly 0.
pub(crate) struct Shake(u64);

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let key = Key::new(11).branch(self.0);
        param.map(|weight| {
            let (shape, device) = (weight.shape(), weight.device());
            let noise = key.rows(&[0]).normal::<2>([1, shape.num_elements()], &device) * 0.4;
            weight + noise.reshape(shape)
        })
    }
}

pub(crate) fn model(places: usize) -> Model {
    config(places).init(Key::new(3), &Device::flex()).unwrap().map(&mut Shake(0))
}

/// Latents of three rows.
pub(crate) fn latents(model: &Model) -> Latents {
    Vae::<2>::sample_prior(model, &mut draws(&[0, 1, 2], 1))
}

pub(crate) fn some(latents: &Latents, places: &[usize]) -> Latents {
    let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    let count = places.len();
    let data = TensorData::new(places, [count]);
    latents.select(Tensor::<1, Int>::from_data(data, &Device::flex()))
}

pub(crate) fn sequences(model: &Model, latents: &Latents) -> TokenSequences {
    match model.network() {
        AnyNetwork::Tokens(network) => network.sequences(latents),
        other => panic!("{other:?}"),
    }
}

/// All texts, the shorter ones first.
pub(crate) fn texts() -> Vec<Vec<u16>> {
    let mut texts = vec![vec![]];
    let mut last: Vec<Vec<u16>> = texts.clone();
    for _ in 0..WIDTH {
        let longer = |text: &Vec<u16>| {
            let text = text.clone();
            (1..TOKENS as u16).map(move |token| [&text[..], &[token]].concat())
        };
        last = last.iter().flat_map(longer).collect();
        texts.extend(last.clone());
    }
    assert_eq!(texts.len(), TEXTS);
    texts
}

/// Texts filled up with ends: `[texts, WIDTH]`.
pub(crate) fn rows(texts: &[Vec<u16>]) -> Tensor<2> {
    let mut values = vec![0.0f32; texts.len() * WIDTH];
    for (row, text) in values.chunks_exact_mut(WIDTH).zip(texts) {
        row.iter_mut().zip(text).for_each(|(to, &token)| *to = f32::from(token));
    }
    Tensor::from_data(TensorData::new(values, [texts.len(), WIDTH]), &Device::flex())
}

pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// `log p(x | z)` of each text at the latents of one row, by a batch of that row.
pub(crate) fn enumeration(model: &Model, latents: &Latents, row: usize) -> Vec<(Vec<u16>, f64)> {
    let law: Box<dyn Likelihood<2>> = Vae::<2>::decode(model, some(latents, &[row; TEXTS]));
    let texts = texts();
    let nats = numbers(law.log_likelihood(rows(&texts)));
    texts.into_iter().zip(nats).collect()
}

pub(crate) fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let gap = (got - expected).abs();
        assert!(gap <= tolerance, "{what}: number {at} is {got}, not {expected}");
    }
}

/// Texts of every length; the longest is neither the first nor the last one.
pub(crate) fn neighbors() -> Vec<Vec<u16>> {
    vec![vec![2, 1], vec![3], vec![3, 1, 2, 3], vec![], vec![1, 2, 2]]
}
