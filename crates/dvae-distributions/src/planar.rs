//! Planar flows.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;

use crate::flow::{Flow, FlowOutput};

/// A planar map with separate parameters for each row.
///
/// ```text
/// f(z) = z + û tanh(wᵀz + b),   ln det = ln(1 + (1 − tanh²(wᵀz + b)) wᵀû)
/// û = u + (m − wᵀu) w/‖w‖²,   m = ln(1 + e^{wᵀu}) − 1 = wᵀû
/// ```
///
/// Rezende & Mohamed (2015), section 4.1, and appendix A.1 for `û`, which keeps `wᵀû > −1` and thereby the
/// map invertible. There is no formula for the inverse.
#[derive(Clone, Debug)]
pub struct Planar {
    u: Tensor<2>,
    w: Tensor<2>,
    b: Tensor<2>,
}

impl Planar {
    /// From `u` and `w` `[batch, latent]` and `b` `[batch, 1]`.
    pub fn new(u: Tensor<2>, w: Tensor<2>, b: Tensor<2>) -> Self {
        Self { u, w, b }
    }
}

impl Flow for Planar {
    fn forward(&self, z: Tensor<2>) -> FlowOutput {
        let dot = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() * b.clone()).sum_dim(1);
        const TINY: f64 = 1e-12;
        let along = dot(&self.w, &self.u);
        let above = softplus(along.clone(), 1.0);
        let length = self.w.clone().square().sum_dim(1);
        let step = (above.clone() - 1.0 - along.clone()) / length.clone().clamp_min(TINY);
        let u = self.u.clone() + self.w.clone() * step.clone();
        let bent = (dot(&self.w, &z) + self.b.clone()).tanh();
        // 1 + wᵀû, which is ln(1 + e^{wᵀu}) unless w is 0; the determinant is a sum of positive terms.
        let none = length.clone().lower_elem(TINY);
        let above = above.mask_where(none, along + step.clone() * length + 1.0);
        let square = bent.clone().square();
        let determinant = square.clone() + (square.neg() + 1.0) * above;
        let log_determinant = determinant.log().squeeze_dim(1);
        FlowOutput { point: z + u * bent, log_determinant }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// `ln det` of a map with one row.
    fn log_determinant(u: [f32; 2], w: [f32; 2], b: f32, z: [f32; 2]) -> f64 {
        let row = |values: [f32; 2]| Tensor::<2>::from_data([values], &Device::flex());
        let map = Planar::new(row(u), row(w), Tensor::from_data([[b]], &Device::flex()));
        map.forward(row(z)).log_determinant.into_scalar::<f64>()
    }

    #[test]
    fn the_map_of_no_direction_is_the_identity() {
        assert!(log_determinant([0.0; 2], [0.0; 2], 0.0, [1.0, -2.0]).abs() < 1e-6);
        assert!(log_determinant([3.0, 1.0], [0.0; 2], 0.5, [1.0, -2.0]).abs() < 1e-6);
    }

    // Where tanh is 0 the determinant is 1 + m = ln(1 + e^{wᵀu}), about e⁻²⁰ here.
    #[test]
    fn a_steep_fold_keeps_its_determinant() {
        let (u, w, z) = ([-20.0, 0.0], [1.0, 0.0], [0.7, 3.0]);
        let got = log_determinant(u, w, -0.7, z);
        assert!((got + 20.0).abs() < 1e-4, "{got}");
    }
}
