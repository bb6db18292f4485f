//! Log-sum-exp over an axis.

use burn::tensor::Tensor;

/// `ln Σ eˣ` along an axis, which then has length 1: finite if the largest entry is.
///
/// # Panics
///
/// If there is no such axis.
pub fn log_sum_exp<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if axis == 1
        && let Some(sums) = crate::flex::fused(
            || crate::flex::Classes { classes: x.dims()[1], given: false },
            crate::flex::Operands::over_axis_1(&x),
            false,
        )
    {
        return sums;
    }
    let largest = x.clone().detach().max_dim(axis);
    (x - largest.clone()).exp().sum_dim(axis).log() + largest
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};

    // Double precision takes the ordinary path, which is the reference.
    #[test]
    fn fused_and_plain_agree_in_values_and_gradients() {
        let device = Device::flex().autodiff();
        for (rows, classes, entries) in [(1, 1, 1), (2, 3, 5), (3, 10, 33), (2, 2, 16)] {
            let values: Vec<f32> =
                (0..rows * classes * entries).map(|i| (i as f32 * 0.7).sin() * 20.0).collect();
            let of = |dtype| {
                let x = Tensor::<1>::from_data(values.as_slice(), &device).cast(dtype);
                let x = x.reshape([rows, classes, entries]).detach().require_grad();
                let sums = log_sum_exp(x.clone(), 1);
                let weights = sums.clone().detach().cos();
                let gradients = (sums.clone() * weights).sum().backward();
                let gradient = x.grad(&gradients).expect("a gradient");
                let read = |t: Tensor<3>| t.into_data().iter::<f64>().collect::<Vec<f64>>();
                [read(sums.inner()), read(gradient)]
            };
            let (fused, plain) = (of(DType::F32), of(DType::F64));
            for (fused, plain) in fused.iter().flatten().zip(plain.iter().flatten()) {
                assert!((fused - plain).abs() < 1e-5 * plain.abs().max(1.0), "{fused} {plain}");
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[1e4, -1e4], [-1e4, -1e4]], &device);
        let sums: Vec<f32> = log_sum_exp(x, 1).into_data().try_to_vec().expect("floats");
        assert_eq!(sums[0], 1e4);
        assert!((sums[1] + 1e4 - std::f32::consts::LN_2).abs() < 1e-3);
    }
}
