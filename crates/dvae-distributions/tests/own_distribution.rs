//! A distribution of a user's own: one formula gives its density, runs fused with its gradient, and is a component of
//! a mixture.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{DType, Device, Tensor};
use dvae_distributions::{
    Entries, EntryDistribution, Formula, Likelihood, Mixture, Parameters, Scalar,
};
use dvae_random::{Key, RowStreams};

/// A Cauchy distribution: a location, and a scale `ln(1 + eʳ)` above a floor.
#[derive(Clone, Copy, Debug)]
struct Cauchy {
    floor: f64,
}

impl Formula<2, 1> for Cauchy {
    #[inline(always)]
    fn at<S: Scalar>(&self, [location, raw_scale]: [S; 2], [x]: [S::Constant; 1]) -> S {
        let scale = raw_scale.softplus() + self.floor;
        let t = (location - x) / scale.clone();
        -t.square().log1p() - scale.log() - std::f64::consts::PI.ln()
    }
}

impl EntryDistribution<2> for Cauchy {
    /// It has none; the location is its median.
    fn mean<const D: usize>(&self, [location, _]: [Tensor<D>; 2]) -> Tensor<D> {
        location
    }

    fn variance<const D: usize>(&self, [location, _]: [Tensor<D>; 2]) -> Tensor<D> {
        location.full_like(f32::INFINITY)
    }

    fn sample<const D: usize>(
        &self,
        [location, raw_scale]: [Tensor<D>; 2],
        draws: &mut RowStreams,
    ) -> Tensor<D> {
        let u = draws.uniform::<D>(location.shape(), &location.device());
        location + ((u - 0.5) * std::f64::consts::PI).tan() * (raw_scale.softplus() + self.floor)
    }

    fn named<const D: usize>(
        &self,
        [location, raw_scale]: [Tensor<D>; 2],
    ) -> Vec<(&'static str, Tensor<D>)> {
        vec![("location", location), ("scale", raw_scale.softplus() + self.floor)]
    }
}

const ROWS: usize = 5;
const FEATURES: usize = 37;

fn values(n: usize, step: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * step).sin() * 3.0).collect()
}

fn tensor(width: usize, step: f32, device: &Device, dtype: DType) -> Tensor<2> {
    let values = values(ROWS * width, step);
    Tensor::<1>::from_data(values.as_slice(), device).cast(dtype).reshape([ROWS, width]).detach()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

// Each entry has the bits of the formula on numbers: on Burn's operations it would have others, because their
// exponentials and logarithms are not this crate's.
#[test]
fn it_is_fused_with_its_gradient() {
    let device = Device::flex().autodiff();
    let entry = Cauchy { floor: 0.1 };
    let outputs = tensor(2 * FEATURES, 0.7, &device, DType::F32).require_grad();
    let x = tensor(FEATURES, 1.3, &device, DType::F32).inner();
    let law = Entries::of(entry, Parameters::Beside(outputs.clone())).unwrap();
    let each = law.log_prob(x.clone());
    let gradient = read(outputs.grad(&each.clone().sum().backward()).unwrap());
    let (outputs, x, each) = (read(outputs.inner()), read(x), read(each.inner()));
    let mut same = 0;
    for row in 0..ROWS {
        for i in 0..FEATURES {
            let at = |p: usize| row * 2 * FEATURES + p * FEATURES + i;
            let numbers = [outputs[at(0)] as f32, outputs[at(1)] as f32];
            let place = row * FEATURES + i;
            let (value, slopes) = entry.with_slopes(numbers, [x[place] as f32]);
            let bits = [f64::from(value), f64::from(slopes[0]), f64::from(slopes[1])];
            let got = [each[place], gradient[at(0)], gradient[at(1)]];
            same += usize::from(bits == got);
            for (bits, got) in bits.into_iter().zip(got) {
                assert!((bits - got).abs() < 1e-5, "{bits}, not {got}");
            }
        }
    }
    assert_eq!(same == ROWS * FEATURES, dvae_kernels::enabled(), "{same}");
}

// In double precision it is Burn's operations: the same, up to rounding, alone and as a component of a mixture.
#[test]
fn it_is_the_same_as_operations_and_in_a_mixture() {
    let entry = Cauchy { floor: 0.1 };
    let mixture = Mixture { component: entry, components: 3 };
    let results = [DType::F32, DType::F64].map(|dtype| {
        let device = Device::flex().autodiff();
        let outputs = tensor(9 * FEATURES, 0.7, &device, dtype).require_grad();
        let x = tensor(FEATURES, 1.3, &device, dtype).inner();
        let weights = tensor(FEATURES, 0.9, &device, dtype).inner().abs();
        let alone = Parameters::Beside(outputs.clone().narrow(1, 0, 2 * FEATURES));
        let law = Entries::of(entry, alone).unwrap();
        let nats = law.weighted_log_likelihood(x.clone(), weights.clone())
            + law.log_likelihood(x.clone())
            + mixture.rows(&outputs, x.clone(), Some(weights))
            + mixture.each(&outputs, x).sum_dim(1).reshape([ROWS]);
        let gradient = outputs.grad(&nats.clone().sum().backward()).unwrap();
        [read(nats.inner()), read(gradient)].concat()
    });
    for (single, double) in results[0].iter().zip(&results[1]) {
        assert!((single - double).abs() < 1e-5 * double.abs().max(1.0), "{single}, not {double}");
    }
}

// At the location the density is 1/πs; a quarter of the draws are more than a scale above it.
#[test]
fn it_is_a_likelihood() {
    let device = Device::flex();
    let n = 40_000;
    let outputs = Tensor::<2>::from_data([[2.0, 0.0]], &device).expand([n, 2]);
    let law = Entries::of(Cauchy { floor: 0.1 }, Parameters::<2, 2>::Beside(outputs)).unwrap();
    let scale = 2f32.ln() + 0.1;
    let peak = law.log_prob(Tensor::full([n, 1], 2.0, &device)).mean().into_scalar::<f32>();
    assert!((peak + (std::f32::consts::PI * scale).ln()).abs() < 1e-5, "{peak}");
    let ids: Vec<u64> = (0..n as u64).collect();
    let above = law.sample(&mut Key::new(3).rows(&ids)).greater_elem(2.0 + scale).float();
    let share = above.mean().into_scalar::<f64>();
    // Six standard deviations of a binomial mean.
    assert!((share - 0.25).abs() < 6.0 * (0.1875 / n as f64).sqrt(), "{share}");
}
