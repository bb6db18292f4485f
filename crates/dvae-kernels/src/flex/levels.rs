//! Tests at every instruction set of the machine.
//!
//! The cap applies to the whole process, and other tests may run at the same time: their results are correct
//! at any level.

use super::conv::{self, Backward};
use super::geometry::Geometry;
use super::map_conv::MapConv;
use super::pass::{self, Inputs, Pass};
use super::passes::{Classes, Components, Entrywise};
use super::simd::{Level, cap};
use super::strips::Source;
use super::{adam, dense};
use crate::latent::{Kl, Reparameterize, Sigmoid};
use crate::{Activation, Formula, Resize, Scalar};

const LEVELS: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

/// Serializes the tests that change the cap.
static CAP: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The results of `run` at each level, lowest first.
fn at_each_level<T>(run: impl Fn() -> T) -> [T; 3] {
    let _alone = CAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let results = LEVELS.map(|level| {
        cap(level);
        run()
    });
    cap(Level::Avx512);
    results
}

fn values(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) * step).collect()
}

fn bits(values: impl IntoIterator<Item = Vec<f32>>) -> Vec<u32> {
    values.into_iter().flatten().map(f32::to_bits).collect()
}

/// Every function of a scalar.
#[derive(Clone, Copy, Debug)]
struct Everything {
    floor: f64,
}

impl Formula<2, 1> for Everything {
    #[inline(always)]
    fn at<S: Scalar>(&self, [a, b]: [S; 2], [x]: [S::Constant; 1]) -> S {
        let scale = b.clone().softplus() + self.floor;
        let t =
            ((a.clone() - x.clone()) / scale.clone()).square().log1p() * -0.5 - scale.clone().log();
        let u = a.clone().log_sigmoid() * x.clone() + scale.clone().ln_gamma() / 3.0;
        let v = (-b.clone().abs()).exp() + scale.recip().clamp(0.1, 0.9) * a.clone().sigmoid();
        let w = (t + u) * v + b.clone().floor();
        w.clone().mask_where(a.lower(b.clone()), w - b).mask_fill(x.greater_elem(0.45), 0.5)
    }
}

#[test]
fn element_wise_code_gives_the_same_bits_at_every_level() {
    let (wide, x) = (values(999, 0.3), values(999, 0.01));
    let scale: Vec<f32> = x.iter().map(|x| x.abs() + 0.1).collect();
    let classes: Vec<f32> = (0..333).map(|i| (i % 3) as f32).collect();
    let results = at_each_level(|| {
        let mut all = Vec::new();
        let everything = Everything { floor: 0.1 };
        let mut keep = |pass: &dyn Pass, parameters: &[&[f32]], constants: &[&[f32]]| {
            for (by_row, weighted) in [(false, false), (true, false), (true, true)] {
                let counts = pass.parameters() / parameters.len();
                let inputs = Inputs {
                    rows: 3,
                    features: parameters[0].len() / counts / 3,
                    parameters: parameters.iter().map(|all| (*all, counts)).collect(),
                    constants: constants.to_vec(),
                    weights: weighted.then(|| &scale[..parameters[0].len() / counts]),
                };
                let (out, slopes) = pass::run(pass, inputs, by_row, true);
                all.push(out);
                all.extend(slopes);
            }
        };
        keep(&Entrywise(everything), &[&wide, &x], &[&x]);
        keep(&Entrywise(Reparameterize), &[&wide, &wide], &[&x]);
        keep(&Entrywise(Kl), &[&x, &wide], &[]);
        keep(&Entrywise(Sigmoid), &[&wide], &[]);
        let six = [wide.clone(), x.clone()].concat();
        keep(&Components { component: everything, components: 2 }, &[&six], &[&classes]);
        keep(&Classes { classes: 3, given: true }, &[&wide], &[&classes]);
        keep(&Classes { classes: 3, given: false }, &[&wide], &[]);
        let mut gradient = wide.clone();
        all.push(dense::backward(&mut gradient, &x, 37, true));
        pass::scale_slopes(&mut gradient, &[1.5, -2.0, 0.1], [3, 333], true);
        pass::scale_slopes(&mut gradient, &x[..333], [3, 111], false);
        all.push(gradient);
        let [mut parameter, mut first, mut second] = [wide.clone(), x.clone(), scale.clone()];
        adam::update(&mut parameter, &wide, &mut first, &mut second, adam::Step::test());
        all.extend([parameter, first, second]);
        bits(all)
    });
    assert!(results[0] == results[1] && results[1] == results[2]);
}

// Both sum in the same order with fused multiply-adds; the baseline rounds each product too.
#[test]
fn convolutions_agree_at_every_level() {
    let geometry = Geometry {
        image: [5, 9, 11],
        features: [19, 5, 4],
        kernel: [3, 4],
        stride: [2, 3],
        padding: [1, 2],
        dilation: [1, 1],
    };
    let images = 35;
    let (x, y) = (values(images * 5 * 99, 0.02), values(images * 19 * 20, 0.02));
    let (weight, bias) = (values(19 * 5 * 12, 0.01), values(19, 0.1));
    let results = at_each_level(|| {
        let mut all = Vec::new();
        for transposed in [false, true] {
            let (input, output) = if transposed { (&y, &x) } else { (&x, &y) };
            all.push(conv::forward(input, &weight, &bias, &geometry, transposed, true));
            let backward =
                Backward { transposed, geometry: &geometry, weight: &weight, relu: true };
            let gradients = backward.run(input, output, &mut output.clone(), true);
            all.extend([gradients.weight, gradients.bias]);
            all.extend(gradients.input);
        }
        all
    });
    let [baseline, avx2, avx512] = results;
    assert!(bits(avx2.clone()) == bits(avx512));
    for (baseline, fused) in baseline.iter().zip(&avx2) {
        let largest = fused.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let gap = baseline.iter().zip(fused).fold(0.0f32, |gap, (a, b)| gap.max((a - b).abs()));
        assert!(largest > 0.0 && gap <= 1e-6 * largest, "{gap} of {largest}");
    }
}

// The gradient of the weights is summed over lanes, whose number differs.
#[test]
fn convolutions_of_maps_agree_at_every_level() {
    let size @ [channels, height, width] = [5, 9, 11];
    let (images, outputs) = (5, 15);
    let x = values(images * channels * height * width, 0.02);
    let (weight, bias) = (values(outputs * channels * 9, 0.01), values(outputs, 0.1));
    let double = Resize::Double { height: 17, width: 22 };
    for (resize, kernel) in
        [(Resize::Keep, 3), (Resize::Keep, 1), (Resize::Halve, 3), (double, 3), (double, 1)]
    {
        let weight = &weight[..outputs * channels * kernel * kernel];
        let results = at_each_level(|| {
            let source = Source { values: &x, size, activation: Activation::Silu, resize };
            let conv = MapConv { source, weight, outputs, kernel };
            let y = conv.forward(&bias, None);
            let (input, weight, bias) = conv.backward(&y, true);
            [y, input.unwrap_or_default(), weight, bias]
        });
        for other in &results[1..] {
            for (baseline, other) in results[0].iter().zip(other) {
                let largest = baseline.iter().fold(0.0f32, |max, x| max.max(x.abs()));
                let gaps = baseline.iter().zip(other).map(|(a, b)| (a - b).abs());
                let gap = gaps.fold(0.0f32, f32::max);
                assert!(largest > 0.0 && gap <= 2e-6 * largest, "{resize:?}: {gap} of {largest}");
            }
        }
    }
}
