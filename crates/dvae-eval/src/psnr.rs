//! Peak signal-to-noise ratio.

use burn::tensor::{Bool, Tensor};
use dvae_distributions::sum_features;

/// The mean squared error below which a row counts as equal: 100 dB.
const SMALLEST_ERROR: f64 = 1e-10;

/// Peak signal-to-noise ratio of each row against its clean original: `[batch]`, in decibels.
///
/// ```text
/// PSNR = 10 log₁₀(1 / MSE)
/// ```
///
/// Both tensors `[batch, …]` on the scale `[0, 1]`, whose peak is 1; at most 100 dB. The mean is over the entries
/// that were observed, all of them if nothing is said; a row without any has no ratio, and gets NaN.
pub fn psnr<const D: usize>(
    clean: Tensor<D>,
    other: Tensor<D>,
    observed: Option<Tensor<D, Bool>>,
) -> Tensor<1> {
    let features = clean.dims()[1..].iter().product::<usize>();
    let squares = (clean - other).square();
    let decibels = |mean_squared_error: Tensor<1>| {
        mean_squared_error.clamp_min(SMALLEST_ERROR).log() * (-10.0 / std::f64::consts::LN_10)
    };
    match observed {
        Some(observed) => {
            let observed = observed.float();
            let entries = sum_features(observed.clone());
            let error = sum_features(squares * observed) / entries.clone().clamp_min(1.0);
            decibels(error).mask_fill(entries.equal_elem(0.0), f64::NAN)
        }
        None => decibels(sum_features(squares) / features as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    // An error of 0.1 everywhere is 20 dB, of 0.1 in half the entries 23.01 dB.
    #[test]
    fn is_hand_worked_and_bounded() {
        let device = Device::flex();
        let clean = Tensor::<2>::zeros([3, 2], &device);
        let other = Tensor::from_data([[0.1, -0.1], [0.1, 0.0], [0.0, 0.0]], &device);
        let ratios = psnr(clean.clone(), other.clone(), None);
        let ratios: Vec<f32> = ratios.into_data().try_to_vec().unwrap();
        for (ratio, expected) in ratios.iter().zip([20.0, 23.0103, 100.0]) {
            assert!((ratio - expected).abs() < 1e-3, "{ratios:?}");
        }
        // Of the second row only the entry that is off counts, and the third has none.
        let observed = Tensor::from_data([[true, true], [true, false], [false, false]], &device);
        let ratios = psnr(clean, other, Some(observed)).into_data();
        let ratios: Vec<f32> = ratios.try_to_vec().unwrap();
        assert!((ratios[1] - 20.0).abs() < 1e-3 && ratios[2].is_nan(), "{ratios:?}");
    }
}
