//! Log-densities of 128 rows of 784 entries, with the gradient with respect to the network's outputs.
//!
//! `cargo bench --workspace --bench densities`; `benches/peers/densities.py` times the same in PyTorch.

#![allow(missing_docs)]

use divan::Bencher;
use dvae::distributions::{Likelihood, LikelihoodConfig};
use dvae::prelude::*;
use dvae_benches::{BATCH, backends, device};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

const ENTRIES: usize = 784;

const LAWS: [&str; 11] = [
    "bernoulli",
    "continuous-bernoulli",
    "learned-normal",
    "learned-laplace",
    "student-t",
    "discretized-logistic",
    "mixture-of-5",
    "categorical",
    "poisson",
    "negative-binomial",
    "zero-inflated-negative-binomial",
];

fn config(name: &str) -> LikelihoodConfig {
    match name {
        "bernoulli" => LikelihoodConfig::Bernoulli {},
        "continuous-bernoulli" => LikelihoodConfig::ContinuousBernoulli {},
        "learned-normal" => LikelihoodConfig::LearnedNormal {
            min_scale: 1e-3,
            initial_scale: None,
            mean_scale: None,
        },
        "learned-laplace" => LikelihoodConfig::LearnedLaplace { min_scale: 1e-3 },
        "student-t" => LikelihoodConfig::StudentT { min_scale: 1e-3, min_degrees: 3.0 },
        "discretized-logistic" | "mixture-of-5" => LikelihoodConfig::DiscretizedLogistic {
            levels: 256,
            components: if name == "mixture-of-5" { 5 } else { 1 },
            min_scale: 1e-3,
        },
        "categorical" => LikelihoodConfig::Categorical { classes: 10 },
        "poisson" => LikelihoodConfig::Poisson {},
        "negative-binomial" => LikelihoodConfig::NegativeBinomial { min_inverse_dispersion: 1e-3 },
        _ => LikelihoodConfig::ZeroInflatedNegativeBinomial { min_inverse_dispersion: 1e-3 },
    }
}

#[divan::bench(args = LAWS)]
fn of_128x784(bencher: Bencher, name: &str) {
    let device = device(backends()[0]);
    let ids: Vec<u64> = (0..BATCH as u64).collect();
    let mut draws = Key::new(1).rows(&ids);
    let law = config(name);
    let outputs: Tensor<2> = draws.normal([BATCH, law.outputs(ENTRIES)], &device);
    let u: Tensor<2> = draws.uniform([BATCH, ENTRIES], &device);
    let x = match name {
        "bernoulli"
        | "continuous-bernoulli"
        | "learned-normal"
        | "learned-laplace"
        | "student-t" => u,
        "discretized-logistic" | "mixture-of-5" => (u * 255.0).round() / 255.0,
        _ => (u * 9.0).round(),
    };
    bencher.bench_local(|| {
        let outputs = Tensor::from_inner(outputs.clone()).require_grad();
        let likelihood = law.of(outputs.clone(), None).expect("right parameters");
        let gradients = likelihood.log_likelihood(x.clone()).sum().backward();
        let gradient = outputs.grad(&gradients);
        device.sync().expect("a device that works");
        gradient
    });
}
