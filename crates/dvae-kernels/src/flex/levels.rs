//! Tests at every instruction set of the machine.
//!
//! The cap applies to the whole process, and other tests may run at the same time: their results are correct
//! at any level.

use super::conv::{self, Backward};
use super::density::{self, Bernoulli, FixedNormal, Kl, Normal, Reparameterize, Sigmoid, Weighted};
use super::geometry::Geometry;
use super::simd::{Level, cap};
use super::{adam, dense};

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

#[test]
fn element_wise_code_gives_the_same_bits_at_every_level() {
    let (wide, x) = (values(999, 0.3), values(999, 0.01));
    let scale: Vec<f32> = x.iter().map(|x| x.abs() + 0.1).collect();
    let results = at_each_level(|| {
        let mut all = Vec::new();
        let mut keep = |(out, derivatives): (Vec<f32>, Vec<Vec<f32>>)| {
            all.push(out);
            all.extend(derivatives);
        };
        fn listed<const N: usize>(
            (out, d): (Vec<f32>, [Vec<f32>; N]),
        ) -> (Vec<f32>, Vec<Vec<f32>>) {
            (out, d.into())
        }
        let fixed = FixedNormal { scale: 0.7, normalizer: 0.1 };
        for rows in [None, Some(3)] {
            keep(listed(density::run(Bernoulli, [&wide, &x], rows)));
            keep(listed(density::run(Weighted(Bernoulli), [&wide, &x, &scale], rows)));
            keep(listed(density::run(fixed, [&wide, &x], rows)));
            keep(listed(density::run(Weighted(fixed), [&wide, &x, &scale], rows)));
            keep(listed(density::run(Normal, [&wide, &scale, &x], rows)));
            keep(listed(density::run(Weighted(Normal), [&wide, &scale, &x, &x], rows)));
            keep(listed(density::run(Reparameterize, [&wide, &wide, &x], rows)));
            keep(listed(density::run(Kl, [&x, &wide], rows)));
            keep(listed(density::run(Sigmoid, [&wide], rows)));
        }
        let mut gradient = wide.clone();
        all.push(dense::backward(&mut gradient, &x, 37, true));
        density::scale_rows(&mut gradient, &[1.5, -2.0, 0.1]);
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
