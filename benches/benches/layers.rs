//! Single layers of the convolutional model: forward, and forward and backward; batch 128.
//!
//! `cargo bench --workspace --bench layers`

#![allow(missing_docs)]

use divan::Bencher;
use dvae::burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use dvae::kernels::{Activation, conv_transpose2d, conv2d, linear};
use dvae::prelude::*;
use dvae_benches::{BATCH, backends, device, tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

/// A layer of the model, by input, kernel and output.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Conv(usize, usize, usize),
    Transposed(usize, usize, usize),
    Linear(usize, usize),
}

const LAYERS: [Layer; 6] = [
    Layer::Conv(1, 28, 32),
    Layer::Conv(32, 14, 64),
    Layer::Linear(3136, 32),
    Layer::Linear(32, 3136),
    Layer::Transposed(64, 7, 32),
    Layer::Transposed(32, 14, 1),
];

/// The summed output of a layer whose operands are on the device.
fn run(layer: Layer, device: &Device) -> Box<dyn Fn() -> Tensor<1>> {
    let bias = |n: usize| tensor([n], device);
    match layer {
        Layer::Conv(inputs, side, outputs) => {
            let x = tensor([BATCH, inputs, side, side], device);
            let w = tensor([outputs, inputs, 3, 3], device);
            let b = bias(outputs);
            let options = || ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
            Box::new(move || {
                conv2d(x.clone(), w.clone(), b.clone(), options(), Activation::Relu).sum()
            })
        }
        Layer::Transposed(inputs, side, outputs) => {
            let x = tensor([BATCH, inputs, side, side], device);
            let w = tensor([inputs, outputs, 4, 4], device);
            let b = bias(outputs);
            let options = || ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
            Box::new(move || {
                conv_transpose2d(x.clone(), w.clone(), b.clone(), options(), Activation::Relu).sum()
            })
        }
        Layer::Linear(inputs, outputs) => {
            let x = tensor([BATCH, inputs], device);
            let w = tensor([inputs, outputs], device);
            let b = bias(outputs);
            Box::new(move || linear(x.clone(), w.clone(), b.clone(), Activation::Relu).sum())
        }
    }
}

#[divan::bench(args = LAYERS)]
fn forward(bencher: Bencher, layer: Layer) {
    let device = device(backends()[0]);
    let run = run(layer, &device);
    bencher.bench_local(|| {
        let out = run();
        device.sync().expect("a device that works");
        out
    });
}

#[divan::bench(args = LAYERS)]
fn forward_and_backward(bencher: Bencher, layer: Layer) {
    let device = device(backends()[0]);
    let run = run(layer, &device.clone().autodiff());
    bencher.bench_local(|| {
        let gradients = run().backward();
        device.sync().expect("a device that works");
        gradients
    });
}
