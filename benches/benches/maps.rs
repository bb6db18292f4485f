//! Convolutions of maps, as a ladder uses them: forward, and forward and backward, in multiply-adds a second.
//!
//! `cargo bench --workspace --bench maps`

#![allow(missing_docs)]

use divan::Bencher;
use divan::counter::ItemsCount;
use dvae::kernels::{Activation, MapConv, Resize};
use dvae::prelude::*;
use dvae_benches::{backends, device, tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    rayon::scope(|_| divan::main());
}

/// Images, inputs, side, outputs, kernel, and what happens to the sides.
#[derive(Clone, Copy, Debug)]
struct Map(usize, usize, usize, usize, usize, Resize);

const DOUBLE: Resize = Resize::Double { height: 28, width: 28 };

const MAPS: [Map; 10] = [
    Map(64, 1, 28, 16, 3, Resize::Keep),
    Map(64, 16, 28, 16, 3, Resize::Keep),
    Map(64, 32, 28, 32, 3, Resize::Keep),
    Map(64, 32, 14, 32, 3, Resize::Keep),
    Map(64, 64, 7, 64, 3, Resize::Keep),
    Map(64, 16, 28, 32, 3, Resize::Halve),
    Map(64, 32, 14, 16, 3, DOUBLE),
    Map(64, 16, 28, 4, 1, Resize::Keep),
    Map(16, 32, 64, 32, 3, Resize::Keep),
    Map(1, 32, 512, 32, 3, Resize::Keep),
];

impl Map {
    fn multiply_adds(self) -> usize {
        let Map(images, inputs, side, outputs, kernel, resize) = self;
        let [height, width] = resize.sides([side; 2]);
        images * inputs * height * width * outputs * kernel * kernel
    }

    /// The summed output of a convolution whose operands are on the device.
    fn run(self, device: &Device) -> impl Fn() -> Tensor<1> + use<> {
        let Map(images, inputs, side, outputs, kernel, resize) = self;
        let x = tensor([images, inputs, side, side], device);
        let weight = tensor([outputs, inputs, kernel, kernel], device);
        let bias = tensor([outputs], device);
        let conv = MapConv { activation: Activation::Silu, resize };
        move || conv.forward(x.clone(), weight.clone(), bias.clone(), None).sum()
    }
}

#[divan::bench(args = MAPS)]
fn forward(bencher: Bencher, map: Map) {
    let run = map.run(&device(backends()[0]));
    bencher.counter(ItemsCount::new(map.multiply_adds())).bench_local(|| run().into_data());
}

#[divan::bench(args = MAPS)]
fn forward_and_backward(bencher: Bencher, map: Map) {
    let run = map.run(&device(backends()[0]).autodiff());
    bencher.counter(ItemsCount::new(3 * map.multiply_adds())).bench_local(|| run().backward());
}
